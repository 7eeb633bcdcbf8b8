"""`stoplog catalog report-keys`: show and propose the keys that sign a server's reports."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.audit.signatures import PublicKey
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import ByOption, Connection, Output
from streams.cli.terminal.screen import FAINT, OK, WARN
from streams.cli.terminal.text import printable
from streams.operations.catalog.history import read_catalog_history, reference_of
from streams.operations.catalog.report_keys import keys_in_force, propose_report_keys
from streams.wiring.operators import open_operator


@takes_groups
def report_keys(
    *,
    server_id: Annotated[str, typer.Argument(metavar="SERVER", help="Your name for the server.")],
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="KEY", help="A public key that is to count, too. Can be repeated."),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="KEY", help="A public key that is not to count any longer. Can be repeated."),
    ] = None,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Show the keys that sign a server's reports, or propose other ones.

    Without `--add` and `--remove`, the keys in force are shown. A proposal counts once it is approved, as that of a
    tool. To replace a key, add the new one, start the executors with it, and then remove the old one.
    """
    screen = output.screen()
    with open_operator(connection.settings(), by) as operator:
        if not add and not remove:
            keys = keys_in_force(read_catalog_history(operator), server_id)
            screen.record({"server_id": server_id, "report_keys": list(keys)})
            if not keys:
                screen.say(f"no key signs reports of {printable(server_id)}: none of its reports counts", WARN)
            for key in keys:
                screen.say(f"{key}  (id {PublicKey.parse(key).kid})")
            return
        entry = propose_report_keys(operator, server_id, add or (), remove or ())
    reference = reference_of(entry)
    screen.record({"proposed": reference, "catalog_version": entry.catalog_version})
    screen.say(f"proposed: {printable(reference)}", OK)
    screen.say("it counts once it is approved: `stoplog catalog review`", FAINT)
