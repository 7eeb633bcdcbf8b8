"""A clock that stands still until it is told to move."""

from __future__ import annotations

from streams.model.errors import InvariantError


class ManualClock:
    """The port `Clock`. Sleeping moves it on, so that code which waits makes progress without waiting."""

    def __init__(self, now_ms: int) -> None:
        self._start_ms = now_ms
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Wall clock."""
        return self._now_ms

    def monotonic_ms(self) -> int:
        """Since the clock was made."""
        return self._now_ms - self._start_ms

    def sleep_ms(self, duration_ms: int) -> None:
        """Move on by `duration_ms`; returns at once."""
        self.advance(duration_ms)

    def advance(self, duration_ms: int) -> None:
        """Move on.

        Raises:
            InvariantError: `duration_ms` is below zero.
        """
        if duration_ms < 0:
            raise InvariantError(f"a clock cannot go back by `{-duration_ms}` ms")
        self._now_ms += duration_ms

    def set_ms(self, now_ms: int) -> None:
        """Move on to `now_ms`; an instant that has passed already changes nothing."""
        self._now_ms = max(self._now_ms, now_ms)
