"""A Faust application that keeps a row for each record, for `bench.faust.losses`.

Not a command for people: `python -m bench.faust.keeper JSON` runs until it is killed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROW_BYTES = 5_000
SOURCE = "source"


def main() -> None:
    """Run it."""
    import faust  # type: ignore[import-not-found]  # noqa: PLC0415 - of another environment

    order = json.loads(sys.argv[1])
    app = faust.App(
        order["name"],
        broker=f"kafka://{order['bootstrap']}",
        store="memory://",
        datadir=Path(order["folder"]) / "faust",
        processing_guarantee=order["guarantee"],
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=1,
        topic_replication_factor=1,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    source = app.topic(SOURCE, key_type=bytes, value_type=bytes, partitions=1)
    rows = app.Table("rows", key_type=bytes, value_type=bytes, partitions=1)
    seen = Path(order["seen"]).open("a", buffering=1)  # noqa: SIM115 - open until the process is killed

    @app.agent(source)
    async def keep(stream):  # type: ignore[no-untyped-def]  # Faust's stream has no public type
        async for event in stream.events():
            rows[event.key] = b"x" * ROW_BYTES
            seen.write(event.key.decode() + "\n")

    app.finalize()
    sys.argv = sys.argv[:1]
    faust.Worker(app, loglevel="WARN").execute_from_commandline()


if __name__ == "__main__":
    main()
