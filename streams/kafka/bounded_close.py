"""Closing consumers within a bound."""

from __future__ import annotations

from collections.abc import Callable

from streams.kafka.deadline import StuckError, TimedCalls
from streams.kafka.settings import LOGGER

CLOSE_S_MAX = 10.0


def close_in_time(close: Callable[[], None], what: str) -> None:
    """Call `close`, and leave it behind when it does not end within CLOSE_S_MAX seconds.

    librdkafka waits for a group's coordinator as it closes, and now and then for itself: a member that is handed
    partitions in the moment of its closing waits for ever (2.16).

    Args:
        close: of the client library.
        what: names the client in the log.

    Raises:
        Exception: what `close` raises.
    """
    calls = TimedCalls(f"close {what}")
    try:
        calls.call(close, CLOSE_S_MAX)
    except StuckError:
        LOGGER.warning("%s is not closed after %s s and is left to itself", what, CLOSE_S_MAX)
    finally:
        calls.close()
