"""`stoplog approve` and `stoplog refuse`: decide on a pending call."""

from __future__ import annotations

from shlex import quote
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
    list[str] | None, typer.Option("--group", metavar="NAME", help="A group that you are in. Can be repeated.")
]
CommentOption = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="A comment, which is recorded.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")]


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
    """Approve a pending call. The gate then decides it again: the current rules and state can still deny it.

    `stoplog tail approvals` shows which calls are pending.
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
    """Deny a pending call, at once. A call in its cancel window can be denied, too."""
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
    verb = "Approve" if approve else "Deny"
    _show(screen, asked)
    if asks and not screen.as_json and not typer.confirm(f"{verb} this call as {operator.name}?"):
        screen.say("no decision was recorded", WARN)
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
    session = quote(asked.key.decode("utf-8", "replace"))
    screen.say(f"to see the verdict: stoplog tail verdicts --session {session}")


def _show(screen: Screen, asked: Asked) -> None:
    request = asked.request
    screen.table(
        ("", ""),
        [
            ("task", request.task_id),
            ("call", f"{request.tool.server_id}/{request.tool.name}"),
            ("arguments", request.args_json),
            ("for", f"{request.sub}, by agent {request.act.sub}, session {request.session_id}"),
            ("reason", request.reason_text),
            ("rules", "; ".join(request.matched_rules) or "-"),
            ("has read", "; ".join(request.provenance) or "-"),
            ("has done", "; ".join(request.history) or "-"),
            ("can be undone", "yes" if request.reversible else "no"),
            ("who may decide", ", ".join(request.eligible_approvers) or "any person but these two"),
            ("approvals needed", str(request.quorum)),
            ("expires", format_instant(request.expires_at)),
        ],
    )
