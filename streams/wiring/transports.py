"""Builds the transport of a process on the log that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.ports.open_log import Log
from streams.sdk.connection.transport import RecordCodec, Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def build_transport(settings: Settings, log: Log, codec: RecordCodec | None = None) -> Transport:
    """Return a transport that believes the releases of the settings. The caller closes it, and then the log.

    Args:
        settings: the settings.
        log: the open log.
        codec: how records become bytes; by default the one of the settings.

    Raises:
        SchemaError: the schema registry of the settings can't be used.
    """
    return Transport(log, codec or build_codec(settings), SystemClock(), settings.release.trusted())
