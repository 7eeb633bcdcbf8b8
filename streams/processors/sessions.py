"""How session events and grants change a session's row."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from streams.model.delegation import Delegation, DelegationOp
from streams.model.errors import RecordError
from streams.model.labels import WORST, Confidentiality, Integrity, Label, join
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEvent, SessionEventType
from streams.processors.control import ControlState
from streams.processors.state import (
    PENDING_READS_MAX,
    SOURCES_MAX,
    PendingRead,
    SessionRow,
    SessionStatus,
    Source,
)

CHAIN_MAX = 8
_SAID_BY_USER = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)

replace = msgspec.structs.replace


def after_event(row: SessionRow, event: SessionEvent, control: ControlState, now_ms: int) -> SessionRow:
    """The session's row after one of its events, at broker time `now_ms`.

    Raises:
        RecordError: the event can't be taken in.
    """
    handler = _HANDLERS.get(event.type)
    if handler is None:
        text = f"session event type `{event.type.value}` has no meaning here"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    changed = handler(row, event, control, now_ms)
    return replace(changed, sequence=max(changed.sequence, event.sequence))


def after_grant(row: SessionRow, grant: Delegation) -> SessionRow:
    """The row after a grant was given to the session, or taken back from it.

    Raises:
        RecordError: the chain is longer than is accepted.
    """
    if len(grant.chain) > CHAIN_MAX:
        text = f"the chain of grant `{grant.uid}` has {len(grant.chain)} ancestors, at most {CHAIN_MAX} are accepted"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    lineage = {grant.uid, *(ancestor.uid for ancestor in grant.chain)}
    if grant.op is DelegationOp.GRANT:
        uids = tuple(sorted(lineage | set(row.delegation_uids)))
        if len(uids) > CHAIN_MAX * CHAIN_MAX:
            raise RecordError(DeadLetterReason.RECORD_INVALID, f"session holds {len(uids)} grants already")
        return replace(row, delegation_uids=uids)
    # A session whose grant was taken back has lost what it stood on.
    status = SessionStatus.REVOKED if grant.uid in row.delegation_uids else row.status
    return replace(row, status=status)


def after_allow(row: SessionRow, intent_id: str, label: Label) -> SessionRow:
    """The row once a call was allowed: its result counts as read from now on.

    The report of the result comes over another topic than the next intent, in no certain order; waiting for it
    would let an intent slip in between (ADR 0009).
    """
    if len(row.pending_reads) >= PENDING_READS_MAX:
        oldest = row.pending_reads[0]
        row = replace(_with_source(row, oldest.intent_id, oldest.label), pending_reads=row.pending_reads[1:])
    return replace(row, pending_reads=(*row.pending_reads, PendingRead(intent_id, label)))


def _established(row: SessionRow, event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    if row.status is not SessionStatus.UNKNOWN:
        text = f"session `{event.session_id}` was established before; a session id is used once"
        raise RecordError(DeadLetterReason.SEQUENCE_REPLAYED, text)
    if event.sub is None or event.act is None or event.expires is None:
        text = f"SESSION_ESTABLISHED of `{event.session_id}` needs `sub`, `act` and `expires`"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    return replace(
        row,
        status=SessionStatus.LIVE,
        established_ms=now_ms,
        expires_ms=event.expires,
        sub=event.sub,
        act_iss=event.act.iss,
        act_sub=event.act.sub,
        scopes=event.scopes,
        purpose=event.purpose,
        risk_level=event.risk_level,
    )


def _user_message(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return _with_source(row, event.header.id, event.label or _SAID_BY_USER)


def result_label(row: SessionRow, event: SessionEvent, control: ControlState) -> Label:
    """How a reported result is labelled: as its call was when it was allowed, or worse."""
    pending = next((read for read in row.pending_reads if read.intent_id == event.intent_id), None)
    return _narrowed(_catalogue_label(event, control) if pending is None else pending.label, event.label)


def _tool_result(row: SessionRow, event: SessionEvent, control: ControlState, _now_ms: int) -> SessionRow:
    others = tuple(read for read in row.pending_reads if read.intent_id != event.intent_id)
    return _with_source(replace(row, pending_reads=others), event.header.id, result_label(row, event, control))


def _tool_not_run(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """The executor will never run the call: nothing was read of it."""
    return replace(row, pending_reads=tuple(read for read in row.pending_reads if read.intent_id != event.intent_id))


def _read(row: SessionRow, event: SessionEvent, control: ControlState, _now_ms: int) -> SessionRow:
    label = event.label if event.tool is None else _narrowed(_catalogue_label(event, control), event.label)
    return _with_source(row, event.header.id, label or WORST)


def _catalogue_label(event: SessionEvent, control: ControlState) -> Label:
    if event.tool is None:
        return WORST
    tool = control.tools.get((event.tool.server_id, event.tool.name))
    return WORST if tool is None else tool.output_label


def _narrowed(label: Label, claimed: Label | None) -> Label:
    """What an executor claims of a result can only lower the trust in it."""
    return label if claimed is None else join(label, claimed)


def _with_source(row: SessionRow, event_id: str, label: Label) -> SessionRow:
    """The label joined; the sources are kept up to a bound, untrusted ones before trusted ones."""
    sources = (*row.sources, Source(event_id, label))
    if len(sources) > SOURCES_MAX:
        spare = next((s for s in sources if s.label.integrity is Integrity.TRUSTED), sources[0])
        sources = tuple(source for source in sources if source is not spare)
    return replace(row, label=join(row.label, label), sources=sources)


def _unchanged(row: SessionRow, _event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return row


def _purpose_set(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return replace(row, purpose=event.purpose)


def _risk_level(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return replace(row, risk_level=event.risk_level or "UNSTATED")


def _claims_changed(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """Claims can be narrowed within a session, never widened: a wider one is a new session."""
    expires_ms = row.expires_ms if event.expires is None else min(row.expires_ms, event.expires)
    return replace(row, scopes=tuple(s for s in row.scopes if s in event.scopes), expires_ms=expires_ms)


def _revoked(row: SessionRow, _event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    return _over(row, SessionStatus.REVOKED, now_ms)


def _ended(row: SessionRow, _event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    return row if row.status is SessionStatus.REVOKED else _over(row, SessionStatus.ENDED, now_ms)


def _over(row: SessionRow, status: SessionStatus, now_ms: int) -> SessionRow:
    """One that is over before it began is remembered from now on: it must not begin later."""
    return replace(row, status=status, established_ms=row.established_ms or now_ms)


_Handler = Callable[[SessionRow, SessionEvent, ControlState, int], SessionRow]

_HANDLERS: dict[SessionEventType, _Handler] = {
    SessionEventType.SESSION_ESTABLISHED: _established,
    SessionEventType.USER_MESSAGE: _user_message,
    SessionEventType.MODEL_OUTPUT: _unchanged,
    SessionEventType.TOOL_RESULT: _tool_result,
    SessionEventType.TOOL_NOT_RUN: _tool_not_run,
    SessionEventType.RETRIEVAL: _read,
    SessionEventType.MEMORY_READ: _read,
    SessionEventType.TOOLS_CHANGED: _unchanged,
    SessionEventType.PURPOSE_SET: _purpose_set,
    SessionEventType.RISK_LEVEL_CHANGE: _risk_level,
    SessionEventType.TOKEN_CLAIMS_CHANGE: _claims_changed,
    SessionEventType.SESSION_REVOKED: _revoked,
    SessionEventType.SESSION_ENDED: _ended,
}
