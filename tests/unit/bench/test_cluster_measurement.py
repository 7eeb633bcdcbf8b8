"""When `bench.cluster` may bring the next fault about: silence after it must not count for the one before, and what it
is to meet must run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bench.cluster.deployment import Deployment
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


class Restarting(Deployment):
    """Starts nothing, and notes what it would have started."""

    def __init__(self, **running: bool) -> None:
        processes: dict[str, Any] = {name: SimpleNamespace(running=is_running) for name, is_running in running.items()}
        self.gates = {name: each for name, each in processes.items() if name.startswith("gate")}
        self.executors = {name: each for name, each in processes.items() if not name.startswith("gate")}
        self.started: list[str] = []

    def start_gate(self, name: str) -> None:
        self.started.append(f"the gate {name}")

    def start_executor(self, name: str) -> None:
        self.started.append(f"the executor {name}")


def test_what_has_ended_by_itself_is_reported_and_started_again() -> None:
    deployment = Restarting(**{"gate-1": False, "gate-2": True, "mail-1": False, "rest-1": True})
    assert deployment.restart_ended() == ["gate-1", "mail-1"]
    assert deployment.started == ["the gate gate-1", "the executor mail-1"]
    assert Restarting(**{"gate-1": True, "mail-1": True}).restart_ended() == []
