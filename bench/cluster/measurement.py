"""One run: a steady load, one fault after the other, and what the topics show afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cluster.deployment import AGENTS, Deployment, Run, deployed
from bench.cluster.faults import FAULTS
from bench.cluster.load import loading
from bench.cluster.reading import Observer
from bench.cluster.verifier import NAMED_MAX, Finding, reasons, silences, verify
from bench.world import PARTITIONS
from streams.model.topics import AUDIT, INTENT, VERDICT

RATE = 60
SESSIONS = 300
STEADY_S = 10.0
AFTER_S = 8.0
DRAIN_S_MAX = 180.0


def measure(names: Sequence[str], run: Run) -> dict[str, Any]:
    """Try the faults one after the other.

    Args:
        names: of FAULTS.
        run: how this run differs from a usual one.
    """
    with deployed(SESSIONS, run) as deployment:
        intents_seen = Observer(deployment.topics, INTENT.name, "intent.v1")
        observer = Observer(deployment.topics, VERDICT.name, "verdict.v1")
        with loading(deployment.world_of(AGENTS), sessions=SESSIONS, rate=run.rate) as load:
            time.sleep(STEADY_S)
            windows = [_window("none", deployment, observer), *(_try(name, deployment, observer) for name in names)]
            proposed = load.end()
        drained_s = _drain(observer, proposed)
        intents_seen.close()
        observer.close()
        intents = deployment.topics.read_whole(INTENT.name, "intent.v1")
        verdicts = deployment.topics.read_whole(VERDICT.name, "verdict.v1")
        audit = deployment.topics.read_whole(AUDIT.name, "audit_event.v1")
    made_ms = {record.fields["intent_id"]: instant_ms(record.fields["header"]["time"]) for record in intents}
    findings = verify(intents, verdicts, audit)
    if len(intents) != proposed:
        findings.append(
            Finding("an intent that was stored twice, or not at all", [f"{proposed} sent, {len(intents)} stored"])
        )
    return {
        "rate_per_s": run.rate,
        "sessions": SESSIONS,
        "partitions": PARTITIONS,
        "broker_settings": dict(run.broker_settings),
        "gate_settings": dict(run.gate_settings),
        "intents": proposed,
        "drained_s": drained_s,
        "findings": [
            {"fault": each.fault, "count": len(each.found), "some": [str(name) for name in each.found[:NAMED_MAX]]}
            for each in findings
        ],
        "cases": [_case(window, observer, intents_seen, made_ms) for window in windows],
    }


def _try(name: str, deployment: Deployment, observer: Observer) -> dict[str, Any]:
    deployment.await_whole()
    time.sleep(STEADY_S)
    return _window(name, deployment, observer)


def _window(name: str, deployment: Deployment, observer: Observer) -> dict[str, Any]:
    """Bring the fault about and let things settle. `none` is the time without any."""
    leaders, roles = deployment.leaders(), deployment.roles()
    fault = FAULTS.get(name)
    nodes = () if fault is None else fault.nodes(deployment)
    led = sorted({number for each in leaders.values() for number, node in enumerate(each) if node in nodes})
    begin_ms = time.time_ns() / 1e6
    print(f"{name}: node {nodes}, roles {roles}, leads {led}", file=sys.stderr, flush=True)
    if fault is not None:
        fault.bring_about(deployment, nodes)
    time.sleep(AFTER_S)
    print(f"{name}: {len(observer.arrivals)} verdicts so far", file=sys.stderr, flush=True)
    return {
        "fault": name,
        "text": "no fault" if fault is None else fault.text,
        "nodes": nodes,
        "roles_taken": [role for role, node in roles.items() if node in nodes],
        "led": led,
        "begin_ms": begin_ms,
        "end_ms": time.time_ns() / 1e6,
    }


def _drain(observer: Observer, proposed: int) -> float:
    """Wait for the last verdicts; returns how long it took, in s."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < DRAIN_S_MAX:
        if len({arrival.record.fields["intent_id"] for arrival in list(observer.arrivals)}) >= proposed:
            break
        time.sleep(1)
    return round(time.monotonic() - began_s, 1)


def _case(
    window: dict[str, Any], observer: Observer, intents_seen: Observer, made_ms: Mapping[str, float]
) -> dict[str, Any]:
    """What happened within a window. `log_silent_s` tells for how long no intent could be read: a log that does not
    even hand on intents can't hand on verdicts."""
    begin_ms, end_ms, led = window["begin_ms"], window["end_ms"], window["led"]
    silent_s, log_silent_s = (
        [round(each / 1_000, 1) for each in silences(seen.arrivals, made_ms, PARTITIONS, begin_ms, end_ms)]
        for seen in (observer, intents_seen)
    )
    others = [number for number in range(PARTITIONS) if number not in led]
    return {
        **{name: window[name] for name in ("fault", "text", "nodes", "roles_taken", "led")},
        "silent_s": silent_s,
        "log_silent_s": log_silent_s,
        "silent_s_max_led": max((silent_s[number] for number in led), default=None),
        "silent_s_max_others": max((silent_s[number] for number in others), default=None),
        "verdicts": reasons(observer.arrivals, begin_ms, end_ms),
    }


def instant_ms(instant: Any) -> float:
    """Milliseconds since the epoch; the decoder reads Avro's timestamps as `datetime`."""
    return instant.timestamp() * 1_000 if hasattr(instant, "timestamp") else float(instant)
