"""The topics of the file: create, change and list them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from streams.embedded.errors import TopicError, UnknownTopicError
from streams.embedded.file import PARTITION_SHIFT, PARTITIONS_MAX, LogConnection
from streams.embedded.groups import prepare_rebalance
from streams.ports import TopicPartition, TopicSpec
from streams.ports.open_log import TopicNames

TOPIC_PARTITIONS_MAX = 10_000

TOPICS_KEPT_MAX = 4_096
"""How many topics of the file are kept as they were read: a command opens many connections, and each reads them all."""

TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")

CLEANUP_POLICY = "cleanup.policy"
RETENTION_MS = "retention.ms"
DELETE_RETENTION_MS = "delete.retention.ms"
MAX_MESSAGE_BYTES = "max.message.bytes"
TIMESTAMP_TYPE = "message.timestamp.type"

# Kafka's defaults, except for retention: a file on one disk keeps records unless it is configured otherwise.
DEFAULT_CONFIG: Mapping[str, str] = {
    CLEANUP_POLICY: "delete",
    RETENTION_MS: "-1",
    DELETE_RETENTION_MS: "86400000",
    MAX_MESSAGE_BYTES: "1048588",
    TIMESTAMP_TYPE: "CreateTime",
    "compression.type": "producer",
    "min.insync.replicas": "1",
}
_INTEGERS = {RETENTION_MS: -1, DELETE_RETENTION_MS: 0, MAX_MESSAGE_BYTES: 0}
_POLICIES = frozenset({"delete", "compact"})
_TIMESTAMP_TYPES = frozenset({"CreateTime", "LogAppendTime"})


class Topic(NamedTuple):
    """A topic as stored; `name` is its name in the file, and partition n has the part id `first_part + n`."""

    name: str
    partitions: int
    first_part: int
    config: Mapping[str, str]
    compacted: bool
    retention_ms: int
    delete_retention_ms: int
    record_bytes_max: int


class TopicTable:
    """The deployment's topics as one connection last read them, by their plain names. For one thread at a time."""

    def __init__(self, connection: LogConnection, names: TopicNames, auto_partitions: int | None) -> None:
        """Read the topics.

        Args:
            connection: where to read them.
            names: the names of the deployment's topics in the file.
            auto_partitions: create unknown topics with this many partitions; None makes them an error.
        """
        self._connection = connection
        self._names = names
        self._auto_partitions = auto_partitions
        self._version = -1
        self._topics: dict[str, Topic] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the topics again if they have changed."""
        version = self._connection.rows("SELECT version FROM catalog")[0][0]
        if version == self._version:
            return
        rows = self._connection.rows("SELECT name, partitions, first_part, config FROM topics")
        self._topics = {self._names.own(row[0]): _topic(*row) for row in rows if self._names.has(row[0])}
        self._version = version

    def topics(self) -> Mapping[str, Topic]:
        """Return all topics of the deployment by their plain names, as of the last refresh."""
        return self._topics

    def ensure(self, names: Sequence[str]) -> None:
        """Create the unknown ones of these topics, if topics are created automatically."""
        if self._auto_partitions is None or all(name in self._topics for name in names):
            return
        with self._connection.writing():
            self.refresh()
            missing = [name for name in dict.fromkeys(names) if name not in self._topics]
            specs = [TopicSpec(self._names.on_log(name), self._auto_partitions, {}) for name in missing]
            create_topics(self._connection, specs)
        self.refresh()

    def part_id(self, partition: TopicPartition) -> int:
        """Return the part id of a partition.

        Raises:
            UnknownTopicError: the partition does not exist.
        """
        topic = self._topics.get(partition.topic)
        if topic is None or not 0 <= partition.partition < topic.partitions:
            raise self._unknown(partition)
        return topic.first_part + partition.partition

    def _unknown(self, partition: TopicPartition) -> UnknownTopicError:
        topic = self._topics.get(partition.topic)
        if topic is None:
            name = self._names.on_log(partition.topic)
            return UnknownTopicError(f"topic `{name}` does not exist in `{self._connection.file.path}`")
        return UnknownTopicError(
            f"topic `{topic.name}` has no partition {partition.partition}: it has {topic.partitions}"
        )

    def resolve(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the part ids of partitions; unknown topics are looked up, and created if topics are created
        automatically.

        Raises:
            UnknownTopicError: one does not exist.
        """
        names = [partition.topic for partition in partitions]
        if any(name not in self._topics for name in names):
            self.refresh()
            self.ensure(names)
        return {partition: self.part_id(partition) for partition in partitions}


def create_topics(connection: LogConnection, specs: Sequence[TopicSpec]) -> None:
    """Create topics inside the caller's write transaction; groups that subscribe to one of them rebalance.

    Raises:
        TopicError: a name, a partition count or a configuration value is invalid, or the topic exists.
    """
    if not specs:
        return
    first_part = connection.rows("SELECT coalesce(max(part_id) + 1, 0) FROM partitions")[0][0]
    for spec in specs:
        check_spec(spec)
        if first_part + spec.partitions > PARTITIONS_MAX:
            raise TopicError(f"topic `{spec.name}`: the log holds at most {PARTITIONS_MAX} partitions in all")
        if connection.row("SELECT 1 FROM topics WHERE name = ?", (spec.name,)):
            raise TopicError(f"topic `{spec.name}` already exists: alter its configuration instead")
        connection.rows(
            "INSERT INTO topics (name, partitions, first_part, config) VALUES (?, ?, ?, ?)",
            (spec.name, spec.partitions, first_part, json.dumps(dict(spec.config), sort_keys=True)),
        )
        connection.write_many(
            "INSERT INTO partitions VALUES (?, 0, 0, 0, 0, 0)",
            [(first_part + number,) for number in range(spec.partitions)],
        )
        first_part += spec.partitions
    connection.rows("UPDATE catalog SET version = version + 1")
    names = {spec.name for spec in specs}
    for group_id, topics in connection.rows("SELECT group_id, topics FROM members"):
        if names.intersection(json.loads(topics)):
            prepare_rebalance(connection, group_id)


def alter_topic(connection: LogConnection, name: str, config: Mapping[str, str]) -> None:
    """Set configuration values inside the caller's write transaction.

    Raises:
        UnknownTopicError: the topic does not exist.
        TopicError: a value is invalid.
    """
    row = connection.row("SELECT partitions, config FROM topics WHERE name = ?", (name,))
    if row is None:
        raise UnknownTopicError(f"topic `{name}` does not exist: create it first")
    merged = {**json.loads(row[1]), **config}
    check_spec(TopicSpec(name, row[0], merged))
    connection.rows("UPDATE topics SET config = ? WHERE name = ?", (json.dumps(merged, sort_keys=True), name))
    connection.rows("UPDATE catalog SET version = version + 1")


def check_spec(spec: TopicSpec) -> None:
    """Raise an error for a topic that can't be created.

    Raises:
        TopicError: the message says why.
    """
    if not TOPIC_NAME.fullmatch(spec.name):
        raise TopicError(f"topic name `{spec.name}` is not allowed: 1 to 249 of letters, digits, `.`, `_`, `-`")
    if not 1 <= spec.partitions <= TOPIC_PARTITIONS_MAX:
        raise TopicError(f"topic `{spec.name}`: {spec.partitions} partitions; take 1 to {TOPIC_PARTITIONS_MAX}")
    for key, least in _INTEGERS.items():
        text = spec.config.get(key, DEFAULT_CONFIG[key])
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or int(text) < least:
            raise TopicError(f"topic `{spec.name}`: `{key}` is `{text}`, not a whole number from {least} on")
    policies = spec.config.get(CLEANUP_POLICY, DEFAULT_CONFIG[CLEANUP_POLICY])
    if not {policy.strip() for policy in policies.split(",")} <= _POLICIES:
        raise TopicError(f"topic `{spec.name}`: `{CLEANUP_POLICY}` is `{policies}`; take delete, compact or both")
    kind = spec.config.get(TIMESTAMP_TYPE, DEFAULT_CONFIG[TIMESTAMP_TYPE])
    if kind not in _TIMESTAMP_TYPES:
        raise TopicError(f"topic `{spec.name}`: `{TIMESTAMP_TYPE}` is `{kind}`; take CreateTime or LogAppendTime")


def base_id(part_id: int) -> int:
    """Return the row id of the partition's offset 0."""
    return part_id << PARTITION_SHIFT


@lru_cache(maxsize=TOPICS_KEPT_MAX)
def _topic(name: str, partitions: int, first_part: int, config_json: str) -> Topic:
    # It is shared between connections, so nobody may change it.
    config: Mapping[str, str] = MappingProxyType(json.loads(config_json))
    full = {**DEFAULT_CONFIG, **config}
    policies = {policy.strip() for policy in full[CLEANUP_POLICY].split(",")}
    return Topic(
        name=name,
        partitions=partitions,
        first_part=first_part,
        config=config,
        compacted="compact" in policies,
        retention_ms=int(full[RETENTION_MS]) if "delete" in policies else -1,
        delete_retention_ms=int(full[DELETE_RETENTION_MS]),
        record_bytes_max=int(full[MAX_MESSAGE_BYTES]),
    )
