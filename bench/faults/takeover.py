"""Measures for how long the partitions of a gate are silent that is killed, or stands still, with many live sessions.

The sessions' rows and timers are written to the changelog, as a gate does, and both gates restore them from there. A
broker with Kafka's defaults looks for transactions that timed out every 10 s. The load is steady; what counts is the
longest wait of an intent that was made before or after the event, by partition. After a zombie has come back, each
intent must still have one verdict.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.faults.event_waits import Load, answered_twice, observe, waits
from bench.gates.sessions import session_rows
from bench.harness.gate_process import ServedGate
from bench.harness.workload import TENANT, now_ms
from bench.harness.world import PARTITIONS, World, open_world
from streams.model.keys import partition_for, session_key_of
from streams.ports import Outgoing
from streams.ports.processor import STREAM_TIME_KEY
from streams.topology import GATE

SESSIONS = 1_000_000
SESSIONS_QUICK = 20_000
SESSIONS_THAT_CALL = 10_000
RATE = 200
AFTER_EVENT_S = {6_000: 16, 12_000: 22}
AFTER_EVENT_COLD_S = 25
DRAIN_S_MAX = 120.0
RESTORED_S_MAX = 300.0
SILENCE_S_MAX = 8.0
MB = 1_000_000
_RESTORED = re.compile(rf"from `{re.escape(GATE.changelog.name)}` in (\d+) ms")
# Those of a broker that nobody has tuned; the brokers of tests are quicker.
BROKER = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000"}


class Case(NamedTuple):
    """What happens to the second of two gates."""

    event: str
    standbys: int
    session_timeout_ms: int


CASES = (
    Case("kill", 1, 6_000),
    Case("zombie", 1, 6_000),
    Case("kill", 1, 12_000),
    Case("kill", 0, 6_000),
    Case("zombie", 0, 6_000),
)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each case on the same log."""
    sessions = SESSIONS_QUICK if quick else SESSIONS
    with open_world("kafka", "empty", BROKER) as world:
        written = _Written()
        world.publish(written.count(_changelog(sessions)))
        restore = _restore(world, written)
        cases = [_case(world, number, case) for number, case in enumerate(CASES[:1] if quick else CASES)]
    warm = [case for case in cases if case["standbys"] and case["session_timeout_ms"] == min(AFTER_EVENT_S)]
    return {
        "sessions": sessions,
        "rate_per_s": RATE,
        "partitions": PARTITIONS,
        "restore": restore,
        "silence_s_max": SILENCE_S_MAX,
        "within": all(case["silence_s"] <= SILENCE_S_MAX for case in warm),
        "cases": cases,
    }


class _Written:
    """Counts what is written to the changelog."""

    def __init__(self) -> None:
        self.records = self.bytes = 0

    def count(self, records: Iterator[Outgoing]) -> Iterator[Outgoing]:
        """Yield the same records."""
        for record in records:
            self.records += 1
            self.bytes += len(record.key or b"") + len(record.value or b"")
            yield record


def _changelog(sessions: int) -> Iterator[Outgoing]:
    """Yield what gates would have written about the sessions."""
    topic = GATE.changelog.name
    for number in range(sessions):
        key = session_key_of(TENANT, f"s-20251125-{number:07d}")
        partition = partition_for(key, PARTITIONS)
        for row_key, row in session_rows(number, key):
            yield Outgoing(topic, partition, row_key, row)
    # Without it, a store is outdated and is built again each time.
    for partition in range(PARTITIONS):
        yield Outgoing(topic, partition, STREAM_TIME_KEY, now_ms().to_bytes(8, "big"))


def _restore(world: World, written: _Written) -> dict[str, Any]:
    """Let one gate restore all partitions from nothing. The time is what it logs: without the start of the process."""
    gate = ServedGate(world, "gate-1", {})
    gate.wait_serving()
    gate.stop()
    logged = _RESTORED.findall((world.folder / "gate-1.log").read_text())
    duration_s = max(int(duration_ms) for duration_ms in logged) / 1_000
    return {
        "records": written.records,
        "bytes": written.bytes,
        "duration_s": duration_s,
        "mb_per_s": written.bytes / MB / duration_s,
        "records_per_s": written.records / duration_s,
    }


def _case(world: World, number: int, case: Case) -> dict[str, Any]:
    world.settings["kafka"] = {"session.timeout.ms": case.session_timeout_ms}
    first = ServedGate(world, "gate-1", {"standbys": case.standbys})
    first.wait_serving()
    second = ServedGate(world, "gate-2", {"standbys": case.standbys})
    theirs = second.wait_serving()
    while len(first.wait_serving()) == PARTITIONS:
        continue
    if case.standbys:
        first.wait_standing_by(theirs, RESTORED_S_MAX)
    else:
        for partition in theirs:
            shutil.rmtree(world.folder / "state-gate-1" / "gate" / "gate-1" / str(partition))
    try:
        measured = _measure(world, number, case, second)
    finally:
        second.thaw()
        second.kill()
        first.stop()
    return {**case._asdict(), "partitions_moved": theirs, **measured}


def _measure(world: World, number: int, case: Case, second: ServedGate) -> dict[str, Any]:
    after_s = AFTER_EVENT_S[case.session_timeout_ms] if case.standbys else AFTER_EVENT_COLD_S
    load = Load(SESSIONS_THAT_CALL, number * 100_000, RATE, after_s, DRAIN_S_MAX)
    observed = observe(world, load, second.kill if case.event == "kill" else second.freeze)
    if case.event == "zombie":
        # It comes back, and what it had decided must count for nothing.
        second.thaw()
        second.wait_serving()
    found = waits(world, observed)
    silence_s = {str(partition): wait_ms / 1_000 for partition, wait_ms in found.by_partition_ms.items()}
    return {
        "longest_wait_before_s": found.before_ms / 1_000,
        "silence_by_partition_s": silence_s,
        "silence_s": max(silence_s.values()),
        "intents": found.intents,
        "unanswered": found.unanswered,
        "answered_twice": answered_twice(world, observed),
    }
