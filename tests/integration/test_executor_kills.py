"""Executors are killed and come back, on the embedded log: no call runs twice, and what did not run is explained.

`python -m bench.cluster` does the same on a cluster of brokers that die, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cluster.calls import Calls, Ran, verify_calls
from bench.cluster.executor_child import RunningExecutor, notes_path, read_notes
from bench.cluster.reading import Stored, fields_of
from bench.harness.gate_process import served_gate
from bench.harness.reading import read_to_end
from bench.harness.records import session_records
from bench.harness.workload import credential, intent
from bench.harness.world import PARTITIONS, ROOT_KEY, World, open_world
from streams.model.topics import AUDIT_REPORTED, INTENT, REPORT, VERDICT, Topic
from streams.ports import Outgoing, TopicPartition

SESSIONS = 12
# Between two kills, so that some calls wait, some run and some are done.
INTENTS_PER_LIFE = 40
LIVES = 5
LIFE_S = 0.6
SETTLED_S_MAX = 90.0
SERVERS = {"mail-1": ("mail",), "mail-2": ("mail",), "rest-1": ("git", "pay")}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # Of the gate, which is another process. Executors that are killed again and again start slowly on a busy machine,
    # and a verdict that expires meanwhile is another matter.
    monkeypatch.setenv("STOPLOG_GATE__VERDICT_TTL_MS", "600000")
    with open_world("embedded", "permit-all") as opened:
        yield opened


def start(world: World, name: str) -> RunningExecutor:
    return RunningExecutor(world, name, f"stoplog-executor-{name.partition('-')[0]}", SERVERS[name])


def proposed(world: World, life: int) -> Iterator[Outgoing]:
    for number in range(life * INTENTS_PER_LIFE, (life + 1) * INTENTS_PER_LIFE):
        session = credential(ROOT_KEY, number % SESSIONS)
        made = intent(session, number, marked=True)
        yield world.outgoing(INTENT, session.key, made, made.header)


def on_topic(world: World, topic: Topic, schema: str) -> list[Stored]:
    begins = {TopicPartition(topic.name, number): 0 for number in range(PARTITIONS)}
    return [
        Stored(each.partition, each.offset, each.value or b"", fields_of(each.value or b"", schema))
        for each in read_to_end(world, topic, begins)
    ]


def ran(folder: Path) -> list[Ran]:
    return [each for name in SERVERS for each in read_notes(notes_path(folder, name))]


def outcome(world: World) -> Calls:
    return verify_calls(
        on_topic(world, INTENT, "intent"),
        on_topic(world, VERDICT, "verdict"),
        on_topic(world, REPORT, "session_event"),
        on_topic(world, AUDIT_REPORTED, "audit_event"),
        ran(world.folder),
    )


def test_calls_run_once_while_executors_are_killed(world: World) -> None:
    executors = {name: start(world, name) for name in SERVERS}
    try:
        with served_gate(world):
            sessions = [credential(ROOT_KEY, number) for number in range(SESSIONS)]
            world.publish(session_records(world, sessions))
            for life in range(LIVES):
                world.publish(proposed(world, life))
                time.sleep(LIFE_S)
                for name in SERVERS:
                    executors[name].kill()
                    executors[name] = start(world, name)
            deadline_s = time.monotonic() + SETTLED_S_MAX
            while (calls := outcome(world)).counts["allowed"] < LIVES * INTENTS_PER_LIFE or calls.findings:
                assert time.monotonic() < deadline_s, calls
                time.sleep(0.5)
        for executor in executors.values():
            executor.end()
    finally:
        for executor in executors.values():
            executor.kill()
    calls = outcome(world)
    assert calls.findings == []
    assert calls.counts["ran"] + sum(calls.not_run.values()) == LIVES * INTENTS_PER_LIFE
    assert set(calls.not_run) <= {"outcome_unknown"}
    # The verifier is not blind: had one more effect been noted, it would have been found.
    with notes_path(world.folder, "mail-2").open("a") as notes:
        notes.write(notes_path(world.folder, "mail-1").read_text().splitlines()[0] + "\n")
    assert [finding.fault for finding in outcome(world).findings] == ["a call that ran twice"]
