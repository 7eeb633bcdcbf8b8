"""Opens sessions, proposes intents in them and ends them, at a steady rate, in a process of its own.

Not a command for people: `python -m bench.soak.load JSON` begins at once; a line ends it. Its last line says what it
has put on the log.
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

import msgspec

from bench.workload import credential, ended, established, intent
from bench.world import ROOT_KEY, World
from streams.model.topics import INTENT, SESSION
from streams.sdk.credential import SessionCredential
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

SESSIONS_LIVE = 200
CALLS_PER_SESSION = 5
MESSAGE_TIMEOUT_MS = 300_000
FLUSH_MS = 120_000
STOP_S_MAX = 180
_TICK_S = 0.002


class _Slot(msgspec.Struct):
    """A place for one live session after the other."""

    session: SessionCredential
    calls_left: int


class _Sessions:
    """The sessions that are live, and their records."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._publisher = world.log.publisher()
        self.sessions = 0
        self.intents = 0
        # Some begin near their end, so that sessions end one after the other and not all at once.
        self._slots = [
            _Slot(self._open(), 1 + place * CALLS_PER_SESSION // SESSIONS_LIVE) for place in range(SESSIONS_LIVE)
        ]

    def propose(self) -> None:
        """Publish the next intent; a session that has made all of its calls ends, and another opens."""
        slot = self._slots[self.intents % SESSIONS_LIVE]
        record = intent(slot.session, self.intents)
        self._publisher.publish(self._world.outgoing(INTENT, slot.session.key, record, record.header))
        self.intents += 1
        slot.calls_left -= 1
        if not slot.calls_left:
            over = ended(ROOT_KEY, slot.session)
            self._publisher.publish(self._world.outgoing(SESSION, slot.session.key, over, over.header))
            slot.session, slot.calls_left = self._open(), CALLS_PER_SESSION

    def close(self) -> None:
        self._publisher.flush(FLUSH_MS)
        self._publisher.close()

    def _open(self) -> SessionCredential:
        session = credential(ROOT_KEY, self.sessions)
        event = established(ROOT_KEY, session)
        self._publisher.publish(self._world.outgoing(SESSION, session.key, event, event.header))
        self.sessions += 1
        return session


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    log = open_log(settings)
    world = World(settings.log, Path(order["folder"]), order["settings"], log, build_codec(settings), None)
    ending = threading.Event()
    threading.Thread(target=_await_end, args=(ending,), daemon=True).start()
    sessions = _Sessions(world)
    began_s = time.monotonic()
    while not ending.is_set():
        left_s = began_s + sessions.intents / order["rate"] - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, _TICK_S))
        else:
            sessions.propose()
    sessions.close()
    log.close()
    sys.stdout.write(f"{json.dumps({'sessions': sessions.sessions, 'intents': sessions.intents})}\n")


def _await_end(ending: threading.Event) -> None:
    sys.stdin.readline()
    ending.set()


class Load:
    """A load that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Use `loading`."""
        self._process = process

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def end(self) -> dict[str, int]:
        """End it; returns how many `sessions` and `intents` it has put on the log."""
        out, _ = self._process.communicate("end\n", timeout=STOP_S_MAX)
        if self._process.returncode:
            raise RuntimeError(f"the load ended with status {self._process.returncode}")
        report: dict[str, int] = json.loads(out.splitlines()[-1])
        return report


@contextlib.contextmanager
def loading(world: World, *, rate: int) -> Iterator[Load]:
    """A load that has begun when this is entered; the caller ends it."""
    # A machine that stands still for a while must not cost intents.
    kafka = {**world.settings.get("kafka", {}), "message.timeout.ms": MESSAGE_TIMEOUT_MS}
    settings = {**world.settings, "kafka": kafka} if world.kind == "kafka" else world.settings
    order: dict[str, Any] = {"settings": settings, "folder": str(world.folder), "rate": rate}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.soak.load", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Load(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    main()
