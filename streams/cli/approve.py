"""`stoplog approve` and `stoplog refuse`: decide about a held call."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.option_groups import takes_groups
from streams.cli.options import ByOption, Connection, Output
from streams.cli.screen import OK, WARN, Screen
from streams.codec.instants import format_instant
from streams.operations.approvals import Asked, find_request, write_decision
from streams.operations.operator import Operator
from streams.wiring.operators import open_operator

approve_app = typer.Typer(add_completion=False)
refuse_app = typer.Typer(add_completion=False)

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, or the beginning of it.")]
GroupOption = Annotated[
    list[str] | None, typer.Option("--group", metavar="NAME", help="A group you are in. May be given again.")
]
CommentOption = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Goes on the record.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask again.")]


@approve_app.command()
@takes_groups
def approve(
    *,
    task: TaskArgument,
    group: GroupOption = None,
    comment: CommentOption = None,
    name: ByOption = None,
    yes: YesOption = False,
    connection: Connection,
    output: Output,
) -> None:
    """Approve a held call. The gate judges it anew, on the state of now: an approval is no grant.

    `stoplog tail approvals` shows what is asked.
    """
    with open_operator(connection.settings(), name) as operator:
        _decide(operator, task, group or [], comment, output.screen(), approve=True, asks=not yes)


@refuse_app.command()
@takes_groups
def refuse(
    *,
    task: TaskArgument,
    group: GroupOption = None,
    comment: CommentOption = None,
    name: ByOption = None,
    yes: YesOption = False,
    connection: Connection,
    output: Output,
) -> None:
    """Refuse a held call: it is denied at once. So is a call in its cancel window."""
    with open_operator(connection.settings(), name) as operator:
        _decide(operator, task, group or [], comment, output.screen(), approve=False, asks=not yes)


def _decide(
    operator: Operator,
    task: str,
    groups: list[str],
    comment: str | None,
    screen: Screen,
    *,
    approve: bool,
    asks: bool,
) -> None:
    asked = find_request(operator, task)
    verb = "approve" if approve else "refuse"
    _show(screen, asked)
    if asks and not screen.as_json and not typer.confirm(f"{verb} it as {operator.name}?"):
        screen.say("nothing was decided", WARN)
        raise typer.Abort
    decision = write_decision(operator, asked, approve=approve, groups=groups, comment=comment)
    screen.record(
        {
            "task_id": decision.task_id,
            "intent_id": decision.intent_id,
            "session_id": decision.session_id,
            "status": decision.status.value,
            "by": decision.approver.sub,
        }
    )
    screen.say(f"decided: {decision.status.value.lower()}", OK)
    screen.say(f"the verdict follows: stoplog tail verdicts --session '{asked.key.decode('utf-8', 'replace')}'")


def _show(screen: Screen, asked: Asked) -> None:
    request = asked.request
    screen.table(
        ("", ""),
        [
            ("task", request.task_id),
            ("call", f"{request.tool.server_id}/{request.tool.name}"),
            ("arguments", request.args_json),
            ("for", f"{request.sub}, by agent {request.act.sub}, session {request.session_id}"),
            ("why asked", request.reason_text),
            ("rules", "; ".join(request.matched_rules) or "-"),
            ("has read", "; ".join(request.provenance) or "-"),
            ("did before", "; ".join(request.history) or "-"),
            ("can be undone", "yes" if request.reversible else "no"),
            ("who may decide", ", ".join(request.eligible_approvers) or "any person but those two"),
            ("approvals needed", str(request.quorum)),
            ("expires", format_instant(request.expires_at)),
        ],
    )
