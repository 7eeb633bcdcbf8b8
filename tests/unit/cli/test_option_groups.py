"""Options that commands share are written once, and look the same in every command."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import pytest
import typer

from streams.cli import main
from streams.cli.commands.rules import group as rules
from streams.cli.options.groups import OptionGroup, takes_groups

SHARED = ("--log", "--bootstrap", "--state-dir", "--json", "--as", "--follow", "--root-key", "--instance")


@dataclass(frozen=True, kw_only=True)
class Place(OptionGroup):
    host: Annotated[str, typer.Option("--host", help="Where.")] = "here"
    port: Annotated[int | None, typer.Option("--port")] = None


@takes_groups
def command(
    *,
    name: Annotated[str, typer.Argument()],
    place: Place,
    loud: Annotated[bool, typer.Option("--loud")] = False,
) -> None:
    """Say it."""
    raise SystemExit(f"{name} {place} {loud}")


def test_the_options_of_a_group_stand_in_its_place() -> None:
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["name", "host", "port", "loud"]
    assert parameters["host"].default == "here"
    assert command.__doc__ == "Say it."


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["x"], "x Place(host='here', port=None) False"),
        (["x", "--port", "7", "--loud", "--host", "there"], "x Place(host='there', port=7) True"),
    ],
)
def test_a_command_gets_its_groups(args: list[str], said: str) -> None:
    app = typer.Typer()
    app.command()(command)
    with pytest.raises(SystemExit, match=f"^{said.replace('(', '[(]').replace(')', '[)]')}$"):
        typer.main.get_command(app)(args, standalone_mode=False)


def options(command: Any) -> Iterator[Any]:
    yield from (parameter for parameter in command.params if hasattr(parameter, "help"))
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(rules.load(name) if isinstance(command, rules.RulesGroup) else inner)


def test_shared_options_have_one_help_text() -> None:
    texts: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
    count = 0
    for name in main.COMMANDS:
        module = import_module(main._MODULES.get(name, f"streams.cli.commands.{name}"))
        app = getattr(module, f"{name}_app", None) or module.app
        for option in options(typer.main.get_command(app)):
            for shared in set(option.opts) & set(SHARED):
                texts[shared].add((option.help, getattr(option, "rich_help_panel", None)))
                count += 1
    assert {name: len(found) for name, found in texts.items()} == dict.fromkeys(SHARED, 1)
    assert count > 100
