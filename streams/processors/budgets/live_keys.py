"""Count how many values of a budget's key have a budget in a window (allocator).

All values of one budget's key are allocated by the same partition (`request_key`), so the count is exact.

Rejected: spreading the values over the allocator's partitions. No partition would know how many there are, so the bound
would hold for each partition only, and which value finds no room would depend on its hash.
"""

from __future__ import annotations

from streams.ports.processor import StateView
from streams.processors.rows import key_count_row_key

_BYTES = 4


def live_keys(family: str, start_ms: int, state: StateView) -> int:
    """Return how many values of the key have a budget in the window that starts at `start_ms`."""
    found = state.get(key_count_row_key(family, start_ms))
    return 0 if found is None else int.from_bytes(found, "big")


def count_key(family: str, start_ms: int, state: StateView, change: int) -> None:
    """Count one value more or less; `change` is 1 or -1."""
    key, count = key_count_row_key(family, start_ms), live_keys(family, start_ms, state) + change
    if count > 0:
        state.put(key, count.to_bytes(_BYTES, "big"))
    else:
        state.delete(key)
