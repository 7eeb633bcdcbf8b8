"""The command line in a folder of its own, with no settings but those of the test."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.cli.main import run
from tests.unit.cli.recorded_site import configure, make_site


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def of_kind(result: Result, kind: str) -> list[dict[str, Any]]:
    """Its lines of one kind, as `record` names it."""
    return [record for record in result.records if record["record"] == kind]


Stoplog = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in."""
    for name in list(os.environ):
        if name.upper().startswith("STOPLOG_") and name != "STOPLOG_TEST_BOOTSTRAP":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Commands that serve configure logging for their process; the next test's is another."""
    root, ours = logging.getLogger(), logging.getLogger("streams")
    handlers, root_level, level = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(root_level)
    ours.setLevel(level)


@pytest.fixture
def stoplog(home: Path, capfdbinary: pytest.CaptureFixture[bytes], logging_as_it_was: None) -> Stoplog:
    """Runs a command line in this process."""

    def call(*args: str) -> Result:
        capfdbinary.readouterr()
        status = run(args)
        out, err = capfdbinary.readouterr()
        return Result(status, out.decode(), err.decode())

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site whose gate has decided calls: recorded once for a module, and not changed."""
    made = tmp_path_factory.mktemp("site")
    make_site(made)
    return made


@pytest.fixture
def site(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Stoplog:
    """Runs a command line on the recorded site."""
    configure(monkeypatch, folder)
    return stoplog
