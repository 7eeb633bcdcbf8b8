"""Options that several commands share, and the settings that they lead to."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.wiring.settings import Settings, load_settings

_PANEL = "Where the log is"


class LogKind(StrEnum):
    """Which log."""

    KAFKA = "kafka"
    EMBEDDED = "embedded"


LogOption = Annotated[
    LogKind | None,
    typer.Option("--log", help="A Kafka cluster, or the embedded log in a file.", rich_help_panel=_PANEL),
]
BootstrapOption = Annotated[
    str | None,
    typer.Option("--bootstrap", metavar="HOST:PORT", help="The cluster's brokers.", rich_help_panel=_PANEL),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Local state and the embedded log.", rich_help_panel=_PANEL),
]
JsonOption = Annotated[
    bool | None,
    typer.Option(
        "--json/--no-json",
        help="JSON lines, or tables for a person. By default tables on a terminal.",
        show_default=False,
    ),
]


def overrides_from(
    log: LogKind | None = None, bootstrap: str | None = None, state_dir: Path | None = None, **others: object
) -> dict[str, object]:
    """What the options say of the settings. Naming brokers means Kafka, unless another log is named."""
    if bootstrap is not None and log is None:
        log = LogKind.KAFKA
    overrides = {"log": log and log.value, "bootstrap": bootstrap, "state_dir": state_dir, **others}
    return {name: value for name, value in overrides.items() if value is not None}


def settings_from(
    log: LogKind | None = None, bootstrap: str | None = None, state_dir: Path | None = None, **others: object
) -> Settings:
    """The settings, with the options over them.

    Raises:
        SettingsError: see `load_settings`.
    """
    return load_settings(overrides_from(log, bootstrap, state_dir, **others))
