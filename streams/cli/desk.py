"""`stoplog desk`: notify people of alerts until a signal stops it, and see what waits."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output

Sinks = Annotated[list[str] | None, typer.Argument(metavar="[SINK]...", help="The sinks; by default all.")]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.callback(invoke_without_command=True)
@takes_groups
def desk(*, context: typer.Context, connection: Connection, output: Output) -> None:
    """Notify people of alerts, until SIGINT or SIGTERM: in chats, by pager, in a SIEM.

    The section `desk` of the settings names the sinks and the routes. Findings of one kind are one message with a
    count, whichever agents they are of. What nobody acknowledges is escalated. A sink that fails gets everything once
    it works again.

    The first signal lets it finish its work; a second one ends it at once.
    """
    if context.invoked_subcommand is None:
        from streams.cli.desk_run import run_desk  # noqa: PLC0415 - so that the help answers at once

        run_desk(connection.settings(), output)


@app.command()
@takes_groups
def show(*, connection: Connection, output: Output) -> None:
    """Show what waits for each sink, and why it was not delivered."""
    from streams.cli.desk_run import show_desk  # noqa: PLC0415 - likewise

    show_desk(connection, connection.settings(), output)


@app.command("test")
@takes_groups
def try_(
    *,
    sinks: Sinks = None,
    connection: Connection,
    output: Output,
) -> None:
    """Send a test message to each sink, once, and say what it answers. It needs no running desk, and no log."""
    from streams.cli.desk_run import test_sinks  # noqa: PLC0415 - likewise

    test_sinks(connection.settings(), sinks or [], output)


@app.command()
@takes_groups
def retry(
    *,
    sinks: Sinks = None,
    connection: Connection,
    output: Output,
) -> None:
    """Send messages again that were set aside, because their sink could not take them."""
    from streams.cli.desk_run import retry_messages  # noqa: PLC0415 - likewise

    retry_messages(connection.settings(), sinks or [], output)
