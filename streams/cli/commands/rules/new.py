"""`stoplog rules new`: write a pack to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Output
from streams.cli.terminal.screen import OK, WARN
from streams.operations.rules.scaffold import make_pack


@takes_groups
def new(
    *,
    name: Annotated[str, typer.Argument(metavar="PACK", help="The pack's name: lower-case letters, digits and `_`.")],
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The folder with `bundle.yaml`; created if needed.")
    ] = Path("rules"),
    tool: Annotated[
        str | None,
        typer.Option("--tool", metavar="SERVER.TOOL", help="The tool that its rules apply to. By default PACK.use."),
    ] = None,
    output: Output,
) -> None:
    """Write a first pack: two rules, a fixture, test cases and a scenario, which pass `rules test`.

    If there is no bundle yet, one is created. Existing files are not overwritten.
    """
    screen = output.screen()
    made = make_pack(directory, name, tool or f"{name}.use")
    for path in made.written:
        screen.record({"record": "file", "file": str(path)})
        screen.say(f"wrote {path}")
    if made.must_be_listed:
        screen.say(f"add `{name}` to `packs` in {directory / 'bundle.yaml'}", WARN)
    screen.record({"record": "summary", "pack": name, "must_be_listed": made.must_be_listed})
    screen.say(f"next: change the rules, then run `stoplog rules test {directory}`", OK)
