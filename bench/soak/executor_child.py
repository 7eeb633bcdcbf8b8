"""An executor in a process of its own, which runs the calls of one server.

Not a command for people: `python -m bench.soak.executor_child JSON` says `ready`, works until it reads a line, and says
how many calls it has run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.world import ROOT_KEY, World
from streams.ports import LogError
from streams.sdk import Executor, FunctionTool, ReportKey, RevocationWatch, SingleUseStore, VerdictLoop
from streams.sdk.transport import Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

SERVER = "mail"
TOOLS = ("mail/list", "mail/send")
GROUP = "stoplog-executor-soak"
INSTANCE = "e-1"
STOP_S_MAX = 60
REJOIN_S = 1.0


class _Calls:
    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def call(self, args: Mapping[str, object]) -> object:
        """Count, and answer as long as the arguments are."""
        with self._lock:
            self.count += 1
        return {"done": str(args)}


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    transport = Transport(open_log(settings), build_codec(settings), SystemClock())
    calls, stop = _Calls(), threading.Event()
    with (
        SingleUseStore(Path(order["single_use"]), INSTANCE) as store,
        RevocationWatch(transport) as watch,
        Executor(
            transport,
            [SERVER],
            {name: FunctionTool(calls.call) for name in TOOLS},
            store,
            report_keys=ReportKey.derived(ROOT_KEY, SERVER),
            revocations=watch,
        ) as executor,
    ):
        working = threading.Thread(target=_work, args=(executor, transport, stop), daemon=True)
        working.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        stop.set()
        working.join(STOP_S_MAX)
    sys.stdout.write(f"{json.dumps({'calls': calls.count})}\n")


def _work(executor: Executor, transport: Transport, stop: threading.Event) -> None:
    """Follow the verdicts. After a machine has stood still, the group has put the member out: it joins again."""
    while not stop.is_set():
        try:
            VerdictLoop(executor, transport, group=GROUP, instance=INSTANCE).run(stop)
        except LogError:
            logging.getLogger(__name__).exception("the executor joins its group again")
            stop.wait(REJOIN_S)


class RunningExecutor:
    """An executor that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Use `executing`."""
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def end(self) -> int:
        """End it; returns how many calls it has run."""
        out, _ = self._process.communicate("end\n", timeout=STOP_S_MAX)
        if self._process.returncode:
            raise RuntimeError(f"the executor ended with status {self._process.returncode}")
        return int(json.loads(out.splitlines()[-1])["calls"])


@contextlib.contextmanager
def executing(world: World) -> Iterator[RunningExecutor]:
    """An executor that has started when this is entered; the caller ends it."""
    order: dict[str, Any] = {"settings": world.settings, "single_use": str(world.folder / "used")}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.soak.executor_child", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the executor did not come up")
        yield RunningExecutor(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    main()
