"""Waking the polls that wait for a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streams.ports import Clock, Received

# Commits of other processes ring no bell here: a waiting poll looks at the file this often.
OTHER_PROCESS_POLL_MS = 5


class Bell:
    """Rung after every commit of this process. Thread-safe."""

    def __init__(self) -> None:
        """Not rung yet."""
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it was rung: take it before looking for records, give it to `wait` when there were none."""
        return self._rings

    def ring(self) -> None:
        """Wake all who wait."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, rings: int, timeout_ms: int) -> bool:
        """Block until it has rung since `rings` was taken; False when `timeout_ms` passed first."""
        with self._condition:
            return self._condition.wait_for(lambda: self._rings != rings, timeout_ms / 1000)


def poll_until_found(
    attempt: Callable[[], list[Received]], *, bell: Bell, clock: Clock, timeout_ms: int
) -> list[Received]:
    """Repeat `attempt` until it finds records or `timeout_ms` has passed; at least once.

    The end is judged by `clock`; a clock that stands still (in a test) ends it after as much waiting.
    """
    deadline_ms = clock.monotonic_ms() + timeout_ms
    waiting_left_ms = timeout_ms
    while True:
        rings = bell.rings
        found = attempt()
        if found:
            return found
        remaining_ms = min(deadline_ms - clock.monotonic_ms(), waiting_left_ms)
        if remaining_ms <= 0:
            return found
        pause_ms = min(remaining_ms, OTHER_PROCESS_POLL_MS)
        if not bell.wait(rings, pause_ms):
            waiting_left_ms -= pause_ms
