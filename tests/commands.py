"""Command lines in processes of their own that do not load stoplog each: they are forked from one that has.

Such a process has its own folder, environment, output and exit status, as if a person had typed the command. To load
the modules of a command takes most of the time of a short one, and tests run hundreds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "mcp.client.stdio",
        "streams.cli.commands.approvals",
        "streams.cli.commands.catalog.group",
        "streams.cli.commands.doctor",
        "streams.cli.commands.keys.group",
        "streams.cli.commands.kill",
        "streams.cli.commands.rules.group",
        "streams.cli.commands.tail",
        "streams.cli.commands.topics",
        "streams.embedded.log",
        "streams.kafka.log",
        "streams.operations.review.permitted_use",
    ]
)


class Ran(NamedTuple):
    """How a command has ended, and what it has written."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has written, one record in each line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, Any]:
        """The only one of them."""
        (only,) = self.records
        return only


def run_command(args: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float) -> Ran:
    """Run `stoplog` with these arguments to its end.

    Args:
        folder: the one that it runs in.
        environment: its whole environment.
        timeout_s: it is killed after that, which fails the test.
    """
    with tempfile.TemporaryDirectory() as written:
        out, err = Path(written, "out"), Path(written, "err")
        process = _FORKING.Process(target=_run, args=(args, folder, dict(environment), out, err))
        process.start()
        process.join(timeout_s)
        process.kill()
        process.join()
        status = process.exitcode
        process.close()
        ran = Ran(-1 if status is None else status, out.read_text("utf-8"), err.read_text("utf-8"))
    assert ran.status >= 0, (args, ran)
    return ran


def _run(args: Sequence[str], folder: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    from streams.cli.start import main

    for descriptor, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["stoplog", *args]
    main()
