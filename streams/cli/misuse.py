"""Says what is wrong with a command line, and how to write it, as all other errors are worded.

typer lists choices one below the other, behind tabs, quotes the input, and writes a sentence, which begins with
`Invalid value` even where our own text says all; what it says of a value may quote pydantic's kinds of errors.
"""

from __future__ import annotations

import re
from typing import Any

COMMANDS_SHOWN_MAX = 12
"""A longer list is that of `--help`."""

AFTER_COMMANDS = frozenset({"--log", "--bootstrap", "--state-dir", "--json", "--no-json"})
"""Options of most commands, which other programs take before them."""

OTHER_WORDS = {
    "stop": "kill",
    "revoke": "kill",
    "block": "kill",
    "resume": "release",
    "unblock": "release",
    "undo": "contain",
    "run": "gate",
    "start": "gate",
    "logs": "tail",
    "status": "doctor",
    "check": "doctor",
    "policy": "rules",
    "policies": "rules",
    "tools": "catalog",
    "why": "explain",
}
"""What people type for a command whose name looks different."""

_BREAKS = re.compile(r"\n?\t")
_QUOTED = re.compile(r"(?<!\w)'([^'`]*)'")
_OPTION = re.compile(r"(?<=^Invalid value for )--[\w-]+|(?<=^No such option: )-[\w-]+")
_NAME = re.compile(r"[A-Z]+")


def told(error: Any) -> str | None:
    """Return what is wrong with a command line, and where to read on; None if the error is about something else."""
    usage = getattr(error, "format_message", None)  # typer's errors have no public base class
    if usage is None:
        return None
    context = getattr(error, "ctx", None)
    if context is None:
        return _in_our_words(usage())
    text = _argument_as_option(error, context) or _in_our_words(usage()) + _commands(error, context)
    text += _misplaced(error, context)
    return f"{text}\nRun `{context.command_path} --help` for help."


def _in_our_words(text: str) -> str:
    """Return the text in one line, the input in backticks."""
    text = _BREAKS.sub(" ", text).replace(": Value error, ", ": ").replace(": Input should be ", ": it must be ")
    text = _QUOTED.sub(r"`\1`", _OPTION.sub(r"`\g<0>`", text).removeprefix("Invalid value: "))
    # The first letter of an acronym stays as it is.
    first = text[:1] if text[1:2].isupper() else text[:1].lower()
    return f"{first}{text[1:].removesuffix('.')}"


def _argument_as_option(error: Any, context: Any) -> str | None:
    """Return what to write where an argument was given like an option, as other commands take it: `--session s-1`."""
    if not hasattr(error, "possibilities"):
        return None
    option = error.option_name.lstrip("-")
    for param in context.command.params:
        metavar = param.metavar or param.name.upper()
        if param.param_type_name == "argument" and option.upper() in _NAME.findall(metavar):
            return f"write {metavar} without `--{option}`: `{context.command_path} {metavar}`"
    return None


def _misplaced(error: Any, context: Any) -> str:
    """Return where an option stands that is on the wrong side of the command."""
    if not hasattr(error, "possibilities"):
        return ""
    name, root = error.option_name, context.find_root()
    if context is root and name in AFTER_COMMANDS:
        return f"; it stands after the command: `{root.info_name} COMMAND {name} ...`"
    if context is not root and any(name in param.opts for param in root.command.params):
        typed = context.command_path.removeprefix(f"{root.info_name} ")
        return f"; it stands before the command: `{root.info_name} {name} ... {typed}`"
    return ""


def _commands(error: Any, context: Any) -> str:
    """Return which commands there are, where one is missing or unknown and no other one looks like it."""
    names = tuple(getattr(context.command, "commands", ()))
    message = getattr(error, "message", "")
    if not names or not message.startswith(("No such command", "Missing command")) or "Did you mean" in message:
        return ""
    typed = _QUOTED.search(message)
    other = OTHER_WORDS.get(typed[1]) if typed is not None else None
    if other in names:
        return f". Did you mean `{other}`?"
    if len(names) > COMMANDS_SHOWN_MAX:
        return ""
    return f"; the commands of `{context.command_path}` are {', '.join(f'`{name}`' for name in names)}"
