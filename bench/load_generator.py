"""Publishes intents at a steady rate, in a process of its own.

Other modules run it: `python -m bench.load_generator JSON` makes its intents, prints `ready`, waits for a line, and
starts.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.gate import intent_records
from bench.world import World
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

FLUSH_MS = 10_000
STOP_S_MAX = 60
_TICK_S = 0.001


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    log = open_log(settings)
    world = World(settings.log, Path(order["folder"]), order["settings"], log, build_codec(settings), None)
    records = list(intent_records(world, order["sessions"], order["first"], order["first"] + order["count"]))
    publisher = log.publisher()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began_s = time.monotonic()
    for number, record in enumerate(records):
        due_s = began_s + number / order["rate"]
        while (left_s := due_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _TICK_S))
        publisher.publish(record)
    publisher.flush(FLUSH_MS)
    publisher.close()
    log.close()


@contextlib.contextmanager
def loading(world: World, *, sessions: int, first: int, count: int, rate: int) -> Iterator[subprocess.Popen[str]]:
    """A loader that has begun when this is entered, and has ended when it is left."""
    order = {
        "settings": world.settings,
        "folder": str(world.folder),
        "sessions": sessions,
        "first": first,
        "count": count,
        "rate": rate,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load_generator", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the loader has no pipes")
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("the loader did not come up")
    process.stdin.write("go\n")
    process.stdin.flush()
    try:
        yield process
    finally:
        process.wait(STOP_S_MAX)


if __name__ == "__main__":
    main()
