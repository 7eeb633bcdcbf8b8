"""Opens the log of the settings for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.operations.operator import Operator
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def open_operator(settings: Settings, name: str | None = None) -> Operator:
    """Open the log in the name of one person. The operator is a context manager, and closes the log.

    Args:
        name: the person's name; by default the name of the operating system's user.

    Raises:
        LogMissingError: there is no log.
        LogError: the log can't be opened.
        SchemaError: the schema registry of the settings can't be used.
    """
    codec = build_codec(settings)
    return Operator(open_log(settings, create=False), codec, SystemClock(), settings.deployment, name)
