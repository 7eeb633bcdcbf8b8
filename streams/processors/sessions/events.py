"""How session events change a session's row."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from streams.model.errors import RecordError
from streams.model.labels import WORST, Confidentiality, Integrity, Label, bounded, join
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEvent, SessionEventType
from streams.processors.control.state import ControlState
from streams.processors.sessions.risk import RISK_LEVELS, risk_of
from streams.processors.state import (
    PENDING_READS_MAX,
    SOURCES_MAX,
    PendingRead,
    SessionRow,
    SessionStatus,
    Source,
    ToolName,
    evolve,
)

replace = msgspec.structs.replace
_RISK_NOT_KNOWN = "UNSTATED"
_SAID_BY_USER = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)


def gives_authority(event: SessionEvent) -> bool:
    """Whether a session could be allowed more by the event than it was before. All others are taken in whatever their
    clock says: what takes authority or trust away must not be lost for it."""
    return event.type in _GIVING


def is_known(event: SessionEvent) -> bool:
    """Whether the event's type has a meaning here; writers may be newer than this gate."""
    return event.type in _HANDLERS


def after_unknown(row: SessionRow, event: SessionEvent) -> SessionRow:
    """The row after an event that can't be understood: whatever it told of may have been read."""
    return _with_source(row, event.header.id, WORST)


def without_room(row: SessionRow) -> SessionRow:
    """The row when what an event brings does not fit into it: the least trust and authority, and what takes up room
    is left out."""
    return evolve(row, label=WORST, sources=(), scopes=(), purpose=None)


def after_event(row: SessionRow, event: SessionEvent, control: ControlState, now_ms: int) -> SessionRow:
    """The session's row after one of its events, at broker time `now_ms`.

    Raises:
        RecordError: the event can't be taken in.
    """
    changed = _HANDLERS[event.type](row, event, control, now_ms)
    return evolve(changed, sequence=max(changed.counters.sequence, event.sequence))


def after_hop(row: SessionRow, record_id: str) -> SessionRow:
    """The row once it is known that its session stands on what another one has handed on: what that one has read may
    be in what this one is asked to do. Only the token service can say that it is not.

    Args:
        record_id: of what has told of it.
    """
    if row.trust.label_attested or row.trust.label == WORST:
        return row
    return _with_source(row, record_id, WORST)


def after_allow(row: SessionRow, intent_id: str, label: Label, tool: ToolName) -> SessionRow:
    """The row once a call of `tool` was allowed: its result counts as read from now on.

    The report of the result comes over another topic than the next intent, in no certain order; waiting for it
    would let an intent slip in between (ADR 0009).
    """
    if len(row.trust.pending_reads) >= PENDING_READS_MAX:
        oldest = row.trust.pending_reads[0]
        row = evolve(_with_source(row, oldest.intent_id, oldest.label), pending_reads=row.trust.pending_reads[1:])
    trust = row.trust
    pending_reads = (*trust.pending_reads, PendingRead(intent_id, bounded(label), tool))
    return replace(row, trust=replace(trust, pending_reads=pending_reads))


def _established(row: SessionRow, event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    if row.life.status is not SessionStatus.UNKNOWN:
        text = f"session `{event.session_id}` was established before; a session id is used once"
        raise RecordError(DeadLetterReason.SEQUENCE_REPLAYED, text)
    if event.sub is None or event.act is None or event.expires is None:
        text = f"SESSION_ESTABLISHED of `{event.session_id}` needs `sub`, `act` and `expires`"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    if event.label is not None:
        row = evolve(_with_source(row, event.header.id, event.label), label_attested=True)
    return evolve(
        row,
        status=SessionStatus.LIVE,
        established_ms=now_ms,
        expires_ms=event.expires,
        sub=event.sub,
        act_iss=event.act.iss,
        act_sub=event.act.sub,
        scopes=event.scopes,
        purpose=event.purpose,
        purpose_sequence=event.sequence,
        risk_level=None if event.risk_level is None else _level(event),
    )


def _user_message(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return _with_source(row, event.header.id, _narrowed(_SAID_BY_USER, event.label))


def result_label(row: SessionRow, event: SessionEvent, control: ControlState) -> Label:
    """How a reported result is labelled: as its call was when it was allowed, or worse."""
    pending = next((read for read in row.trust.pending_reads if _settles(event, read)), None)
    return _narrowed(_catalog_label(event, control) if pending is None else pending.label, event.label)


def _tool_result(row: SessionRow, event: SessionEvent, control: ControlState, _now_ms: int) -> SessionRow:
    return _with_source(_settled(row, event), event.header.id, result_label(row, event, control))


def _tool_not_run(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """The executor will never run the call: nothing was read of it."""
    return _settled(row, event)


def tool_of(event: SessionEvent) -> ToolName | None:
    """The tool that an event names."""
    return None if event.tool is None else (event.tool.server_id, event.tool.name)


def _settles(event: SessionEvent, read: PendingRead) -> bool:
    """Whether the event reports on the call: it names the intent, and the tool that was allowed."""
    return read.intent_id == event.intent_id and read.tool in (None, tool_of(event))


def _settled(row: SessionRow, event: SessionEvent) -> SessionRow:
    return evolve(row, pending_reads=tuple(read for read in row.trust.pending_reads if not _settles(event, read)))


def _read(row: SessionRow, event: SessionEvent, control: ControlState, _now_ms: int) -> SessionRow:
    return _with_source(row, event.header.id, _narrowed(_catalog_label(event, control), event.label))


def _catalog_label(event: SessionEvent, control: ControlState) -> Label:
    """What the catalog says of the tool; what comes of none, or of one that is not there, is worth no trust."""
    name = tool_of(event)
    tool = None if name is None else control.tools.get(name)
    return WORST if tool is None else tool.output_label


def _narrowed(label: Label, claimed: Label | None) -> Label:
    """What a writer claims of something read can only lower the trust in it."""
    return label if claimed is None else join(label, bounded(claimed))


def _with_source(row: SessionRow, event_id: str, label: Label) -> SessionRow:
    """The label joined; the sources are kept up to a bound, untrusted ones before trusted ones."""
    label = bounded(label)
    sources = (*row.trust.sources, Source(event_id, label))
    if len(sources) > SOURCES_MAX:
        spare = next((s for s in sources if s.label.integrity is Integrity.TRUSTED), sources[0])
        sources = tuple(source for source in sources if source is not spare)
    return evolve(row, label=join(row.trust.label, label), sources=sources)


def _unchanged(row: SessionRow, _event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return row


def _purpose_set(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """A purpose that was set before can't be set again by writing its event once more."""
    if event.sequence <= row.identity.purpose_sequence:
        text = f"the purpose of session `{event.session_id}` was set by event {row.identity.purpose_sequence}"
        raise RecordError(DeadLetterReason.SEQUENCE_REPLAYED, f"{text}, it can't be set by event {event.sequence}")
    return evolve(row, purpose=event.purpose, purpose_sequence=event.sequence)


def _risk_level(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """The level can only rise within a session: nothing proves who says that it has fallen. A provider that tells of
    every change says so rightly, and it changes nothing."""
    return evolve(row, risk_level=higher_risk(row.identity.risk_level, event))


def higher_risk(known: str | None, event: SessionEvent) -> str | None:
    """The level of risk once an event has told of one, if `known` was the level before."""
    level = _level(event)
    return known if risk_of(level) < risk_of(known) else level


def _level(event: SessionEvent) -> str:
    level = event.risk_level
    return level if level is not None and level in RISK_LEVELS else _RISK_NOT_KNOWN


def _claims_changed(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """Claims can be narrowed within a session, never widened: a wider one is a new session."""
    expires_ms = row.life.expires_ms if event.expires is None else min(row.life.expires_ms, event.expires)
    return evolve(row, scopes=tuple(s for s in row.identity.scopes if s in event.scopes), expires_ms=expires_ms)


def _revoked(row: SessionRow, _event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    return _over(row, SessionStatus.REVOKED, now_ms)


def _ended(row: SessionRow, _event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    return row if row.life.status is SessionStatus.REVOKED else _over(row, SessionStatus.ENDED, now_ms)


def _over(row: SessionRow, status: SessionStatus, now_ms: int) -> SessionRow:
    """One that is over before it began is remembered from now on: it must not begin later."""
    return evolve(row, status=status, established_ms=row.life.established_ms or now_ms)


_GIVING = frozenset(
    # A call that never ran takes back what it counted as having read.
    {SessionEventType.SESSION_ESTABLISHED, SessionEventType.PURPOSE_SET, SessionEventType.TOOL_NOT_RUN}
)
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
