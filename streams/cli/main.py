"""The command `stoplog`: its commands, and how it reports errors.

A command's module is loaded when the command is run, so that `stoplog --help` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from enum import StrEnum
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer

from streams.cli.apps import Group, make_app
from streams.cli.misuse import told
from streams.cli.terminal.text import label, printable
from streams.cli.unlogged import label_warnings
from streams.model.errors import FormError, SettingsError, StoplogError
from streams.ports import LogError, StoreError
from streams.ports.open_log import LogMissingError

FAILED = 1
"""Exit status: something is wrong, or could not be done."""

MISUSED = 2
"""Exit status: the command line or the settings are invalid."""

NOT_PROVEN = 3
"""Exit status: nothing wrong was found, but there was nothing that proves that all is well."""

INTERRUPTED = 130
"""Exit status: the person has stopped it, or has not confirmed what was asked."""

STATUSES = {
    0: "All is well.",
    FAILED: "Something is wrong, or could not be done.",
    MISUSED: "The command line or the [settings](settings.md) are invalid. Only `stoplog doctor` reports invalid "
    "settings as a failed check (1).",
    NOT_PROVEN: "Nothing wrong was found, but nothing proves that all is well either: `stoplog audit verify` has found "
    "verdicts, or a whole log, without a seal, or `stoplog replay` no verdict to compare.",
    INTERRUPTED: "It was interrupted (Ctrl-C), or you did not confirm what it asked.",
}
"""What each exit status means, for the reference."""

_FULL = (errno.ENOSPC, errno.EDQUOT)

SETTINGS_VARIABLE = "STOPLOG_SETTINGS"

_RUN = "Run"
_SET_UP = "Set up"
_SEE = "See what happens, and why"
_ACT = "Act"
_RULES = "Rules and tools"

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (_RUN, "Watch a hijacked agent being stopped, on this machine and with real tools."),
    "gate": (_RUN, "Run a gate, which reads intents and writes verdicts."),
    "watch": (_RUN, "Watch what gates decide for behaviour that is unusual, and raise alerts."),
    "desk": (_RUN, "Notify people of alerts: route, count, escalate and deliver them."),
    "sts": (_RUN, "Run the token service, which opens sessions for agents."),
    "ssf": (_RUN, "Receive security events from identity providers, and send them events about what is stopped here."),
    "try": (_RUN, "Run the whole engine over a history file; needs no setup."),
    "topics": (_SET_UP, "Show, check and create the topics that stoplog needs."),
    "keys": (_SET_UP, "Create the root key, and the keys that people, servers and gates sign with."),
    "doctor": (_SET_UP, "Check everything that a gate needs, and say what to fix."),
    "tail": (_SEE, "Print verdicts, audit records, alerts and other records as they arrive."),
    "reach": (_SEE, "Show the most that an agent can call for a user, and which grants permit it."),
    "explain": (_SEE, "Tell why a call was allowed or not, and where its values come from."),
    "session": (_SEE, "Show one session, or list all sessions."),
    "behaviour": (
        _SEE,
        "Show what is usual for an agent and what has changed, and announce work that would look unusual.",
    ),
    "audit": (_SEE, "Read the audit log: the story of a session, the causes of a call, and whether it is whole."),
    "replay": (_SEE, "Make the recorded verdicts again, and report which are the same byte for byte."),
    "incident": (_SEE, "Make a recorded session into a regression test."),
    "alerts": (_ACT, "List and show alerts, acknowledge and close them."),
    "contain": (_ACT, "List what a hijacked session did, what can be undone, and propose that."),
    "kill": (_ACT, "Stop a session, agent, user, tool, model or everything, at once and everywhere."),
    "release": (_ACT, "Release what was stopped, or a session that a rule has frozen."),
    "approvals": (_ACT, "List the questions to people, show, approve and deny them, and see what people have granted."),
    "rules": (_RULES, "Check, test and publish rules."),
    "attributes": (_RULES, "Show and write what your systems say about customers, documents, accounts."),
    "catalog": (_RULES, "Review which tools may be called: import, compare, approve."),
}
"""Commands by name: the panel of the help that lists them, and what they do."""

_MODULES = {
    "demo": "stoplog_demo.command",
    "try": "streams.cli.commands.try_",
    "release": "streams.cli.commands.kill",
    **{name: f"streams.cli.commands.{name}.group" for name in ("audit", "behaviour", "catalog", "keys", "rules")},
}
"""The modules of commands that are not in one of their own name: of some groups, each command has a module."""

EXTRAS = {
    "approvals": "sts",
    "audit": "archive",
    "demo": "demo",
    "desk": "desk",
    "gate": "gate",
    "watch": "gate",
    "ssf": "sts",
    "sts": "sts",
}
"""The extra to install for each command that needs more than the extra `cli`."""


COMPLETE_VARIABLE = "_STOPLOG_COMPLETE"
"""Set by the script of a shell that wants to know how a command line can go on."""

_PROGRAM = "stoplog"


class Shell(StrEnum):
    """The shells for which there is completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


given_before: dict[str, str] = {}
"""The options before the command that a command to type next must repeat."""


class ExtraMissingError(StoplogError):
    """A package that a command needs is not installed."""


class LazyGroup(Group):
    """A group that lists its commands from stubs, and loads a command when it is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load and return the command that the arguments name."""
        name, _stub, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, None, rest
        module = _load(name)
        app: typer.Typer = getattr(module, f"{name}_app", None) or module.app
        return name, typer.main.get_command(app), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name; it may load more when it is run."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise _explained(error, ctx.invoked_subcommand) from None


def _load(name: str) -> ModuleType:
    """Load the module of a command.

    Raises:
        ExtraMissingError: it needs a package that is not installed.
    """
    try:
        return import_module(_MODULES.get(name, f"streams.cli.commands.{name}"))
    except ModuleNotFoundError as error:
        raise _explained(error, name) from None


def _explained(error: ModuleNotFoundError, command: str | None) -> Exception:
    """Return the error to raise where a command misses a module: which extra to install, if it is in one."""
    package = (error.name or "").partition(".")[0]
    if command is None or package in ("", "streams", "stoplog_demo"):
        return error
    extra = EXTRAS.get(command, "cli")
    text = f"`stoplog {command}` needs `{package}`, which is not installed: run `pip install 'stoplog[{extra}]'`"
    return ExtraMissingError(text)


app = make_app(cls=LazyGroup, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})


def _print_version(wanted: bool) -> None:
    if wanted:
        from streams.cli.version import version_text  # noqa: PLC0415 - reads archives and mail headers

        typer.echo(version_text())
        raise typer.Exit


def _print_completion(shell: Shell | None) -> None:
    if shell is not None:
        from typer._completion_shared import get_completion_script  # noqa: PLC0415 - typer offers no public name for it

        typer.echo(get_completion_script(prog_name=_PROGRAM, complete_var=COMPLETE_VARIABLE, shell=shell.value))
        raise typer.Exit


@app.callback()
def _top(
    settings: Annotated[
        str | None,
        typer.Option("--settings", metavar="FILE", help="Read the settings from this file, not from `stoplog.toml`."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001 - `run` looks for it, because an error can occur before this is called
    version: Annotated[  # noqa: ARG001 - the callback does it
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    completion: Annotated[  # noqa: ARG001 - likewise
        Shell | None,
        typer.Option(
            "--completion",
            metavar="SHELL",
            help='Print what completes commands in bash, zsh or fish. For bash: eval "$(stoplog --completion bash)".',
            callback=_print_completion,
            is_eager=True,
        ),
    ] = None,
) -> None:
    """Decide, for every tool call that an AI agent proposes, whether it runs."""
    given_before.clear()
    if settings is not None:
        given_before["settings"] = os.environ[SETTINGS_VARIABLE] = settings


def _stub() -> None:
    """Stand for a command in the list; never run."""


for _name, (_panel, _help) in COMMANDS.items():
    app.command(_name, help=_help, rich_help_panel=_panel)(_stub)


def run(args: Sequence[str]) -> int:
    """Run a command line and return its exit status. Errors that a person can fix go to standard error."""
    if COMPLETE_VARIABLE in os.environ:
        from typer._completion_classes import completion_init  # noqa: PLC0415 - typer offers no public name for it

        completion_init()
    label_warnings()
    try:
        status = typer.main.get_command(app)(list(args) or ["--help"], prog_name=_PROGRAM, standalone_mode=False)
    except BrokenPipeError:
        # The reader of our output has closed it.
        _drop_output()
        return FAILED
    except (KeyboardInterrupt, typer.Abort) as end:
        if isinstance(end.__context__, EOFError):
            why = "standard input ended before the question was answered"
            instead = "where nobody can answer, give `--yes`, or `--passphrase-file` for a passphrase"
            typer.echo(f"\n{label('error', 'red')} {why}; {instead}", err=True)
        return INTERRUPTED
    except Exception as error:
        if "--debug" in args:
            traceback.print_exc()
        text, status = _message(error)
        if text is None:
            raise
        typer.echo(f"{label('error', 'red')} {text}", err=True)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return status
    return status if isinstance(status, int) else 0


def _drop_output() -> None:
    """Write nothing more to standard output, which can't be written: not even what is still in its buffer, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message(error: Exception) -> tuple[str | None, int]:
    """Return the message for a person, and the exit status. No message: the error is a bug in stoplog."""
    if (misuse := told(error)) is not None:
        return printable(misuse, lines=True), MISUSED
    from streams.policy.errors import PolicyError  # noqa: PLC0415 - only when there is an error to look at

    if isinstance(error, SettingsError | FormError):
        return printable(str(error), lines=True), MISUSED
    if isinstance(error, StoplogError | LogError | StoreError | PolicyError):
        return printable(f"{error}{_unread_settings(error)}", lines=True), FAILED
    if isinstance(error, OSError) and error.filename is not None:
        return printable(f"`{error.filename}` can't be used: {error.strerror}"), FAILED
    if isinstance(error, OSError) and error.errno in _FULL:
        # Of a file that is open already, the error has no name.
        return f"a file can't be written: {error.strerror}; make room on its disk", FAILED
    return None, FAILED


def _unread_settings(error: Exception) -> str:
    """Return what else may be wrong if something is not where the settings say: that none were read."""
    from streams.sdk.keys.root_key import RootKeyError  # noqa: PLC0415 - only when there is an error to look at
    from streams.wiring.settings_loading import settings_sources  # noqa: PLC0415 - likewise

    if not isinstance(error, LogMissingError | RootKeyError) or settings_sources():
        return ""
    return "\nno settings were read, because there is no `stoplog.toml` in this folder"


def main() -> None:
    """Run the command line that the process was started with, and exit."""
    sys.exit(run(sys.argv[1:]))
