"""Options of commands that sign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.audit.signatures import SigningKey
from streams.operations.signing_keys import is_encrypted, load_key_file, passphrase_from

_PANEL = "Signing"

ByOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who does it; by default the user of this system.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Sign it with this private key.", rich_help_panel=_PANEL)
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Whose first line the key is encrypted with; asked for, if there is none.",
        rich_help_panel=_PANEL,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DRAFT", help="Publish nothing: write a draft.", rich_help_panel=_PANEL),
]


def load_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    """The private key in a file; asks for the passphrase of an encrypted one.

    Raises:
        SigningKeyError: it can't be read or used.
    """
    passphrase = passphrase_from(passphrase_file)
    if passphrase is None and is_encrypted(path):
        passphrase = typer.prompt(f"Passphrase of {path}", hide_input=True, err=True).encode()
    return load_key_file(path, passphrase)
