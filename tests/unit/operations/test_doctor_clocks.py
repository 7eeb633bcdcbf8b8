"""The doctor sees a clock that is ahead and one that is behind, and topics whose last records were stamped ahead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.history.workers import create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import GATE_CHANGELOG, INTENT
from streams.operations.doctor.clocks import examine_clocks
from streams.operations.doctor.findings import Finding, Status
from streams.operations.topics.times import partition_times
from streams.ports import Outgoing
from streams.ports.processor import STREAM_TIME_KEY
from streams.topology import BUDGETS, GATE, NOTARY
from tests.kit import START_MS

FAR_MS = 30 * 24 * 3_600_000


class HostClock:
    """This machine's clock. While the doctor waits, something may be written."""

    def __init__(self, right: ManualClock, meanwhile: Callable[[], object]) -> None:
        self.wrong_by_ms = 0
        self._right = right
        self._meanwhile = meanwhile
        self._looks = 0

    def now_ms(self) -> int:
        return self._right.now_ms() + self.wrong_by_ms

    def monotonic_ms(self) -> int:
        self._looks += 1
        self._right.advance(10)
        if self._looks == 20:
            self._meanwhile()
        return self._right.monotonic_ms()

    def sleep_ms(self, duration_ms: int) -> None:
        self._right.sleep_ms(duration_ms)


@pytest.fixture
def right() -> ManualClock:
    return ManualClock(START_MS)


@pytest.fixture
def log(right: ManualClock) -> MemoryLog:
    made = MemoryLog(right)
    for spec in (GATE, BUDGETS, NOTARY):
        create_topics(made, spec, 2)
    return made


def write(log: MemoryLog, *, ahead_ms: int | None = None, partition: int = 0) -> None:
    time_ms = None if ahead_ms is None else START_MS + ahead_ms
    log.append(Outgoing(INTENT.name, partition, b"key", b"value"), timestamp_ms=time_ms)


def examined(
    log: MemoryLog, right: ManualClock, *, wrong_by_ms: int = 0, writes: bool = False, is_embedded: bool = False
) -> list[Finding]:
    clock = HostClock(right, lambda: write(log) if writes else None)
    clock.wrong_by_ms = wrong_by_ms
    return list(examine_clocks(log, clock, is_embedded=is_embedded))


@pytest.mark.parametrize(("wrong_by_ms", "direction"), [(FAR_MS, "ahead of"), (-FAR_MS, "behind")])
def test_a_record_that_comes_meanwhile_tells_both_directions(
    log: MemoryLog, right: ManualClock, wrong_by_ms: int, direction: str
) -> None:
    found = examined(log, right, wrong_by_ms=wrong_by_ms, writes=True)[-1]
    assert found.status is Status.FAIL
    assert f"ms {direction} the broker's" in found.text
    assert "gates wait" in found.advice


def test_clocks_that_agree_are_fine(log: MemoryLog, right: ManualClock) -> None:
    (found,) = examined(log, right, writes=True)
    assert found.status is Status.OK
    assert "came just now" in found.text


def test_a_quiet_log_tells_only_that_this_machine_is_not_behind(log: MemoryLog, right: ManualClock) -> None:
    (found,) = examined(log, right)
    assert "no topic has a record yet" in found.text
    write(log)
    (found,) = examined(log, right, wrong_by_ms=FAR_MS)
    assert found.status is Status.OK
    assert "run this again while agents work" in found.text


@pytest.mark.parametrize("is_embedded", [False, True])
def test_a_topic_whose_last_record_is_ahead_is_named(log: MemoryLog, right: ManualClock, is_embedded: bool) -> None:
    write(log)
    write(log, ahead_ms=FAR_MS, partition=1)
    found = examined(log, right, is_embedded=is_embedded)[0]
    assert found.status is Status.FAIL
    assert "`agent.intent.v1` partition 1 was stamped" in found.text
    assert "stoplog topics time" in found.advice


def test_every_topic_that_gates_read_is_looked_at(log: MemoryLog, right: ManualClock) -> None:
    for topic in GATE.read:
        log.append(Outgoing(topic.name, 0, b"key", b"value"), timestamp_ms=START_MS + FAR_MS)
    found = examined(log, right)[0]
    assert found.status is Status.FAIL
    assert f"(and those of {len(GATE.read) - 1} more partitions)" in found.text


def test_stream_times_are_those_of_the_changelogs(log: MemoryLog, right: ManualClock) -> None:
    for partition, time_ms in ((0, START_MS - 5), (1, START_MS), (1, START_MS + FAR_MS)):
        log.append(Outgoing(GATE_CHANGELOG.name, partition, STREAM_TIME_KEY, time_ms.to_bytes(8, "big")))
    log.append(Outgoing(GATE_CHANGELOG.name, 0, b"sother", b"row"))
    found = list(partition_times(log, right))
    assert [(each.processor, each.partition, each.ahead_ms, each.is_far_ahead) for each in found] == [
        ("gate", 0, -5, False),
        ("gate", 1, FAR_MS, True),
    ]
