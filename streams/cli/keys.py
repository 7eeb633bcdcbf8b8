"""`stoplog keys`: the root key, which session keys are derived from, and the keys of those who publish rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.app.signing_keys import passphrase_from
from streams.app.wiring import make_root_key
from streams.audit.signing import make_key_file
from streams.cli.options import JsonOption, StateDirOption, settings_from
from streams.cli.screen import OK, Screen

app = typer.Typer(add_completion=False, help="Make keys.", rich_markup_mode="rich")
publisher_app = typer.Typer(
    add_completion=False, help="Make the keys of those who publish rules.", rich_markup_mode="rich"
)
app.add_typer(publisher_app, name="publisher")


@app.callback()
def _keys() -> None:
    """Make keys."""


@publisher_app.callback()
def _publisher() -> None:
    """Make the keys of those who publish rules."""


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


@publisher_app.command("new")
def new_publisher(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the private key goes.")],
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help="Encrypt it with what the first line says."),
    ] = None,
    as_json: JsonOption = None,
) -> None:
    """Make the key that a person signs rules with, readable by its owner alone. Never writes over one.

    It belongs to one person, and on no machine that agents, executors or gates run on. Gates get the public key.
    """
    screen = Screen(as_json)
    key = make_key_file(out, passphrase_from(passphrase_file))
    screen.record({"private_key": str(out), "public_key": str(key.public), "kid": key.public.kid})
    screen.say(f"private key made: {out}", OK)
    screen.say("keep it to yourself; in the settings of the gates, under your name:\n")
    screen.say(f'    [rules.publishers]\n    NAME = "{key.public}"')
