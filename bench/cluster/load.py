"""Proposes intents at a steady rate, in a process of its own, until it is asked to stop.

Not a command for people: `python -m bench.cluster.load JSON` says `ready`, waits for a line, and starts; the next line
ends it. Its last line says how many intents are on the log.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.workload import credential, intent
from bench.world import ROOT_KEY, World
from streams.model.topics import INTENT
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

# Agents wait out a lost quorum here, so that no intent is lost before it reaches the log.
MESSAGE_TIMEOUT_MS = 300_000
FLUSH_MS = 120_000
STOP_S_MAX = 180
_TICK_S = 0.002


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    log = open_log(settings)
    world = World(settings.log, Path(order["folder"]), order["settings"], log, build_codec(settings), None)
    sessions = [credential(ROOT_KEY, number) for number in range(order["sessions"])]
    publisher = log.publisher()
    ending = threading.Event()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threading.Thread(target=_await_end, args=(ending,), daemon=True).start()
    began_s, number = time.monotonic(), 0
    while not ending.is_set():
        left_s = began_s + number / order["rate"] - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, _TICK_S))
            continue
        session = sessions[number % len(sessions)]
        record = intent(session, number, marked=True)
        publisher.publish(world.outgoing(INTENT, session.key, record, record.header))
        number += 1
    publisher.flush(FLUSH_MS)
    publisher.close()
    log.close()
    sys.stdout.write(f"{json.dumps({'intents': number})}\n")


def _await_end(ending: threading.Event) -> None:
    sys.stdin.readline()
    ending.set()


class Load:
    """A load that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Use `loading`."""
        self._process = process

    def end(self) -> int:
        """End it; returns how many intents it has put on the log."""
        out, _ = self._process.communicate("end\n", timeout=STOP_S_MAX)
        if self._process.returncode:
            raise RuntimeError(f"the load ended with status {self._process.returncode}")
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        return int(report["intents"])


@contextlib.contextmanager
def loading(world: World, *, sessions: int, rate: int) -> Iterator[Load]:
    """A load that has begun when this is entered; the caller ends it."""
    kafka = {**world.settings["kafka"], "message.timeout.ms": MESSAGE_TIMEOUT_MS}
    order = {
        "settings": {**world.settings, "kafka": kafka},
        "folder": str(world.folder),
        "sessions": sessions,
        "rate": rate,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cluster.load", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdin is None or process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the load did not come up")
        process.stdin.write("go\n")
        process.stdin.flush()
        yield Load(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    main()
