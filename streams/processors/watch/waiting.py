"""Keep decisions until it is their turn, and write those that a transaction leaves waiting together.

**Idea.** A decision is a row of its own as long as the transaction lasts in which it has come. Many come and go within
one, where a watch catches up. What is left at its end is packed: about a hundred decisions, in the order of their keys,
are one row. When the first of them is due, the pack is taken apart. Those that are not due yet are rows of their own
again, until the commit. So the same decisions wait, however the input was cut into transactions, and whenever a watch
restarts. Only how they are written differs.

A key ends with a checksum of the decision. So two decisions of the same time and id that differ are two rows, whichever
of them comes first, and whether or not one of them is packed. The first one that is judged counts: the session knows
its id when the other one comes.

**Rejected.** Packs that stay as they are while their decisions are judged, beside a note that says up to where: a
decision that comes late would look like one that was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from zlib import crc32

import msgspec

from streams.behaviour.pages import RememberedRows
from streams.model.behaviour import BehaviourEvent
from streams.ports import Outgoing, Received
from streams.ports.processor import Output, StateView
from streams.processors.row_kinds import RowKind
from streams.processors.rows import (
    all_rows,
    behaviour_pack_key,
    behaviour_packs_until,
    behaviour_waiting_key,
    behaviour_waiting_until,
)

PACKED_MIN = 16
"""Fewer decisions stay rows of their own."""
PACK_BYTES_MAX = 64 * 1_024
"""How large a pack gets, unless a single decision is larger. Packs of which a part is due are written again."""

Packed = tuple[bytes, bytes]
"""The key and the row of a decision."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(BehaviourEvent).decode
_decode_pack = msgspec.msgpack.Decoder(tuple[Packed, ...]).decode


class Waiting:
    """The decisions that wait; also the commit hook that packs them. All memory is in the state views."""

    # It matters neither what was written nor what was read.
    topics: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()

    def __init__(self) -> None:
        # Most decisions wait for two seconds only. These are still there as they were read.
        self._remembered = RememberedRows()

    def keep(self, event: BehaviourEvent, time_ms: int, state: StateView) -> None:
        """Keep a decision until it is its turn.

        Raises:
            RecordError: it is too large for a row.
        """
        row = _encode(event)
        key = behaviour_waiting_key(time_ms, event.header.id, crc32(row))
        state.put(key, row)
        self._remembered.keep(key, row, event)

    def take(self, state: StateView, until_ms: int, count_max: int) -> list[BehaviourEvent]:
        """Return the first decisions that were made before an instant, in order, and forget them.

        Args:
            state: the state of the partition.
            until_ms: the instant.
            count_max: how many at most.
        """
        waiting = behaviour_waiting_until(until_ms)
        for pack_key, pack in list(state.scan(*behaviour_packs_until(until_ms))):
            state.delete(pack_key)
            for key, row in _decode_pack(pack):
                state.put(key, row)
        due = list(islice(state.scan(*waiting), count_max))
        found: list[BehaviourEvent] = []
        take = self._remembered.take
        for key, row in due:
            state.delete(key)
            found.append(take(key, row) or _decode(row))
        return found

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        """Pack the decisions that are left waiting, unless they are few. Nothing is written but rows."""
        del written, read, now_ms
        waiting = list(state.scan(*all_rows(RowKind.BEHAVIOUR_WAITING)))
        if len(waiting) < PACKED_MIN:
            return []
        pack: list[Packed] = []
        size = 0
        for each in waiting:
            key, row = each
            state.delete(key)
            if pack and size + len(key) + len(row) > PACK_BYTES_MAX:
                _put_pack(pack, state)
                pack, size = [], 0
            if not pack and state.get(behaviour_pack_key(key)) is not None:
                # The pack of another transaction begins with the same decision. It has come twice, and once is enough.
                continue
            pack.append(each)
            size += len(key) + len(row)
        if pack:
            _put_pack(pack, state)
        return []


def _put_pack(pack: Sequence[Packed], state: StateView) -> None:
    """Write some decisions together, one alone as it was."""
    if len(pack) == 1:
        # It may be as large as a row can be.
        state.put(*pack[0])
    else:
        state.put(behaviour_pack_key(pack[0][0]), _encode(pack))
