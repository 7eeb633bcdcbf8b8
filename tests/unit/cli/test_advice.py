"""The commands that messages, help texts and documents suggest: each is one that the command line understands."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli import main

ROOT = Path(__file__).parents[3]
PLACEHOLDER = "X"
"""Stands for a part of a message that is known when it is written."""

_QUOTED = re.compile(r"`stoplog ([^`]+)`")
_IN_DOCUMENTS = re.compile(r"(?m)^(?:    |\$ )stoplog ([^\n|>#&]+)")
_USAGE = re.compile(r"(?m)^### `stoplog .*$")
"""A heading of the reference of commands, which is made from the command: it leaves out the options that it needs."""

_OPTIONAL = re.compile(r"\[[^\]]*\]")
_LEAVING = ("..", "<", "$", "{", "(")


def texts_of(tree: ast.AST) -> Iterator[str]:
    """The texts in a module, each f-string as one with placeholders."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(id(value) for value in node.values)
            yield "".join(str(value.value) if isinstance(value, ast.Constant) else PLACEHOLDER for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def in_code() -> Iterator[tuple[str, str]]:
    for folder in ("streams", "examples/stoplog_demo"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for text in texts_of(ast.parse(path.read_text(encoding="utf-8"))):
                for found in _QUOTED.finditer(" ".join(text.split())):
                    yield str(path.relative_to(ROOT)), found[1]


def in_documents() -> Iterator[tuple[str, str]]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if "adr" in path.parts:
            continue  # decisions tell of their time
        text = _USAGE.sub("", path.read_text(encoding="utf-8")).replace("\\\n", " ")
        for pattern in (_QUOTED, _IN_DOCUMENTS):
            for found in pattern.finditer(text):
                yield str(path.relative_to(ROOT)), " ".join(found[1].split())


def check(command: str) -> None:
    """Parse a command as the command line does, up to the point at which it would run.

    A command without arguments names the command, so what it requires may be missing.
    """
    words = shlex.split(_OPTIONAL.sub("", command))
    current: Any = typer.main.get_command(main.app)
    context = current.make_context("stoplog", ["--help"], resilient_parsing=True)
    while words and words[0].startswith("--") and words[0] != "--help":
        option = next(one for one in current.params if words[0] in one.opts)
        words = words[1 if option.is_flag or option.is_eager else 2 :]
        if option.is_eager:
            return
    while hasattr(current, "resolve_command") and words and not words[0].startswith("-"):
        if words[0] == PLACEHOLDER or words[0].isupper():
            return
        name, found, words = current.resolve_command(context, words)
        assert found is not None, f"No such command in `{command}`"
        current = found
        context = current.make_context(name, [], parent=context, resilient_parsing=True)
    if words and words != ["--help"]:
        current.make_context(context.info_name, words, parent=context.parent)


CODE = sorted(set(in_code()))
DOCUMENTS = sorted(set(in_documents()))


def test_there_is_something_to_check() -> None:
    assert len(CODE) > 80
    assert len(DOCUMENTS) > 80


@pytest.mark.parametrize(("place", "command"), [*CODE, *DOCUMENTS])
def test_a_suggested_command_can_be_typed(place: str, command: str) -> None:
    if any(mark in command for mark in _LEAVING):
        command = re.sub(r"\S*(?:\.\.|<|\$|\{|\()\S*", PLACEHOLDER, command)
    check(command)


@pytest.mark.parametrize(
    "command", ["sesion list", "session shwo s-1", "kill --sesion s-1 --why x", "tail --no-follow"]
)
def test_a_command_that_can_not_be_typed_is_found(command: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing"):
        check(command)
