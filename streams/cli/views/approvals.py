"""How questions to people, and what people have granted, look to a person and to a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.codec.instants import format_instant
from streams.codec.jsonform import to_json
from streams.model.approval import GRANT_PREFIX, GrantScope, PendingCall
from streams.model.plurals import many
from streams.model.types import tool_text
from streams.model.verdict import ArgumentOrigin, Origin, ValueOrigin
from streams.operations.approvals.bounds import grant_words
from streams.operations.approvals.grants import Granted, GrantState
from streams.operations.approvals.questions import Question, arguments_of, asked_words, calls_of
from streams.provenance.pointers import unescaped

VALUE_CHARS_MAX = 400
"""The longest argument on the screen. JSON output has it in full."""

VALUE_END_CHARS = 120
"""How many characters of a longer argument are those of its end."""

QUESTION_CHARS = 13
"""The length of a question's id in a list: enough to tell it from others, and to name it."""

EVENT_CHARS = 8
"""How much is shown of the id of an input: enough to tell it from the others of its session."""

EVENTS_MAX = 4
"""How many untrusted inputs are shown by their ids: the newest ones."""

_UNTRUSTED = Origin.UNTRUSTED.value.lower()
_MS_PER_S = 1_000
_ORIGINS = {
    ValueOrigin.USER: ("named by the user", OK),
    ValueOrigin.TRUSTED: ("from trusted data", OK),
    ValueOrigin.FIELD: ("a field of data that others may write", WARN),
    ValueOrigin.TEXT: ("from text that others wrote", FAIL),
    ValueOrigin.NOWHERE: ("found in nothing that was read", WARN),
}
_FURTHER = {
    GrantScope.UNKNOWN: "nothing: the rules let nobody",
    GrantScope.TASK: "calls of the task",
    GrantScope.SESSION: "calls of the task, or of the session",
}
_STATES = {GrantState.IN_FORCE: OK, GrantState.REVOKED: FAIL}


def duration(ms: int) -> str:
    """Return a time span as a person says it: `9m 12s`."""
    seconds = max(ms, 0) // _MS_PER_S
    for unit_s, unit, below_s, below in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= unit_s:
            return f"{seconds // unit_s}{unit} {seconds % unit_s // below_s}{below}"
    return f"{seconds}s"


def question_record(question: Question, now_ms: int) -> dict[str, Any]:
    """Return a question for a program."""
    request = question.request
    waiting = {call.intent_id for call in question.waiting(now_ms)}
    return {
        **to_json(request),
        "key": question.key.decode("utf-8", "replace"),
        "asked_ms": question.first_ms,
        "waiting": sorted(waiting),
        "outcomes": {intent_id: outcome.value for intent_id, outcome in question.outcomes.items()},
        "is_known": question.is_known,
        "passed_on": {intent_id: asked.task_id for intent_id, asked in question.passed_on.items()},
    }


def list_questions(screen: Screen, questions: Sequence[Question], now_ms: int) -> None:
    """Show questions in a table, one in a line."""
    for question in questions:
        screen.record(question_record(question, now_ms))
    rows = []
    for question in questions:
        request, waiting = question.request, question.waiting(now_ms)
        rows.append(
            (
                request.task_id[:QUESTION_CHARS],
                tool_text(request.tool),
                str(len(waiting)),
                duration(max(call.expires_at for call in waiting) - now_ms) if waiting else _end_of(question),
                request.sub,
                asked_words(request),
                request.reason_text,
            )
        )
    if rows:
        screen.table(("question", "call", "waiting", "time left", "for", "asked", "why"), rows)


def _end_of(question: Question) -> str:
    """Return how a question ended that waits no more: by verdicts on its calls, or because its time was over."""
    outcomes = sorted({outcome.value for outcome in question.outcomes.values()})
    if outcomes:
        return f"decided: {', '.join(outcomes)}"
    return "answered" if question.passed_on else "over"


def show_question(screen: Screen, question: Question, now_ms: int) -> None:
    """Show everything that a person needs to see in order to decide."""
    screen.record(question_record(question, now_ms))
    request = question.request
    waiting = {call.intent_id for call in question.waiting(now_ms)}
    calls = calls_of(request)
    covered = f"{many(len(waiting), 'call')} below, with exactly these arguments" if waiting else "nothing any more"
    screen.table(
        ("question", request.task_id),
        [
            ("for", f"{request.sub}, by agent {request.act.sub}, session {request.session_id}"),
            ("purpose", request.purpose or "none is stated"),
            ("why", request.reason_text),
            ("rules that ask", ", ".join(request.rules) or "-"),
            ("all rules", "; ".join(request.matched_rules) or "-"),
            ("has read", _read_words(request.provenance)),
            ("has done", "; ".join(request.history) or "nothing"),
            ("who may decide", ", ".join(request.eligible_approvers) or "any person but these two"),
            ("approvals needed", str(request.quorum)),
            ("may approve further", _FURTHER[request.widest_grant]),
            ("asked at", format_instant(question.first_ms)),
            ("an answer covers", covered),
        ],
    )
    for number, call in enumerate(calls, start=1):
        screen.say()
        _show_call(screen, question, call, f"call {number} of {len(calls)}", now_ms, waits=call.intent_id in waiting)


def _read_words(provenance: Sequence[str]) -> str:
    """Return what the session had read: how much, and the ids of what others may have written.

    The ids are as short as where arguments say where they come from.

    Args:
        provenance: of each input its id and its label, `ID: untrusted`.
    """
    if not provenance:
        return "nothing"
    by_label: dict[str, list[str]] = {}
    for each in provenance:
        event_id, _, label = each.rpartition(": ")
        by_label.setdefault(label, []).append(event_id[:EVENT_CHARS])
    parts = [f"{len(ids)} {label}" for label, ids in by_label.items() if label != _UNTRUSTED]
    if untrusted := by_label.get(_UNTRUSTED):
        more = ", ..." if len(untrusted) > EVENTS_MAX else ""
        parts.append(f"{len(untrusted)} {_UNTRUSTED} ({', '.join(untrusted[-EVENTS_MAX:])}{more})")
    return f"{many(len(provenance), 'input')}: {', '.join(parts)}"


def _show_call(screen: Screen, question: Question, call: PendingCall, told: str, now_ms: int, *, waits: bool) -> None:
    outcome = question.outcomes.get(call.intent_id)
    if waits:
        state, style = f"waits, {duration(call.expires_at - now_ms)} left", WARN
    elif outcome is not None:
        state, style = f"decided: {outcome.value}", FAINT
    elif call.intent_id in question.passed_on:
        asked = question.passed_on[call.intent_id]
        state = f"answered: now question {asked.task_id[:QUESTION_CHARS]} asks {asked_words(asked)}"
        style = WARN
    else:
        state, style = "its time is over", FAINT
    name = printable(tool_text(call.tool))
    head = Text.assemble((f"{told}: ", ""), (name, STRONG), ("  ", ""), (state, style))
    screen.rich(head)
    screen.rich(Text.assemble("  ", *_undo(call)))
    screen.rich(Text(f"  intent {call.intent_id}", style=FAINT))
    arguments = arguments_of(call)
    origins: dict[str, list[ArgumentOrigin]] = {}
    for origin in call.origins:
        # Parts of an argument are shown beside it.
        name = unescaped(origin.pointer.removeprefix("/").partition("/")[0])
        origins.setdefault(name, []).append(origin)
    rows = [
        (f"  {name}", _value_words(_shown(value)), _origin_words(origins.get(name, []), bool(call.origins)))
        for name, value in arguments.items()
    ]
    screen.table(("  argument", "value", "where it comes from"), rows or [("  none", "", "")])


def _undo(call: PendingCall) -> tuple[tuple[str, str], ...]:
    if not call.reversible:
        return (("can't be undone", FAIL),)
    by = f", with {call.compensating_tool}" if call.compensating_tool else ""
    return ((printable(f"can be undone{by}"), OK),)


def _value_words(text: str) -> str:
    """Return a value as far as it fits. What is left out is counted: who approves it approves that, too."""
    if len(text) <= VALUE_CHARS_MAX:
        return printable(text)
    head, end = text[: VALUE_CHARS_MAX - VALUE_END_CHARS], text[-VALUE_END_CHARS:]
    left_out = len(text) - len(head) - len(end)
    return f"{printable(head)} [... {many(left_out, 'character')} not shown, see them with --json ...] {printable(end)}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin_words(origins: Sequence[ArgumentOrigin], is_known: bool) -> Text:
    if not origins:
        return Text("-" if is_known else "not known", style=FAINT)
    parts: list[tuple[str, str]] = []
    for origin in origins:
        words, style = _ORIGINS[origin.origin]
        if origin.pointer.count("/") > 1:
            words = f"{origin.pointer.partition('/')[2].partition('/')[2]}: {words}"
        words += ", beside an instruction" if origin.instructed else ""
        words += ", only in encoded form" if origin.decoded else ""
        where = ", ".join([*(event[:EVENT_CHARS] for event in origin.event_ids), *origin.paths])
        parts.append((printable(f"{words} ({where})" if where else words), style))
    return Text("; ").join(Text(words, style=style) for words, style in parts)


def short_uid(granted: Granted) -> str:
    """Return the beginning of a grant's id, which is enough to name it."""
    return granted.uid.removeprefix(GRANT_PREFIX)[:QUESTION_CHARS]


def list_granted(screen: Screen, found: Sequence[Granted]) -> None:
    """Show what people have granted, in a table."""
    for each in found:
        screen.record(
            {
                "uid": each.uid,
                "tenant_uid": each.tenant_uid,
                "session_id": each.session_id,
                "made_ms": each.made_ms,
                "by": each.by,
                "used": each.used_count,
                "state": each.state.value,
                "grant": None if each.grant is None else to_json(each.grant),
            }
        )
    rows = []
    for each in found:
        grant = each.grant
        limit = "any" if grant is None or grant.uses_max is None else str(grant.uses_max)
        rows.append(
            (
                short_uid(each),
                each.session_id,
                each.by,
                f"{each.used_count} of {limit}",
                Text(each.state.value, style=_STATES.get(each.state, FAINT)),
                "not on the log any more" if grant is None else grant_words(grant),
            )
        )
    if rows:
        screen.table(("grant", "session", "by", "used", "state", "approves"), rows)
