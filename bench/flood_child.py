"""Writes a flood of records to the intent topic as fast as the brokers take them, in a process of its own.

Other modules run it: `python -m bench.flood_child JSON` makes its records, prints `ready`, waits for a line, writes for
the time that it was told, and prints how many it has written.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench.floods import flood_records
from bench.world import World
from streams.model.topics import INTENT
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

QUEUE_KB_MAX = 65_536
POLL_S = 0.01


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    log = open_log(settings)
    world = World(settings.log, Path(order["folder"]), order["settings"], log, build_codec(settings), None)
    records = flood_records(world, order["flood"])
    producer = Producer({**order["client"], "linger.ms": 5, "queue.buffering.max.kbytes": QUEUE_KB_MAX})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    written = 0

    def on_delivery(error: Any, _message: Any) -> None:
        nonlocal written
        written += error is None

    began_s, rate, number = time.monotonic(), order["rate"], 0
    while (passed_s := time.monotonic() - began_s) < order["duration_s"]:
        if rate and number >= rate * passed_s:
            producer.poll(POLL_S)
            continue
        record = records[number % len(records)]
        try:
            producer.produce(INTENT.name, record.value, record.key, record.partition, on_delivery)
            number += 1
            if number % 100 == 0:
                producer.poll(0)
        except BufferError:
            producer.poll(POLL_S)
    producer.purge()
    producer.flush(POLL_S)
    sys.stdout.write(f"{written}\n")
    log.close()


if __name__ == "__main__":
    main()
