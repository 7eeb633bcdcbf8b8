"""The help of every command: what a person sees who has never used the program."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli import main
from streams.cli.commands_page import commands_page
from streams.cli.examples import EXAMPLES
from tests.unit.cli.conftest import Stoplog

COLUMNS = (80, 100)
"""The width of the terminal that nobody has made wider, and a wider one."""
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


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_a_page_is_read_without_markup(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = stoplog(*words, "--help")
    assert (result.status, result.err) == (0, "")
    assert "`" not in result.out
    lines = result.out.splitlines()
    assert max(len(line) for line in lines) <= columns
    # Types of Python are for programmers: an option without a value takes none, and an argument has a name.
    assert re.search(r"<(bool|str|int|path|list|[A-Z])", result.out) is None
    # Pages and examples write `INTENT`.
    assert "{" not in next(line for line in lines if "Usage:" in line)
    # Choices that do not fit into their column would be cut in the middle of a word.
    assert [line for line in lines if re.search("<[a-z][^>]*$", line)] == []


SECTIONS = ("Arguments", "Options", "own", "Signing", "Where the log is", "Commands", "Examples")
"""The order of the sections of a page; what a command has of its own stands in the middle."""

LAST = ("--as", "--json", "--help")
"""What most commands have, at the end."""


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_the_sections_of_all_pages_have_one_order(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = stoplog(*words, "--help").out
    titles = re.findall(r"^╭─ (.*?) ─*╮$", out, re.M)
    places = [SECTIONS.index(title if title in SECTIONS else "own") for title in titles]
    if words:
        assert places == sorted(places), titles
    options = out.partition("╭─ Options ")[2].partition("╰")[0]
    found = re.findall(r"^│ (?:[* ]  )?(--[a-z-]+)", options, re.M)
    assert [name for name in found if name in LAST] == [name for name in LAST if name in found]
    assert found[-1] == "--help"


VARIED = frozenset(
    [
        "--add",
        "--agent",
        "--all",
        "--archive",
        "--catalog",
        "--dir",
        "--dry-run",
        "--from",
        "--key",
        "--keys",
        "--max",
        "--only",
        "--out",
        "--passphrase-file",
        "--rules",
        "--session",
        "--tenant",
        "--to",
        "--tool",
        "--until",
        "--user",
        "--verbose",
        "--version",
    ]
)
"""Options that mean something else in another command, so that their help says something else."""


def test_an_option_that_means_the_same_has_the_same_words_everywhere() -> None:
    texts: dict[str, set[tuple[str | None, str]]] = defaultdict(set)
    for words in PAGES:
        command = typer.main.get_command(main.app)
        for name in words:
            context = command.make_context(name, [], resilient_parsing=True)
            _, command, _ = command.resolve_command(context, [name])
        for param in command.params:
            if param.param_type_name == "option":
                texts[param.opts[0]].add((param.metavar, param.help))
    assert {name for name, found in texts.items() if len(found) > 1} == VARIED


RUNNABLE = tuple(words for words in PAGES if " ".join(words) in EXAMPLES)


def test_every_command_that_can_be_run_has_an_example() -> None:
    groups = {words[:end] for words in PAGES for end in range(len(words))} - {("desk",), ("sts",)}
    assert {tuple(name.split()) for name in EXAMPLES} == set(PAGES) - groups


@pytest.mark.parametrize("words", RUNNABLE, ids=" ".join)
def test_an_example_is_a_command_line_that_the_command_takes(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = stoplog(*words, "--help").out.splitlines()
    for example in EXAMPLES[" ".join(words)]:
        assert f"│ {example:<76} │" in lines, "it can be copied from the help"
        program, *typed = shlex.split(example)
        assert (program, tuple(typed[: len(words)])) == ("stoplog", words)
        command, rest = typer.main.get_command(main.app), typed
        context = command.make_context("stoplog", rest[:1], resilient_parsing=True)
        for _ in words:
            name, command, rest = command.resolve_command(context, rest)
            # It fails if an option or a value is none that the command takes.
            context = command.make_context(name, list(rest), parent=context)


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
