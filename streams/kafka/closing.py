"""Closing consumers within a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable

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
    failures: list[BaseException] = []

    def run() -> None:
        try:
            close()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name=f"close {what}", daemon=True)
    thread.start()
    thread.join(CLOSE_S_MAX)
    if thread.is_alive():
        LOGGER.warning("%s is not closed after %s s and is left to itself", what, CLOSE_S_MAX)
    for error in failures:
        raise error
