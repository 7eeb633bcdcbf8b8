"""`stoplog rules`: create, check, test and publish a folder of rules.

A command's module is loaded when the command is run: the checker alone takes longer to load than `rules status` to run.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer

from streams.cli.apps import Group, make_app

COMMANDS: dict[str, tuple[str, str, str]] = {
    "new": (
        "new",
        "new",
        "Write a first pack: two rules, a fixture, test cases and a scenario, which pass `rules test`.",
    ),
    "check": (
        "check",
        "check",
        "Report errors and doubtful places in rules, and errors in the files beside them.",
    ),
    "test": (
        "test",
        "run_tests",
        "Run the cases, scenarios and attacks beside the rules, and the histories beside the detectors.",
    ),
    "explain": (
        "explain",
        "explain",
        "Show how every rule evaluates one intent, and why: the parts of its condition, with their values.",
    ),
    "backtest": (
        "backtest",
        "run_backtest",
        "Run rules over the recorded history, and list the calls that they would decide otherwise, and because of "
        "what.",
    ),
    "shadow": (
        "shadow",
        "shadow",
        "Count the calls that rules in shadow have matched, and those that each would have decided otherwise.",
    ),
    "publish": (
        "publish",
        "publish",
        "Publish rules to the gates, which apply them at once.",
    ),
    "sign": ("publish", "sign", "Check a draft, and add your signature to it."),
    "promote": (
        "publish",
        "promote",
        "Apply the rules of the canary, which a share of sessions has, to all sessions.",
    ),
    "rollback": ("publish", "rollback", "Return to earlier rules, at once."),
    "status": (
        "status",
        "status",
        "Show which rules are in force, since when and by whom, and the earlier rules that you can return to.",
    ),
}
"""Commands by name: module, function, and the first paragraph of its documentation."""


class RulesGroup(Group):
    """Lists its commands from stubs, and loads a command when it is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load and return the command that the arguments name."""
        name, _stub, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest


def load(name: str) -> Any:
    """Load and return a command."""
    module, function, _ = COMMANDS[name]
    alone = make_app()
    alone.command(name)(getattr(import_module(f"streams.cli.commands.rules.{module}"), function))
    return typer.main.get_command(alone)


app = make_app("Create, test, explain and publish rules.", cls=RulesGroup)


def _stub() -> None:
    """Stand for a command in the list; never run."""


for _name, (_module, _function, _help) in COMMANDS.items():
    app.command(_name, help=_help)(_stub)
