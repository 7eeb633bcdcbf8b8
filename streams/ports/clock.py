"""Defines what the engine and the adapters need of a clock."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The machine's time. Processors never see it: they are told broker time."""

    def now_ms(self) -> int:
        """Return the wall clock, in ms since the epoch."""

    def monotonic_ms(self) -> int:
        """Return a clock that never goes back, for intervals, in ms."""

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait for `duration_ms`."""
