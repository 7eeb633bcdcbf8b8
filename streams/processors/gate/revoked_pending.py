"""What waits when something is taken back: held intents are ended at once, not only when they would have been judged.

Revocations reach every partition between two records. All held intents of a partition are then gone through, some at
a time, so that the work of one step is bounded however many wait. How far that has come is part of the state: whoever
takes the partition over goes on from there. Most stops are of single sessions, which end every day: they cost a look at
the session alone, as long as nothing waits in any session that descends from another.

    r                                      SweepRow
"""

from __future__ import annotations

from functools import partial
from itertools import islice

import msgspec

from streams.model.keys import session_key_of
from streams.model.revocation import RevocationKind
from streams.model.revocation_set import RevocationSet
from streams.ports.processor import Output, StateView
from streams.processors.gate import pending
from streams.processors.gate.checks import call_of
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge, has_pending_descendants
from streams.processors.state import decode_intent, decode_pending, encode_row, read_session, rows_of_session

ROWS_PER_STEP_MAX = 100
"""Held intents of a partition that are looked at in one step."""

_ROW_KEY = b"r"
_FIRST = b"h"
_END = b"i"


class SweepRow(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition has followed the revocations: all that waits was held against every one below
    `done_offset`, and what stands before `cursor` against every one below `target_offset`, too."""

    done_offset: int = 0
    target_offset: int = 0
    cursor: bytes = b""


_decode = msgspec.msgpack.Decoder(SweepRow).decode


def follow(judge: Judge, revocations: RevocationSet, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
    """End what waits and has been stopped, up to a bound; the outputs, and whether that was all."""
    found = state.get(_ROW_KEY)
    sweep = SweepRow() if found is None else _decode(found)
    if sweep.done_offset == revocations.next_offset and not sweep.cursor:
        return [], True
    if not sweep.cursor:
        sweep = SweepRow(sweep.done_offset, revocations.next_offset, _FIRST)
    rows = list(islice(state.scan(sweep.cursor, _END), ROWS_PER_STEP_MAX))
    if not rows and sweep.cursor == _FIRST:
        return [], True
    own_keys = _sessions_alone(revocations, sweep, state)
    if own_keys is not None:
        rows = [row for session_key in own_keys for row in _held_of(session_key, state)]
    outputs: list[Output] = []
    for key, value in rows:
        end = partial(_end_if_stopped, judge, value, revocations, state, now_ms)
        outputs += isolated(end, state, f"following what was stopped, at held row {key!r},")
    if own_keys is None and len(rows) == ROWS_PER_STEP_MAX:
        sweep = SweepRow(sweep.done_offset, sweep.target_offset, rows[-1][0] + b"\x00")
    else:
        sweep = SweepRow(sweep.target_offset, sweep.target_offset)
    state.put(_ROW_KEY, encode_row(sweep))
    return outputs, not sweep.cursor and sweep.done_offset == revocations.next_offset


def _sessions_alone(revocations: RevocationSet, sweep: SweepRow, state: StateView) -> list[bytes] | None:
    """The sessions that were stopped since, where nothing else was and nothing waits that descends from any."""
    if sweep.cursor != _FIRST or has_pending_descendants(state):
        return None
    stops = revocations.stops_since(sweep.done_offset)
    if stops is None or any(kind is not RevocationKind.SESSION for kind, _ in stops):
        return None
    return [target.encode() for target in dict.fromkeys(target for _, target in stops)]


def _held_of(session_key: bytes, state: StateView) -> list[tuple[bytes, bytes]]:
    if not read_session(state, session_key).waiting_count:
        return []
    return list(state.scan(*rows_of_session(_FIRST, session_key)))


def _end_if_stopped(
    judge: Judge, value: bytes, revocations: RevocationSet, state: StateView, now_ms: int
) -> list[Output]:
    row = decode_pending(value)
    intent = decode_intent(row.intent)
    session_key = session_key_of(intent.header.tenant_uid, intent.session_id)
    reason = revocations.reason_against(call_of(intent, read_session(state, session_key)), now_ms)
    return [] if reason is None else pending.end_one(judge, session_key, row, reason, state, now_ms)
