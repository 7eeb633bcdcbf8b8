"""Measure how long a request to another processor takes until its answer is processed, in stream time.

The cluster decides how long that is: each answer is at least two commits away. The core has no clock, so it compares
the stream times of two records that it processes: the one that led to the request, and the answer. Both are on the log,
so that what follows from the measurement is a function of the log as well.
"""

from __future__ import annotations

from streams.ports.processor import StateView
from streams.processors.rows import ROUND_TRIP_KEY

ROUND_TRIP_MS_MAX = 60_000
_FALL_DIVISOR = 4
"""By which part of the difference the measurement falls. It rises at once: waiting too short denies calls."""
_BYTES = 4


def round_trip_ms(state: StateView) -> int | None:
    """Return the measured round trip of the partition; None if there was none yet."""
    found = state.get(ROUND_TRIP_KEY)
    return None if found is None else int.from_bytes(found, "big")


def note_round_trip(state: StateView, sample_ms: int) -> int:
    """Add a sample to the measurement, and return what it is now."""
    sample_ms = min(max(0, sample_ms), ROUND_TRIP_MS_MAX)
    before_ms = round_trip_ms(state)
    now_ms = sample_ms
    if before_ms is not None and sample_ms < before_ms:
        now_ms = before_ms - -(-(before_ms - sample_ms) // _FALL_DIVISOR)
    if now_ms != before_ms:
        state.put(ROUND_TRIP_KEY, now_ms.to_bytes(_BYTES, "big"))
    return now_ms
