"""The machine's clock, the only place that reads it for the engine."""

from __future__ import annotations

import time

_NS_PER_MS = 1_000_000
_MS_PER_S = 1_000


class SystemClock:
    """`streams.ports.Clock` of the machine."""

    def now_ms(self) -> int:
        """Wall clock."""
        return time.time_ns() // _NS_PER_MS

    def monotonic_ms(self) -> int:
        """For intervals."""
        return time.monotonic_ns() // _NS_PER_MS

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait."""
        time.sleep(duration_ms / _MS_PER_S)
