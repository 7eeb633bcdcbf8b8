"""Proposes intents at a steady rate, in a process of its own, until it is asked to stop.

Not a command for people: `bench.cluster.load` begins when it may, and its report says how many intents are on the log.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from bench.harness.child import Child, await_begin, ending, paced, read_order, say
from bench.harness.workload import credential, intent
from bench.harness.world import ROOT_KEY, World, reopen
from streams.model.topics import INTENT

# Agents wait out a lost quorum here, so that no intent is lost before it reaches the log.
MESSAGE_TIMEOUT_MS = 300_000
FLUSH_MS = 120_000
NICENESS = 10
"""A client that writes idempotently spins while more is queued than may be under way (librdkafka issue 3692). On a
machine that carries the cluster as well, the load would hold up what is measured, just when brokers come back."""


def main() -> None:
    """Run it."""
    os.nice(NICENESS)
    order = read_order()
    world = reopen(order)
    sessions = [credential(ROOT_KEY, number) for number in range(order["sessions"])]
    publisher = world.log.publisher()
    await_begin()
    made = 0
    for number in paced(order["rate"], ending()):
        session = sessions[number % len(sessions)]
        record = intent(session, number, marked=True)
        publisher.publish(world.outgoing(INTENT, session.key, record, record.header))
        made = number + 1
    publisher.flush(FLUSH_MS)
    publisher.close()
    world.log.close()
    say({"intents": made})


@contextlib.contextmanager
def loading(world: World, *, sessions: int, rate: int) -> Iterator[Child]:
    """Yield a load that has begun; the caller ends it, and is told how many `intents` it has made."""
    kafka = {**world.settings["kafka"], "message.timeout.ms": MESSAGE_TIMEOUT_MS}
    order = {
        "settings": {**world.settings, "kafka": kafka},
        "folder": str(world.folder),
        "sessions": sessions,
        "rate": rate,
    }
    with Child("bench.cluster.load", order) as child:
        child.wait_ready()
        child.begin()
        yield child


if __name__ == "__main__":
    main()
