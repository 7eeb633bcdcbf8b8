"""Measures how long partitions pause when a gate joins, leaves, or is killed (eager `range` assignment)."""

from __future__ import annotations

import time
from typing import Any

from bench.gate import open_sessions
from bench.gate_process import ServedGate, served_gate
from bench.latency import POLL_MS, POLL_RECORDS, read_to_end
from bench.load_generator import loading
from bench.world import PARTITIONS, World, open_world
from streams.model.intent import Intent
from streams.model.topics import INTENT, VERDICT
from streams.model.verdict import Verdict
from streams.ports import Received

SESSIONS = 600
RATE = 200
STEADY_S = 4
AFTER_EVENT_S = 16
DRAIN_S_MAX = 60.0
# Intents that may still wait when the event comes.
MARGIN_MS = 1_500


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
    """Both serve a part."""
    while len(second.wait_serving()) == PARTITIONS:
        continue
    while len(first.wait_serving()) == PARTITIONS:
        continue


def _measure(world: World, event: str, second: ServedGate | None, after_s: int) -> dict[str, Any]:
    """The longest wait of an intent, by partition, around the event; less what is usual before it."""
    count = RATE * (STEADY_S + after_s)
    begins = world.ends(INTENT)
    reader = world.log.reader()
    reader.assign(world.ends(VERDICT))
    seen: list[tuple[int, Received]] = []
    happened_ms = 0
    began_s = time.monotonic()
    with loading(world, sessions=SESSIONS, first=0, count=count, rate=RATE):
        while len(seen) < count and time.monotonic() - began_s < STEADY_S + after_s + DRAIN_S_MAX:
            records = reader.poll(POLL_RECORDS, POLL_MS)
            seen.extend((time.time_ns(), record) for record in records)
            if not happened_ms and time.monotonic() - began_s >= STEADY_S:
                happened_ms = time.time_ns() // 1_000_000
                second = _happen(world, event, second)
    reader.close()
    if second is not None and event == "join":
        second.stop()
    waits = _waits(world, seen, read_to_end(world, INTENT, begins))
    before = max((wait for made_ms, _, wait in waits if made_ms < happened_ms - MARGIN_MS), default=0.0)
    by_partition = {
        partition: max(
            (wait for made_ms, at, wait in waits if at == partition and made_ms > happened_ms - MARGIN_MS), default=0.0
        )
        for partition in range(PARTITIONS)
    }
    return {
        "longest_wait_before_ms": before,
        "pause_ms": {str(partition): wait for partition, wait in by_partition.items()},
        "pause_ms_max": max(by_partition.values()),
        "verdicts": len(seen),
        "intents": count,
    }


def _happen(world: World, event: str, second: ServedGate | None) -> ServedGate | None:
    if event == "join":
        return ServedGate(world, "gate-2", {})
    if second is not None:
        # In the background: the reader must go on.
        second.signal_stop() if event == "leave" else second.kill()
    return second


def _waits(world: World, verdicts: list[tuple[int, Received]], intents: list[Received]) -> list[tuple[int, int, float]]:
    """Append time, partition and wait of each intent, in ms."""
    readable_ns: dict[str, int] = {}
    for now_ns, record in verdicts:
        verdict = world.codec.decode(VERDICT.name, record.value, record.headers)
        if isinstance(verdict, Verdict):
            readable_ns.setdefault(verdict.intent_id, now_ns)
    waits = []
    for record in intents:
        made = world.codec.decode(INTENT.name, record.value, record.headers)
        if isinstance(made, Intent) and made.intent_id in readable_ns:
            wait_ms = readable_ns[made.intent_id] / 1e6 - record.timestamp_ms
            waits.append((record.timestamp_ms, record.partition, wait_ms))
    return waits
