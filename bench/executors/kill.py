"""Measures the time from the append of a stop of everything until the last of eight executors refuses, under load."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from bench.gates.gate import open_sessions
from bench.harness.child import Child
from bench.harness.gate_process import served_gate
from bench.harness.load_generator import loading
from bench.harness.quantiles import quantile
from bench.harness.reading import read_to_end
from bench.harness.workload import TENANT, now_ms
from bench.harness.world import World, open_world
from streams.model.keys import revocation_key
from streams.model.proof import derived_uuid
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.topics import REVOCATION
from streams.model.types import Header
from streams.ports import TopicPartition

EXECUTORS = 8
SESSIONS = 2_000
RATE = 1_000
WARM_UP_S = 5
STOPPED_S = 0.7
RELEASED_S = 0.8
AIM_MS = 1_000
BUCKETS_MS = (5, 10, 20, 50, 100, 200, 500, 1_000)


def run(*, quick: bool) -> dict[str, Any]:
    """Stop everything again and again while intents come, and calls run."""
    stops = 3 if quick else 25
    count = int(RATE * (WARM_UP_S + stops * (STOPPED_S + RELEASED_S)))
    with open_world("kafka", "permit-all") as world:
        open_sessions(world, SESSIONS)
        with served_gate(world), _executors(world) as executors:
            with loading(world, sessions=SESSIONS, first=0, count=count, rate=RATE):
                time.sleep(WARM_UP_S)
                released_ns = [_stop_and_release(world, number) for number in range(stops)]
            reports = [executor.end() for executor in executors]
        begin = {TopicPartition(REVOCATION.name, 0): 0}
        appended_ms = {record.offset: record.timestamp_ms for record in read_to_end(world, REVOCATION, begin)}
    return _result(stops, appended_ms, released_ns, reports)


def _stop_and_release(world: World, number: int) -> int:
    """Stop everything for a while; returns when it was released, in ns."""
    _write(world, RevocationState.REVOKED, number)
    time.sleep(STOPPED_S)
    released_ns = time.time_ns()
    _write(world, RevocationState.RELEASED, number)
    time.sleep(RELEASED_S)
    return released_ns


def _write(world: World, state: RevocationState, number: int) -> None:
    time_ms = now_ms()
    name = f"{state.value} {number}"
    header = Header(id=derived_uuid("bench stop", name), source="bench", time=time_ms, tenant_uid=TENANT)
    record = Revocation(
        header=header,
        kind=RevocationKind.ALL,
        id="*",
        state=state,
        effective_at=time_ms,
        reason="a measurement",
        initiating_entity="bench",
    )
    world.publish(iter([world.outgoing(REVOCATION, revocation_key(record.kind, record.id), record, header)]))


@contextlib.contextmanager
def _executors(world: World) -> Iterator[list[Child]]:
    """Run executors, which work when this is entered; each reports what it has seen when it is ended."""
    with contextlib.ExitStack() as stack:
        executors = [stack.enter_context(_executor(world, number)) for number in range(EXECUTORS)]
        for executor in executors:
            executor.wait_ready()
        yield executors


def _executor(world: World, number: int) -> Child:
    order = {
        "settings": world.settings,
        "single_use": str(world.folder / f"used-{number}"),
        "group": "stoplog-executor-bench",
        "instance": f"e-{number}",
    }
    return Child("bench.executors.kill_child", order)


def _result(
    stops: int, appended_ms: dict[int, int], released_ns: list[int], reports: list[dict[str, Any]]
) -> dict[str, Any]:
    each: list[float] = []
    last: list[float] = []
    begun_after = 0
    for number, released in enumerate(released_ns):
        offset = 2 * number
        waits = []
        for report in reports:
            in_force_ns = report["in_force_ns"][str(offset)]
            waits.append(in_force_ns / 1e6 - appended_ms[offset])
            begun_after += sum(in_force_ns < began_ns < released for began_ns in report["began_ns"])
        each += waits
        last.append(max(waits))
    each.sort()
    last.sort()
    return {
        "executors": EXECUTORS,
        "rate_per_s": RATE,
        "stops": stops,
        "calls": sum(len(report["began_ns"]) for report in reports),
        "calls_begun_after": begun_after,
        "each": _quantiles(each),
        "last": _quantiles(last),
        "aim_ms": AIM_MS,
        "histogram": [
            {"below_ms": upper, "executors": sum(lower <= wait < upper for wait in each)}
            for lower, upper in zip((0, *BUCKETS_MS), (*BUCKETS_MS, float("inf")), strict=True)
            if upper != float("inf") or each[-1] >= BUCKETS_MS[-1]
        ],
    }


def _quantiles(ordered: list[float]) -> dict[str, float]:
    return {"p50_ms": quantile(ordered, 0.5), "p99_ms": quantile(ordered, 0.99), "max_ms": ordered[-1]}
