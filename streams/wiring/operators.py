"""A person at work on the log of the settings."""

from __future__ import annotations

from streams.operations.operator import Operator
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings


def open_operator(settings: Settings, name: str | None = None) -> Operator:
    """Open the log for one person's act. The operator is a context manager, and closes the log.

    Args:
        name: who acts; by default the user of the operating system.

    Raises:
        LogMissingError: there is no log.
        LogError: it can't be opened.
        SchemaError: the schema registry of the settings can't be used.
    """
    codec = build_codec(settings)
    return Operator(open_log(settings, create=False), codec, SystemClock(), settings.deployment, name)
