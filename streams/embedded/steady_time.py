"""The time of an embedded log, which a jump of the machine's clock doesn't move at once.

**Idea.** The log has the clock of its machine. If that is wrong for a moment, records of that moment would be stamped
days ahead, and retention would delete what is not old. So the clock is compared with the monotonic one. If it has
jumped, time goes on as before it jumped, until it has kept the new time for `SETTLED_MS`: then it was corrected, or the
machine has slept.
"""

from __future__ import annotations

import threading

from streams.ports import Clock

JUMP_MS_MIN = 30_000
"""A larger difference between the time that has passed by the two clocks is a jump."""

SETTLED_MS = 10_000
"""How long a new time must be kept after a jump before it counts."""


class SteadyTime:
    """The wall clock of this process, without its short jumps. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """Begin with the time that the clock shows."""
        self._clock = clock
        self._lock = threading.Lock()
        self._lead_ms = clock.now_ms() - clock.monotonic_ms()
        self._jumped_lead_ms = 0
        self._jumped_at_ms: int | None = None

    def now_ms(self) -> int:
        """Return the time, in ms since the epoch."""
        with self._lock:
            monotonic_ms = self._clock.monotonic_ms()
            lead_ms = self._clock.now_ms() - monotonic_ms
            if abs(lead_ms - self._lead_ms) <= JUMP_MS_MIN or self._has_settled(lead_ms, monotonic_ms):
                self._lead_ms, self._jumped_at_ms = lead_ms, None
            return monotonic_ms + self._lead_ms

    def _has_settled(self, lead_ms: int, monotonic_ms: int) -> bool:
        """Return whether the clock has gone on steadily for long enough since it jumped."""
        if self._jumped_at_ms is None or abs(lead_ms - self._jumped_lead_ms) > JUMP_MS_MIN:
            self._jumped_lead_ms, self._jumped_at_ms = lead_ms, monotonic_ms
        return monotonic_ms - self._jumped_at_ms >= SETTLED_MS
