"""`stoplog gate` as a process, on an embedded log: what it says at its start, and that no second one disturbs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Stoplog

END_S_MAX = 60.0


def started(home: Path, *options: str) -> subprocess.Popen[str]:
    """A gate that runs."""
    with (home / "gate.log").open("w") as log:
        command = [sys.executable, "-m", "streams.cli", "gate", "--json", *options]
        return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=log, text=True)


def wait_serving(gate: subprocess.Popen[str]) -> list[int]:
    """Block until it serves partitions; returns them."""
    assert gate.stdout is not None
    partitions: list[int] = json.loads(gate.stdout.readline())["partitions"]
    return partitions


@pytest.fixture
def gate(home: Path, stoplog: Stoplog) -> Iterator[subprocess.Popen[str]]:
    """The gate `gate-1` on an empty embedded log."""
    assert stoplog("keys", "new").status == 0
    assert stoplog("topics", "apply").status == 0
    running = started(home)
    try:
        wait_serving(running)
        yield running
    finally:
        running.kill()
        running.communicate(timeout=END_S_MAX)


def test_a_second_gate_of_the_same_name_is_refused_and_the_first_goes_on(
    gate: subprocess.Popen[str], home: Path
) -> None:
    second = started(home)
    out, _ = second.communicate(timeout=END_S_MAX)
    assert (second.returncode, out) == (1, "")
    assert "gate `gate-1` runs already with the state folder `.stoplog`: end that one first" in log_of(home)
    gate.send_signal(signal.SIGTERM)
    rest, _ = gate.communicate(timeout=END_S_MAX)
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["stopped"]
    assert gate.returncode == 0


def test_a_killed_gate_does_not_hold_up_the_next_one(gate: subprocess.Popen[str], home: Path) -> None:
    gate.kill()
    gate.communicate(timeout=END_S_MAX)
    next_one = started(home)
    try:
        assert wait_serving(next_one)
    finally:
        next_one.kill()
        next_one.communicate(timeout=END_S_MAX)


@pytest.mark.usefixtures("gate")
def test_a_gate_on_an_empty_log_tells_what_is_missing_and_nothing_else(home: Path) -> None:
    texts = [json.loads(line)["text"] for line in log_of(home).splitlines()]
    assert [text.partition(":")[0] for text in texts] == [
        "no rules of bundle `default` are in force",
        "no tool of the catalog is approved",
    ]
    assert all("every call is denied until" in text for text in texts)


def log_of(home: Path) -> str:
    """What the last gate that was started has logged."""
    return (home / "gate.log").read_text()
