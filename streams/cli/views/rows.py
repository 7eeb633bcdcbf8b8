"""Shows each record as one line: time, kind, session, call, and reason."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.codec.instants import instant_text, time_text
from streams.model.alert import Alert, Severity, severity_word
from streams.model.approval import ApprovalDecision, ApprovalRequest, ApprovalStatus
from streams.model.attributes import EntityAttributes
from streams.model.audit import AuditCheckpoint, AuditEvent, AuditEventType
from streams.model.intent import Intent
from streams.model.plurals import many
from streams.model.revocation import Revocation, RevocationState
from streams.model.session import SessionEvent, SessionEventType
from streams.model.types import Record, ToolRef, tool_text
from streams.model.verdict import Outcome, RuleMode, Verdict
from streams.operations.rule_hits import name_text
from streams.operations.topics.tail import DeadLetter, event_text

_WHAT_CHARS = 17
_SESSION_CHARS = 16
_SESSION_CHARS_WIDE = 40
_WIDE_CHARS = 150
_CALL_CHARS = 22
_TIME_CHARS = 12
_WHY_CHARS_MIN = 20
_WHY_CHARS_MAX = 400
_WHY_LINES_MAX = 3
_INDENT = " " * (_TIME_CHARS + 2)

MIXED = "mixed"
"""In place of a subject: records of several ones."""

_COLUMNS = {
    MIXED: ("session", "call, or found by"),
    "alerts": ("session", "found by"),
    "ocsf": ("session", "found by"),
    "revocations": ("name", "kind"),
    "attributes": ("", "entity"),
    "checkpoints": ("", "of"),
    "deadletters": ("session", "reason"),
}
"""What the third and the fourth column of a subject are, where they are not a session and its call."""

OUTCOME_STYLES = {
    Outcome.ALLOW: OK,
    Outcome.DENY: FAIL,
    Outcome.QUARANTINE: FAIL,
    Outcome.REQUIRE_APPROVAL: WARN,
    Outcome.DEFER: WARN,
}
_BAD_EVENTS = frozenset({AuditEventType.REFUSAL, AuditEventType.DEAD_LETTER})
_STOPPING = frozenset({SessionEventType.SESSION_REVOKED, SessionEventType.SESSION_ENDED})


class Row(NamedTuple):
    """The parts of a line; `then` is a command that says more."""

    what: str
    style: str
    session: str
    call: str
    why: str
    then: str = ""


def row_of(record: Record) -> Row:
    """Return the row of a record."""
    describe = _DESCRIBE.get(type(record))
    return Row(type(record).__name__, FAINT, "", "", "") if describe is None else describe(record)


def event_row(event: Mapping[str, Any]) -> Row:
    """Return the row of an event of OCSF, of whose form nothing is known."""
    severity, severity_id = event_text(event, "severity"), event.get("severity_id")
    is_alarming = isinstance(severity_id, int) and severity_id >= Severity.HIGH
    # What people do with an alert has no description and no analytic: it says who has done it, why, and of which alert.
    title = event_text(event, "message")
    text = event_text(event, "finding_info", "desc") or event_text(event, "comment")
    named = event_text(event, "finding_info", "analytic", "uid") or event_text(event, "finding_info", "uid")
    return Row(
        printable(f"OCSF {severity.upper()}"),
        FAIL if is_alarming else WARN,
        event_text(event, "evidences", "actor", "session", "uid"),
        named,
        f"{_repeated(event.get('count'))}{title}: {text}" if text else title,
        event_text(event, "remediation", "desc").partition("\n")[0],
    )


def _repeated(count: object) -> str:
    return f"{count} times: " if isinstance(count, int) and count > 1 else ""


def letter_row(letter: DeadLetter, key: bytes | None) -> Row:
    """Return the row of a dead letter, whose key is that of the record in it."""
    text = (key or b"").decode("utf-8", "replace")
    why = f"{letter.topic}/{letter.partition}/{letter.offset}: {letter.text}"
    return Row("DEAD LETTER", FAIL, text.partition("|")[2] or text, letter.reason, why)


def line_of(row: Row, time_ms: int, width_chars: int) -> Text:
    """Return the text of a row: one line, and further lines if the reason is long."""
    session_chars = _session_chars(width_chars)
    line = Text.assemble(
        (f"{time_text(time_ms)}  ", FAINT),
        (f"{short(row.what, _WHAT_CHARS):<{_WHAT_CHARS}} ", row.style),
        f"{short(row.session, session_chars):<{session_chars}} ",
    )
    left_chars = width_chars - len(line)
    first_chars = left_chars - _CALL_CHARS - 1
    whole = short(row.why, _WHY_CHARS_MAX)
    if first_chars < _WHY_CHARS_MIN:
        # On a narrow terminal, all of the reason stands below, and so does a call that the rest of the line is too
        # short for.
        call = short(row.call, _WHY_CHARS_MIN + max(_CALL_CHARS, width_chars))
        line.append(call if len(call) <= left_chars else f"\n{_INDENT}{call}", STRONG)
        first = ""
    else:
        line.append(f"{short(row.call, _CALL_CHARS):<{_CALL_CHARS}} ", STRONG)
        first = next(iter(textwrap.wrap(whole, first_chars)), "")
    line.append(first)
    left = whole[len(first) :].strip()
    if left:
        below_chars = max(_WHY_CHARS_MIN, width_chars - len(_INDENT))
        more = textwrap.wrap(left, below_chars, max_lines=_WHY_LINES_MAX, placeholder=" …")
        line.append("".join(f"\n{_INDENT}{text}" for text in more))
    if row.then:
        # Whole, so that it can be copied.
        line.append(f"\n{_INDENT}{printable(row.then)}", STRONG)
    return line


def heading(subject: str, width_chars: int) -> Text:
    """Return the heading of the lines of a subject of `stoplog tail`, or of `MIXED` ones."""
    of_whom, about = _COLUMNS.get(subject, ("session", "call"))
    columns = (
        ("time (UTC)", _TIME_CHARS + 1),
        ("what", _WHAT_CHARS),
        (of_whom, _session_chars(width_chars)),
        (about, _CALL_CHARS),
    )
    text = " ".join([*(f"{name:<{chars}}" for name, chars in columns), "why"])
    return Text(text[:width_chars], FAINT)


def day_text(time_ms: int) -> str:
    """Return the day of a time."""
    return instant_text(time_ms).partition(" ")[0]


def day_heading(day: str) -> Text:
    """Return the line that stands before the first record of a day: the records themselves have the time only."""
    return Text(day, FAINT)


def _session_chars(width_chars: int) -> int:
    """Return the width of the session column. Where there is room, ids are shown whole, so that they can be copied."""
    return _SESSION_CHARS_WIDE if width_chars >= _WIDE_CHARS else _SESSION_CHARS


def _verdict(record: Verdict) -> Row:
    rules = [name_text(hit.rule_id, is_shadow=hit.mode is RuleMode.SHADOW) for hit in record.rules]
    faults = [f"{fault.rule_id} failed: {fault.text}" for fault in record.errors]
    also = "".join(f" ({', '.join(names)})" for names in (rules, faults) if names)
    why = f"{record.reason}: {record.reason_text}{also}"
    return Row(record.outcome.value, OUTCOME_STYLES[record.outcome], record.session_id, _call(record.tool), why)


def _audit(record: AuditEvent) -> Row:
    what = record.event_type.value if record.outcome is None else f"{record.event_type.value} {record.outcome.value}"
    why = ": ".join(part for part in (record.reason, record.reason_text) if part)
    if record.event_type is AuditEventType.DEAD_LETTER:
        why = f"{', '.join(record.inputs)}: {why}"
    return Row(what, _audit_style(record), record.session_id, _call(record.tool), why or f"by {record.act.sub}")


def _audit_style(record: AuditEvent) -> str:
    if record.event_type in _BAD_EVENTS:
        return FAIL
    return FAINT if record.outcome is None else OUTCOME_STYLES[record.outcome]


def _alert(record: Alert) -> Row:
    style = FAIL if record.severity_id >= Severity.HIGH else WARN
    return Row(
        f"ALERT {severity_word(record.severity_id).upper()}",
        style,
        record.session_id or "",
        record.analytic_uid,
        f"{_repeated(record.count)}{record.title}: {record.desc}",
        next(iter(record.suggested_response), ""),
    )


def _intent(record: Intent) -> Row:
    return Row(
        "INTENT", "", record.session_id, _call(record.tool), f"{record.act.sub} for {record.sub}: {record.args_json}"
    )


def _session_event(record: SessionEvent) -> Row:
    parts = {
        "": record.purpose,
        "for ": record.sub if record.type is SessionEventType.SESSION_ESTABLISHED else None,
        "by ": None if record.act is None else record.act.sub,
        "label ": None if record.label is None else record.label.integrity.value.lower(),
    }
    why = ", ".join(f"{name}{value}" for name, value in parts.items() if value)
    style = WARN if record.type in _STOPPING or record.is_error else ""
    return Row(record.type.value, style, record.session_id, _call(record.tool), why)


def _approval_request(record: ApprovalRequest) -> Row:
    who = ", ".join(record.eligible_approvers) or "any person"
    why = f"question {record.task_id}, {who} may decide: {record.reason_text}; {record.args_json}"
    return Row("ASKED", WARN, record.session_id, _call(record.tool), why)


def _approval_decision(record: ApprovalDecision) -> Row:
    style = OK if record.status is ApprovalStatus.APPROVED else FAIL
    why = f"by {record.approver.sub}, question {record.task_id}" + (f": {record.comment}" if record.comment else "")
    return Row(record.status.value, style, record.session_id, "", why)


def _revocation(record: Revocation) -> Row:
    style = OK if record.state is RevocationState.RELEASED else FAIL
    tenant, _, name = record.id.partition("|")
    # As other rows do, without the tenant, which would leave no room for the name.
    where = f", tenant {tenant}" if name else ""
    why = f"{record.reason} (by {record.initiating_entity}{where})"
    return Row(record.state.value, style, name or record.id, record.kind.value.lower(), why)


def removal_row(key: bytes | None) -> Row:
    """Return the row of a tombstone that removes the attributes of an entity."""
    tenant, _, entity = (key or b"").decode("utf-8", "replace").partition("|")
    return Row("REMOVED", WARN, "", entity, f"all attributes of {entity}, tenant {tenant}")


def _attributes(record: EntityAttributes) -> Row:
    entity = f"{record.kind}/{record.id}"
    said = ": ".join(part for part in (f"by {record.set_by}" if record.set_by else "", record.reason) if part)
    why = f"{record.attributes_json} of {entity}, tenant {record.header.tenant_uid}" + (f", {said}" if said else "")
    return Row("ATTRIBUTES", "", "", entity, why)


def _checkpoint(record: AuditCheckpoint) -> Row:
    return Row("CHECKPOINT", FAINT, "", f"partition {record.partition}", many(record.tree_size, "record"))


def _call(tool: ToolRef | None) -> str:
    return "" if tool is None else printable(tool_text(tool))


_DESCRIBE: dict[type[Record], Callable[[Any], Row]] = {
    Verdict: _verdict,
    AuditEvent: _audit,
    Alert: _alert,
    Intent: _intent,
    SessionEvent: _session_event,
    ApprovalRequest: _approval_request,
    ApprovalDecision: _approval_decision,
    Revocation: _revocation,
    AuditCheckpoint: _checkpoint,
    EntityAttributes: _attributes,
}
