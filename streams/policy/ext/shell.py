"""Shell text: `shell(text)` and `shell(list)`, a record of every command that it runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import LISTS
from streams.policy.errors import EvaluationError
from streams.policy.ext.memo import remembered
from streams.policy.ext.shell_tree import TEXT_BYTES_MAX, Found, Place, Script, read_script
from streams.policy.ext.shell_words import Word, literal_texts
from streams.policy.ext.shell_wrappers import Inner, look_into

COMMANDS_MAX = 200
NESTING_MAX = 5
LINE_CHARS_MAX = 500
SHELLS_KEPT_MAX = 128

_SYSTEM = re.compile(r"(?:/usr)?(?:/local)?/s?bin/([^/]+)\Z|/opt/homebrew/bin/([^/]+)\Z")
_HARMLESS_TARGETS = frozenset(("/dev/null",))
_KEYWORDS = frozenset(
    (
        *("if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in"),
        *("{", "}", "!", "]]"),
    )
)


@remembered(SHELLS_KEPT_MAX)
def _of_text(text: str) -> dict[str, Any]:
    collector = _Collector()
    collector.add_text(text, Place(), (), elevated=False, depth=0)
    return collector.record()


@remembered(SHELLS_KEPT_MAX)
def _of_words(words: tuple[str, ...]) -> dict[str, Any]:
    if not words or sum(map(len, words)) > TEXT_BYTES_MAX:
        raise EvaluationError(f"command must have a name, and at most {TEXT_BYTES_MAX} characters")
    if any("\x00" in word for word in words):
        raise EvaluationError("command has a character that can't be seen")
    collector = _Collector()
    found = Found(tuple(map(Word, words)), (), " ".join(words), Place())
    collector.add_command(found, elevated=False, depth=0)
    return collector.record()


class _Collector:
    """Gathers commands, those within commands included."""

    def __init__(self) -> None:
        self._commands: list[dict[str, Any]] = []
        self._reads: list[Word] = []
        self._writes: list[Word] = []

    def add_text(self, text: str, place: Place, env: tuple[str, ...], *, elevated: bool, depth: int) -> None:
        """Add what a text runs.

        Raises:
            EvaluationError: it can't be told what, or it is too much.
        """
        if depth > NESTING_MAX:
            raise EvaluationError("shell text has commands within commands too deep")
        script: Script = read_script(text)
        self._reads += script.reads
        self._writes += script.writes
        for found in script.commands:
            here = Place(found.place.piped or place.piped, found.place.substituted or place.substituted)
            inner = replace(found, place=here, env=(*env, *found.env))
            self.add_command(inner, elevated=elevated, depth=depth)

    def add_command(self, found: Found, *, elevated: bool, depth: int) -> None:
        """Add a command and what is behind it.

        Raises:
            EvaluationError: it can't be told what that is, or it is too much.
        """
        if len(self._commands) >= COMMANDS_MAX or depth > NESTING_MAX:
            raise EvaluationError("shell text has too many commands, or commands within commands too deep")
        first = found.words[0]
        if not first.literal or not first.text:
            raise EvaluationError("shell text has a command whose name is known only at run time")
        system = _SYSTEM.match(first.text)
        name = next(filter(None, system.groups())) if system else first.text
        if name in _KEYWORDS:
            raise EvaluationError("shell text has a keyword where a command is expected")
        look = look_into(name, found.words)
        args = literal_texts(found.words[1:])
        command = {
            "name": name,
            "line": found.line[:LINE_CHARS_MAX],
            "env": found.env,
            "piped": found.place.piped,
            "substituted": found.place.substituted,
            "nested": depth > 0,
            "elevated": elevated or look.elevated,
            "opaque": look.opaque,
        }
        self._commands.append(command if args is None else {**command, "args": args})
        for inner in look.inner:
            self._add_inner(inner, found, elevated=elevated or look.elevated, depth=depth + 1)

    def _add_inner(self, inner: Inner, outer: Found, *, elevated: bool, depth: int) -> None:
        env = (*outer.env, *inner.env)
        if inner.code is not None:
            self.add_text(inner.code, outer.place, env, elevated=elevated, depth=depth)
            return
        line = " ".join(word.text for word in inner.words)
        self.add_command(Found(inner.words, env, line, outer.place), elevated=elevated, depth=depth)

    def record(self) -> dict[str, Any]:
        """The value of `shell()`."""
        found: dict[str, Any] = {"commands": tuple(self._commands)}
        for key, words in (("reads", self._reads), ("writes", self._writes)):
            texts = literal_texts(words)
            if texts is not None:
                found[key] = tuple(text for text in texts if text not in _HARMLESS_TARGETS)
        return found


def to_shell(value: Any) -> dict[str, Any]:
    """`shell(text)`, and `shell(list)` of a command that is given as a list of words."""
    if value.__class__ is str:
        return _of_text(value)
    if value.__class__ in LISTS and all(word.__class__ is str for word in value):
        return _of_words(tuple(value))
    raise no_overload("shell", value)


SHELL_FUNCTIONS: dict[str, Callable[..., Any]] = {"shell": to_shell}
