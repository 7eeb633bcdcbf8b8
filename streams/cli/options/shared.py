"""The options that several commands share. Each has one name and one help text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from streams.cli.apps import LOG_PANEL, SIGNING_PANEL
from streams.cli.main import given_before
from streams.cli.options.groups import OptionGroup
from streams.cli.terminal.screen import Screen

if TYPE_CHECKING:
    # Loaded when a command is run, so that its help answers at once.
    from streams.audit.signatures import SigningKey
    from streams.wiring.settings import Settings


class LogKind(StrEnum):
    """The kinds of log."""

    KAFKA = "kafka"
    EMBEDDED = "embedded"


def _reason(why: str) -> str:
    """Return the reason.

    Raises:
        BadParameter: it is empty: then the record would not say why somebody has read, erased or stopped something.
    """
    if not why.strip():
        raise typer.BadParameter("a reason must not be empty")
    return why


def _name(name: str | None) -> str | None:
    """Return the name.

    Raises:
        BadParameter: it is empty: then the record would not say who has done something.
    """
    if name is not None and not name.strip():
        raise typer.BadParameter("a name must not be empty")
    return name


def checked_url(text: str | None) -> str | None:
    """Return the URL.

    Raises:
        BadParameter: it is not a URL.
    """
    if text is None:
        return None
    try:
        place = urlsplit(text)
        is_url = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise typer.BadParameter("write a URL, such as `https://host.example/path`")
    return text


def checked_public(text: str, option: str) -> str:
    """Return a public key as text.

    Raises:
        BadParameter: the text is not a public key.
    """
    from streams.audit.signatures import PublicKey, SigningKeyError  # noqa: PLC0415 - so that help answers at once

    try:
        return str(PublicKey.parse(text))
    except SigningKeyError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="The folder of local state and of the embedded log. By default the setting `state_dir`.",
        rich_help_panel=LOG_PANEL,
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="Your name, which is recorded. By default your user name on this machine.",
        callback=_name,
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="The reason, which is recorded.", callback=_reason)
]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation. Needed where JSON is written.")]
BundleOption = Annotated[
    str | None,
    typer.Option("--name", metavar="BUNDLE", help="The bundle's name. By default the bundle that gates enforce."),
]
ChangesMaxOption = Annotated[
    int, typer.Option("--max", metavar="N", min=1, max=10_000, help="Show at most N calls that change.")
]
FollowOption = Annotated[
    bool, typer.Option("--follow/--no-follow", help="Wait for more records, or stop at the end of what is there.")
]
InstanceOption = Annotated[
    str | None,
    typer.Option(
        "--instance",
        metavar="NAME",
        help="The name of this gate or watch: the same after a restart, and no other one has it. By default the "
        "setting `instance`.",
    ),
]
HistoryKeyOption = Annotated[
    Path | None,
    typer.Option("--root-key", metavar="FILE", help="The root key of the deployment that the records are from."),
]
OwnKeyOption = Annotated[Path, typer.Option("--key", metavar="FILE", help="Sign with this private key.")]
_UNLOCK_HELP = "The passphrase of the key, in the first line of a file. Without it you are asked."
PassphraseOption = Annotated[Path | None, typer.Option("--passphrase-file", metavar="FILE", help=_UNLOCK_HELP)]
VaultTokenOption = Annotated[
    Path | None,
    typer.Option(
        "--vault-token", metavar="FILE", help="Your token of Vault. By default the setting `content.vault.token_file`."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Connection(OptionGroup):
    """Where the log is. The settings apply where an option is not given."""

    log: Annotated[
        LogKind | None,
        typer.Option(
            "--log",
            help="A Kafka cluster, or the embedded log in a file. By default the setting `log`.",
            rich_help_panel=LOG_PANEL,
        ),
    ] = None
    bootstrap: Annotated[
        str | None,
        typer.Option(
            "--bootstrap",
            metavar="HOST:PORT",
            help="The cluster's brokers. By default the setting `bootstrap`.",
            rich_help_panel=LOG_PANEL,
        ),
    ] = None
    state_dir: StateDirOption = None

    def overrides(self, **others: object) -> dict[str, object]:
        """Return the settings that the options state. Naming brokers implies Kafka, unless another log is named."""
        log = LogKind.KAFKA if self.bootstrap is not None and self.log is None else self.log
        stated = {"log": log and log.value, "bootstrap": self.bootstrap, "state_dir": self.state_dir, **others}
        return {name: value for name, value in stated.items() if value is not None}

    def command(self, text: str) -> str:
        """Return a command to type next, such as `stoplog session list`: with the options that say where the log is.

        Args:
            text: the command without `stoplog`.
        """
        before = {"--settings": given_before.get("settings")}
        after = {"--log": self.log, "--bootstrap": self.bootstrap, "--state-dir": self.state_dir}
        return " ".join(part for part in ("stoplog", _stated(before), text, _stated(after)) if part)

    def settings(self, **others: object) -> Settings:
        """Return the settings, overridden by the options.

        Args:
            others: further settings that options of the command state; None where an option was not given.

        Raises:
            SettingsError: see `load_settings`.
        """
        from streams.wiring.settings_loading import load_settings  # noqa: PLC0415 - see above

        return load_settings(self.overrides(**others))


@dataclass(frozen=True, kw_only=True)
class Output(OptionGroup):
    """How a command writes its output."""

    as_json: Annotated[
        bool | None,
        typer.Option(
            "--json/--no-json",
            help="Write JSON lines, or tables for a person. By default tables on a terminal, otherwise JSON.",
            show_default=False,
        ),
    ] = None

    def screen(self) -> Screen:
        """Return the screen that the command writes to."""
        return Screen(self.as_json)


@dataclass(frozen=True, kw_only=True)
class Listening(OptionGroup):
    """Where a service listens."""

    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="The address to listen on. By default `host` of the service's section of the settings.",
        ),
    ] = None
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            help="The port to listen on; 0 for any free port. By default `port` of the service's section.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Signature(OptionGroup):
    """The key to sign with, if any."""

    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Sign with this private key.", rich_help_panel=SIGNING_PANEL),
    ] = None
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help=_UNLOCK_HELP, rich_help_panel=SIGNING_PANEL),
    ] = None

    def signing_key(self) -> SigningKey | None:
        """Return the private key, or None if no key is given. Ask for the passphrase of an encrypted key.

        Raises:
            SigningKeyError: the key can't be read or used.
        """
        return None if self.key is None else load_key(self.key, self.passphrase_file)


@dataclass(frozen=True, kw_only=True)
class SignedDraft(Signature):
    """The key to sign with, and the file of a draft if others are to sign before anything is published."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DRAFT",
            help="Write a draft to this file and publish nothing.",
            rich_help_panel=SIGNING_PANEL,
        ),
    ] = None


def _stated(options: Mapping[str, object]) -> str:
    return " ".join(f"{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None)


def load_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    """Return the private key in a file. Ask for the passphrase of an encrypted key.

    Raises:
        SigningKeyError: the key can't be read or used.
    """
    from streams.operations.signing_keys import load_key_file  # noqa: PLC0415 - see above

    return load_key_file(path, read_passphrase(path, passphrase_file))


def read_passphrase(path: Path, passphrase_file: Path | None) -> bytes | None:
    """Return the passphrase of the private key in a file; None if the key is not encrypted. Ask for it without a file.

    Raises:
        SigningKeyError: a file can't be read.
    """
    from streams.operations.signing_keys import is_encrypted, passphrase_from  # noqa: PLC0415 - see above

    passphrase = passphrase_from(passphrase_file)
    if passphrase is None and is_encrypted(path):
        passphrase = typer.prompt(f"Passphrase of {path}", hide_input=True, err=True).encode()
    return passphrase
