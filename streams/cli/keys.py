"""`stoplog keys`: the root key, which session keys are derived from, and the keys that people sign with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output, StateDirOption
from streams.cli.screen import OK, Screen
from streams.operations.root_key import make_root_key
from streams.operations.signing_keys import make_key_file, passphrase_from

app = typer.Typer(add_completion=False, help="Make keys.", rich_markup_mode="rich")
publisher_app = typer.Typer(
    add_completion=False, help="Make the keys of those who publish rules.", rich_markup_mode="rich"
)
reviewer_app = typer.Typer(
    add_completion=False, help="Make the keys of those who review tools.", rich_markup_mode="rich"
)
app.add_typer(publisher_app, name="publisher")
app.add_typer(reviewer_app, name="reviewer")

OutOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the private key goes.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Encrypt it with what the first line says."),
]


@app.callback()
def _keys() -> None:
    """Make keys."""


@publisher_app.callback()
def _publisher() -> None:
    """Make the keys of those who publish rules."""


@reviewer_app.callback()
def _reviewer() -> None:
    """Make the keys of those who review tools."""


@app.command()
@takes_groups
def new(
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to, instead of where the settings say.")
    ] = None,
    state_dir: StateDirOption = None,
    output: Output,
) -> None:
    """Make a new root key, readable by its owner alone. Never writes over one.

    Gates and the token service have the same one; nobody else has it.
    """
    screen = output.screen()
    path = out or Connection(state_dir=state_dir).settings().key_path
    make_root_key(path)
    screen.record({"root_key": str(path)})
    screen.say(f"root key made: {path}", OK)
    screen.say("give the same file to every gate and to the token service, and to nobody else")


@publisher_app.command("new")
@takes_groups
def new_publisher(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Make the key that a person signs rules with, readable by its owner alone. Never writes over one.

    It belongs to one person, and on no machine that agents, executors or gates run on. Gates get the public key.
    """
    _make(output.screen(), out, passphrase_file, "rules.publishers")


@reviewer_app.command("new")
@takes_groups
def new_reviewer(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Make the key that a person approves tools with, readable by its owner alone. Never writes over one.

    It belongs to one person, and on no machine that agents, executors or gates run on. Gates get the public key.
    """
    _make(output.screen(), out, passphrase_file, "catalog.reviewers")


def _make(screen: Screen, out: Path, passphrase_file: Path | None, section: str) -> None:
    key = make_key_file(out, passphrase_from(passphrase_file))
    screen.record({"private_key": str(out), "public_key": str(key.public), "kid": key.public.kid})
    screen.say(f"private key made: {out}", OK)
    screen.say("keep it to yourself; in the settings of the gates, under your name:\n")
    screen.say(f'    [{section}]\n    NAME = "{key.public}"')
