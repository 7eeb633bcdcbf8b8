"""`stoplog session`: show one session, or list all sessions."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output
from streams.cli.screen import FAIL, OK, STRONG, WARN, Screen
from streams.codec.instants import format_instant
from streams.model.delegation import Delegation
from streams.operations.sessions.search import Filter, list_sessions, show_session
from streams.operations.sessions.view import LifeState, Line, SessionView, Standing
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log

app = typer.Typer(add_completion=False, help="Show one session, or list all sessions.")

_STYLES = {
    LifeState.ESTABLISHED: OK,
    LifeState.LIVE: OK,
    LifeState.FROZEN: WARN,
    LifeState.STOPPED: FAIL,
    LifeState.REVOKED: FAIL,
}
State = StrEnum("State", [(state.name, state.value) for state in LifeState])  # type: ignore[misc]  # mypy wants it written out


@app.command()
@takes_groups
def show(
    *,
    session: Annotated[str, typer.Argument(metavar="ID", help="A session (`s-1` or `tenant|s-1`).")],
    lines_max: Annotated[
        int,
        typer.Option("--max", metavar="N", min=1, max=10_000, help="Show the last N calls and inputs of the session."),
    ] = 20,
    connection: Connection,
    output: Output,
) -> None:
    """Show what the log says about a session: its agent and user, its grants, what it read and what it did.

    The state is the last one that gates have recorded. A stop shows at once.
    """
    screen = output.screen()
    settings = connection.settings()
    tenant, separator, name = session.partition("|")
    if not separator:
        tenant, name = settings.tenant, session
    clock = SystemClock()
    with open_log(settings, create=False) as opened:
        view, revocations = show_session(opened, build_codec(settings), tenant, name, clock, settings.release.trusted())
    standing = view.standing(revocations, clock.now_ms())
    screen.record(_fields(view, standing, lines_max))
    _show(screen, view, standing, lines_max)


@app.command("list")
@takes_groups
def list_(
    *,
    agent: Annotated[str | None, typer.Option("--agent", metavar="ID", help="Only of this agent.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Only on behalf of this user.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only in this state.")] = None,
    count_max: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=100_000, help="Show at most N sessions, the newest first.")
    ] = 100,
    connection: Connection,
    output: Output,
) -> None:
    """List the sessions on the log, the newest first."""
    screen = output.screen()
    settings = connection.settings()
    wanted = Filter(agent, user, None if state is None else LifeState(state.value))
    with open_log(settings, create=False) as opened:
        each = list_sessions(opened, build_codec(settings), wanted, SystemClock(), settings.release.trusted())
        found = list(islice(each, count_max))
    for view, standing in found:
        screen.record(_head(view, standing))
    screen.table(
        ("state", "session", "agent", "for", "opened", "allowed", "denied", "why"),
        [
            (
                standing.state.value,
                f"{view.tenant_uid}|{view.session_id}",
                view.act.sub,
                view.sub,
                _instant(view.opened_ms),
                str(_count(view, "ALLOW")),
                str(_count(view, "DENY") + _count(view, "QUARANTINE")),
                standing.why,
            )
            for view, standing in found
        ],
    )
    if not found:
        screen.say("no session matches", WARN)


def _head(view: SessionView, standing: Standing) -> dict[str, Any]:
    return {
        "tenant": view.tenant_uid,
        "session": view.session_id,
        "state": standing.state.value,
        "why": standing.why,
        "agent": view.act.sub,
        "agent_issuer": view.act.iss,
        "user": view.sub,
        "opened_ms": view.opened_ms,
        "expires_ms": view.expires_ms,
        "active_ms": view.active_ms,
        "attended": view.opened is not None and view.opened.attended,
        "ancestors": list(view.ancestor_session_ids),
        "calls": view.calls,
    }


def _fields(view: SessionView, standing: Standing, lines_max: int) -> dict[str, Any]:
    return {
        **_head(view, standing),
        "purpose": None if view.opened is None else view.opened.purpose,
        "scopes": list(view.scopes),
        "risk": view.risk_level,
        "changed": view.changed or None,
        "grants": [_grant(grant) for grant in view.grants.values()],
        "read": [line._asdict() for line in view.read[-lines_max:]],
        "did": [line._asdict() for line in view.did[-lines_max:]],
    }


def _grant(grant: Delegation) -> dict[str, Any]:
    return {
        "uid": grant.uid,
        "hops": [
            {
                "uid": hop.uid,
                "from": hop.delegator.sub,
                "to": hop.act.sub,
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


def _show(screen: Screen, view: SessionView, standing: Standing, lines_max: int) -> None:
    why = f": {standing.why}" if standing.why else ""
    screen.say(
        f"session {view.tenant_uid}|{view.session_id} is {standing.state.value}{why}",
        _STYLES.get(standing.state, STRONG),
    )
    attended = "a person is present" if view.opened is not None and view.opened.attended else "unattended"
    rows = [
        ("agent", f"{view.act.sub} ({view.act.iss})"),
        ("for", f"{view.sub}, {attended}"),
        ("purpose", "" if view.opened is None else view.opened.purpose or ""),
        ("opened", _instant(view.opened_ms)),
        ("expires", _instant(view.expires_ms)),
        ("last active", _instant(view.active_ms)),
        ("opened from", ", ".join(view.ancestor_session_ids)),
        ("scopes", ", ".join(view.scopes)),
        ("risk", view.risk_level or ""),
        ("changed", view.changed),
    ]
    screen.table(("", ""), [row for row in rows if row[1]])
    hops = [hop for grant in view.grants.values() for hop in _grant(grant)["hops"]]
    if hops:
        screen.table(
            ("grant", "from", "to", "depth", "scopes", "tools", "expires"),
            [
                (
                    hop["uid"],
                    hop["from"],
                    hop["to"],
                    str(hop["depth"]),
                    ", ".join(hop["scopes"]),
                    ", ".join(hop["tools"]),
                    _instant(hop["expires_ms"]),
                )
                for hop in hops
            ],
            title="grants",
        )
    if view.calls:
        screen.table(
            ("tool", "calls"),
            [
                (tool, ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
                for tool, outcomes in sorted(view.calls.items())
            ],
            title="tools",
        )
    _lines(screen, "what it read", view.read[-lines_max:])
    _lines(screen, "what it did", view.did[-lines_max:])


def _lines(screen: Screen, title: str, lines: list[Line]) -> None:
    if lines:
        screen.table(
            ("when", "what", "call", "label", "why"),
            [(_instant(line.time_ms), line.what, line.call, line.label, line.text) for line in lines],
            title=title,
        )


def _count(view: SessionView, outcome: str) -> int:
    return sum(outcomes.get(outcome, 0) for outcomes in view.calls.values())


def _instant(value_ms: int) -> str:
    return format_instant(value_ms)[:19].replace("T", " ") if value_ms else ""
