"""When `bench.cluster` may bring the next fault about: silence after it must not count for the one before."""

from __future__ import annotations

from typing import Any

from bench.cluster.measurement import Seen, undecided
from bench.cluster.reading import Arrival, Stored


class Arrived:
    """The records that an observer has seen."""

    def __init__(self, *arrivals: tuple[float, int, str]) -> None:
        self.arrivals = [Arrival(at_ms, Stored(part, 0, b"", {"intent_id": name})) for at_ms, part, name in arrivals]


def seen(intents: Arrived, verdicts: Arrived) -> Seen:
    observers: Any = intents, verdicts
    return Seen(*observers)


def test_a_fault_is_over_once_every_intent_that_could_be_read_has_a_verdict() -> None:
    intents = Arrived((10.0, 0, "a"), (20.0, 3, "b"), (30.0, 4, "c"), (99.0, 5, "d"))
    waiting = seen(intents, Arrived((40.0, 0, "a")))
    assert undecided(waiting, 50.0) == {"b": 3, "c": 4}
    assert undecided(seen(intents, Arrived((40.0, 0, "a"), (41.0, 3, "b"), (42.0, 4, "c"))), 50.0) == {}
