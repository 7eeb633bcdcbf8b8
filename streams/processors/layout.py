"""Which layout the rows of a partition have, and how those of an older layout become those of this one.

A partition's state is read from a store or from the changelog. Either may have been written by an older version, so a
version row says which layout it has; layout 1 has none. The engine has the rows brought up to date before a partition's
first record, in the transaction of that record:

- Rows whose keys have changed are moved. The transaction deletes the old key and writes the new one, so the changelog
  holds the same rows as the store. There are few of them: one of each budget lease.
- Rows whose value has changed stay. Their readers know both forms (`state.decode_verdict_row`).
- A version that this code does not know is refused. Nothing of it is guessed.

A gate of layout 1 looks for no version. What stops it is the row in which it finds what control state remembers: it
reads that row before anything else, and can't read what stands there now. It ends with an error instead of misreading
the rows (ADR 0024).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from streams.ports import StoreError
from streams.ports.processor import FENCE, MEMORY_KEY, V1_MEMORY_KEY, StateView
from streams.processors.rows import LAYOUT_KEY

LAYOUT = 2
"""The layout that this code writes."""


class LayoutError(StoreError):
    """A partition's rows have a layout that this version does not know."""


def bring_up(state: StateView, move: Callable[[StateView], None]) -> None:
    """Bring the rows of a gate's partition to this layout, and stop gates of layout 1 from taking it over.

    Args:
        state: the partition's.
        move: called if the rows have layout 1; moves those whose keys have changed.

    Raises:
        LayoutError: the layout is not known.
    """
    version = _version(state)
    if version == LAYOUT:
        return
    move(state)
    memory = state.get(V1_MEMORY_KEY)
    if memory is not None and state.get(MEMORY_KEY) is None:
        state.put(MEMORY_KEY, memory)
    state.put(V1_MEMORY_KEY, FENCE)
    state.put(LAYOUT_KEY, msgspec.msgpack.encode(LAYOUT))


def bring_up_other(state: StateView) -> None:
    """Bring the rows of a partition of another processor than the gate to this layout. They are those of layout 1.

    Raises:
        LayoutError: the layout is not known.
    """
    if _version(state) != LAYOUT:
        state.put(LAYOUT_KEY, msgspec.msgpack.encode(LAYOUT))


def _version(state: StateView) -> int:
    found = state.get(LAYOUT_KEY)
    if found is None:
        return 1
    try:
        version = msgspec.msgpack.decode(found, type=int)
    except msgspec.DecodeError as error:
        raise LayoutError(f"the layout of partition {state.partition} can't be read: {error}") from error
    if version != LAYOUT:
        raise LayoutError(
            f"the rows of partition {state.partition} have layout {version}, and this version of stoplog knows"
            f" layouts 1 to {LAYOUT}: upgrade this gate"
        )
    return version
