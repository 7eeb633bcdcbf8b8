"""An executor in a process of its own, which notes each call that it runs.

Not a command for people: `python -m bench.cluster.executor_child JSON` says `ready` once it can run calls, and works
until it reads a line. As a supervisor would, it starts anew after an error. It can be killed at any moment.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.cluster.calls import Ran
from bench.workload import TEXTS
from bench.world import ROOT_KEY, World
from streams.ports import LogError
from streams.sdk import (
    Executor,
    ExecutorError,
    FunctionTool,
    ReportKey,
    RevocationWatch,
    SingleUseError,
    SingleUseStore,
    VerdictLoop,
)
from streams.sdk.transport import Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

RESTART_PAUSE_S = 0.5
STOP_S_MAX = 60
# A call takes that long before its effect and after it, so that kills cut calls off on either side.
CALL_HALF_S = 0.01
_UUID_CHARS = 36

_Tool = Callable[[Mapping[str, object]], object]


class _Notes:
    """The file of the calls that have run here."""

    def __init__(self, path: Path, instance: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._instance = instance

    def tool(self, server_id: str, name: str) -> _Tool:
        """Return a tool whose effect is a line in the file."""

        def call(args: Mapping[str, object]) -> object:
            time.sleep(CALL_HALF_S)
            intent_id = str(args[TEXTS[server_id, name]])[-_UUID_CHARS:]
            ran = Ran(self._instance, time.time_ns() / 1e6, server_id, name, intent_id, dict(args))
            # INVARIANT: one write for each line, so a kill leaves a whole line or none, and what is written outlives
            # the process. The system does not die here, so nothing has to be forced to the disk.
            os.write(self._file, f"{json.dumps(ran)}\n".encode())
            time.sleep(CALL_HALF_S)
            return "done"

        return call


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
    notes = _Notes(Path(order["notes"]), order["instance"])
    tools = {
        f"{server_id}/{name}": FunctionTool(notes.tool(server_id, name))
        for server_id, name in TEXTS
        if server_id in order["servers"]
    }
    while not stop.is_set():
        try:
            _run(order, tools, stop)
        except (ExecutorError, SingleUseError, LogError):
            logging.exception("the executor starts anew")
            stop.wait(RESTART_PAUSE_S)


def _run(order: Mapping[str, object], tools: Mapping[str, FunctionTool], stop: threading.Event) -> None:
    """Run calls until `stop` is set, or an error comes."""
    settings = Settings.model_validate(order["settings"])
    instance, servers = str(order["instance"]), [str(each) for each in _list(order["servers"])]
    log = open_log(settings)
    transport = Transport(log, build_codec(settings), SystemClock())
    keys = {server_id: ReportKey.derived(ROOT_KEY, server_id) for server_id in servers}
    try:
        with (
            SingleUseStore(Path(str(order["single_use"])), instance) as store,
            RevocationWatch(transport) as watch,
            Executor(transport, servers, tools, store, report_keys=keys, revocations=watch) as executor,
        ):
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            VerdictLoop(executor, transport, group=str(order["group"]), instance=instance).run(stop)
    finally:
        log.close()


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _await_end(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


class RunningExecutor:
    """A running executor."""

    def __init__(self, world: World, instance: str, group: str, servers: tuple[str, ...]) -> None:
        """Start it, or start it again.

        Args:
            world: as its principal sees it.
            instance: its name.
            group: the consumer group of its servers.
            servers: whose calls it runs. Executors of the same group share the file of used verdicts.

        Raises:
            RuntimeError: it did not come up.
        """
        self._log = (world.folder / f"{instance}.log").open("ab")
        order = {
            "settings": world.settings,
            "instance": instance,
            "group": group,
            "servers": servers,
            "single_use": str(world.folder / f"{group}.sqlite"),
            "notes": str(notes_path(world.folder, instance)),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.cluster.executor_child", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            self.kill()
            raise RuntimeError(f"executor `{instance}` did not come up: see its log")

    def freeze(self) -> None:
        """Let it stand still, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, wherever it is. A no-op when it has ended."""
        self._process.kill()
        self._close()

    def end(self) -> None:
        """End it gracefully.

        Raises:
            RuntimeError: it ended with an error.
        """
        self._process.communicate("end\n", timeout=STOP_S_MAX)
        self._close()
        if self._process.returncode:
            raise RuntimeError(f"an executor ended with status {self._process.returncode}: see its log")

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._log.close()


def notes_path(folder: Path, instance: str) -> Path:
    """Return the file of the calls that an executor has run."""
    return folder / f"ran-{instance}.jsonl"


def read_notes(path: Path) -> list[Ran]:
    """Return the calls that an executor has run, over all of its lives.

    Raises:
        ValueError: a line is not whole.
    """
    return [Ran(*json.loads(line)) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
