"""Apply session events to a session's row."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from streams.model.alert import clipped
from streams.model.errors import RecordError
from streams.model.labels import WORST, Confidentiality, Integrity, Label, bounded, join
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEvent, SessionEventType
from streams.processors.control.state import ControlState
from streams.processors.session_row import (
    PENDING_READS_MAX,
    SOURCES_MAX,
    PendingRead,
    SessionRow,
    SessionStatus,
    Source,
    ToolName,
    Trust,
    evolve,
)
from streams.processors.sessions.risk import higher_risk, level_of

replace = msgspec.structs.replace
_NAMED_MAX = 8
"""Documents of one event that are named."""
_SAID_BY_USER = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)


def gives_authority(event: SessionEvent) -> bool:
    """Return whether the event could allow a session more than before.

    All other events are applied whatever their clock says, so that no loss of authority or trust is missed.
    """
    return event.type in _GIVING


def is_known(event: SessionEvent) -> bool:
    """Return whether this gate knows the event's type; writers may be newer than the gate."""
    return event.type in _HANDLERS


def after_unknown(row: SessionRow, event: SessionEvent) -> SessionRow:
    """Return the row after an event of an unknown type: the session may have read anything."""
    return _with_source(row, event.header.id, WORST)


def without_room(row: SessionRow) -> SessionRow:
    """Return the row if an event does not fit into it: with the least trust and authority, and without what is long."""
    return evolve(row, label=WORST, sources=(), scopes=(), purpose=None)


def after_event(row: SessionRow, event: SessionEvent, control: ControlState, now_ms: int) -> SessionRow:
    """Return the session's row after one of its events, at broker time `now_ms`.

    Raises:
        RecordError: the event can't be applied.
    """
    changed = _HANDLERS[event.type](row, event, control, now_ms)
    return evolve(changed, sequence=max(changed.counters.sequence, event.sequence))


def after_hop(row: SessionRow, record_id: str) -> SessionRow:
    """Return the row once it is known that another session has delegated to this one.

    What the other session has read may be in what this one is asked to do. Only the token service can rule that out.

    Args:
        record_id: the id of the record that shows it.
    """
    if row.trust.label_attested or row.trust.label == WORST:
        return row
    return _with_source(row, record_id, WORST)


def trust_after_allow(
    row: SessionRow, intent_id: str, label: Label, tool: ToolName, *, has_untrusted: bool = False
) -> Trust:
    """Return the row's `trust` after a call of `tool` was allowed: its result counts as read from now on.

    The report of the result comes over another topic than the next intent, in no certain order; waiting for it
    would let an intent slip in between (ADR 0009).
    """
    if len(row.trust.pending_reads) >= PENDING_READS_MAX:
        oldest = row.trust.pending_reads[0]
        row = evolve(_with_source(row, oldest.intent_id, oldest.label), pending_reads=row.trust.pending_reads[1:])
    trust = row.trust
    pending_reads = (*trust.pending_reads, PendingRead(intent_id, bounded(label), tool, has_untrusted))
    return replace(trust, pending_reads=pending_reads)


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
        risk_level=None if event.risk_level is None else level_of(event),
    )


def _user_message(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return _with_source(row, event.header.id, _narrowed(_SAID_BY_USER, event.label))


def result_label(row: SessionRow, event: SessionEvent, control: ControlState) -> Label:
    """Return the label of a reported result: that of its call when it was allowed, or a worse one."""
    pending = next((read for read in row.trust.pending_reads if _settles(event, read)), None)
    return _narrowed(_catalog_label(event, control) if pending is None else pending.label, event.label)


def content_label(row: SessionRow, event: SessionEvent, control: ControlState) -> Label:
    """Return the label of a content that was read: a result's, or that of the tool that has returned it."""
    if event.type is SessionEventType.TOOL_RESULT:
        return result_label(row, event, control)
    return _narrowed(_catalog_label(event, control), event.label)


def _tool_result(row: SessionRow, event: SessionEvent, control: ControlState, _now_ms: int) -> SessionRow:
    return _with_source(_settled(row, event), event.header.id, result_label(row, event, control), event.sources)


def _tool_not_run(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """Settle a call that the executor will never run: nothing was read of it."""
    return _settled(row, event)


def tool_of(event: SessionEvent) -> ToolName | None:
    """Return the tool that an event names."""
    return None if event.tool is None else (event.tool.server_id, event.tool.name)


def _settles(event: SessionEvent, read: PendingRead) -> bool:
    """Return whether the event reports on the call: it names the intent, and the tool that was allowed."""
    return read.intent_id == event.intent_id and read.tool in (None, tool_of(event))


def _settled(row: SessionRow, event: SessionEvent) -> SessionRow:
    return evolve(row, pending_reads=tuple(read for read in row.trust.pending_reads if not _settles(event, read)))


def _read(row: SessionRow, event: SessionEvent, control: ControlState, _now_ms: int) -> SessionRow:
    label = _narrowed(_catalog_label(event, control), event.label)
    return _with_source(row, event.header.id, label, event.sources)


def _catalog_label(event: SessionEvent, control: ControlState) -> Label:
    """Return the label that the catalog gives the tool's output, or the worst if there is no such tool."""
    name = tool_of(event)
    tool = None if name is None else control.tools.get(name)
    return WORST if tool is None else tool.output_label


def _narrowed(label: Label, claimed: Label | None) -> Label:
    """Return the label, made worse by what the writer claims. A claim can't make a label better."""
    return label if claimed is None else join(label, bounded(claimed))


def _with_source(row: SessionRow, event_id: str, label: Label, documents: tuple[str, ...] = ()) -> SessionRow:
    """Join the label, and add the source. If there are too many sources, a trusted one is dropped first.

    Args:
        row: the session's row.
        event_id: the id of the event that says what was read.
        label: the label of what was read.
        documents: its names, as its reader states them.
    """
    label = bounded(label)
    name = _public_name(documents, label) if documents else ""
    sources = (*row.trust.sources, Source(event_id, label, name))
    if len(sources) > SOURCES_MAX:
        spare = next((s for s in sources if s.label.integrity is Integrity.TRUSTED), sources[0])
        sources = tuple(source for source in sources if source is not spare)
    return evolve(row, label=join(row.trust.label, label), sources=sources)


def _public_name(documents: tuple[str, ...], label: Label) -> str:
    """Return the names of documents, as far as they fit; empty unless anybody may see what was read.

    Alerts repeat it to readers who may not see arguments or contents, and a name can tell as much as a content.
    """
    if label.confidentiality is not Confidentiality.PUBLIC or label.readers is not None:
        return ""
    return clipped(", ".join(documents[:_NAMED_MAX]))


def _unchanged(row: SessionRow, _event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    return row


def _purpose_set(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """Set the purpose. An event that is written again must not bring an earlier purpose back."""
    if event.sequence <= row.identity.purpose_sequence:
        text = f"the purpose of session `{event.session_id}` was set by event {row.identity.purpose_sequence}"
        raise RecordError(DeadLetterReason.SEQUENCE_REPLAYED, f"{text}, it can't be set by event {event.sequence}")
    return evolve(row, purpose=event.purpose, purpose_sequence=event.sequence)


def _risk_level(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """Raise the level of risk. It can't fall within a session: nothing proves who reports that it has fallen."""
    return evolve(row, risk_level=higher_risk(row.identity.risk_level, event))


def _claims_changed(row: SessionRow, event: SessionEvent, _control: ControlState, _now_ms: int) -> SessionRow:
    """Narrow the claims. They can't be widened within a session; that needs a new session."""
    expires_ms = row.life.expires_ms if event.expires is None else min(row.life.expires_ms, event.expires)
    return evolve(row, scopes=tuple(s for s in row.identity.scopes if s in event.scopes), expires_ms=expires_ms)


def _revoked(row: SessionRow, _event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    return _over(row, SessionStatus.REVOKED, now_ms)


def _ended(row: SessionRow, _event: SessionEvent, _control: ControlState, now_ms: int) -> SessionRow:
    return row if row.life.status is SessionStatus.REVOKED else _over(row, SessionStatus.ENDED, now_ms)


def _over(row: SessionRow, status: SessionStatus, now_ms: int) -> SessionRow:
    """End the session. If it has not begun yet, it is remembered from now on and can't begin later."""
    return evolve(row, status=status, established_ms=row.life.established_ms or now_ms)


_GIVING = frozenset(
    # A call that never ran no longer counts as read.
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
    SessionEventType.SYSTEM_PROMPT: _unchanged,
    SessionEventType.PURPOSE_SET: _purpose_set,
    SessionEventType.RISK_LEVEL_CHANGE: _risk_level,
    SessionEventType.TOKEN_CLAIMS_CHANGE: _claims_changed,
    SessionEventType.SESSION_REVOKED: _revoked,
    SessionEventType.SESSION_ENDED: _ended,
}
