"""`stoplog session`: show one session, or list all sessions."""

from __future__ import annotations

import shlex
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.near_names import warn_unknown
from streams.cli.terminal.screen import WARN
from streams.cli.views.next_steps import tell_steps
from streams.cli.views.session import head_fields, session_fields, show_view
from streams.cli.views.sessions import show_list
from streams.model.revocation import RevocationKind
from streams.model.verdict import Outcome
from streams.operations.sessions.search import Filter, SessionMissingError, list_sessions, show_session
from streams.operations.sessions.view import LifeState, SessionView, Standing
from streams.operations.topics.lookup import find_session, tenant_and_name
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator

app = make_app("Show one session, or list all sessions.")

State = StrEnum("State", [(state.name, state.value) for state in LifeState])  # type: ignore[misc]  # mypy wants it written out
_STATES = ", ".join(f"`{state}`" for state in LifeState)


@app.command()
@takes_groups
def show(
    *,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="A session (`s-1` or `tenant|s-1`), or any id that belongs to it.")
    ],
    lines_max: Annotated[
        int,
        typer.Option("--max", metavar="N", min=1, max=10_000, help="Show the last N calls and inputs of the session."),
    ] = 20,
    connection: Connection,
    output: Output,
) -> None:
    """Show what the log says about a session: what it may do, what it read, what it asked for and the outcome.

    Arguments are shown where this client may read verdicts. The state is the last one that gates have recorded. A stop
    shows at once.
    """
    screen = output.screen()
    settings = connection.settings()
    codec, clock = build_codec(settings), SystemClock()
    trusted, officers = settings.release.trusted(), settings.content.trusted()
    with open_log(settings, create=False) as opened:
        tenant, name = tenant_and_name(session, settings.tenant)
        try:
            shown = show_session(opened, codec, tenant, name, clock, trusted, officers=officers)
        except SessionMissingError:
            owner = find_session(opened, codec, clock, session, settings.tenant)
            shown = show_session(opened, codec, owner.tenant_uid, owner.session_id, clock, trusted, officers=officers)
    view = shown.view
    standing = view.standing(shown.revocations, clock.now_ms())
    screen.record(session_fields(shown, standing, lines_max))
    if not screen.as_json:
        show_view(screen, shown, standing, lines_max)
        screen.say()
        tell_steps(screen, connection, _next_steps(view, standing))


def _next_steps(view: SessionView, standing: Standing) -> list[tuple[str, str]]:
    denied = [call for call in view.intents.values() if call.outcome is not Outcome.ALLOW]
    named = shlex.quote(f"{view.tenant_uid}|{view.session_id}")
    steps: list[tuple[str, str]] = []
    if view.intents:
        asked = (denied or list(view.intents.values()))[-1]
        what = "why the last one was not allowed" if denied else "why the last one was allowed"
        steps.append((what, f"explain {asked.intent_id}"))
    steps.append(("every record of the session", f"tail audit --session {named} --no-follow"))
    if standing.can_be_stopped:
        steps.append(("stop the session", f"kill --session {named} --why TEXT"))
    return steps


@app.command("list")
@takes_groups
def list_(
    *,
    agent: Annotated[str | None, typer.Option("--agent", metavar="ID", help="Only of this agent.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Only of this user.")] = None,
    state: Annotated[
        State | None, typer.Option("--state", metavar="STATE", help=f"Only in this state: {_STATES}.")
    ] = None,
    count_max: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=100_000, help="Show at most N sessions, the newest first.")
    ] = 100,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show complete ids, names and instants, however long the lines get.")
    ] = False,
    connection: Connection,
    output: Output,
) -> None:
    """List the sessions on the log, the newest first.

    An id is cut to the beginning that no other session has; `session show` takes it. JSON lines have complete ids.
    """
    screen = output.screen()
    settings = connection.settings()
    wanted = Filter(agent, user, None if state is None else LifeState(state.value))
    with open_operator(settings) as operator:
        log, codec, clock = operator.log, operator.codec, operator.clock
        found = list(islice(list_sessions(log, codec, wanted, clock, settings.release.trusted()), count_max))
        if not found and agent is not None:
            warn_unknown(operator, RevocationKind.AGENT, "agent", agent)
        if not found and user is not None:
            warn_unknown(operator, RevocationKind.SUBJECT, "user", user)
        now_ms = clock.now_ms()
    for listed in found:
        screen.record(head_fields(listed.view, listed.standing))
    if not screen.as_json:
        show_list(screen, found, now_ms, whole=wide)
    if not found:
        screen.say("no session matches", WARN)
        return
    screen.say()
    steps = [("what the first one read and did", f"session show {shlex.quote(found[0].short_id)}")]
    live = [listed.view for listed in found if listed.standing.state is LifeState.LIVE]
    if any(Outcome.REQUIRE_APPROVAL in view.waiting.values() for view in live):
        steps.append(("the questions that wait for a person", "approvals list"))
    tell_steps(screen, connection, steps)
