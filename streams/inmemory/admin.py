"""Topic set-up and single writes on the in-memory log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from streams.ports import AclSpec, LogError, Outgoing, TopicSpec, TopicState

if TYPE_CHECKING:
    from streams.inmemory.log import MemoryLog

DEFAULT_CONFIG: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "retention.ms": "604800000",
}
"""Kafka's own."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_VALUES = {
    "cleanup.policy": re.compile(r"(compact|delete|compact,delete|delete,compact)\Z"),
    "max.message.bytes": re.compile(r"[0-9]{1,10}\Z"),
    "message.timestamp.type": re.compile(r"(CreateTime|LogAppendTime)\Z"),
    "retention.ms": re.compile(r"(-1|[0-9]{1,18})\Z"),
}


def check_name(name: str) -> None:
    """Whether a topic can be called so.

    Raises:
        LogError: no.
    """
    if not _NAME.match(name) or name in (".", ".."):
        raise LogError(f"`{name[:80]}` can't be the name of a topic")


def check_config(topic: str, config: Mapping[str, str]) -> None:
    """Whether these can be a topic's configuration.

    Raises:
        LogError: a value is none of its kind.
    """
    for name, value in config.items():
        pattern = _VALUES.get(name)
        if pattern is not None and not pattern.match(value):
            raise LogError(f"topic `{topic}`: `{value}` can't be the value of `{name}`")


class MemoryPublisher:
    """The port `Publisher`: every record is stored at once."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def publish(self, record: Outgoing) -> None:
        """Store it."""
        self._log.append(record)

    def flush(self, timeout_ms: int) -> None:
        """Nothing is ever queued."""

    def close(self) -> None:
        """Nothing to release."""


class MemoryAdmin:
    """The port `Admin`; a log without an authorizer."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """Those of the topics that exist, with all of their configuration."""
        del config_names
        states = ((name, self._log.topic_state(name)) for name in topics)
        return {name: state for name, state in states if state is not None}

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """Create them; an existing one is an error. There is one broker, whatever `replication` says."""
        del replication
        for spec in topics:
            self._log.create(spec)

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these configuration values."""
        self._log.alter_config(topic, config)

    def acls(self) -> set[AclSpec] | None:
        """There is no authorizer."""
        return None

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """Refused: nothing here would hold them.

        Raises:
            LogError: always.
        """
        del acls
        raise LogError("the in-memory log has no authorizer: access cannot be restricted")

    def close(self) -> None:
        """Nothing to release."""
