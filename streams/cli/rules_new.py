"""`stoplog rules new`: a pack to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.option_groups import takes_groups
from streams.cli.options import Output
from streams.cli.screen import OK, WARN
from streams.operations.rules.scaffold import make_pack


@takes_groups
def new(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pack's name: lower-case letters, digits and `_`.")],
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where `bundle.yaml` is, or will be.")] = Path(
        "rules"
    ),
    tool: Annotated[
        str | None, typer.Option("--tool", metavar="SERVER.TOOL", help="The first tool it is for; NAME.use by default.")
    ] = None,
    output: Output,
) -> None:
    """Write a pack of two rules, with a fixture and with cases that pass; `rules test` runs them.

    Where there is no bundle yet, one is made. Nothing that is there is overwritten.
    """
    screen = output.screen()
    made = make_pack(directory, name, tool or f"{name}.use")
    for path in made.written:
        screen.record({"kind": "file", "file": str(path)})
        screen.say(f"wrote {path}")
    if made.must_be_listed:
        screen.say(f"add `{name}` to `packs` in {directory / 'bundle.yaml'}", WARN)
    screen.record({"kind": "summary", "pack": name, "must_be_listed": made.must_be_listed})
    screen.say(f"next: change the rules, then run `stoplog rules test {directory}`", OK)
