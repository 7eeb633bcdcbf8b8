"""End pending intents as soon as something that they depend on is revoked, not only when they would be judged.

Revocations reach every partition between two records. The gate then goes through all pending intents of the partition,
a bounded number at a time. How far it has come is part of the state, so that whoever takes over the partition goes on
from there. Most revocations are of single sessions, which end every day: they cost a look at that session alone, as
long as nothing is pending in any session that descends from another.
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
from streams.processors.gate.checks.revocations import call_of
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge
from streams.processors.gate.pending_rows import has_pending_descendants
from streams.processors.row_kinds import RowKind
from streams.processors.rows import REVOCATION_SWEEP_KEY, all_rows, rows_of_session
from streams.processors.session_row import read_session
from streams.processors.state import decode_intent, decode_pending, encode_row

ROWS_PER_STEP_MAX = 100
"""Pending intents of a partition that are looked at in one step."""

_FIRST, _END = all_rows(RowKind.PENDING)


class SweepRow(msgspec.Struct, frozen=True, array_like=True):
    """Records how far a partition has applied the revocations to its pending intents.

    Attributes:
        done_offset: every revocation below it has been applied to all pending intents.
        target_offset: every revocation below it has been applied to the pending intents before `cursor`.
        cursor: the key at which the sweep goes on; empty if no sweep is under way.
    """

    done_offset: int = 0
    target_offset: int = 0
    cursor: bytes = b""


_decode = msgspec.msgpack.Decoder(SweepRow).decode


def end_revoked(judge: Judge, revocations: RevocationSet, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
    """End pending intents that have been revoked, up to a bound.

    Returns:
        The outputs, and whether every revocation that was read has been applied.
    """
    found = state.get(REVOCATION_SWEEP_KEY)
    sweep = SweepRow() if found is None else _decode(found)
    if sweep.done_offset == revocations.next_offset and not sweep.cursor:
        return [], True
    if not sweep.cursor:
        sweep = SweepRow(sweep.done_offset, revocations.next_offset, _FIRST)
    rows = list(islice(state.scan(sweep.cursor, _END), ROWS_PER_STEP_MAX))
    if not rows and sweep.cursor == _FIRST:
        return [], True
    session_keys = _revoked_sessions(revocations, sweep, state)
    if session_keys is not None:
        rows = [row for session_key in session_keys for row in _pending_rows(session_key, state)]
    outputs: list[Output] = []
    for key, value in rows:
        end = partial(_end_if_revoked, judge, value, revocations, state, now_ms)
        outputs += isolated(end, state, f"applying revocations to the pending intent at {key!r}")
    if session_keys is None and len(rows) == ROWS_PER_STEP_MAX:
        sweep = SweepRow(sweep.done_offset, sweep.target_offset, rows[-1][0] + b"\x00")
    else:
        sweep = SweepRow(sweep.target_offset, sweep.target_offset)
    state.put(REVOCATION_SWEEP_KEY, encode_row(sweep))
    return outputs, not sweep.cursor and sweep.done_offset == revocations.next_offset


def _revoked_sessions(revocations: RevocationSet, sweep: SweepRow, state: StateView) -> list[bytes] | None:
    """Return the sessions that were revoked since the last sweep.

    None if anything else was revoked, or an intent is pending in a session that descends from another: then all pending
    intents must be looked at.
    """
    if sweep.cursor != _FIRST or has_pending_descendants(state):
        return None
    stops = revocations.stops_since(sweep.done_offset)
    if stops is None or any(kind is not RevocationKind.SESSION for kind, _ in stops):
        return None
    return [target.encode() for target in dict.fromkeys(target for _, target in stops)]


def _pending_rows(session_key: bytes, state: StateView) -> list[tuple[bytes, bytes]]:
    if not read_session(state, session_key).counters.waiting_count:
        return []
    return list(state.scan(*rows_of_session(RowKind.PENDING, session_key)))


def _end_if_revoked(
    judge: Judge, value: bytes, revocations: RevocationSet, state: StateView, now_ms: int
) -> list[Output]:
    row = decode_pending(value)
    intent = decode_intent(row.intent)
    session_key = session_key_of(intent.header.tenant_uid, intent.session_id)
    reason = revocations.reason_against(call_of(intent, read_session(state, session_key)), now_ms)
    return [] if reason is None else pending.end_one(judge, session_key, row, reason, state, now_ms)
