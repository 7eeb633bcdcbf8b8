"""Reads what has come to a topic since a measurement began."""

from __future__ import annotations

from bench.harness.world import World
from streams.model.topics import SEAL_KEY, Topic
from streams.ports import Received, TopicPartition

POLL_RECORDS = 1_000
POLL_MS = 100


def read_to_end(world: World, topic: Topic, begins: dict[TopicPartition, int]) -> list[Received]:
    """Return all that has come to the topic since `begins`, without seals."""
    reader = world.log.reader()
    reader.assign(begins)
    ends = world.ends(topic)
    found: list[Received] = []
    while any(reader.position(partition) < end for partition, end in ends.items()):
        found.extend(each for each in reader.poll(POLL_RECORDS, POLL_MS) if each.key != SEAL_KEY)
    reader.close()
    return found
