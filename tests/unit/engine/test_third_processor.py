"""A third processor runs on the engine as it is: in memory, on the embedded log, and through crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from simulation.records import header
from streams.embedded import EmbeddedLog
from streams.engine.ports import Ports
from streams.engine.settings import EngineSettings
from streams.engine.startup import check_topics
from streams.engine.worker import Worker
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.faults import Call, NoFaults
from streams.inmemory.log import MemoryLog
from streams.model.alert import Alert
from streams.model.audit import AuditEvent
from streams.model.control import Baseline
from streams.model.errors import InvariantError
from streams.model.keys import partition_for
from streams.model.topics import ALERT, AUDIT, BASELINE, REVOCATION, Spread
from streams.model.types import Actor, Record
from streams.ports import Admin, Consumer, Outgoing, Producer, Publisher, Reader, TopicPartition, TopicSpec
from tests.kit import START_MS, wire
from tests.unit.engine.tally import FAILING_TENANT, TALLY, WINDOW_MS, Tally

PARTITIONS = 3
TENANTS = ("acme", "globex")
SETTINGS = EngineSettings(idle_poll_ms=0, punctuate_ms=0, idle_margin_ms=0)
STEPS_MAX = 2_000


class Log(Protocol):
    """What the processor runs on."""

    def admin(self) -> Admin: ...

    def consumer(self, group: str, instance: str) -> Consumer: ...

    def producer(self, transactional_id: str) -> Producer: ...

    def publisher(self) -> Publisher: ...

    def reader(self) -> Reader: ...


class Killed(BaseException):
    """The process is gone at this very point."""


class KillsAt(NoFaults):
    """Kills the process after its n-th call that is not a poll."""

    def __init__(self) -> None:
        self.calls_left: int | None = None

    def after(self, client: str, call: Call) -> None:
        if client == "tally-1" and call not in (Call.POLL, Call.READ) and self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left == 0:
                self.calls_left = None
                raise Killed


class House:
    """A log with the processor's topics, and one instance of it at a time, on one disk."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        self.log = log
        self.clock = clock
        self.disk = Disk()
        admin = log.admin()
        admin.create(
            [
                TopicSpec(topic.name, 1 if topic.spread is Spread.BROADCAST else PARTITIONS, topic.config())
                for topic in TALLY.topics()
            ],
            replication=1,
        )
        self._publisher = log.publisher()
        self._count = 0
        self.worker = self.start()

    def start(self) -> Worker:
        """A new process; the former one is gone, its disk is not."""
        self.disk.lose_process()
        self.worker = Worker(
            spec=TALLY,
            processor=Tally(wire()),
            wire=wire(),
            ports=Ports(
                consumer=self.log.consumer(TALLY.name, "tally-1"),
                producer=self.log.producer("tally-1"),
                open_reader=self.log.reader,
                stores=self.disk,
                clock=self.clock,
            ),
            settings=SETTINGS,
            partition_counts=check_topics(TALLY, self.log.admin()),
        )
        self.worker.start()
        return self.worker

    def put(self, tenant: str, count: int) -> None:
        """Write audit records of a tenant, over all partitions."""
        for _ in range(count):
            self._count += 1
            event = AuditEvent(
                header=header(f"audit {self._count}", self.clock.now_ms(), tenant),
                session_id=f"s-{self._count}",
                act=Actor(iss="", sub="somebody"),
            )
            self.put_raw(f"{tenant}|s-{self._count}".encode(), wire().encode(AUDIT.name, event))

    def put_raw(self, key: bytes, value: bytes) -> None:
        self._publisher.publish(Outgoing(AUDIT.name, partition_for(key, PARTITIONS), key, value))
        self._publisher.flush(1_000)

    def close_windows(self) -> None:
        """Let all windows close. After a start, timers may run before the input that waits: that opens new ones."""
        for _ in range(3):
            self.settle(wait_ms=WINDOW_MS)

    def settle(self, wait_ms: int = 0) -> None:
        """Let time pass, and let the process run until it finds nothing more to do."""
        self.clock.advance(wait_ms)
        idle = 0
        for _ in range(STEPS_MAX):
            self.clock.advance(1)
            busy = self.worker.step() or self.worker.restoring or len(self.worker.partitions) < PARTITIONS
            idle = 0 if busy else idle + 1
            if idle == 5:
                return
        raise AssertionError("never idle")

    def read(self, topic: str) -> list[Record]:
        """All committed records of a topic."""
        reader = self.log.reader()
        admin = self.log.admin()
        count = admin.describe([topic], ())[topic].partitions
        partitions = [TopicPartition(topic, number) for number in range(count)]
        reader.assign(dict.fromkeys(partitions, 0))
        ends = reader.end_offsets(partitions)
        found: list[Record] = []
        while any(reader.position(partition) < end for partition, end in ends.items()):
            found += [wire().decode(topic, one.value or b"", one.headers) for one in reader.poll(1_000, 0)]
        reader.close()
        return found

    def alerts(self) -> list[Alert]:
        return [record for record in self.read(ALERT.name) if isinstance(record, Alert)]

    def counted(self) -> Counter[str]:
        """What all closed windows hold, by tenant."""
        counts: Counter[str] = Counter()
        for alert in self.alerts():
            counts[alert.title] += alert.count
        return counts

    def totals(self) -> Counter[str]:
        """The newest baselines, summed over partitions by tenant."""
        newest: dict[tuple[str, str], int] = {}
        for record in self.read(BASELINE.name):
            assert isinstance(record, Baseline)
            newest[record.agent, record.epoch] = record.intents_count
        totals: Counter[str] = Counter()
        for (tenant, _), count in newest.items():
            totals[tenant] += count
        return totals


def in_memory(folder: Path) -> House:
    del folder
    clock = ManualClock(START_MS)
    return House(MemoryLog(clock), clock)


def embedded(folder: Path) -> House:
    clock = ManualClock(START_MS)
    return House(EmbeddedLog(folder / "log", clock=clock), clock)


LOGS = pytest.mark.parametrize("build", [in_memory, embedded])


@LOGS
def test_it_counts_by_tenant_with_state_and_timers(build: Callable[[Path], House], tmp_path: Path) -> None:
    house = build(tmp_path)
    for _ in range(3):
        for number, tenant in enumerate(TENANTS, start=1):
            house.put(tenant, 5 * number)
        house.close_windows()
    assert house.counted() == house.totals() == {"acme": 15, "globex": 30}
    house.worker.stop()


@LOGS
def test_whoever_takes_over_goes_on_counting(build: Callable[[Path], House], tmp_path: Path) -> None:
    house = build(tmp_path)
    house.put("acme", 10)
    house.settle()
    house.worker.stop()
    house.start()  # on its own disk
    house.put("acme", 10)
    house.settle()
    house.worker.stop()
    for number in range(PARTITIONS):
        house.disk.wipe(number)  # all is made anew from the changelog
    house.start()
    house.put("acme", 10)
    house.close_windows()
    assert house.counted() == house.totals() == {"acme": 30}
    house.worker.stop()


@LOGS
def test_what_was_not_committed_is_done_again_by_the_next(build: Callable[[Path], House], tmp_path: Path) -> None:
    house = build(tmp_path)
    house.settle()
    house.put("acme", 10)
    while not house.worker.step():
        house.clock.advance(1)
    house.start()  # the transaction is open; nobody stops the process in good order
    house.close_windows()
    assert house.counted() == house.totals() == {"acme": 10}
    house.worker.stop()


@pytest.mark.parametrize("calls", range(1, 26))
def test_it_counts_once_wherever_the_process_dies(calls: int) -> None:
    clock, faults = ManualClock(START_MS), KillsAt()
    house = House(MemoryLog(clock, faults), clock)
    house.settle()
    faults.calls_left = calls
    for _ in range(3):
        house.put("acme", 4)
        try:
            house.settle(wait_ms=WINDOW_MS)
        except Killed:
            house.start()
    assert faults.calls_left is None  # or nothing was proven
    house.close_windows()
    assert house.counted() == house.totals() == {"acme": 12}


@LOGS
def test_unreadable_input_and_a_failing_timer_stop_nothing(build: Callable[[Path], House], tmp_path: Path) -> None:
    house = build(tmp_path)
    house.put_raw(b"acme|s-1", b"\x07garbage")
    house.put(FAILING_TENANT, 1)
    house.put("acme", 2)
    house.close_windows()
    titles = sorted(alert.title for alert in house.alerts())
    assert [title for title in titles if " at agent.audit.v1/" in title] == [titles[-1]]
    assert titles.count("ZeroDivisionError in a timer") == 1
    assert house.counted()["acme"] == 2
    house.worker.stop()


def test_a_processor_that_ignores_its_broadcast_topics_is_a_mistake() -> None:
    clock = ManualClock(START_MS)
    log = MemoryLog(clock)
    spec = msgspec.structs.replace(TALLY, broadcast=(REVOCATION,))
    with pytest.raises(InvariantError, match="broadcast"):
        Worker(
            spec=spec,
            processor=Tally(wire()),
            wire=wire(),
            ports=Ports(
                consumer=log.consumer(spec.name, "a"),
                producer=log.producer("a"),
                open_reader=log.reader,
                stores=Disk(),
                clock=clock,
            ),
            settings=SETTINGS,
            partition_counts={},
        )
