"""A Faust agent that does the least work (`bench.gates.minimal_work`) with each intent, and says what it cost.

Not a command for people: `python -m bench.faust.agent JSON` writes a JSON file. At least once, as Faust comes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import faust  # type: ignore[import-not-found]  # of another environment
import uvloop  # type: ignore[import-not-found]  # likewise

from bench.gates.minimal_work import advance, answer
from streams.codec.avro import Codec
from streams.codec.cloudevents import event_headers
from streams.codec.schemas import CommittedSchemas
from streams.model.intent import Intent
from streams.model.topics import INTENT, VERDICT

PARTITIONS = 6


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = faust.App(
        "bench-faust",
        broker=f"kafka://{order['bootstrap']}",
        store=order["store"],
        datadir=Path(order["folder"]),
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
        topic_disable_leader=True,
        # As for our gate: read what is committed, and the oldest first.
        consumer_auto_offset_reset="earliest",
        producer_linger=5,
        producer_compression_type="lz4",
    )
    codec = Codec(CommittedSchemas.load())
    intents = app.topic(INTENT.name, key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    verdicts = app.topic(VERDICT.name, key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    rows = app.Table("rows", key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    done = 0
    warm: tuple[float, float] | None = None

    @app.agent(intents)
    async def judge(stream):  # type: ignore[no-untyped-def]  # Faust's stream has no public type
        nonlocal done, warm
        async for event in stream.events():
            now_ms = time.time_ns() // 1_000_000
            intent = codec.decode(INTENT.name, event.value, ())
            if not isinstance(intent, Intent):
                continue
            row, count = advance(rows.get(event.key), intent, now_ms)
            rows[event.key] = row
            verdict = answer(intent, count, now_ms)
            await verdicts.send(
                key=event.key,
                value=codec.encode(VERDICT.name, verdict),
                headers=list(event_headers(VERDICT, verdict.header)),
            )
            done += 1
            if done == order["warm_up"]:
                warm = time.monotonic(), time.process_time()
            elif done == order["warm_up"] + order["count"] and warm is not None:
                report = {
                    "records": order["count"],
                    "wall_s": time.monotonic() - warm[0],
                    "cpu_s": time.process_time() - warm[1],
                }
                # A file, since Faust takes standard output for its log.
                Path(order["report"]).write_text(json.dumps(report))
                # Faust's orderly end takes many seconds, and nothing of it is measured.
                os._exit(0)

    app.finalize()
    faust.Worker(app, loglevel="WARN").execute_from_commandline()


if __name__ == "__main__":
    main()
