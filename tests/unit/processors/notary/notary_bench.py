"""Notaries of the real engine on a log in memory, stepped by hand."""

from __future__ import annotations

from simulation.records import agent
from streams.audit.notes import Signer
from streams.engine.worker import Worker
from streams.history.workers import build_worker, create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.log import MemoryLog
from streams.model.audit import AuditEvent, AuditEventType, Seal
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT_REPORTED, AUDIT_SEAL
from streams.model.types import Header
from streams.ports import Outgoing, Received
from streams.processors.notary import Notary
from streams.topology import NOTARY
from tests.kit import START_MS, wire
from tests.unit.engine.bench import SETTINGS, Failing

DEPLOYMENT = "prod"
STEPS_MAX = 500


class NotaryBench:
    """A log, and as many notaries as are started on it.

    Attributes:
        signer: what the next notary signs with.
    """

    def __init__(self, signer: Signer, partitions: int = 1) -> None:
        self.clock = ManualClock(START_MS)
        self.faults = Failing()
        self.log = MemoryLog(self.clock, self.faults)
        self.signer = signer
        self.disks: dict[str, Disk] = {}
        self._count = 0
        create_topics(self.log, NOTARY, partitions)

    def start(self, name: str = "a") -> Worker:
        """A new notary of that name, on the name's disk; its former process is gone."""
        disk = self.disks.setdefault(name, Disk())
        disk.lose_process()
        worker = build_worker(
            self.log,
            spec=NOTARY,
            processor=Notary(wire(), self.signer, DEPLOYMENT),
            wire=wire(),
            stores=disk,
            clock=self.clock,
            settings=SETTINGS,
            instance=name,
        )
        worker.start()
        return worker

    def settle(self, worker: Worker) -> None:
        """Step it until it is idle."""
        idle = 0
        for _ in range(STEPS_MAX):
            busy = worker.step() or worker.restoring
            idle = 0 if busy else idle + 1
            if idle == 3:
                return
        raise AssertionError("never idle")

    def report(self, count: int = 1, partition: int = 0) -> None:
        """Write what an executor would put on the record."""
        for _ in range(count):
            self._count += 1
            event = AuditEvent(
                header=Header(
                    id=derived_uuid("reported", str(self._count)),
                    source="executor/files",
                    time=self.clock.now_ms(),
                    tenant_uid="acme",
                ),
                event_type=AuditEventType.OUTCOME,
                session_id=f"s-{self._count % 7}",
                act=agent("assistant"),
                reason="run_done",
                reason_text=f"call {self._count} was run",
            )
            self.write(wire().encode(AUDIT_REPORTED.name, event), partition)

    def write(self, value: bytes | None, partition: int = 0) -> None:
        """Write a record as it is."""
        self.log.append(Outgoing(AUDIT_REPORTED.name, partition, b"acme|s-1", value))

    def raw(self, topic: str, partition: int = 0) -> list[Received]:
        """What is committed on a partition."""
        found = self.log.written_since([topic], -1)
        return [each for _, each in found if each.partition == partition]

    def reported(self, partition: int = 0) -> list[Received]:
        """What stands on the record."""
        return self.raw(AUDIT_REPORTED.name, partition)

    def seals(self, partition: int = 0) -> list[Seal]:
        """The seals of a partition."""
        found = [wire().decode(each.topic, each.value or b"", each.headers) for each in self.sealed(partition)]
        return [seal for seal in found if isinstance(seal, Seal)]

    def sealed(self, partition: int = 0) -> list[Received]:
        """The records of the seals of a partition."""
        return self.raw(AUDIT_SEAL.name, partition)


class NoRows:
    """The state of a partition that has no rows yet."""

    partition = 0

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def put(self, key: bytes, row: bytes) -> None:
        self.rows[key] = row
