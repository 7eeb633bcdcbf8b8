"""One run: a steady load, one fault after the other, and what the topics and the executors show afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from bench.cluster.calls import runs_as_arrivals, verify_calls
from bench.cluster.deployment import AGENTS, EXECUTORS, Deployment, Run, deployed
from bench.cluster.expiry import expired_calls
from bench.cluster.faults import FAULTS
from bench.cluster.load import loading
from bench.cluster.reading import Arrival, Observer, Stored, instant_ms
from bench.cluster.stillness import Noted, busy_share, noted_of, stood_still_ms, watching_machine
from bench.cluster.verifier import NAMED_MAX, Finding, reasons, silences, stored_again, verify
from bench.harness.world import PARTITIONS
from streams.model.topics import AUDIT, AUDIT_REPORTED, INTENT, REPORT, VERDICT

# Two cores carry it. With twice as much, brokers, gates and executors use all of them without any fault, and verdicts
# are seconds apart.
RATE = 30
# Longer than any fault silences gates, so that every allowed call has to run. With the 30 s that gates have by default,
# verdicts expire before they can be read if a quorum is lost for longer: that is meant, and says nothing of executors.
VERDICT_LIFE_S = 900
SESSIONS = 300
STEADY_S = 4.0
# Brokers that have just started compile themselves under the first load, and need all processors for it.
WARM_S = 20.0
AFTER_S = 6.0
DRAIN_S_MAX = 180.0
# An intent that could be read for longer than this and has no verdict is one that waits.
UNDECIDED_MS = 1_500


class _Topics(NamedTuple):
    """What stood on the topics in the end."""

    intents: list[Stored]
    verdicts: list[Stored]
    audit: list[Stored]
    reports: list[Stored]
    settled: list[Stored]


class Seen(NamedTuple):
    """Who notes the intents and the verdicts that can be read."""

    intents: Observer
    verdicts: Observer


class _Observed(NamedTuple):
    """When intents and verdicts could be read, and when allowed calls had their effects."""

    intents: Sequence[Arrival]
    verdicts: Sequence[Arrival]
    runs: Sequence[Arrival]


def measure(names: Sequence[str], run: Run) -> dict[str, Any]:
    """Try the faults one after the other.

    Args:
        names: of FAULTS.
        run: how this run differs from a usual one.
    """
    with deployed(SESSIONS, run) as deployment, watching_machine() as machine:
        for name in EXECUTORS:
            deployment.start_executor(name)
        intents_seen = Observer(deployment.topics, INTENT.name, "intent")
        observer = Observer(deployment.topics, VERDICT.name, "verdict")
        settled_seen = Observer(deployment.topics, AUDIT_REPORTED.name, "audit_event")
        with loading(deployment.world_of(AGENTS), sessions=SESSIONS, rate=run.rate) as load:
            time.sleep(STEADY_S if run.quick else WARM_S)
            seen = Seen(intents_seen, observer)
            ended: list[str] = []
            windows = [_window("none", deployment, seen), *(_try(name, deployment, seen, ended) for name in names)]
            proposed = load.end()["intents"]
            ended += [f"{each} before the end" for each in deployment.ended()]
        noted = noted_of(machine.end())
        drained_s = _drain(
            lambda: len({each.record.fields["intent_id"] for each in list(observer.arrivals)}) >= proposed
        )
        settled_s = _drain(
            lambda: _allowed(observer) <= {each.record.fields["verdict_id"] for each in list(settled_seen.arrivals)}
        )
        for each in (intents_seen, observer, settled_seen):
            each.close()
        for executor in deployment.executors.values():
            executor.end()
        ran = deployment.ran()
        topics = _read(deployment)
    observed = _Observed(intents_seen.arrivals, observer.arrivals, runs_as_arrivals(ran, topics.verdicts))
    made_ms = {record.fields["intent_id"]: instant_ms(record.fields["header"]["time"]) for record in topics.intents}
    calls = verify_calls(topics.intents, topics.verdicts, topics.reports, topics.settled, ran)
    findings = [*verify(topics.intents, topics.verdicts, topics.audit), *calls.findings]
    if ended:
        findings.append(Finding("a gate or an executor that ended by itself", ended))
    again = stored_again(topics.intents)
    if len(topics.intents) - again != proposed:
        findings.append(Finding("an intent that was lost", [f"{proposed} sent, {len(topics.intents) - again} stored"]))
    return {
        "rate_per_s": run.rate,
        "verdict_life_s": run.verdict_life_s,
        "sessions": SESSIONS,
        "partitions": PARTITIONS,
        "executors": len(EXECUTORS),
        "brokers": run.brokers,
        "controllers": run.controllers,
        "broker_settings": dict(run.broker_settings),
        "gate_settings": dict(run.gate_settings),
        "intents": proposed,
        "stored_again": again,
        "drained_s": drained_s,
        "settled_s": settled_s,
        "calls": {**calls.counts, "not_run": calls.not_run},
        "dead_letters": sum(record.fields["event_type"] == "DEAD_LETTER" for record in topics.audit),
        "findings": [
            {"fault": each.fault, "count": len(each.found), "some": [str(name) for name in each.found[:NAMED_MAX]]}
            for each in findings
        ],
        "cases": [
            {
                **_case(window, observed, made_ms),
                **_machine(window, noted),
                "expired": expired_calls(observed.verdicts, topics.settled, window["begin_ms"], until_ms)._asdict(),
            }
            # What waited is decided after the window, before the next fault begins.
            for window, until_ms in zip(windows, [*(each["begin_ms"] for each in windows[1:]), inf], strict=True)
        ],
    }


def _try(name: str, deployment: Deployment, seen: Seen, ended: list[str]) -> dict[str, Any]:
    """Bring a fault about once the last one is over: else it would be counted as silence of the last one.

    What has ended by itself is added to `ended` and started again, so that the fault meets what it is to meet.
    """
    deployment.await_whole()
    ended += [f"{each} before {name}" for each in deployment.restart_ended()]
    waited_s = _drain(lambda: not undecided(seen, _now_ms() - UNDECIDED_MS))
    left = undecided(seen, _now_ms() - UNDECIDED_MS)
    text = f"{len(left)} intents wait, on partitions {sorted(set(left.values()))}"
    print(f"{name}: gates had {waited_s} s to work off the last fault; {text}", file=sys.stderr, flush=True)
    time.sleep(STEADY_S)
    return _window(name, deployment, seen)


def undecided(seen: Seen, before_ms: float) -> dict[Any, int]:
    """Return the partitions of the intents that could be read before an instant and have no verdict yet, by intent."""
    decided = {each.record.fields["intent_id"] for each in list(seen.verdicts.arrivals)}
    return {
        each.record.fields["intent_id"]: each.record.partition
        for each in list(seen.intents.arrivals)
        if each.at_ms < before_ms and each.record.fields["intent_id"] not in decided
    }


def _window(name: str, deployment: Deployment, seen: Seen) -> dict[str, Any]:
    """Bring the fault about and let things settle. `none` is the time without any."""
    leaders, roles = deployment.leaders(), deployment.roles()
    fault = FAULTS.get(name)
    nodes = () if fault is None else fault.nodes(deployment)
    led = sorted({number for each in leaders.values() for number, node in enumerate(each) if node in nodes})
    begin_ms = _now_ms()
    print(f"{name}: node {nodes}, roles {roles}, leads {led}", file=sys.stderr, flush=True)
    if fault is not None:
        fault.bring_about(deployment, nodes)
    time.sleep(AFTER_S)
    print(f"{name}: {len(seen.verdicts.arrivals)} verdicts so far", file=sys.stderr, flush=True)
    return {
        "fault": name,
        "text": "no fault" if fault is None else fault.text,
        "nodes": nodes,
        "roles_taken": [role for role, node in roles.items() if node in nodes],
        "led": led,
        "begin_ms": begin_ms,
        "end_ms": _now_ms(),
    }


def _now_ms() -> float:
    return time.time_ns() / 1e6


def _drain(is_done: Callable[[], bool]) -> float:
    """Wait for the last records; returns how long it took, in s."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < DRAIN_S_MAX and not is_done():
        time.sleep(1)
    return round(time.monotonic() - began_s, 1)


def _allowed(observer: Observer) -> set[str]:
    verdicts = [each.record.fields for each in list(observer.arrivals)]
    return {fields["verdict_id"] for fields in verdicts if fields["outcome"] == "ALLOW"}


def _read(deployment: Deployment) -> _Topics:
    read = deployment.topics.read_whole
    return _Topics(
        intents=read(INTENT.name, "intent"),
        verdicts=read(VERDICT.name, "verdict"),
        audit=read(AUDIT.name, "audit_event"),
        reports=read(REPORT.name, "session_event"),
        settled=read(AUDIT_REPORTED.name, "audit_event"),
    )


def _case(window: dict[str, Any], observed: _Observed, made_ms: Mapping[str, float]) -> dict[str, Any]:
    """Return what happened within a window.

    `log_silent_s` tells for how long no intent could be read: a log that does not even hand on intents can't hand on
    verdicts. `calls_silent_s` tells for how long no allowed call had its effect.
    """
    begin_ms, end_ms, led = window["begin_ms"], window["end_ms"], window["led"]
    log_silent_s, silent_s, calls_silent_s = (
        [round(each / 1_000, 1) for each in silences(arrivals, made_ms, PARTITIONS, begin_ms, end_ms)]
        for arrivals in observed
    )
    others = [number for number in range(PARTITIONS) if number not in led]
    return {
        **{name: window[name] for name in ("fault", "text", "nodes", "roles_taken", "led")},
        "silent_s": silent_s,
        "log_silent_s": log_silent_s,
        "calls_silent_s": calls_silent_s,
        "silent_s_max_led": max((silent_s[number] for number in led), default=None),
        "silent_s_max_others": max((silent_s[number] for number in others), default=None),
        "verdicts": reasons(observed.verdicts, begin_ms, end_ms),
    }


def _machine(window: Mapping[str, Any], noted: Noted) -> dict[str, Any]:
    """Return how the machine fared within a window: for how long it stood still, and how much of it was used."""
    begin_ms, end_ms = window["begin_ms"], window["end_ms"]
    busy = busy_share(noted, begin_ms, end_ms)
    return {
        "machine_stood_still_s": round(stood_still_ms(noted, begin_ms, end_ms) / 1_000, 2),
        "machine_busy": None if busy is None else round(busy, 2),
    }
