"""Keeping the garbage collector from looking at what stays: its full runs are pauses that calls feel."""

from __future__ import annotations

import gc


def settle_heap() -> None:
    """Take all objects of now out of the collector's sight, after it has looked through them once more.

    For a process that has come up and now serves; a pause of a tenth of a second. What of it becomes garbage in a
    circle is found by the next call only, so it is for what is rare: each time that other partitions are served.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
