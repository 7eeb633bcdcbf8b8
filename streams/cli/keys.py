"""`stoplog keys`: the root key, which session keys are derived from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.app.wiring import make_root_key
from streams.cli.options import JsonOption, StateDirOption, settings_from
from streams.cli.screen import OK, Screen

app = typer.Typer(help="Make the root key.", rich_markup_mode="rich")


@app.callback()
def _keys() -> None:
    """Make the root key."""


@app.command()
def new(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to, instead of where the settings say.")
    ] = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make a new root key, readable by its owner alone. Never writes over one.

    Gates and the token service have the same one; nobody else has it.
    """
    screen = Screen(as_json)
    path = out or settings_from(state_dir=state_dir).key_path
    make_root_key(path)
    screen.record({"root_key": str(path)})
    screen.say(f"root key made: {path}", OK)
    screen.say("give the same file to every gate and to the token service, and to nobody else")
