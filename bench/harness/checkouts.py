"""Runs commits of this repository, from temporary git worktrees with their own benchmark code and starter packs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from bench.harness.environments import REPOSITORY

END_S_MAX = 240


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """Check a commit out into a temporary git worktree, and remove that in the end."""
    with TemporaryDirectory(prefix="stoplog-compare-") as folder:
        checkout = Path(folder) / "earlier"
        _git("worktree", "add", "--detach", str(checkout), revision)
        try:
            yield checkout
        finally:
            _git("worktree", "remove", "--force", str(checkout))


def full_revision(revision: str) -> str:
    """Return the full hash of a commit."""
    return _git("rev-parse", revision).strip()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return done.stdout


def environment_of(checkout: Path) -> dict[str, str]:
    """Return the environment in which imports come from a checkout."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(checkout), str(checkout / "examples")))}


class TurnTaker:
    """A program that runs with the code of a checkout, and takes a turn when it is asked to.

    It prints `ready` as soon as it can begin, and then a line for each line that it reads.
    """

    def __init__(self, checkout: Path, program: str, *arguments: str) -> None:
        """Start it, and wait until it can begin.

        Args:
            checkout: where its imports come from.
            program: its text, which may use only what all compared versions have.
            arguments: those of its command line.

        Raises:
            RuntimeError: it has ended instead.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=checkout,
            env=environment_of(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError(f"the measurement in `{checkout}` did not start")

    def take_turn(self) -> str:
        """Let it take a turn, and return the line that it prints."""
        into = _open(self._process.stdin)
        into.write("turn\n")
        into.flush()
        return self._line()

    def close(self) -> None:
        """Let it end."""
        self._process.communicate(timeout=END_S_MAX)

    def _line(self) -> str:
        return _open(self._process.stdout).readline().strip()


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process has no such pipe")
    return pipe
