"""`stoplog reach`: the most that an agent can call for a user."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output

app = make_app()


@app.command()
@takes_groups
def reach(
    *,
    agent: Annotated[str, typer.Option("--agent", metavar="ID", help="The agent, as its grants name it.")],
    user: Annotated[str, typer.Option("--user", metavar="ID", help="The user for whom the agent acts.")],
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="The tenant of both. By default the setting `tenant`.")
    ] = None,
    connection: Connection,
    output: Output,
) -> None:
    """Show the most that an agent can call for a user: tools, limits on their arguments, and the grants.

    Rules, budgets and approvals restrict this further. Grants are checked as a gate checks them, with the gate's
    settings and root key. Each grant expires. Sessions without a grant have no limits, unless the setting
    `gate.require_delegation` rejects them. With `--json`, the field `unbounded` names what has no limit: arguments,
    calls, amounts.
    """
    from streams.cli.commands.reach_run import run_reach  # noqa: PLC0415 - so that the help answers at once

    run_reach(connection, output, agent=agent, user=user, tenant=tenant)
