"""Tells the story of a session as entries of a timeline: who asked what, what was read, what was tried, and why it ran
or didn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from streams.model.alert import Alert
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.content import (
    CONTENT_ERASED,
    CONTENT_READ,
    HOLD_LIFTED,
    HOLD_SET,
    KEYS_REWRAPPED,
    ContentField,
)
from streams.model.delegation import Delegation, DelegationOp
from streams.model.intent import Intent
from streams.model.labels import Integrity, Label
from streams.model.plurals import many
from streams.model.revocation import Revocation, RevocationState
from streams.model.session import COMPLETIONS, SessionEvent, SessionEventType
from streams.model.topics import AUDIT_REPORTED
from streams.model.types import tool_text
from streams.model.verdict import Origin, Outcome, Verdict
from streams.operations.contents.erased import erasure_text
from streams.operations.rule_hits import effect_text
from streams.operations.timeline.records import Line, SessionRecords


class Who(StrEnum):
    """Whose doing an entry is."""

    USER = "user"
    AGENT = "agent"
    TOOL = "tool"
    GATE = "gate"
    PERSON = "person"
    OPERATOR = "operator"
    SERVICE = "service"


class Tone(StrEnum):
    """How an entry is to be read."""

    PLAIN = "plain"
    GOOD = "good"
    HELD = "held"
    BAD = "bad"


class Entry(NamedTuple):
    """An entry of a timeline.

    Attributes:
        time_ms: when.
        what: the entry in a few words.
        details: what belongs to it, each with its name.
        intent_id: the call that it is about.
        event_id: the id of the record.
        place: where the record lies: topic, partition, offset.
    """

    time_ms: int
    who: Who
    name: str
    what: str
    tone: Tone
    details: tuple[tuple[str, str], ...]
    intent_id: str | None
    event_id: str
    place: str

    def fields(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {**self._asdict(), "details": dict(self.details)}


_TONES = {
    Outcome.ALLOW: Tone.GOOD,
    Outcome.DENY: Tone.BAD,
    Outcome.QUARANTINE: Tone.BAD,
    Outcome.REQUIRE_APPROVAL: Tone.HELD,
    Outcome.DEFER: Tone.HELD,
}
_SAID = {
    Outcome.ALLOW: "allowed",
    Outcome.DENY: "denied",
    Outcome.QUARANTINE: "denied, and froze the session at",
    Outcome.REQUIRE_APPROVAL: "asked a person about",
    Outcome.DEFER: "deferred",
}
_EVENTS = {
    SessionEventType.USER_MESSAGE: (Who.USER, "wrote a message"),
    SessionEventType.MODEL_OUTPUT: (Who.AGENT, "had an answer of its model"),
    SessionEventType.RETRIEVAL: (Who.AGENT, "retrieved content"),
    SessionEventType.MEMORY_READ: (Who.AGENT, "read its memory"),
    SessionEventType.TOOLS_CHANGED: (Who.SERVICE, "the list of tools changed"),
    SessionEventType.SYSTEM_PROMPT: (Who.AGENT, "stated its system prompt"),
    SessionEventType.PURPOSE_SET: (Who.SERVICE, "set the purpose"),
    SessionEventType.RISK_LEVEL_CHANGE: (Who.SERVICE, "changed the risk level"),
    SessionEventType.TOKEN_CLAIMS_CHANGE: (Who.SERVICE, "changed what the session may do"),
    SessionEventType.SESSION_REVOKED: (Who.OPERATOR, "revoked the session"),
    SessionEventType.SESSION_ENDED: (Who.SERVICE, "ended the session"),
}
_USES_OF_CONTENT = {
    CONTENT_READ: "read captured content",
    CONTENT_ERASED: "erased captured content",
    HOLD_SET: "put captured content under legal hold",
    HOLD_LIFTED: "ended a legal hold on captured content",
    KEYS_REWRAPPED: "wrapped keys of captured content again",
}
_CONTENTS = {
    ContentField.REQUEST.value: (Who.USER, "wrote a message"),
    ContentField.PROMPT.value: (Who.AGENT, "stated its system prompt"),
    ContentField.MODEL_OUTPUT.value: (Who.AGENT, "had an answer of its model"),
}
_CAPTURED_TEXT = "encrypted; `stoplog audit read` opens it"
_DIGEST_CHARS = 16
_UNTRUSTED = Origin.UNTRUSTED.value.lower()


def entries_of(records: SessionRecords) -> list[Entry]:
    """Return the timeline of a session, in order of time."""
    return [entry for line in records.lines for entry in _entries(line, records)]


def _entries(line: Line, records: SessionRecords) -> Iterator[Entry]:
    record = line.record
    for kind, tell in _TELLERS.items():
        if isinstance(record, kind):
            entry = tell(record, line, records)
            if entry is not None:
                yield entry
            return


def _entry(
    line: Line,
    who: Who,
    name: str,
    what: str,
    details: Mapping[str, str | None],
    *,
    tone: Tone = Tone.PLAIN,
    intent_id: str | None = None,
    time_ms: int | None = None,
) -> Entry:
    return Entry(
        time_ms=line.received.timestamp_ms if time_ms is None else time_ms,
        who=who,
        name=name,
        what=what,
        tone=tone,
        details=tuple((label, text) for label, text in details.items() if text),
        intent_id=intent_id,
        event_id=getattr(getattr(line.record, "header", None), "id", ""),
        place=line.place,
    )


def _event(event: SessionEvent, line: Line, records: SessionRecords) -> Entry | None:
    details: dict[str, str | None] = {
        "documents": ", ".join(event.sources),
        "label": None if event.label is None else label_text(event.label),
        "counts as": records.origin_of(event.header.id),
        "instructions": "it holds text that reads like an instruction" if _instructs(event) else None,
        "content": _digest(event.content_digest),
        "captured": _captured(records, event.header.id),
    }
    if event.type is SessionEventType.SESSION_ESTABLISHED:
        opened = {
            "purpose": event.purpose,
            "scopes": ", ".join(event.scopes),
            "model": None if event.model is None else " ".join(filter(None, (event.model.name, event.model.version))),
            "system prompt": _digest(event.system_prompt_digest),
            "tools": _digest(event.toolset_digest),
            "opened from": event.parent_session_id,
        }
        attended = "a person is present" if event.attended else "nobody is present"
        agent = "" if event.act is None else f" for agent {event.act.sub}"
        return _entry(line, Who.USER, event.sub or "", f"opened the session{agent} ({attended})", opened)
    if event.type in COMPLETIONS:
        name = tool_text(event.tool) if event.tool is not None else "a tool"
        failed = "reported an error" if event.is_error else "returned a result"
        what = "did not run the call" if event.type is SessionEventType.TOOL_NOT_RUN else failed
        is_untrusted = _is_untrusted(event.label) or details["counts as"] == _UNTRUSTED
        tone = Tone.BAD if event.is_error else Tone.HELD if is_untrusted else Tone.PLAIN
        return _entry(line, Who.TOOL, name, what, details, tone=tone, intent_id=event.intent_id)
    who, what = _EVENTS.get(event.type, (Who.SERVICE, event.type.value.lower().replace("_", " ")))
    name = {Who.USER: _user_of(records), Who.AGENT: _agent_of(records)}.get(who, "")
    details |= {"purpose": event.purpose, "risk": event.risk_level, "scopes": ", ".join(event.scopes)}
    tone = Tone.HELD if _is_untrusted(event.label) or details["counts as"] == _UNTRUSTED else Tone.PLAIN
    if event.type is SessionEventType.SESSION_REVOKED:
        tone = Tone.BAD
    return _entry(line, who, name, what, details, tone=tone, intent_id=event.intent_id)


def _intent(intent: Intent, line: Line, records: SessionRecords) -> Entry:
    return _entry(
        line,
        Who.AGENT,
        intent.act.sub,
        f"asked for {tool_text(intent.tool)}",
        {
            "arguments": None if records.is_erased(intent.intent_id) else intent.args_json,
            "captured": _captured(records, intent.intent_id),
            "claims to follow from": ", ".join(intent.claimed_sources),
            "user request": _digest(intent.user_request_digest),
            "system prompt": _digest(intent.system_prompt_digest),
            "tools": _digest(intent.toolset_digest),
            "model": None if intent.model is None else intent.model.name,
            "agent version": intent.agent_version,
        },
        intent_id=intent.intent_id,
    )


def _verdict(verdict: Verdict, line: Line, records: SessionRecords) -> Entry:
    is_told = records.intent(verdict.intent_id) is not None
    is_erased = records.is_erased(verdict.intent_id)
    return _entry(
        line,
        Who.GATE,
        "",
        f"{_SAID[verdict.outcome]} {tool_text(verdict.tool)}: {verdict.reason_text or verdict.reason}",
        {
            "arguments": None if is_told or is_erased else verdict.args_json,
            "captured": None if is_told else _captured(records, verdict.intent_id),
            "rules": "; ".join(f"{hit.rule_id} ({effect_text(hit)}): {hit.reason}" for hit in verdict.rules),
            "reason": verdict.reason,
            "session was": label_text(verdict.label),
            "had read": _things(len(verdict.influences)),
            "signals": ", ".join(f"{signal.name} {signal.score:g}" for signal in verdict.signals),
            "ruleset": _digest(verdict.ruleset_digest),
            "grants": " > ".join(verdict.delegation_path),
        },
        tone=_TONES[verdict.outcome],
        intent_id=verdict.intent_id,
        time_ms=verdict.evaluated_at,
    )


def _things(count: int) -> str | None:
    return many(count, "thing") if count else None


def _audit(event: AuditEvent, line: Line, records: SessionRecords) -> Entry | None:
    time_ms = event.header.time
    if event.event_type is AuditEventType.VERDICT:
        if any(verdict.verdict_id == event.verdict_id for verdict in records.of_intent(event.intent_id or "")):
            return None
        outcome = event.outcome or Outcome.DENY
        tool = "" if event.tool is None else tool_text(event.tool)
        what = f"{_SAID[outcome]} {tool}: {event.reason_text or event.reason}"
        rules = ", ".join(f"{hit.rule_id} ({effect_text(hit)})" for hit in event.rules)
        details = {
            "rules": rules,
            "reason": event.reason,
            "captured": _captured(records, event.intent_id or ""),
            "agent version": event.agent_version,
        }
        return _entry(
            line, Who.GATE, "", what, details, tone=_TONES[outcome], intent_id=event.intent_id, time_ms=time_ms
        )
    if event.event_type is AuditEventType.SESSION:
        what = event.reason_text or event.reason or ""
        who = Who.SERVICE if line.received.topic == AUDIT_REPORTED.name else Who.GATE
        return _entry(line, who, "", what, {}, tone=Tone.HELD, time_ms=time_ms)
    if event.event_type is AuditEventType.CONTENT:
        used = _USES_OF_CONTENT.get(event.reason or "")
        # What gates have captured stands with the event that it belongs to.
        if used is None:
            return _recorded(event, line, records)
        return _entry(line, Who.OPERATOR, event.act.sub, f"{used}: {event.reason_text}", {}, tone=Tone.HELD)
    if event.event_type is AuditEventType.DEAD_LETTER:
        what = f"set a record aside: {event.reason_text or event.reason}"
        details = {"record": ", ".join(event.inputs)}
        return _entry(line, Who.GATE, "", what, details, tone=Tone.BAD, time_ms=time_ms)
    if event.event_type is AuditEventType.REFUSAL:
        what = f"did not run {'' if event.tool is None else tool_text(event.tool)}: {event.reason_text or event.reason}"
        return _entry(line, Who.TOOL, "executor", what, {}, tone=Tone.BAD, intent_id=event.intent_id)
    if event.event_type is AuditEventType.OUTCOME:
        if records.is_completed(event.intent_id):
            return None
        what = event.reason_text or event.reason or "reported the outcome"
        return _entry(line, Who.TOOL, "executor", what, {}, intent_id=event.intent_id)
    return None


def _recorded(event: AuditEvent, line: Line, records: SessionRecords) -> Entry | None:
    """Return the entry of a content whose report is no longer there, or can't be read; None if it is told already."""
    if records.has_event(event.parent_event_id or ""):
        return None
    who, what = _CONTENTS.get(event.reason or "", (Who.TOOL, "returned a result"))
    name = tool_text(event.tool) if event.tool is not None else event.act.sub
    details = {"captured": _captured(records, event.parent_event_id or "")}
    return _entry(line, who, name, what, details, intent_id=event.intent_id, time_ms=event.header.time)


def _captured(records: SessionRecords, owner_id: str) -> str | None:
    """Return in words whether the captured content of an event, or of an intent, can still be opened."""
    if not records.has_captured(owner_id):
        return None
    erasure = records.erasure_of(owner_id)
    return _CAPTURED_TEXT if erasure is None else erasure_text(erasure)


def _request(request: ApprovalRequest, line: Line, records: SessionRecords) -> Entry:
    del records
    return _entry(
        line,
        Who.GATE,
        "",
        f"asks {', '.join(request.eligible_approvers) or 'a person'} about {tool_text(request.tool)}",
        {"because": request.reason_text, "question": request.task_id},
        tone=Tone.HELD,
        intent_id=request.intent_id,
        time_ms=request.header.time,
    )


def _decision(decision: ApprovalDecision, line: Line, records: SessionRecords) -> Entry:
    del records
    status = decision.status.value.lower()
    tone = Tone.GOOD if status == "approved" else Tone.BAD
    details = {"comment": decision.comment, "proof": decision.acr, "question": decision.task_id}
    name = decision.approver.sub
    return _entry(line, Who.PERSON, name, f"answered: {status}", details, tone=tone, intent_id=decision.intent_id)


def _grant(grant: Delegation, line: Line, records: SessionRecords) -> Entry:
    del records
    verb = "was given" if grant.op is DelegationOp.GRANT else "lost"
    details = {"from": grant.delegator.sub, "scopes": ", ".join(grant.scopes), "purpose": grant.purpose}
    return _entry(line, Who.SERVICE, grant.act.sub, f"{verb} grant {grant.uid}", details)


def _alert(alert: Alert, line: Line, records: SessionRecords) -> Entry:
    del records
    details = {"finding": alert.finding_uid, "tags": ", ".join(alert.types)}
    what = f"alert {alert.analytic_uid}: {alert.title}"
    return _entry(
        line, Who.GATE, "", what, details, tone=Tone.BAD, intent_id=alert.intent_id, time_ms=alert.header.time
    )


def _revocation(revocation: Revocation, line: Line, records: SessionRecords) -> Entry:
    del records
    is_stop = revocation.state is RevocationState.REVOKED
    what = "stopped the session" if is_stop else "released the session"
    details = {"because": revocation.reason}
    tone = Tone.BAD if is_stop else Tone.GOOD
    return _entry(line, Who.OPERATOR, revocation.initiating_entity, what, details, tone=tone)


_TELLERS: dict[type, Callable[[Any, Line, SessionRecords], Entry | None]] = {
    SessionEvent: _event,
    Intent: _intent,
    Verdict: _verdict,
    AuditEvent: _audit,
    ApprovalRequest: _request,
    ApprovalDecision: _decision,
    Delegation: _grant,
    Alert: _alert,
    Revocation: _revocation,
}


def label_text(label: Label) -> str:
    """Return a label in words."""
    return f"{label.integrity.value.lower()}, {label.confidentiality.value.lower().replace('_', ' ')}"


def _is_untrusted(label: Label | None) -> bool:
    return label is not None and label.integrity is Integrity.UNTRUSTED


def _instructs(event: SessionEvent) -> bool:
    is_read = event.type is not SessionEventType.USER_MESSAGE
    return is_read and event.has_text and event.text_instructed and event.lists_shapes


def _digest(digest: bytes | None) -> str | None:
    return None if digest is None else f"SHA-256 {digest.hex()[:_DIGEST_CHARS]}…"


def _user_of(records: SessionRecords) -> str:
    return next((event.sub for event in records.events() if event.sub), "")


def _agent_of(records: SessionRecords) -> str:
    return next((event.act.sub for event in records.events() if event.act is not None), "")
