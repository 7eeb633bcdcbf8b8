"""A clock that stands still until somebody advances it."""

from __future__ import annotations

from streams.model.errors import InvariantError


class ManualClock:
    """Implements the port `Clock`. To sleep advances it, so that code which waits makes progress at once."""

    def __init__(self, now_ms: int) -> None:
        self._start_ms = now_ms
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the wall clock."""
        return self._now_ms

    def monotonic_ms(self) -> int:
        """Return the time since the clock was created."""
        return self._now_ms - self._start_ms

    def sleep_ms(self, duration_ms: int) -> None:
        """Advance by `duration_ms` and return at once."""
        self.advance(duration_ms)

    def advance(self, duration_ms: int) -> None:
        """Advance the clock.

        Raises:
            InvariantError: `duration_ms` is below zero.
        """
        if duration_ms < 0:
            raise InvariantError(f"a clock cannot go back by `{-duration_ms}` ms")
        self._now_ms += duration_ms

    def set_ms(self, now_ms: int) -> None:
        """Advance to `now_ms`. An instant that has passed already changes nothing."""
        self._now_ms = max(self._now_ms, now_ms)
