"""Ids and instants for the SDK: the only place that asks the machine for them, so that tests can replace it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_MS_PER_S = 1_000
_RANDOM_BITS = 74
_MILLIS_MASK = (1 << 48) - 1


def system_now_ms() -> int:
    """Return the machine's wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


def system_monotonic_ms() -> int:
    """Return a clock for intervals, ms; its zero has no meaning."""
    return time.monotonic_ns() // 1_000_000


class Entropy:
    """A source of ids, of intervals and of the wall clock. Thread-safe if its functions are."""

    def __init__(
        self,
        *,
        now_ms: Callable[[], int] = system_now_ms,
        monotonic_ms: Callable[[], int] = system_monotonic_ms,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.now_ms = now_ms
        self.monotonic_ms = monotonic_ms
        self._random_bytes = random_bytes

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait for a time of the machine."""
        time.sleep(duration_ms / _MS_PER_S)

    def uuid(self, now_ms: int | None = None) -> str:
        """Return a new UUID, version 7 (RFC 9562): 48 bits of time, 74 random bits.

        Args:
            now_ms: the instant in the UUID; by default the wall clock.
        """
        millis = (self.now_ms() if now_ms is None else now_ms) & _MILLIS_MASK
        chance = int.from_bytes(self._random_bytes(10), "big") >> (80 - _RANDOM_BITS)
        high, low = chance >> 62, chance & ((1 << 62) - 1)
        text = f"{millis << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


SYSTEM = Entropy()
"""The clocks and the randomness of this machine."""
