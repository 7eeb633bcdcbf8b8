"""Keeping the garbage collector from looking at what stays: its full runs are pauses that calls feel."""

from __future__ import annotations

import gc

# Records and rows make no circles, so that nearly every look is in vain: with Python's 700 it cost 8 us an intent.
YOUNG_OBJECTS_MAX = 50_000
YOUNG_RUNS = 20
OLDER_RUNS = 100


def settle_heap() -> None:
    """Take all objects of now out of the collector's sight, after it has looked through them once more.

    For a process that has come up and now serves; a pause of a tenth of a second. What of it becomes garbage in a
    circle is found by the next call only, so it is for what is rare: each time that other partitions are served.
    """
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_RUNS, OLDER_RUNS)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
