"""`stoplog desk`: notify people of alerts until a signal stops it, and see what waits."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output, StateDirOption

Sinks = Annotated[list[str] | None, typer.Argument(metavar="SINK", help="The sinks; by default all.")]

app = make_app()


@app.callback(invoke_without_command=True)
@takes_groups
def desk(*, context: typer.Context, connection: Connection, output: Output) -> None:
    """Notify people of alerts in chats, by pager and in a SIEM. Runs until SIGINT or SIGTERM.

    The section `desk` of the settings names the sinks and the routes. Alerts of one kind are one message with a
    count, even if many agents are involved. What nobody acknowledges is escalated. A sink that fails gets everything
    once it works again.

    The first signal lets it finish its work; a second one ends it at once.
    """
    if context.invoked_subcommand is None:
        from streams.cli.commands.desk_run import run_desk  # noqa: PLC0415 - so that the help answers at once

        run_desk(connection.settings(), output)


@app.command()
@takes_groups
def show(*, state_dir: StateDirOption = None, output: Output) -> None:
    """Show what waits for each sink, and why it was not delivered."""
    from streams.cli.commands.desk_run import show_desk  # noqa: PLC0415 - likewise

    connection = Connection(state_dir=state_dir)
    show_desk(connection, connection.settings(), output)


@app.command("test")
@takes_groups
def try_(*, sinks: Sinks = None, output: Output) -> None:
    """Send a test message to each sink, once, and say what it answers. It needs no running desk, and no log.

    For PagerDuty, it also resolves the incident that the message opens. It fails if a sink has not accepted the
    message.
    """
    from streams.cli.commands.desk_run import test_sinks  # noqa: PLC0415 - likewise

    test_sinks(Connection().settings(), sinks or [], output)


@app.command()
@takes_groups
def retry(*, sinks: Sinks = None, state_dir: StateDirOption = None, output: Output) -> None:
    """Send again the messages that were set aside because their sink did not take them."""
    from streams.cli.commands.desk_run import retry_messages  # noqa: PLC0415 - likewise

    retry_messages(Connection(state_dir=state_dir).settings(), sinks or [], output)
