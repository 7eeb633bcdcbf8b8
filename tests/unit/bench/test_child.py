"""The processes of measurements: one that goes wrong must not look like one that has nothing to do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bench.harness.child import Child, paced

MODULE = "tests.unit.bench.echo_child"


def order(wrong: str = "") -> dict[str, str]:
    return {"text": "hello", "wrong": wrong}


def test_a_child_begins_and_ends_when_it_is_told_and_reports() -> None:
    with Child(MODULE, order()) as child:
        child.wait_ready()
        child.begin()
        assert child.running
        assert child.end() == {"heard": "hello"}
        assert not child.running


def test_a_child_that_does_not_come_up_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    path = tmp_path / "child.log"
    with path.open("ab") as log, Child(MODULE, order("early"), log=log) as child:  # noqa: SIM117 - it starts outside
        with pytest.raises(RuntimeError, match=f"did not come up: see `{path}`"):
            child.wait_ready()
    assert "ValueError: hello" in path.read_text()


def test_a_child_that_goes_wrong_has_no_report(tmp_path: Path) -> None:
    with (tmp_path / "child.log").open("ab") as log, Child(MODULE, order("late"), log=log) as child:
        child.wait_ready()
        child.begin()
        with pytest.raises(RuntimeError, match="ended with status 1"):
            child.end()


def test_a_child_ends_with_the_measurement() -> None:
    with Child(MODULE, order()) as child:
        child.wait_ready()
    assert not child.running


def test_numbers_come_in_order_until_the_end_is_told() -> None:
    told, seen = threading.Event(), []
    for number in paced(1e9, told):
        seen.append(number)
        if number == 2:
            told.set()
    assert seen == [0, 1, 2]
