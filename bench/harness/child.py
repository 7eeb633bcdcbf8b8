"""Programs of a measurement in processes of their own: what a parent does with one, and what one does itself.

A child is a module that is given its order as JSON, in its only argument. What it prints is JSON, a line each time:
`"ready"` as soon as it works or can begin, and its report as the last line. A line on its standard input tells it to
begin, or to end. A child whose standard input ends has lost its parent, and ends.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

from bench.harness.checkouts import environment_of
from bench.harness.environments import REPOSITORY

END_S_MAX = 180.0
READY = "ready"
_TICK_S = 0.001


class Child:
    """A child that runs. As a context manager, it is killed in the end unless it has ended."""

    def __init__(
        self, module: str, order: Mapping[str, Any], *, checkout: Path | None = None, log: IO[bytes] | None = None
    ) -> None:
        """Start it.

        Args:
            module: what runs, by its full name.
            order: what it is told.
            checkout: where its imports come from, if not from here: another checkout of this repository. The module
                itself is always the one of this checkout.
            log: where its standard error goes, if not to that of the parent.
        """
        self._module = module
        self._hint = "" if log is None else f": see `{log.name}`"
        program, environment = ["-m", module], None
        if checkout is not None:
            program = [str(REPOSITORY.joinpath(*module.split(".")).with_suffix(".py"))]
            environment = environment_of(checkout)
        self._process = subprocess.Popen(
            [sys.executable, *program, json.dumps(order)],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def __enter__(self) -> Self:
        """Return the child, which has started already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Kill it. A no-op when it has ended."""
        self.kill()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def output(self) -> IO[str]:
        """What it prints."""
        if self._process.stdout is None:
            raise RuntimeError(f"`{self._module}` has no standard output")
        return self._process.stdout

    def wait_ready(self) -> None:
        """Block until it can begin.

        Raises:
            RuntimeError: it has ended instead.
        """
        if self.output.readline() != f"{json.dumps(READY)}\n":
            raise RuntimeError(f"`{self._module}` did not come up{self._hint}")

    def begin(self) -> None:
        """Tell a child that waits for it to begin."""
        if self._process.stdin is None:
            raise RuntimeError(f"`{self._module}` has no standard input")
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """Tell it to end, unless it ends by itself; returns its report.

        Raises:
            RuntimeError: it ended with an error.
            subprocess.TimeoutExpired: it did not end within `END_S_MAX`.
        """
        out, _ = self._process.communicate("end\n", timeout=END_S_MAX)
        if self._process.returncode:
            raise RuntimeError(f"`{self._module}` ended with status {self._process.returncode}{self._hint}")
        lines = out.splitlines()
        return json.loads(lines[-1]) if lines else None

    def freeze(self) -> None:
        """Let it stand still, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, wherever it is. A no-op when it has ended."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def read_order() -> dict[str, Any]:
    """Return the order of this child."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    return order


def say(what: object) -> None:
    """Print a line for the parent."""
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def await_begin() -> None:
    """Say that this child is ready, and block until its parent tells it to begin."""
    say(READY)
    if not sys.stdin.readline():
        sys.exit("the measurement has ended")


def ending() -> threading.Event:
    """Return an event that is set as soon as the parent tells this child to end."""
    told = threading.Event()

    def wait() -> None:
        sys.stdin.readline()
        told.set()

    threading.Thread(target=wait, daemon=True).start()
    return told


def paced(rate: float, told: threading.Event | None = None) -> Iterator[int]:
    """Count from 0 on, each number when it is due, whatever happens in between: a load that waits for nobody.

    Args:
        rate: numbers a second.
        told: ends it as soon as it is set.
    """
    told = told or threading.Event()
    began_s = time.monotonic()
    for number in itertools.count():
        while (left_s := began_s + number / rate - time.monotonic()) > 0 and not told.is_set():
            time.sleep(min(left_s, _TICK_S))
        if told.is_set():
            return
        yield number
