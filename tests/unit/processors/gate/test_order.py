"""The list of steps is the order of the page that explains a decision, and no check is left out of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

from streams.processors.gate import checks
from streams.processors.gate.order import CHECKS, STEPS

PAGE = Path("docs/explanation/deciding.md")


def test_the_steps_are_those_of_the_page() -> None:
    order = PAGE.read_text("utf-8").partition("## The order")[2].partition("\n## ")[0]
    numbered = re.findall(r"^(\d+)\. \*\*(.+?)\*\*", order, re.MULTILINE)
    assert [int(number) for number, _ in numbered] == list(range(1, len(STEPS) + 1))
    assert [title.rstrip(".") for _, title in numbered] == [step.title for step in STEPS]


def test_every_check_is_in_the_list_once() -> None:
    found = set()
    for module in pkgutil.iter_modules(checks.__path__):
        members = inspect.getmembers(importlib.import_module(f"{checks.__name__}.{module.name}"), inspect.isfunction)
        found |= {function for name, function in members if name.startswith("check_")}
    assert len(found) == len(list(pkgutil.iter_modules(checks.__path__)))
    assert found == set(CHECKS)
    assert len(CHECKS) == len(found)


@pytest.mark.parametrize("step", [step for step in STEPS if not step.checks], ids=lambda step: step.title)
def test_a_step_that_is_no_check_names_its_module(step: object) -> None:
    importlib.import_module(f"streams.processors.gate.{step.module}")
