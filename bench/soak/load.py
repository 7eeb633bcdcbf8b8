"""Opens sessions, proposes intents in them and ends them, at a steady rate, in a process of its own.

Not a command for people: `bench.soak.load` begins at once, and its report says what it has put on the log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.harness.child import Child, ending, paced, read_order, say
from bench.harness.workload import credential, ended, established, intent
from bench.harness.world import ROOT_KEY, World, reopen
from streams.model.topics import INTENT, SESSION
from streams.sdk.agent.credential import SessionCredential

SESSIONS_LIVE = 200
CALLS_PER_SESSION = 5
MESSAGE_TIMEOUT_MS = 300_000
FLUSH_MS = 120_000


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
    order = read_order()
    world = reopen(order)
    told = ending()
    sessions = _Sessions(world)
    for _ in paced(order["rate"], told):
        sessions.propose()
    sessions.close()
    world.log.close()
    say({"sessions": sessions.sessions, "intents": sessions.intents})


@contextlib.contextmanager
def loading(world: World, *, rate: int) -> Iterator[Child]:
    """Yield a load that has begun.

    The caller ends it, and is told how many `sessions` and `intents` it has put on the log.
    """
    # A machine that stands still for a while must not cost intents.
    kafka = {**world.settings.get("kafka", {}), "message.timeout.ms": MESSAGE_TIMEOUT_MS}
    settings = {**world.settings, "kafka": kafka} if world.kind == "kafka" else world.settings
    order: dict[str, Any] = {"settings": settings, "folder": str(world.folder), "rate": rate}
    with Child("bench.soak.load", order) as child:
        yield child


if __name__ == "__main__":
    main()
