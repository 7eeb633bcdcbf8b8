"""Measures how long partitions pause when a gate joins, leaves, or is killed (eager `range` assignment)."""

from __future__ import annotations

from typing import Any

from bench.faults.event_waits import Load, observe, waits
from bench.gates.gate import open_sessions
from bench.harness.gate_process import ServedGate, served_gate
from bench.harness.world import PARTITIONS, World, open_world

SESSIONS = 600
RATE = 200
AFTER_EVENT_S = 16
DRAIN_S_MAX = 60.0


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each event under a steady load; the quick run has only the one that waits for no session timeout."""
    events = ("join",) if quick else ("join", "leave", "kill")
    after_s = 4 if quick else AFTER_EVENT_S
    return {"rate_per_s": RATE, "partitions": PARTITIONS, "cases": [_case(event, after_s) for event in events]}


def _case(event: str, after_s: int) -> dict[str, Any]:
    with open_world("kafka", "empty") as world:
        open_sessions(world, SESSIONS)
        with served_gate(world, "gate-1") as first:
            second = ServedGate(world, "gate-2", {}) if event != "join" else None
            if second is not None:
                _wait_shared(first, second)
            return {"event": event, **_measure(world, event, second, after_s)}


def _wait_shared(first: ServedGate, second: ServedGate) -> None:
    """Wait until both serve a part."""
    while len(second.wait_serving()) == PARTITIONS:
        continue
    while len(first.wait_serving()) == PARTITIONS:
        continue


def _measure(world: World, event: str, second: ServedGate | None, after_s: int) -> dict[str, Any]:
    """Return the longest wait of an intent, by partition, around the event."""
    gates = [] if second is None else [second]

    def happen() -> None:
        if event == "join":
            gates.append(ServedGate(world, "gate-2", {}))
        elif event == "leave":
            # In the background: the reader must go on.
            gates[0].signal_stop()
        else:
            gates[0].kill()

    load = Load(SESSIONS, 0, RATE, after_s, DRAIN_S_MAX)
    observed = observe(world, load, happen)
    gates[0].stop()
    found = waits(world, observed)
    return {
        "longest_wait_before_ms": found.before_ms,
        "pause_ms": {str(partition): wait_ms for partition, wait_ms in found.by_partition_ms.items()},
        "pause_ms_max": max(found.by_partition_ms.values()),
        "verdicts": len(observed.verdicts),
        "intents": load.intents,
    }
