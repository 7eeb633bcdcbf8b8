"""Rate limits: a token bucket for each key, in a table of bounded size, on a monotonic clock."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

KEYS_MAX = 20_000
"""How many keys are kept. The key with the oldest request is dropped first; it then has a full bucket again."""

_MS_PER_MINUTE = 60_000


class RateLimit:
    """Limits requests per minute for each key, with bursts of the same size. Thread-safe."""

    def __init__(self, per_minute: int, monotonic_ms: Callable[[], int], *, keys_max: int = KEYS_MAX) -> None:
        self._per_ms = per_minute / _MS_PER_MINUTE
        self._room = float(per_minute)
        self._monotonic_ms = monotonic_ms
        self._keys_max = keys_max
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> int:
        """Count a request. Return 0 if it is allowed, else after how many ms the next one is allowed."""
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
