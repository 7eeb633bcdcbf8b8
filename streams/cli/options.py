"""The options that several commands share, each with one name and one help text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.audit.signatures import SigningKey
from streams.cli.option_groups import OptionGroup
from streams.cli.screen import Screen
from streams.operations.signing_keys import is_encrypted, load_key_file, passphrase_from
from streams.wiring.settings import Settings, load_settings

_LOG_PANEL = "Where the log is"
_SIGNING_PANEL = "Signing"


class LogKind(StrEnum):
    """Which log."""

    KAFKA = "kafka"
    EMBEDDED = "embedded"


StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Local state and the embedded log.", rich_help_panel=_LOG_PANEL),
]
ByOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who does it; by default the user of this system.")
]
FollowOption = Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for more, or end with what is there.")]
InstanceOption = Annotated[
    str | None,
    typer.Option("--instance", metavar="NAME", help="The gate's stable name, different for each that runs."),
]
HistoryKeyOption = Annotated[
    Path | None,
    typer.Option("--root-key", metavar="FILE", help="Of the deployment that the history is from."),
]
OwnKeyOption = Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Whose first line the key is encrypted with; asked for, if there is none.",
        rich_help_panel=_SIGNING_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Connection(OptionGroup):
    """Where the log is. The settings count for what the options don't say."""

    log: Annotated[
        LogKind | None,
        typer.Option("--log", help="A Kafka cluster, or the embedded log in a file.", rich_help_panel=_LOG_PANEL),
    ] = None
    bootstrap: Annotated[
        str | None,
        typer.Option("--bootstrap", metavar="HOST:PORT", help="The cluster's brokers.", rich_help_panel=_LOG_PANEL),
    ] = None
    state_dir: StateDirOption = None

    def overrides(self, **others: object) -> dict[str, object]:
        """Return what the options say of the settings. Naming brokers means Kafka, unless another log is named."""
        log = LogKind.KAFKA if self.bootstrap is not None and self.log is None else self.log
        stated = {"log": log and log.value, "bootstrap": self.bootstrap, "state_dir": self.state_dir, **others}
        return {name: value for name, value in stated.items() if value is not None}

    def settings(self, **others: object) -> Settings:
        """Return the settings, with the options over them.

        Args:
            others: further settings of the command's own options; None for what was not given.

        Raises:
            SettingsError: see `load_settings`.
        """
        return load_settings(self.overrides(**others))


@dataclass(frozen=True, kw_only=True)
class Output(OptionGroup):
    """How a command writes."""

    as_json: Annotated[
        bool | None,
        typer.Option(
            "--json/--no-json",
            help="JSON lines, or tables for a person. By default tables on a terminal.",
            show_default=False,
        ),
    ] = None

    def screen(self) -> Screen:
        """Return what the command writes on."""
        return Screen(self.as_json)


@dataclass(frozen=True, kw_only=True)
class Signature(OptionGroup):
    """With which key something is signed, if it is."""

    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Sign it with this private key.", rich_help_panel=_SIGNING_PANEL),
    ] = None
    passphrase_file: PassphraseOption = None

    def signing_key(self) -> SigningKey | None:
        """Return the private key, or None without one; ask for the passphrase of an encrypted one.

        Raises:
            SigningKeyError: it can't be read or used.
        """
        return None if self.key is None else load_key(self.key, self.passphrase_file)


@dataclass(frozen=True, kw_only=True)
class SignedDraft(Signature):
    """The same, for what may be drafted instead of published, so that others sign it, too."""

    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DRAFT", help="Publish nothing: write a draft.", rich_help_panel=_SIGNING_PANEL),
    ] = None


def load_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    """Return the private key in a file; ask for the passphrase of an encrypted one.

    Raises:
        SigningKeyError: it can't be read or used.
    """
    passphrase = passphrase_from(passphrase_file)
    if passphrase is None and is_encrypted(path):
        passphrase = typer.prompt(f"Passphrase of {path}", hide_input=True, err=True).encode()
    return load_key_file(path, passphrase)
