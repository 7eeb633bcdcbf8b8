"""Defines what the engine and the adapters need of a clock."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The machine's time. The core never sees it: it is told broker time."""

    def now_ms(self) -> int:
        """Wall clock."""

    def monotonic_ms(self) -> int:
        """For intervals."""

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait."""
