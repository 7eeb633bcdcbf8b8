"""Decide whether, and how soon, a new member of a group replaces one that has failed."""

from __future__ import annotations

from collections.abc import Callable

from streams.ports import LogError, RetriableLogError, UnansweredError

PAUSE_FIRST_MS = 500
PAUSE_MS_MAX = 5_000

FAILURES_MAX = 5
"""How many members in a row may fail though the log answers, for example because another one has their name."""

HEALTHY_MS = 60_000
"""After a member that has lived for this long, failures are counted from none, and the pauses begin with the first."""


class Renewals:
    """Counts the members of a group that replace each other. For one thread."""

    def __init__(self, monotonic_ms: Callable[[], int]) -> None:
        """Start without a member.

        Args:
            monotonic_ms: a clock that never goes back, ms.
        """
        self._monotonic_ms = monotonic_ms
        self._next_ms = PAUSE_FIRST_MS
        self._failures_count = 0
        self._begun_ms = 0

    def begin(self) -> None:
        """Note that a member begins."""
        self._begun_ms = self._monotonic_ms()

    def pause_ms(self, error: LogError) -> int | None:
        """Return how long to wait before the next member begins: twice as long each time, up to `PAUSE_MS_MAX`.

        A log that does not answer is waited for without a bound, because it will come back.

        Args:
            error: what has ended the member.

        Returns:
            None if `FAILURES_MAX` members have failed in a row before, though the log has answered.
        """
        if self._monotonic_ms() - self._begun_ms >= HEALTHY_MS:
            self._next_ms, self._failures_count = PAUSE_FIRST_MS, 0
        self._failures_count += not isinstance(error, RetriableLogError | UnansweredError)
        if self._failures_count > FAILURES_MAX:
            return None
        pause_ms, self._next_ms = self._next_ms, min(self._next_ms * 2, PAUSE_MS_MAX)
        return pause_ms
