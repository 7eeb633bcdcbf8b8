"""Sets up topics of the in-memory log, and writes single records to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.inmemory.broker import MemoryBroker
from streams.ports import AclSpec, LogError, Outgoing, TopicSpec, TopicState


class MemoryPublisher:
    """Implements the port `Publisher`: every record is stored at once."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def publish(self, record: Outgoing) -> None:
        """Store the record."""
        self._broker.append(record)

    def flush(self, timeout_ms: int) -> None:
        """Do nothing: no record is ever queued."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class MemoryAdmin:
    """Implements the port `Admin`, for a log without an authorizer."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """Return those of the topics that exist, with all of their configuration."""
        del config_names
        states = ((name, self._broker.topic_state(name)) for name in topics)
        return {name: state for name, state in states if state is not None}

    def partition_counts(self, prefix: str) -> dict[str, int]:
        """Return how many partitions each topic has whose name begins with `prefix`, by its name."""
        broker = self._broker
        return {name: broker.partition_count(name) for name in broker.topics() if name.startswith(prefix)}

    def hidden(self, topics: Sequence[str], *, configs: bool = False) -> frozenset[str]:  # noqa: ARG002 - there is no access control here
        """Return no topic: this log has no access control."""
        return frozenset()

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """Create the topics; one that exists is an error. There is one broker, whatever `replication` says."""
        del replication
        for spec in topics:
            self._broker.create(spec)

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these configuration values."""
        self._broker.alter_config(topic, config)

    def acls(self) -> set[AclSpec] | None:
        """Return None: there is no authorizer."""
        return None

    def broker_settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return nothing: there are no brokers."""
        del names
        return {}

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """Refuse: nothing here would enforce them.

        Raises:
            LogError: always.
        """
        del acls
        raise LogError("the in-memory log has no authorizer: access cannot be restricted")

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
