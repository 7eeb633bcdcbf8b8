"""Shell text: `shell(text)` and `shell(list)`, whose result is a record of every command that the text can run."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from typing import Any

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import LISTS
from streams.policy.errors import EvaluationError
from streams.policy.ext.memoize import memoized
from streams.policy.ext.shell_files import FOLDER_CHANGERS, Folders, named_files
from streams.policy.ext.shell_parser import TEXT_BYTES_MAX
from streams.policy.ext.shell_script import CommandContext, Redirect, Script, SimpleCommand, read_script
from streams.policy.ext.shell_words import Word, literal_texts
from streams.policy.ext.shell_wrappers import InnerCommand, inspect_command

COMMANDS_MAX = 200
NESTING_MAX = 5
LINE_CHARS_MAX = 500
SHELLS_KEPT_MAX = 128

_SYSTEM_FOLDER = re.compile(r"(?:/usr)?(?:/local)?/s?bin/([^/]+)\Z|/opt/homebrew/bin/([^/]+)\Z")
_HARMLESS_TARGETS = frozenset(("/dev/null",))
_KEYWORDS = frozenset(
    (
        *("if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in"),
        *("{", "}", "!", "]]"),
    )
)


@memoized(SHELLS_KEPT_MAX)
def _of_text(text: str) -> dict[str, Any]:
    collector = _Collector()
    collector.add_text(text, CommandContext(), (), elevated=False, depth=0)
    return collector.record()


@memoized(SHELLS_KEPT_MAX)
def _of_words(words: tuple[str, ...]) -> dict[str, Any]:
    if not words or sum(map(len, words)) > TEXT_BYTES_MAX:
        raise EvaluationError(f"command must have a name, and at most {TEXT_BYTES_MAX} characters")
    if any("\x00" in word for word in words):
        raise EvaluationError("command has an invisible character")
    collector = _Collector()
    found = SimpleCommand(tuple(map(Word, words)), (), " ".join(words), CommandContext())
    collector.add_command(found, elevated=False, depth=0)
    return collector.record()


class _Collector:
    """Collects commands, including those that other commands run."""

    def __init__(self) -> None:
        self._commands: list[dict[str, Any]] = []
        # Paths by key; None if one of them is not known.
        self._redirects: dict[str, list[str] | None] = {"reads": [], "writes": []}
        self._variables: dict[str, None] = {}
        self._folders = Folders()
        self._moves_back_and_forth = False

    def add_text(self, text: str, context: CommandContext, env: tuple[str, ...], *, elevated: bool, depth: int) -> None:
        """Add the commands that a text runs.

        Raises:
            EvaluationError: they are not certain, or there are too many.
        """
        if depth > NESTING_MAX:
            raise EvaluationError("shell text nests commands too deeply")
        script: Script = read_script(text)
        self._variables.update(dict.fromkeys(script.variables))
        redirects = deque(
            sorted(
                [("reads", read) for read in script.reads] + [("writes", write) for write in script.writes], key=_place
            )
        )
        for index, found in enumerate(script.commands):
            while redirects and redirects[0][1].commands_before <= index:
                self._redirect(*redirects.popleft())
            inner = replace(found, context=found.context.within(context), env=(*env, *found.env))
            self.add_command(inner, elevated=elevated, depth=depth)
        while redirects:
            self._redirect(*redirects.popleft())

    def _redirect(self, key: str, redirect: Redirect) -> None:
        kept, target = self._redirects[key], redirect.target
        paths = self._folders.resolve((target.text,)) if target.literal else None
        if kept is not None:
            self._redirects[key] = None if paths is None else kept + [
                path for path in paths if path not in _HARMLESS_TARGETS
            ]  # fmt: skip

    def add_command(self, found: SimpleCommand, *, elevated: bool, depth: int) -> None:
        """Add a command and the commands that it runs.

        Raises:
            EvaluationError: they are not certain, or there are too many.
        """
        if len(self._commands) >= COMMANDS_MAX or depth > NESTING_MAX:
            raise EvaluationError("shell text has too many commands, or nests them too deeply")
        first = found.words[0]
        if not first.literal or not first.text:
            raise EvaluationError("shell text has a command whose name is known only at run time")
        system = _SYSTEM_FOLDER.match(first.text)
        name = next(filter(None, system.groups())) if system else first.text
        if name in _KEYWORDS:
            raise EvaluationError("shell text has a keyword where a command is expected")
        contents = inspect_command(name, found.words)
        args = literal_texts(found.words[1:])
        command = {
            "name": name,
            "line": found.line[:LINE_CHARS_MAX],
            "env": found.env,
            "piped": found.context.piped,
            "substituted": found.context.substituted,
            "nested": depth > 0,
            "elevated": elevated or contents.elevated,
            "opaque": contents.opaque,
        }
        if args is not None:
            command["args"] = args
        named = named_files(name, found.words[1:])
        files = None if named is None else self._folders.resolve(named)
        if files is not None:
            command["files"] = files
        self._commands.append(command)
        if name in FOLDER_CHANGERS:
            self._folders.change(found.words[1:])
            self._moves_back_and_forth = self._moves_back_and_forth or found.context.looped
        elif name in (".", "source"):
            self._folders.forget()
        for inner in contents.inner:
            self._add_inner(inner, found, elevated=elevated or contents.elevated, depth=depth + 1)

    def _add_inner(self, inner: InnerCommand, outer: SimpleCommand, *, elevated: bool, depth: int) -> None:
        env = (*outer.env, *inner.env)
        if inner.code is not None:
            context = replace(outer.context, looped=True) if inner.later else outer.context
            self.add_text(inner.code, context, env, elevated=elevated, depth=depth)
            return
        line = " ".join(word.text for word in inner.words)
        self.add_command(SimpleCommand(inner.words, env, line, outer.context), elevated=elevated, depth=depth)

    def record(self) -> dict[str, Any]:
        """Return the result of `shell()`."""
        if self._moves_back_and_forth:
            # The loop may have run before, so the folder in which it starts is not known either.
            for command in self._commands:
                if any(not file.startswith("/") for file in command.get("files", ())):
                    del command["files"]
        found: dict[str, Any] = {"commands": tuple(self._commands), "variables": tuple(self._variables)}
        for key, paths in self._redirects.items():
            if paths is not None and not (
                self._moves_back_and_forth and any(not path.startswith("/") for path in paths)
            ):
                found[key] = tuple(paths)
        return found


def _place(item: tuple[str, Redirect]) -> int:
    return item[1].commands_before


def to_shell(value: Any) -> dict[str, Any]:
    """Implement `shell(text)`, and `shell(list)` for a command that is given as a list of words."""
    if value.__class__ is str:
        return _of_text(value)
    if value.__class__ in LISTS and all(word.__class__ is str for word in value):
        return _of_words(tuple(value))
    raise no_overload("shell", value)
