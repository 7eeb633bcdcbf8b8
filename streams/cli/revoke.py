"""`stoplog revoke` and `stoplog release`: take something back, give it back."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.app.operator import Operator
from streams.app.revoking import revocation_target, write_revocation
from streams.cli.options import BootstrapOption, JsonOption, LogOption, StateDirOption, settings_from
from streams.cli.screen import OK, Screen
from streams.model.revocation import RevocationKind, RevocationState

revoke_app = typer.Typer(add_completion=False)
release_app = typer.Typer(add_completion=False)

_WHAT = "What"
SessionOption = Annotated[
    str | None,
    typer.Option("--session", metavar="ID", help="A session (`s-1` or `tenant|s-1`).", rich_help_panel=_WHAT),
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="ID", help="An agent, in all its sessions.", rich_help_panel=_WHAT)
]
SubjectOption = Annotated[
    str | None, typer.Option("--subject", metavar="ID", help="A user, whoever acts for them.", rich_help_panel=_WHAT)
]
ToolOption = Annotated[
    str | None,
    typer.Option(
        "--tool", metavar="SERVER/NAME", help="A tool; `server/*` for all of a server.", rich_help_panel=_WHAT
    ),
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="ID", help="A whole tenant.", rich_help_panel=_WHAT)
]
AllOption = Annotated[bool, typer.Option("--all", help="Everything: the kill switch.", rich_help_panel=_WHAT)]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which goes on the record.")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who does it; by default the user of this system.")
]


@revoke_app.command()
def revoke(
    *,
    why: WhyOption,
    session: SessionOption = None,
    agent: AgentOption = None,
    subject: SubjectOption = None,
    tool: ToolOption = None,
    tenant: TenantOption = None,
    everything: AllOption = False,
    name: AsOption = None,
    log: LogOption = None,
    bootstrap: BootstrapOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Take something back. Gates deny, and executors refuse verdicts already given, from the record on.

    Sessions, agents and subjects without a tenant are of the tenant that the settings name.
    """
    kind, stated = _what(session, agent, subject, tool, tenant, everything)
    with Operator(settings_from(log, bootstrap, state_dir), name) as operator:
        _write(operator, kind, stated, RevocationState.REVOKED, why, Screen(as_json))


@release_app.command()
def release(
    *,
    why: WhyOption,
    session: SessionOption = None,
    agent: AgentOption = None,
    subject: SubjectOption = None,
    tool: ToolOption = None,
    tenant: TenantOption = None,
    everything: AllOption = False,
    name: AsOption = None,
    log: LogOption = None,
    bootstrap: BootstrapOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Give back what was revoked under the same name. A session that a rule has frozen may go on, too."""
    kind, stated = _what(session, agent, subject, tool, tenant, everything)
    with Operator(settings_from(log, bootstrap, state_dir), name) as operator:
        _write(operator, kind, stated, RevocationState.RELEASED, why, Screen(as_json))


def _what(
    session: str | None,
    agent: str | None,
    subject: str | None,
    tool: str | None,
    tenant: str | None,
    everything: bool,
) -> tuple[RevocationKind, str]:
    options = {
        RevocationKind.SESSION: session,
        RevocationKind.AGENT: agent,
        RevocationKind.SUBJECT: subject,
        RevocationKind.TOOL: tool,
        RevocationKind.TENANT: tenant,
        RevocationKind.ALL: "*" if everything else None,
    }
    given = [(kind, stated) for kind, stated in options.items() if stated is not None]
    if len(given) != 1:
        raise typer.BadParameter("name one of --session, --agent, --subject, --tool, --tenant, or --all")
    return given[0]


def _write(
    operator: Operator, kind: RevocationKind, stated: str, state: RevocationState, why: str, screen: Screen
) -> None:
    target = revocation_target(kind, stated, operator.settings.tenant)
    written = write_revocation(operator, kind, target, state, why)
    screen.record(
        {
            "kind": kind.value,
            "id": target,
            "state": state.value,
            "reason": why,
            "by": operator.name,
            "effective_ms": written.effective_at,
        }
    )
    what = "everything" if kind is RevocationKind.ALL else f"{kind.value.lower()} {target}"
    screen.say(f"{what} is {state.value.lower()}: on the {operator.log.name}", OK)
    if state is RevocationState.REVOKED:
        option = "--all" if kind is RevocationKind.ALL else f"--{kind.value.lower()} '{target}'"
        screen.say(f"undo with: stoplog release {option} --why TEXT")
