"""Makes the records that agents and the token service write: sessions that are opened, and their intents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bench.harness.workload import credential, established, intent
from bench.harness.world import ROOT_KEY, World
from streams.model.topics import INTENT, SESSION
from streams.ports import Outgoing
from streams.sdk.agent.credential import SessionCredential


def session_records(world: World, sessions: Iterable[SessionCredential]) -> Iterator[Outgoing]:
    """Yield the records that open the sessions."""
    for session in sessions:
        event = established(ROOT_KEY, session)
        yield world.outgoing(SESSION, session.key, event, event.header)


def intent_records(world: World, sessions: int, first: int, end: int, *, marked: bool = False) -> Iterator[Outgoing]:
    """Yield the records of intents `first` to `end` of some sessions, made as they are asked for.

    Args:
        world: where they are published.
        sessions: how many sessions take turns.
        first: the number of the first intent.
        end: the number behind that of the last one.
        marked: whether no two of them are equal.
    """
    credentials = [credential(ROOT_KEY, number) for number in range(sessions)]
    for number in range(first, end):
        session = credentials[number % sessions]
        record = intent(session, number, marked=marked)
        yield world.outgoing(INTENT, session.key, record, record.header)
