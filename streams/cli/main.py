"""The command `stoplog`: which commands there are, and how errors are told.

A command's module is loaded when the command is run, so that `stoplog --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streams.cli.text import printable
from streams.model.errors import SettingsError, StoplogError
from streams.ports import LogError, StoreError

FAILED = 1
"""Exit status: something is not as it should be, or could not be done."""

MISUSED = 2
"""Exit status: the command line or the settings can't be understood."""

INTERRUPTED = 130

SETTINGS_VARIABLE = "STOPLOG_SETTINGS"

_RUN = "Run"
_SET_UP = "Set up"
_WATCH = "Watch"
_ACT = "Act"
_RULES = "Rules and tools"

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (_RUN, "Watch a hijacked agent being stopped, on this machine and with real tools."),
    "gate": (_RUN, "Run a gate: read intents, write verdicts, until it is told to stop."),
    "sts": (_RUN, "Run the token service, which opens sessions for agents."),
    "try": (_RUN, "Run the whole engine over a history file, without any set-up."),
    "ssf": (_RUN, "Take security events of identity providers, and tell others of stops here."),
    "topics": (_SET_UP, "Show the topics that stoplog needs, check them, make them."),
    "keys": (_SET_UP, "Make the root key, and the keys that rules and tools are signed with."),
    "doctor": (_SET_UP, "Check everything a gate needs, and say what to do."),
    "tail": (_WATCH, "Print verdicts, audit records, alerts and more as they come."),
    "reach": (_WATCH, "Show what an agent can call for a user at most, and which grants let it."),
    "session": (_WATCH, "Show a session, or list those that there are."),
    "kill": (_ACT, "Stop a session, agent, user, tool, model or everything, at once and everywhere."),
    "release": (_ACT, "Let go on what was stopped, or what a rule has frozen."),
    "approve": (_ACT, "Approve a held call."),
    "refuse": (_ACT, "Refuse a held call."),
    "rules": (_RULES, "Check, test and publish rules."),
    "catalog": (_RULES, "Review what tools may be called: import, compare, approve."),
}
"""Commands by name: the panel of the help they are listed in, and what they do. `try` is in `cli/try_.py`."""

_MODULES = {
    "demo": "stoplog_demo.command",
    "try": "streams.cli.try_",
    "refuse": "streams.cli.approve",
    "release": "streams.cli.kill",
}


EXTRAS = {"demo": "demo", "gate": "gate", "ssf": "sts", "sts": "sts"}
"""Commands that need more than the extra `cli`: what installs it."""


class ExtraMissingError(StoplogError):
    """What a command needs is not installed."""


class LazyGroup(TyperGroup):
    """A group whose commands are listed by their stubs, and loaded when they are run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name, loaded."""
        name, _stub, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, None, rest
        module = _load(name)
        app: typer.Typer = getattr(module, f"{name}_app", None) or module.app
        return name, typer.main.get_command(app), rest


def _load(name: str) -> ModuleType:
    """Load the module of a command.

    Raises:
        ExtraMissingError: it needs a package that is not installed.
    """
    try:
        return import_module(_MODULES.get(name, f"streams.cli.{name}"))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "streams", "stoplog_demo"):
            raise
        extra = EXTRAS.get(name, "cli")
        text = f"`stoplog {name}` needs `{package}`, which is not installed: run `pip install 'stoplog[{extra}]'`"
        raise ExtraMissingError(text) from None


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stoplog {version('stoplog')}")
        raise typer.Exit


@app.callback()
def _top(
    settings: Annotated[
        str | None, typer.Option("--settings", metavar="FILE", help="Settings file, instead of `stoplog.toml`.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,  # noqa: ARG001 - `main` looks for it, also where an error comes before this is called
    version: Annotated[  # noqa: ARG001 - the callback does it
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Decides, for every tool call an AI agent proposes, whether it runs."""
    if settings is not None:
        os.environ[SETTINGS_VARIABLE] = settings


def _stub() -> None:
    """Listed, never run."""


for _name, (_panel, _help) in COMMANDS.items():
    app.command(_name, help=_help, rich_help_panel=_panel)(_stub)


def run(args: Sequence[str]) -> int:
    """Run a command line; returns its exit status. Whatever is a person's to mend is told on standard error."""
    try:
        status = typer.main.get_command(app)(list(args) or ["--help"], prog_name="stoplog", standalone_mode=False)
    except BrokenPipeError:
        # Whoever read our output has seen enough. Nothing more can be written, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if "--debug" in args:
            traceback.print_exc()
        text, status = _told(error)
        if text is None:
            raise
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {text}", err=True)
        return status
    return status if isinstance(status, int) else 0


def _told(error: Exception) -> tuple[str | None, int]:
    """What a person is told of an error, and the exit status. None: it is a bug of ours, and not for them to mend."""
    usage = getattr(error, "format_message", None)  # typer's errors have no base class that is public
    if usage is not None:
        context = getattr(error, "ctx", None)
        hint = f"\nsee `{context.command_path} --help`" if context is not None else ""
        return printable(f"{usage()}{hint}", lines=True), MISUSED
    from streams.policy.errors import PolicyError  # noqa: PLC0415 - only when there is an error to look at

    if isinstance(error, SettingsError):
        return printable(str(error), lines=True), MISUSED
    if isinstance(error, StoplogError | LogError | StoreError | PolicyError):
        return printable(str(error), lines=True), FAILED
    return None, FAILED


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))
