"""Close clients within a time limit."""

from __future__ import annotations

from collections.abc import Callable

from streams.kafka.bounded.deadline import StuckError, TimedCalls, within
from streams.kafka.settings import LOGGER

CLOSE_S_MAX = 10.0


def close_in_time(close: Callable[[], None], what: str) -> None:
    """Call `close`, and abandon it if it does not end within CLOSE_S_MAX seconds.

    librdkafka waits for a group's coordinator while it closes, and in rare cases for itself: a member that is assigned
    partitions while it closes waits forever (2.16).

    Args:
        close: the client library's close.
        what: the client's name in log messages.

    Raises:
        Exception: what `close` raises.
    """
    calls = TimedCalls(f"close {what}")
    try:
        calls.call(close, within(CLOSE_S_MAX))
    except StuckError:
        LOGGER.warning("%s is not closed after %s s and is abandoned", what, CLOSE_S_MAX)
    finally:
        calls.close()
