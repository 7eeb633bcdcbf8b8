"""The help of every command: what a person sees who has never used the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli import main
from streams.cli.commands_page import commands_page
from tests.unit.cli.conftest import Stoplog

COLUMNS = 100
CLI = Path(main.__file__).parent


def pages(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    yield words
    for name in getattr(command, "commands", ()):
        context = command.make_context(name, [], resilient_parsing=True)
        _, found, _ = command.resolve_command(context, [name])
        yield from pages(found, (*words, name))


PAGES = tuple(pages(typer.main.get_command(main.app)))


def test_there_is_a_page_for_each_command() -> None:
    assert {words[0] for words in PAGES if words} == set(main.COMMANDS)
    assert ("audit", "hold", "set") in PAGES


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_a_page_is_read_without_markup(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    result = stoplog(*words, "--help")
    assert (result.status, result.err) == (0, "")
    assert "`" not in result.out
    lines = result.out.splitlines()
    assert max(len(line) for line in lines) <= COLUMNS
    # Types of Python are for programmers: an option without a value takes none, and an argument has a name.
    assert re.search(r"<(bool|str|int|path|list|[A-Z])", result.out) is None
    # Choices that do not fit into their column would be cut in the middle of a word.
    assert [line for line in lines if re.search("<[a-z][^>]*$", line)] == []


def test_the_reference_has_every_command_that_can_be_run() -> None:
    page = commands_page()
    shown = {tuple(re.sub(r"[.A-Z\[].*", "", line).split()) for line in re.findall(r"^### `stoplog (.*)`$", page, re.M)}
    groups = {words[:end] for words in PAGES for end in range(len(words))} - {("desk",), ("sts",)}
    assert shown == set(PAGES) - groups


def test_all_apps_are_made_alike() -> None:
    sources = {path: path.read_text() for path in CLI.glob("*.py") if path.name != "apps.py"}
    assert [path.name for path, text in sources.items() if "typer.Typer(" in text] == []


MEANINGS = {
    "A session (": "SESSION",
    "An intent, or its verdict": "INTENT",
    "The alert's id": "ALERT",
    "Ids of alerts": "ALERT",
    "The question's id": "QUESTION",
    "Ids of questions": "QUESTION",
}
"""How the help of an argument begins, and what stands for the argument."""


def test_arguments_that_mean_the_same_look_the_same() -> None:
    rows = re.findall(r"^\| `([A-Z|]+)(?:\.\.\.)?` \| \| (.*) \|$", commands_page(), re.M)
    known = [(name, meaning) for name, text in rows for meaning in MEANINGS if text.startswith(meaning)]
    assert {meaning for _, meaning in known} == set(MEANINGS)
    assert {(name, meaning) for name, meaning in known if MEANINGS[meaning] != name} == set()


def test_a_task_is_what_a_user_has_asked_for_and_not_a_question() -> None:
    page = commands_page()
    assert "| `--for` | `task\\|session` |" in page
    assert re.findall(r"\btask\b.*\bid\b|\bid\b.*\btask\b|\bTASK\b", page) == []


def test_the_commands_of_the_catalog_are_listed_in_the_order_of_their_use(stoplog: Stoplog) -> None:
    out = stoplog("catalog", "--help").out
    places = [out.index(f" {name} ") for name in ("import", "review", "approve", "block")]
    assert places == sorted(places)
