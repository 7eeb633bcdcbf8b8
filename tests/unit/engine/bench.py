"""Workers of the real engine on a log in memory, stepped by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation.records import SessionMaker, entry_key, ruleset
from simulation.seals import SealedProcessor
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.history.workers import build_worker, create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.faults import Call, NoFaults
from streams.inmemory.log import MemoryLog
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.keys import partition_for
from streams.model.topics import AUDIT, CATALOG, INTENT, RULESET, SESSION, VERDICT
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.ports import Clock, LogError, Outgoing, Received, TopicPartition
from streams.ports.content import ContentSealer
from streams.ports.processor import CommitHook
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.settings import GateSettings
from streams.topology import GATE
from tests.kit import BUNDLE_FILES, CATALOG_ENTRIES, FILES_READ, GATE_SETTINGS, START_MS, compile_published, wire

SETTINGS = EngineSettings(idle_poll_ms=0)
STEPS_MAX = 500


class Failing(NoFaults):
    """Lets chosen calls fail: `fail` raises what it is told to, for so many calls of that kind."""

    def __init__(self) -> None:
        self._planned: list[tuple[str, Call, LogError, int]] = []
        self._after_call: Callable[[str, Call], None] = lambda client, call: None

    def fail(self, client: str, call: Call, error: LogError, *, skip: int = 0, times: int = 1) -> None:
        self._planned += [(client, call, error, skip)] * times

    def once_after(self, client: str, call: Call, act: Callable[[], object]) -> None:
        """Have something happen once, right after the next such call."""

        def happen(called: str, made: Call) -> None:
            if (called, made) == (client, call):
                self._after_call = lambda client, call: None
                act()

        self._after_call = happen

    def before(self, client: str, call: Call) -> None:
        for index, (name, planned, error, skip) in enumerate(self._planned):
            if (name, planned) == (client, call):
                if skip:
                    self._planned[index] = (name, planned, error, skip - 1)
                    return
                del self._planned[index]
                raise error

    def after(self, client: str, call: Call) -> None:
        self._after_call(client, call)


class WorkerBench:
    """A log with catalog and rules, and as many workers as are started on it."""

    def __init__(
        self,
        *,
        partitions: int = 1,
        settings: EngineSettings = SETTINGS,
        hook: CommitHook | None = None,
        gate_settings: GateSettings = GATE_SETTINGS,
        sealer: ContentSealer | None = None,
    ) -> None:
        self.clock = ManualClock(START_MS)
        self.host_clock: Clock = self.clock
        self.faults = Failing()
        self.log = MemoryLog(self.clock, self.faults)
        self.settings = settings
        self.partitions = partitions
        self.disks: dict[str, Disk] = {}
        self.hook = hook
        self.gate_settings = gate_settings
        self.sealer = sealer
        self.spec = GATE
        create_topics(self.log, self.spec, partitions)
        for entry in CATALOG_ENTRIES:
            self.write(CATALOG.name, entry_key(entry), entry, partition=0)
        self.write(RULESET.name, b"default", ruleset(BUNDLE_FILES), partition=0)

    def start(self, name: str = "a", *, resets_time: bool = False) -> Worker:
        """A new worker of that name, on the name's disk; its former process is gone."""
        disk = self.disks.setdefault(name, Disk())
        disk.lose_process()
        rules = Publications(self.gate_settings.bundle_name, UNSIGNED, InlineCompiler(compile_published))
        control = ControlState(rules, Catalog(ANYBODY))
        gate = Gate(self.gate_settings, wire(), control, sealer=self.sealer)
        worker = build_worker(
            self.log,
            spec=self.spec,
            processor=gate if self.hook is None else SealedProcessor(gate, self.hook),
            wire=wire(),
            stores=disk,
            clock=self.host_clock,
            settings=self.settings,
            instance=name,
            resets_time=resets_time,
        )
        worker.start()
        return worker

    def serving(self, *workers: Worker) -> None:
        """Step them until every partition has its owner."""
        for _ in range(STEPS_MAX):
            for worker in workers:
                worker.step()
            owned = sorted(number for worker in workers for number in worker.partitions)
            if owned == list(range(self.partitions)):
                return
        raise AssertionError("partitions without an owner")

    def settle(self, *workers: Worker) -> None:
        """Step them until all are idle."""
        idle = 0
        for _ in range(STEPS_MAX):
            busy = sum(worker.step() for worker in workers) or any(worker.restoring for worker in workers)
            idle = 0 if busy else idle + 1
            if idle == 3:
                return
        raise AssertionError("never idle")

    def write(self, topic: str, key: bytes | None, record: Record | bytes, *, partition: int | None = None) -> Received:
        value = record if isinstance(record, bytes) else wire().encode(topic, record)
        number = partition_for(key or b"", self.partitions) if partition is None else partition
        offset = self.log.append(Outgoing(topic, number, key, value))
        return Received(topic, number, offset, self.clock.now_ms(), key, value)

    def establish(self, maker: SessionMaker) -> None:
        self.write(SESSION.name, maker.key, maker.established(self.clock.now_ms()))

    def propose(self, maker: SessionMaker, *, received_ms: int | None = None, **changes: Any) -> str:
        """Write an intent, with another broker time than now where one is given; returns its id."""
        intent = maker.intent(FILES_READ, {"path": "a.txt"}, self.clock.now_ms(), **changes)
        value = wire().encode(INTENT.name, intent)
        number = partition_for(maker.key, self.partitions)
        self.log.append(Outgoing(INTENT.name, number, maker.key, value), timestamp_ms=received_ms)
        return intent.intent_id

    def judged(self) -> list[Verdict]:
        """All verdicts that are visible, in the order of writing."""
        found = (wire().decode(VERDICT.name, record.value or b"") for record in self.raw(VERDICT.name))
        return [record for record in found if isinstance(record, Verdict)]

    def verdicts(self) -> list[str]:
        """Their reasons."""
        return [verdict.reason for verdict in self.judged()]

    def audited(self) -> list[AuditEvent]:
        """The audit records of verdicts."""
        found = (wire().decode(AUDIT.name, record.value or b"") for record in self.raw(AUDIT.name))
        events = [record for record in found if isinstance(record, AuditEvent)]
        return [event for event in events if event.event_type is AuditEventType.VERDICT]

    def raw(self, topic: str) -> list[Received]:
        """All that is visible of a topic."""
        return [record for _, record in self.log.written_since((topic,), -1)]

    def committed(self, topic: str, partition: int = 0) -> int | None:
        return self.log.group(GATE.name).offsets.get(TopicPartition(topic, partition))

    def maker_on(self, partition: int, prefix: str = "s") -> SessionMaker:
        """A session whose records fall into that partition."""
        makers = (SessionMaker(f"{prefix}-{number}") for number in range(STEPS_MAX))
        return next(maker for maker in makers if partition_for(maker.key, self.partitions) == partition)
