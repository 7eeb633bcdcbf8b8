"""Measures the time from the append of an intent until a read_committed consumer has its verdict, at a steady rate."""

from __future__ import annotations

import time
from typing import Any

from bench.gates.gate import open_sessions
from bench.harness.gate_process import served_gate
from bench.harness.load_generator import loading
from bench.harness.quantiles import quantile
from bench.harness.reading import POLL_MS, POLL_RECORDS, read_to_end
from bench.harness.world import KINDS, Kind, World, open_world
from streams.model.intent import Intent
from streams.model.topics import INTENT, SEAL_KEY, VERDICT
from streams.model.verdict import Verdict
from streams.ports import Received

SESSIONS = 5_000
RATES = (1_000, 100)
COMMIT_INTERVALS_MS = (10, 25)
WARM_UP_S = 2
BROKER_WARM_UP_S = 15
DRAIN_S_MAX = 30.0
# Beyond the 99.9th of fewer there is hardly a sample.
SAMPLES_FOR_P999_MIN = 5_000


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each log, each rate, each commit interval."""
    duration_s = 2 if quick else 12
    cases = []
    for kind in KINDS:
        with open_world(kind, "permit-all") as world:
            open_sessions(world, SESSIONS)
            first = 0 if quick else _warm_up(world)
            for interval_ms in COMMIT_INTERVALS_MS[-1:] if quick else COMMIT_INTERVALS_MS:
                with served_gate(world, commit_interval_ms=interval_ms) as gate:
                    for rate in RATES[:1] if quick else RATES:
                        count = rate * (duration_s + WARM_UP_S)
                        cpu_s = gate.cpu_s()
                        latencies = measure(world, first=first, count=count, rate=rate)
                        cpu_us = (gate.cpu_s() - cpu_s) / count * 1e6
                        first += count
                        cases.append(_case(kind, rate, interval_ms, latencies[rate * WARM_UP_S :], cpu_us))
    return {"sessions": SESSIONS, "duration_s": duration_s, "cases": cases}


def _warm_up(world: World) -> int:
    """Let the broker's Java compile what is used, for it is several times slower before. Returns the intents used."""
    count = RATES[0] * BROKER_WARM_UP_S
    with served_gate(world):
        measure(world, first=0, count=count, rate=RATES[0])
    return count


def _case(kind: Kind, rate: int, interval_ms: int, latencies_ms: list[float], cpu_us: float) -> dict[str, Any]:
    ordered = sorted(latencies_ms)
    return {
        "log": kind,
        "rate_per_s": rate,
        "commit_interval_ms": interval_ms,
        "samples": len(ordered),
        "p50_ms": quantile(ordered, 0.5),
        "p99_ms": quantile(ordered, 0.99),
        "p99_9_ms": quantile(ordered, 0.999) if len(ordered) >= SAMPLES_FOR_P999_MIN else None,
        "max_ms": ordered[-1],
        "gate_cpu_us_per_intent": cpu_us,
    }


def measure(world: World, *, first: int, count: int, rate: int) -> list[float]:
    """Return latencies in ms, in the order in which the intents were made.

    The append is the broker's LogAppendTime, in whole ms (rounded down, so that a latency is some 0.5 ms too long).

    Raises:
        RuntimeError: verdicts are missing.
    """
    begins = world.ends(INTENT)
    reader = world.log.reader()
    reader.assign(world.ends(VERDICT))
    seen: list[tuple[int, Received]] = []
    with loading(world, sessions=SESSIONS, first=first, count=count, rate=rate) as loader:
        deadline_s = time.monotonic() + count / rate + DRAIN_S_MAX
        while len(seen) < count:
            records = reader.poll(POLL_RECORDS, POLL_MS)
            now_ns = time.time_ns()
            seen.extend((now_ns, record) for record in records if record.key != SEAL_KEY)
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"only {len(seen)} of {count} verdicts came (does the loader run: {loader.running})")
    reader.close()
    readable_ns: dict[str, int] = {}
    for now_ns, record in seen:
        verdict = world.codec.decode(VERDICT.name, record.value, record.headers)
        if isinstance(verdict, Verdict):
            readable_ns[verdict.intent_id] = now_ns
    latencies = []
    for record in read_to_end(world, INTENT, begins):
        made = world.codec.decode(INTENT.name, record.value, record.headers)
        if isinstance(made, Intent):
            latencies.append((made.turn, readable_ns[made.intent_id] / 1e6 - record.timestamp_ms))
    return [latency_ms for _, latency_ms in sorted(latencies)]
