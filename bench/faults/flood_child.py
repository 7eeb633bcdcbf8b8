"""Writes a flood of records to the intent topic as fast as the brokers take them, in a process of its own.

Other modules run it: `bench.faults.flood_child` makes its records, waits until it may begin, writes for the time that
it was told, and reports how many it has written.
"""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Producer

from bench.faults.floods import flood_records
from bench.harness.child import await_begin, read_order, say
from bench.harness.world import reopen
from streams.model.topics import INTENT

QUEUE_KB_MAX = 65_536
POLL_S = 0.01


def main() -> None:
    """Run it."""
    order = read_order()
    world = reopen(order)
    records = flood_records(world, order["flood"])
    producer = Producer({**order["client"], "linger.ms": 5, "queue.buffering.max.kbytes": QUEUE_KB_MAX})
    await_begin()
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
    say({"written": written})
    world.log.close()


if __name__ == "__main__":
    main()
