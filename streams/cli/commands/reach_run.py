"""Runs `stoplog reach`, and shows the outcome."""

from __future__ import annotations

from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.screen import WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import short
from streams.codec.instants import format_instant
from streams.delegation.effective_reach import Question, Reach, Way
from streams.operations.root_key import load_gates_root_key
from streams.operations.sessions.effective_reach import Trusted, read_reach
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log

_BOUND_CHARS_MAX = 60
_TOOLS = "tools"
_UNBOUNDED = ("arguments", "calls", "amount")
"""What a grant may leave without a bound, as `unbounded` names it."""


def run_reach(connection: Connection, output: Output, *, agent: str, user: str, tenant: str | None) -> None:
    """Read the grants, and show what they permit; see `reach`."""
    screen = output.screen()
    settings = connection.settings()
    question = Question(tenant or settings.tenant, agent, user)
    gate = settings.gate_settings(load_gates_root_key(settings.key_path))
    trusted = Trusted(settings.catalog.trusted(), settings.release.trusted())
    codec = build_codec(settings)
    with open_log(settings, create=False) as opened:
        found = read_reach(opened, codec, SystemClock(), question, gate, trusted)
    for tool in found.tools:
        for way in tool.ways:
            screen.record({"tool": f"{tool.server_id}/{tool.name}", **_fields(way)})
    for grant in found.dead:
        screen.record(
            {
                "delegation_uid": grant.uid,
                "session_id": grant.session_id,
                "reason": grant.reason.value,
                "reason_text": grant.text,
            }
        )
    if not gate.require_delegation:
        screen.record({"sessions_without_grant": "accepted", "unbounded": [_TOOLS, *_UNBOUNDED]})
    if not screen.as_json:
        _show(screen, found)
        if not gate.require_delegation:
            advice = "set `gate.require_delegation = true` in the settings of gates to reject them"
            screen.say(f"sessions without a grant are not limited by this: {advice}", WARN)


def _fields(way: Way) -> dict[str, object]:
    return {
        "constraints": [{"argument": a, "type": kind, "value_json": value} for a, kind, value in way.bounds],
        "delegation_uid": way.lineage[-1],
        "delegation_path": list(way.lineage),
        "session_id": way.session_id,
        "scopes": list(way.scopes),
        "expires_ms": way.expires_ms,
        "may_be_given_on": way.gives_on,
        "calls_max": way.calls_max,
        "amount_max": way.amount_max,
        "currency": way.currency,
        "cnf_jkt": way.cnf_jkt,
        "unbounded": [
            what
            for what, is_free in zip(
                _UNBOUNDED, (way.unbounded_arguments, way.calls_max is None, way.amount_max is None), strict=True
            )
            if is_free
        ],
        "unbounded_arguments": list(way.unbounded_arguments),
    }


def _show(screen: Screen, found: Reach) -> None:
    rows = [
        (
            short(f"{tool.server_id}/{tool.name}", _BOUND_CHARS_MAX),
            _bounds(way),
            "no limit" if way.calls_max is None else str(way.calls_max),
            short(" > ".join(way.lineage), _BOUND_CHARS_MAX),
            short(way.session_id, _BOUND_CHARS_MAX),
            format_instant(way.expires_ms),
        )
        for tool in found.tools
        for way in tool.ways
    ]
    if rows:
        screen.table(("tool", "arguments", "calls", "chain of grants", "session", "expires"), rows)
    else:
        screen.say("no grant in force lets this agent call a tool for this user", WARN)
    dead = [
        (short(grant.uid, _BOUND_CHARS_MAX), short(grant.session_id, _BOUND_CHARS_MAX), short(grant.text, 200))
        for grant in found.dead
    ]
    if dead:
        screen.table(("grant without effect", "session", "why"), dead)


def _bounds(way: Way) -> Text:
    if not way.bounds:
        return Text("any")
    free = way.unbounded_arguments
    lines = [
        short(f"{argument} {kind.lower()} {value}", _BOUND_CHARS_MAX)
        for argument, kind, value in way.bounds
        if argument not in free
    ]
    return Text("\n".join((*lines, *(short(f"{argument} any", _BOUND_CHARS_MAX) for argument in free))))
