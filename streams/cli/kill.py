"""`stoplog kill` and `stoplog release`: stop something everywhere, let it go on."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, JsonOption, LogOption, StateDirOption, settings_from
from streams.cli.screen import OK, Screen
from streams.model.revocation import RevocationKind, RevocationState
from streams.operations.operator import Operator
from streams.operations.stops import revocation_target, until_instant, write_revocation
from streams.wiring.operators import open_operator

kill_app = typer.Typer(add_completion=False)
release_app = typer.Typer(add_completion=False)

_WHAT = "What"
SessionOption = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="ID",
        help="A session (`s-1` or `tenant|s-1`), and its sub-sessions.",
        rich_help_panel=_WHAT,
    ),
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="ID", help="An agent, in all its sessions.", rich_help_panel=_WHAT)
]
UserOption = Annotated[
    str | None, typer.Option("--user", metavar="ID", help="A user, whoever acts for them.", rich_help_panel=_WHAT)
]
ToolOption = Annotated[
    str | None,
    typer.Option(
        "--tool", metavar="SERVER/NAME", help="A tool; `server/*` for all of a server.", rich_help_panel=_WHAT
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PROVIDER/NAME",
        help="A model; calls that name no model are stopped with it.",
        rich_help_panel=_WHAT,
    ),
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="ID", help="A whole tenant.", rich_help_panel=_WHAT)
]
DelegationOption = Annotated[
    str | None,
    typer.Option("--delegation", metavar="UID", help="A grant, and all that was given on.", rich_help_panel=_WHAT),
]
AllOption = Annotated[bool, typer.Option("--all", help="Everything.", rich_help_panel=_WHAT)]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which goes on the record.")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who does it; by default the user of this system.")
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="WHEN", help="When it goes on by itself: `2026-01-31T09:00:00Z`, or from now `30m`, `8h`."
    ),
]

_OPTIONS = {RevocationKind.ALL: "--all", RevocationKind.SUBJECT: "--user"}


@kill_app.command()
def kill(
    *,
    why: WhyOption,
    session: SessionOption = None,
    agent: AgentOption = None,
    user: UserOption = None,
    tool: ToolOption = None,
    model: ModelOption = None,
    tenant: TenantOption = None,
    delegation: DelegationOption = None,
    everything: AllOption = False,
    until: UntilOption = None,
    name: AsOption = None,
    log: LogOption = None,
    bootstrap: BootstrapOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Stop something, at once and everywhere.

    From the record on gates deny, executors refuse verdicts already given, and what waits for a person or a cancel
    window is denied for good. Sessions, agents and users without a tenant are of the tenant that the settings name.
    """
    kind, stated = _what(
        session=session,
        agent=agent,
        user=user,
        tool=tool,
        model=model,
        tenant=tenant,
        delegation=delegation,
        everything=everything,
    )
    with open_operator(settings_from(log, bootstrap, state_dir), name) as operator:
        until_ms = None if until is None else until_instant(until, operator.clock.now_ms())
        _write(operator, kind, stated, RevocationState.REVOKED, why, Screen(as_json), until_ms=until_ms)


@release_app.command()
def release(
    *,
    why: WhyOption,
    session: SessionOption = None,
    agent: AgentOption = None,
    user: UserOption = None,
    tool: ToolOption = None,
    model: ModelOption = None,
    tenant: TenantOption = None,
    delegation: DelegationOption = None,
    everything: AllOption = False,
    name: AsOption = None,
    log: LogOption = None,
    bootstrap: BootstrapOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Let go on what was stopped under the same name; a session that a rule has frozen, too.

    What was denied meanwhile stays denied, and what has ended stays ended.
    """
    kind, stated = _what(
        session=session,
        agent=agent,
        user=user,
        tool=tool,
        model=model,
        tenant=tenant,
        delegation=delegation,
        everything=everything,
    )
    with open_operator(settings_from(log, bootstrap, state_dir), name) as operator:
        _write(operator, kind, stated, RevocationState.RELEASED, why, Screen(as_json))


def _what(
    *,
    session: str | None,
    agent: str | None,
    user: str | None,
    tool: str | None,
    model: str | None,
    tenant: str | None,
    delegation: str | None,
    everything: bool,
) -> tuple[RevocationKind, str]:
    options = {
        RevocationKind.SESSION: session,
        RevocationKind.AGENT: agent,
        RevocationKind.SUBJECT: user,
        RevocationKind.TOOL: tool,
        RevocationKind.MODEL: model,
        RevocationKind.TENANT: tenant,
        RevocationKind.DELEGATION: delegation,
        RevocationKind.ALL: "*" if everything else None,
    }
    given = [(kind, stated) for kind, stated in options.items() if stated is not None]
    if len(given) != 1:
        named = ", ".join(_option(kind) for kind in options if kind is not RevocationKind.ALL)
        raise typer.BadParameter(f"name one of {named}, or --all")
    return given[0]


def _option(kind: RevocationKind) -> str:
    return _OPTIONS.get(kind, f"--{kind.value.lower()}")


def _write(
    operator: Operator,
    kind: RevocationKind,
    stated: str,
    state: RevocationState,
    why: str,
    screen: Screen,
    *,
    until_ms: int | None = None,
) -> None:
    target = revocation_target(kind, stated, operator.deployment.tenant_uid)
    written = write_revocation(operator, kind, target, state, why, until_ms)
    fields = {
        "kind": kind.value,
        "id": target,
        "state": state.value,
        "reason": why,
        "by": operator.name,
        "effective_ms": written.effective_at,
    }
    screen.record(fields if until_ms is None else {**fields, "until_ms": until_ms})
    what = "everything" if kind is RevocationKind.ALL else f"{_option(kind).removeprefix('--')} {target}"
    is_stop = state is RevocationState.REVOKED
    screen.say(f"{what} is {'stopped' if is_stop else 'released'}: on the {operator.log.name}", OK)
    if is_stop:
        option = "--all" if kind is RevocationKind.ALL else f"{_option(kind)} '{target}'"
        screen.say(f"undo with: stoplog release {option} --why TEXT")
