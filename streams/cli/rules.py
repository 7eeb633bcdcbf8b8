"""`stoplog rules`: create, check, test and publish a directory of rules."""

from __future__ import annotations

from collections.abc import Callable

import typer

from streams.cli.rules_check import check, run_tests
from streams.cli.rules_explain import explain
from streams.cli.rules_new import new
from streams.cli.rules_publish import promote, publish, rollback, sign, status

app = typer.Typer(add_completion=False, help="Create, test, explain and publish rules.", rich_markup_mode="markdown")

_COMMANDS: dict[str, Callable[..., None]] = {
    "new": new,
    "check": check,
    "test": run_tests,
    "explain": explain,
    "publish": publish,
    "sign": sign,
    "promote": promote,
    "rollback": rollback,
    "status": status,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
