"""Publishes intents at a steady rate, in a process of its own.

Other modules run it: `bench.harness.load_generator` makes its intents, waits until it may begin, and ends by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.harness.child import Child, await_begin, paced, read_order, say
from bench.harness.records import intent_records
from bench.harness.world import World, reopen

FLUSH_MS = 10_000


def main() -> None:
    """Run it."""
    order = read_order()
    world = reopen(order)
    records = list(intent_records(world, order["sessions"], order["first"], order["first"] + order["count"]))
    publisher = world.log.publisher()
    await_begin()
    for record, _ in zip(records, paced(order["rate"]), strict=False):
        publisher.publish(record)
    publisher.flush(FLUSH_MS)
    publisher.close()
    world.log.close()
    say({"intents": len(records)})


@contextlib.contextmanager
def loading(world: World, *, sessions: int, first: int, count: int, rate: int) -> Iterator[Child]:
    """Yield a loader that has begun, and end it."""
    order = {
        "settings": world.settings,
        "folder": str(world.folder),
        "sessions": sessions,
        "first": first,
        "count": count,
        "rate": rate,
    }
    with Child("bench.harness.load_generator", order) as child:
        child.wait_ready()
        child.begin()
        yield child
        child.end()


if __name__ == "__main__":
    main()
