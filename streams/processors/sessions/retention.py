"""Delete verdicts that need not be remembered any longer, and sessions that are over.

Every session row has one timer. When it is due, old verdicts are deleted. If the session is over and no verdict is
left, its rows are deleted as well; otherwise the timer is set again. The work of one step is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from streams.ports.processor import StateView
from streams.processors.dedup import unproven, verdicts
from streams.processors.row_kinds import RowKind
from streams.processors.rows import (
    TimerKind,
    approval_grants_row_key,
    content_keys_row_key,
    grant_row_key,
    name_in,
    provenance_row_key,
    rows_of_session,
    session_row_key,
    signals_row_key,
    timer_payload,
)
from streams.processors.session_row import SessionRow, SessionStatus, evolve, read_session
from streams.processors.sessions.completion_effects import pop_effects
from streams.processors.sessions.lifecycle import end_due_ms
from streams.processors.settings import GateSettings
from streams.processors.state import decode_verdict_row, encode_row

ROWS_PER_VISIT_MAX = 2_000
BYTES_PER_VISIT_MAX = 1_048_576
"""The size of the rows that one visit reads. Rows of layout 1 hold whole verdicts, of up to 256 KiB each."""

_VISITS_PER_RETENTION = 4
_COUNTS = (RowKind.MEMORY_CELL, RowKind.MEMORY_HEAD, RowKind.SPEND)


def arm(session_key: bytes, row: SessionRow, state: StateView, settings: GateSettings, now_ms: int) -> SessionRow:
    """Set the row's timer if it has none: for the next visit, or for the session's end if that comes first."""
    if row.life.housekeeping_ms:
        return row
    due_ms = now_ms + settings.dedup_retention_ms // _VISITS_PER_RETENTION
    end_ms = end_due_ms(row, settings)
    if end_ms is not None and now_ms < end_ms < due_ms:
        due_ms = end_ms
    state.set_timer(due_ms, timer_payload(TimerKind.HOUSEKEEPING, session_key))
    return evolve(row, housekeeping_ms=due_ms)


def arm_for_end(
    session_key: bytes, row: SessionRow, state: StateView, settings: GateSettings, now_ms: int
) -> SessionRow:
    """Set the timer of a session whose end has changed: earlier, if it would be due after that end."""
    end_ms = end_due_ms(row, settings)
    if row.life.housekeeping_ms and end_ms is not None and end_ms < row.life.housekeeping_ms:
        state.cancel_timer(row.life.housekeeping_ms, timer_payload(TimerKind.HOUSEKEEPING, session_key))
        row = evolve(row, housekeeping_ms=0)
    return arm(session_key, row, state, settings, now_ms)


def keep_house(session_key: bytes, cursor: str, state: StateView, settings: GateSettings, now_ms: int) -> None:
    """Delete what is old, when the session's timer is due. An unfinished visit goes on after the intent id `cursor`."""
    start, end = rows_of_session(RowKind.VERDICT, session_key)
    if cursor:
        start += cursor.encode() + b"\x00"
    rows, has_more = _some(state.scan(start, end))
    horizon_ms = now_ms - settings.dedup_retention_ms
    row = evolve(read_session(state, session_key), housekeeping_ms=0)
    kept = 0
    for key, value in rows:
        # INVARIANT: an intent whose verdict is deleted is rejected as too old (`Intents`), whatever time it claims.
        if verdicts.retained_from_ms(decode_verdict_row(value)) <= horizon_ms:
            state.delete(key)
            # The end of the call is not waited for any longer.
            row, _ = pop_effects(session_key, name_in(RowKind.VERDICT, session_key, key), row, state)
        else:
            kept += 1
    kept += unproven.forget(session_key, state, horizon_ms)
    if has_more:
        last_intent_id = name_in(RowKind.VERDICT, session_key, rows[-1][0])
        due_ms = now_ms + 1
        state.set_timer(due_ms, timer_payload(TimerKind.HOUSEKEEPING, session_key, last_intent_id))
        state.put(session_row_key(session_key), encode_row(evolve(row, housekeeping_ms=due_ms)))
        return
    is_over = _is_over(row, horizon_ms) and not kept and not cursor
    if is_over and _drop_counts(session_key, row, state) and _drop_provenance(session_key, state):
        _delete_session(session_key, state)
    else:
        state.put(session_row_key(session_key), encode_row(arm(session_key, row, state, settings, now_ms)))


def _delete_session(session_key: bytes, state: StateView) -> None:
    """Delete what is left of a session whose other rows are deleted."""
    state.delete(session_row_key(session_key))
    state.delete(grant_row_key(session_key))
    state.delete(approval_grants_row_key(session_key))
    for optional in (signals_row_key(session_key), content_keys_row_key(session_key)):
        if state.get(optional) is not None:
            state.delete(optional)


def _some(rows: Iterator[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Return as many rows as one visit reads, at least one if there is any, and whether there may be more."""
    found: list[tuple[bytes, bytes]] = []
    read_bytes = 0
    for row in rows:
        found.append(row)
        read_bytes += len(row[0]) + len(row[1])
        if read_bytes >= BYTES_PER_VISIT_MAX or len(found) >= ROWS_PER_VISIT_MAX:
            return found, True
    return found, False


def _drop_counts(session_key: bytes, row: SessionRow, state: StateView) -> bool:
    """Delete what the session remembers and has spent, up to a bound, and return whether that was all."""
    if not row.counters.keeps_count:
        return True
    room = ROWS_PER_VISIT_MAX
    for kind in _COUNTS:
        keys = [key for key, _ in islice(state.scan(*rows_of_session(kind, session_key)), room)]
        for key in keys:
            state.delete(key)
        room -= len(keys)
    return room > 0


def _drop_provenance(session_key: bytes, state: StateView) -> bool:
    """Delete what the session has read, up to a bound, and return whether that was all."""
    provenance_key = provenance_row_key(session_key)
    if state.get(provenance_key) is None:
        return True
    room = ROWS_PER_VISIT_MAX
    for kind in (RowKind.ATOMS, RowKind.CONTENT):
        keys = [key for key, _ in islice(state.scan(*rows_of_session(kind, session_key)), room)]
        for key in keys:
            state.delete(key)
        room -= len(keys)
    if room > 0:
        state.delete(provenance_key)
    return room > 0


def _is_over(row: SessionRow, horizon_ms: int) -> bool:
    """Return whether the session can be deleted: its id must not be used again while its events may be redelivered."""
    if row.counters.waiting_count:
        return False
    if row.life.status is SessionStatus.UNKNOWN:
        return True
    return max(row.life.established_ms, row.life.expires_ms, row.life.credential_ms) <= horizon_ms
