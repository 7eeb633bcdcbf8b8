"""Names the commands to type next: each with what it shows, and complete."""

from __future__ import annotations

from collections.abc import Sequence

from streams.cli.options.shared import Connection
from streams.cli.terminal.screen import FAINT, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable


def tell_steps(screen: Screen, connection: Connection, steps: Sequence[tuple[str, str]]) -> None:
    """Write commands to type next, never wrapped, so that they can be copied.

    Args:
        connection: where the log is, which the commands repeat if an option says so.
        steps: for each command what it is for, and its text without `stoplog`.
    """
    width = max((len(what) for what, _ in steps), default=0)
    for what, text in steps:
        screen.rich(Text.assemble((f"{what:<{width}}  ", FAINT), printable(connection.command(text))))
