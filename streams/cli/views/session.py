"""Shows one session: who, what it may do, what it read, and each of its intents with its outcome."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.cli.views.rows import OUTCOME_STYLES
from streams.codec.instants import instant_text, time_text
from streams.codec.jsonform import to_json
from streams.delegation.authority import AuthorityRow
from streams.model.delegation import Delegation
from streams.model.topics import AUDIT, DELEGATION, REPORT, REVOCATION, SESSION, VERDICT
from streams.model.types import Actor
from streams.operations.contents.erased import erasure_text
from streams.operations.rule_hits import name_text
from streams.operations.sessions.search import Shown
from streams.operations.sessions.view import Document, LifeState, Line, ProposedCall, SessionView, Standing

_ARGS_CHARS_MAX = 400
_DOCUMENT_CHARS_MAX = 120
_BOUND_CHARS_MAX = 80

_STYLES = {
    LifeState.ESTABLISHED: OK,
    LifeState.LIVE: OK,
    LifeState.FROZEN: WARN,
    LifeState.STOPPED: FAIL,
    LifeState.REVOKED: FAIL,
}
_MISSING = {
    VERDICT.name: "arguments can't be shown",
    REPORT.name: "what it read and whether allowed calls ran can't be shown",
    SESSION.name: "its agent, user, scopes and end can't be shown",
    DELEGATION.name: "its grants can't be shown",
    AUDIT.name: "what gates have recorded about it can't be shown",
    REVOCATION.name: "whether it is stopped can't be shown",
}


def actor_fields(act: Actor | None) -> dict[str, object] | None:
    """Return who acts in the form that records have; None if that is not known."""
    return to_json(act) if act is not None and act.sub else None


def head_fields(view: SessionView, standing: Standing) -> dict[str, Any]:
    """Return what identifies a session, and its state, as JSON."""
    return {
        "tenant_uid": view.tenant_uid,
        "session_id": view.session_id,
        "state": standing.state.value,
        "reason_text": standing.why,
        "act": actor_fields(view.act),
        "sub": view.sub,
        "opened_ms": view.opened_ms,
        "expires_ms": view.expires_ms,
        "active_ms": view.active_ms,
        "attended": view.opened is not None and view.opened.attended,
        "ancestors": list(view.ancestor_session_ids),
        "calls": view.calls,
    }


def session_fields(shown: Shown, standing: Standing, lines_max: int) -> dict[str, Any]:
    """Return a session as JSON, with the last calls and inputs."""
    view = shown.view
    authority = view.authority
    return {
        **head_fields(view, standing),
        "purpose": None if view.opened is None else view.opened.purpose,
        "scopes": list(view.scopes),
        "risk": view.risk_level,
        "changed": view.changed or None,
        "authority": None if authority is None else _authority(authority),
        "grants": [_grant(grant) for grant in view.grants.values()],
        "read": [_line(line) for line in view.read[-lines_max:]],
        "did": [_line(line) for line in view.did[-lines_max:]],
        "documents": [_document(view, each) for each in _last(view.documents, lines_max)],
        "intents": [_intent(view, call) for call in _last(view.intents, lines_max)],
        "hidden_topics": sorted(shown.hidden),
        "erased": None if shown.erasure is None else erasure_text(shown.erasure.newest),
    }


def show_view(screen: Screen, shown: Shown, standing: Standing, lines_max: int) -> None:
    """Write a session for a person."""
    view = shown.view
    name = f"session {view.tenant_uid}|{view.session_id}"
    screen.say(f"{name} {standing.text()}", _STYLES.get(standing.state, STRONG))
    attended = "a person is present" if view.opened is not None and view.opened.attended else "unattended"
    rows = [
        ("agent", f"{view.act.sub} ({view.act.iss})" if view.act.sub else ""),
        ("for", f"{view.sub}, {attended}" if view.sub else ""),
        ("purpose", "" if view.opened is None else view.opened.purpose or ""),
        ("opened", instant_text(view.opened_ms)),
        ("last active", instant_text(view.active_ms)),
        ("expires", instant_text(view.expires_ms)),
        ("opened from", ", ".join(view.ancestor_session_ids)),
        ("risk", view.risk_level or ""),
        ("changed", view.changed),
    ]
    screen.table(("", ""), [row for row in rows if row[1]])
    for topic, text in _MISSING.items():
        if topic in shown.hidden:
            screen.say(f"{text}: this client may not read `{topic}`", WARN)
    if shown.erasure is not None:
        screen.say(f"the arguments of its calls can't be shown: {erasure_text(shown.erasure.newest)}", WARN)
    _show_authority(screen, view)
    _show_grants(screen, view)
    _show_documents(screen, view, lines_max)
    _show_intents(screen, view, lines_max)


def _last(lines: dict[Any, Any], count: int) -> list[Any]:
    return list(lines.values())[-count:]


def _authority(row: AuthorityRow) -> dict[str, Any]:
    return {
        "delegation_uid": row.uid,
        "scopes": list(row.scopes),
        "audience": list(row.audience),
        "tools": [
            {
                "tool": f"{server}/{name}",
                "constraints": [{"argument": a, "type": kind, "value_json": value} for a, kind, value in bounds],
            }
            for server, name, bounds in row.tools
        ],
        "expires_ms": row.exp_ms,
        "may_be_given_on": row.depth < row.max_depth,
        "calls_max": row.calls_max,
        "amount_max": row.amount_max,
        "currency": row.currency,
    }


def _grant(grant: Delegation) -> dict[str, Any]:
    return {
        "uid": grant.uid,
        "hops": [
            {
                "uid": hop.uid,
                "delegator": actor_fields(hop.delegator),
                "act": actor_fields(hop.act),
                "depth": hop.depth,
                "scopes": list(hop.scopes),
                "tools": sorted(
                    f"{tool.server_id}/{tool.name}" for each in hop.authorization_details for tool in each.tools
                ),
                "expires_ms": hop.exp,
            }
            for hop in (*grant.chain, grant)
        ],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "time_ms": line.time_ms,
        "what": line.what,
        "tool": line.call,
        "text": line.text,
        "label": line.label,
    }


def _document(view: SessionView, document: Document) -> dict[str, Any]:
    return {**asdict(document), "label": view.label_of(document), "args_json": _args_of(view, document)}


def _args_of(view: SessionView, document: Document) -> str | None:
    call = view.intents.get(document.intent_id or "")
    return None if call is None else call.args_json


def _intent(view: SessionView, call: ProposedCall) -> dict[str, Any]:
    return {
        "intent_id": call.intent_id,
        "verdict_id": call.verdict_id,
        "tool": call.tool,
        "evaluated_ms": call.judged_ms,
        "decided_ms": call.decided_ms,
        "outcome": call.outcome.value,
        "held": None if call.held is None else call.held.value,
        "reason": call.reason,
        "reason_text": call.text,
        "rules": list(call.rules),
        "args_json": call.args_json,
        "label": call.label,
        "answers": list(view.answers.get(call.intent_id, ())),
        "ran": call.ran,
        "ran_ms": call.ran_ms,
    }


def _show_authority(screen: Screen, view: SessionView) -> None:
    row = view.authority
    if row is None:
        if view.scopes:
            screen.say(f"may use scopes {', '.join(view.scopes)}; no grant limits its tools or arguments")
        return
    end = f", until {instant_text(row.exp_ms)}"
    calls = "" if row.calls_max is None else f", {row.calls_max} calls at most"
    spent = "" if row.amount_max is None else f", {row.amount_max} minor units of {row.currency} at most"
    scopes = ", ".join(row.scopes) or "no scope"
    screen.say()
    screen.say(f"may do: {scopes} (of both its credential and its grant){calls}{spent}{end}", STRONG)
    rows = []
    for server, name, bounds in row.tools:
        reached = "" if "*" in row.audience or server in row.audience else " (its server is not granted)"
        texts = [short(f"{argument} {kind.lower()} {value}", _BOUND_CHARS_MAX) for argument, kind, value in bounds]
        rows.append((f"{server}/{name}{reached}", Text("\n".join(texts) or "any arguments")))
    screen.table(("tool", "arguments"), rows)


def _show_grants(screen: Screen, view: SessionView) -> None:
    hops = [hop for grant in view.grants.values() for hop in (*grant.chain, grant)]
    if hops:
        screen.say()
        screen.table(
            ("grant", "from", "to", "depth", "expires"),
            [(hop.uid, hop.delegator.sub, hop.act.sub, str(hop.depth), instant_text(hop.exp)) for hop in hops],
        )


def _show_documents(screen: Screen, view: SessionView, lines_max: int) -> None:
    documents = _last(view.documents, lines_max)
    if not documents:
        return
    screen.say()
    screen.say("what it read", STRONG)
    rows = []
    for document in documents:
        name = document.name or short(_args_of(view, document) or "", _DOCUMENT_CHARS_MAX)
        times = f" x{document.times}" if document.times > 1 else ""
        label = f"  {view.label_of(document)}".rstrip()
        told = Text.assemble(
            (printable(document.how), STRONG), (printable(f"{times}{label}"), FAINT), printable(f"  {name}")
        )
        rows.append((Text(time_text(document.first_ms), FAINT), told))
    screen.table(("", ""), rows)


def _show_intents(screen: Screen, view: SessionView, lines_max: int) -> None:
    calls = _last(view.intents, lines_max)
    if not calls:
        return
    left_out = f", the last {len(calls)} of {len(view.intents)}" if len(calls) < len(view.intents) else ""
    screen.say()
    screen.say(f"what it asked for{left_out}", STRONG)
    screen.table(("", ""), [(Text(time_text(call.judged_ms), FAINT), _call_text(view, call)) for call in calls])


def _call_text(view: SessionView, call: ProposedCall) -> Text:
    """Return the lines about a call: its outcome, its intent, and its arguments."""
    held = "" if call.held is None else f"{call.held.value} then "
    names = [name_text(rule_id, is_shadow=rule_id in call.in_shadow) for rule_id in call.rules]
    rules = f" ({', '.join(names)})" if names else ""
    answered = "".join(f"; {each}" for each in view.answers.get(call.intent_id, ()))
    ran = f"; {call.ran} at {time_text(call.ran_ms)}" if call.ran else ""
    text = Text.assemble(
        (f"{held}{call.outcome.value}", OUTCOME_STYLES[call.outcome]),
        (printable(f"  {call.tool}"), STRONG),
        printable(f"  {call.reason}: {call.text}{rules}{answered}{ran}"),
        (f"\nintent {printable(call.intent_id)}, the session was then {call.label}", FAINT),
    )
    # A verdict of a call that was denied unread, such as by a stop, has none.
    if call.args_json:
        text.append(f"\n{short(call.args_json, _ARGS_CHARS_MAX)}")
    return text
