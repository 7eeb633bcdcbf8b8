"""Decide whether, and how soon, a new member of a group replaces one that has failed: in gates and in executors."""

from __future__ import annotations

from collections.abc import Callable

from streams.ports import RetriableLogError, UnansweredError

PAUSE_FIRST_MS = 500
PAUSE_MS_MAX = 5_000

FAILURES_MAX = 5
"""How many members in a row may fail though the log answers, for example because another one has their name."""

HEALTHY_MS = 60_000
"""After a member that has lived for this long, failures are counted from none, and the pauses begin with the first."""


def is_unanswered(error: BaseException) -> bool:
    """Return whether an error, or one that caused it, says that the log did not answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RetriableLogError | UnansweredError):
            return True
        cause = cause.__cause__
    return False


class Renewals:
    """Counts the members of a group that replace each other. For one thread.

    Attributes:
        failures_count: how many of them have failed in a row though the log has answered.
    """

    def __init__(self, monotonic_ms: Callable[[], int]) -> None:
        """Start without a member.

        Args:
            monotonic_ms: a clock that never goes back, ms.
        """
        self._monotonic_ms = monotonic_ms
        self._next_ms = PAUSE_FIRST_MS
        self.failures_count = 0
        self._begun_ms = 0

    def begin(self) -> None:
        """Note that a member begins."""
        self._begun_ms = self._monotonic_ms()

    def pause_ms(self, *, is_failure: bool) -> int | None:
        """Return how long to wait before the next member begins: twice as long each time, up to `PAUSE_MS_MAX`.

        A log that does not answer is waited for without a bound, because it will come back.

        Args:
            is_failure: whether the member has ended though the log answers.

        Returns:
            None if `FAILURES_MAX` members have failed in a row before, though the log has answered.
        """
        if self._monotonic_ms() - self._begun_ms >= HEALTHY_MS:
            self._next_ms, self.failures_count = PAUSE_FIRST_MS, 0
        self.failures_count += is_failure
        if self.failures_count > FAILURES_MAX:
            return None
        pause_ms, self._next_ms = self._next_ms, min(self._next_ms * 2, PAUSE_MS_MAX)
        return pause_ms
