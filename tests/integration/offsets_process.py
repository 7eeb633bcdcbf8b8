"""Looks offsets up again and again, in a process of its own that a fault of the client library would end.

Not a test: `python -m tests.integration.offsets_process BOOTSTRAP TOPIC PARTITIONS` writes a line for each answer, and
for each time that there is none. It ends, with status 0, when its input is closed.
"""

from __future__ import annotations

import sys
import threading

from streams.kafka.lookups.offset_lookup import OffsetLookup
from streams.kafka.settings import NO_SETTINGS
from streams.ports import RetriableLogError, TopicPartition
from streams.ports.open_log import PLAIN_NAMES


def main() -> None:
    """Run it."""
    bootstrap, topic, partitions = sys.argv[1:]
    ended = threading.Event()
    threading.Thread(target=_await_end, args=(ended,), daemon=True).start()
    lookup = OffsetLookup(bootstrap, PLAIN_NAMES, NO_SETTINGS)
    asked = [TopicPartition(topic, number) for number in range(int(partitions))]
    while not ended.is_set():
        try:
            found = lookup.ends(asked)
            sys.stdout.write(f"answer {sorted(found.values())}\n")
        except RetriableLogError as error:
            sys.stdout.write(f"none: {error}\n")
        sys.stdout.flush()
    lookup.close()


def _await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
