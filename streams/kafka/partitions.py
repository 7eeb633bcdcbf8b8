"""Convert partitions between the deployment's form and the client library's."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import TopicPartition as KafkaPartition

from streams.ports import TopicPartition
from streams.ports.open_log import TopicNames


def to_client(names: TopicNames, partition: TopicPartition, offset: int | None = None) -> KafkaPartition:
    """Return the partition as the client library names it, with an offset if one is needed."""
    topic, number = partition
    if offset is None:
        return KafkaPartition(names.on_log(topic), number)
    return KafkaPartition(names.on_log(topic), number, offset)


def from_client(names: TopicNames, partition: KafkaPartition) -> TopicPartition:
    """Return the client library's partition as the deployment names it."""
    return TopicPartition(names.own(partition.topic), partition.partition)


def all_from_client(names: TopicNames, partitions: Iterable[KafkaPartition]) -> list[TopicPartition]:
    """Return several of the client library's partitions, in their order."""
    return [from_client(names, partition) for partition in partitions]


def on_log(names: TopicNames, partition: TopicPartition) -> str:
    """Return the partition's name for messages: its topic is named as on the log."""
    return f"`{names.on_log(partition.topic)}` partition {partition.partition}"
