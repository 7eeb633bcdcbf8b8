"""The clock of a simulated machine: right most of the time."""

from __future__ import annotations

from streams.ports import Clock

WRONG_BY_MS = 30 * 24 * 3_600_000
"""How far a clock that is wrong is ahead or behind."""


class HostClock:
    """Implements the port `Clock`.

    Attributes:
        wrong_by_ms: how far the wall clock is ahead. The monotonic clock is always right.
    """

    def __init__(self, right: Clock) -> None:
        self.wrong_by_ms = 0
        self._right = right

    def now_ms(self) -> int:
        """Return the wall clock."""
        return self._right.now_ms() + self.wrong_by_ms

    def monotonic_ms(self) -> int:
        """Return a clock that never goes back."""
        return self._right.monotonic_ms()

    def sleep_ms(self, duration_ms: int) -> None:
        """Let time pass."""
        self._right.sleep_ms(duration_ms)
