"""Keep what outlives sessions, at the allocator: what conversations have shown, and what was written into stores.

A note adds values to a set, and a question is answered with all of it. Both are idempotent, so requests that come again
need no number. A set to which nothing was added for `KEPT_MS` is forgotten.
"""

from __future__ import annotations

import msgspec

from streams.model.budget import BudgetOp, BudgetRequest, CarriedSource
from streams.ports.processor import StateView
from streams.processors.rows import carried_row_key
from streams.processors.state import encode_row
from streams.provenance.sources.carried import Whole, joined_sources, union, unpack

KEPT_MS = 30 * 86_400_000
"""How long a set is kept after something was added to it."""
TIMER_PREFIX = b"c"
_DUE_STEP_MS = 86_400_000
"""A set is looked at once a day at most, however often something is added to it."""

replace = msgspec.structs.replace


class CarriedRow(msgspec.Struct, frozen=True, array_like=True):
    """A set of values.

    Attributes:
        packed: the values (`streams.provenance.sources.carried`).
        flags: what is carried besides them, a set of `Whole`.
        added_ms: when something was added last.
        sources: where the values come from.
    """

    packed: bytes = b""
    flags: int = 0
    added_ms: int = 0
    sources: tuple[CarriedSource, ...] = ()


_decode = msgspec.msgpack.Decoder(CarriedRow).decode
_NOTHING = CarriedRow()


def process(request: BudgetRequest, state: StateView, now_ms: int) -> CarriedRow | None:
    """Add a note to its set, or return the set that a question is about."""
    row_key = carried_row_key(request.budget_key)
    found = state.get(row_key)
    row = _NOTHING if found is None else _decode(found)
    if request.op is BudgetOp.READ:
        return row
    entries = [entry for packed in request.targets for entry in unpack(packed)]
    packed, complete = union(row.packed, entries)
    flags = row.flags | request.amount | (0 if complete else Whole.INCOMPLETE)
    if found is None:
        state.set_timer(now_ms + KEPT_MS, TIMER_PREFIX + row_key)
    sources = joined_sources(row.sources, request.sources)
    state.put(row_key, encode_row(CarriedRow(packed, flags, now_ms, sources)))
    return None


def on_due(row_key: bytes, state: StateView, now_ms: int) -> None:
    """Forget a set, or look again when it may be due."""
    found = state.get(row_key)
    if found is None:
        return
    due_ms = _decode(found).added_ms + KEPT_MS
    if now_ms >= due_ms:
        state.delete(row_key)
    else:
        state.set_timer(max(due_ms, now_ms + _DUE_STEP_MS), TIMER_PREFIX + row_key)
