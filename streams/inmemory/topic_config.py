"""Checks the names and configuration of topics as Kafka does."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.ports import LogError

DEFAULT_CONFIG: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "retention.ms": "604800000",
}
"""Kafka's own defaults."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_VALUES = {
    "cleanup.policy": re.compile(r"(compact|delete|compact,delete|delete,compact)\Z"),
    "max.message.bytes": re.compile(r"[0-9]{1,10}\Z"),
    "message.timestamp.type": re.compile(r"(CreateTime|LogAppendTime)\Z"),
    "retention.ms": re.compile(r"(-1|[0-9]{1,18})\Z"),
}


def check_name(name: str) -> None:
    """Check that a topic may have this name.

    Raises:
        LogError: it may not.
    """
    if not _NAME.match(name) or name in (".", ".."):
        raise LogError(f"`{name[:80]}` can't be the name of a topic")


def check_config(topic: str, config: Mapping[str, str]) -> None:
    """Check that a topic may have these configuration values.

    Raises:
        LogError: a value is not valid.
    """
    for name, value in config.items():
        pattern = _VALUES.get(name)
        if pattern is not None and not pattern.match(value):
            raise LogError(f"topic `{topic}`: `{value}` can't be the value of `{name}`")
