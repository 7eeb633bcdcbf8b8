"""The machine's clock. No other module reads it for the engine."""

from __future__ import annotations

import time

_NS_PER_MS = 1_000_000
_MS_PER_S = 1_000


class SystemClock:
    """Implements `streams.ports.Clock` with the machine's clocks."""

    def now_ms(self) -> int:
        """Return the wall-clock time."""
        return time.time_ns() // _NS_PER_MS

    def monotonic_ms(self) -> int:
        """Return the time of a clock that never goes back, for intervals."""
        return time.monotonic_ns() // _NS_PER_MS

    def sleep_ms(self, duration_ms: int) -> None:
        """Block for a while."""
        time.sleep(duration_ms / _MS_PER_S)
