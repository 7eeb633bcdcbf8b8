"""Rate limits: a token bucket for each key, in a table of bounded size, on a clock that nobody sets."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

KEYS_MAX = 20_000
"""Keys that are kept; the one that was longest without a request is forgotten first, which gives it a full bucket."""

_MS_PER_MINUTE = 60_000


class RateLimit:
    """So many requests a minute for each key, in bursts of as many. Thread-safe."""

    def __init__(self, per_minute: int, monotonic_ms: Callable[[], int], *, keys_max: int = KEYS_MAX) -> None:
        self._per_ms = per_minute / _MS_PER_MINUTE
        self._room = float(per_minute)
        self._monotonic_ms = monotonic_ms
        self._keys_max = keys_max
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> int:
        """Count a request; 0 if it may be answered, else the ms after which the next one may."""
        now_ms = self._monotonic_ms()
        with self._lock:
            level, at_ms = self._levels.pop(key, (self._room, now_ms))
            level = min(self._room, level + (now_ms - at_ms) * self._per_ms)
            allowed = level >= 1
            self._levels[key] = (level - 1 if allowed else level, now_ms)
            if len(self._levels) > self._keys_max:
                self._levels.popitem(last=False)
        return 0 if allowed else max(1, int((1 - level) / self._per_ms))

    def __len__(self) -> int:
        return len(self._levels)
