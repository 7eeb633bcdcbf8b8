"""Drives a processor for tests and histories: records in, records out, in the records' own time.

A worker of the real engine runs on a log in memory. Nothing sleeps and nothing is random: the same input gives the same
output every time, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.audit.attribute_writers import ANYBODY as WRITTEN_BY_ANYBODY
from streams.audit.attribute_writers import AttributeWriters
from streams.audit.publishers import UNSIGNED, Publishers
from streams.audit.releasers import ANYBODY as RELEASED_BY_ANYBODY
from streams.audit.reviewers import ANYBODY, Reviewers
from streams.engine.meter import Meter
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.history.workers import build_worker, create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.log import MemoryLog
from streams.model.attributes import USUAL_ROOM, Room
from streams.model.errors import InvariantError
from streams.model.keys import partition_for
from streams.model.revocation_set import RevocationSet
from streams.model.topics import BY_NAME, Spread
from streams.model.types import Record
from streams.ports import Headers, Outgoing, Received
from streams.ports.processor import Processor
from streams.ports.wire import Wire
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.control.attributes import Attributes
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import CompileBundle, InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.settings import GateSettings
from streams.topology import BUDGETS, GATE, ProcessorSpec

DRIVER_SETTINGS = EngineSettings(idle_poll_ms=0, punctuate_ms=0, idle_margin_ms=0, control_check_ms=0)
"""Polls don't wait, and stream time follows the clock at once: the driver decides what time it is."""

STEPS_MAX = 100_000
_IDLE_STEPS = 2
"""How many idle steps settle a worker: the second one confirms that all broadcast records were read."""


class Read(NamedTuple):
    """A record that was read back: its key, the record, and its broker time."""

    key: bytes | None
    record: Record
    time_ms: int


class Driver:
    """Drives a processor.

    Attributes:
        log: the log, to look at or to disturb.
        clock: the driver's time; `advance` and `pipe` move it.
        disk: where the worker keeps its state.
    """

    def __init__(
        self,
        *,
        spec: ProcessorSpec,
        processor: Processor,
        wire: Wire,
        start_ms: int,
        partitions: int = 1,
        settings: EngineSettings = DRIVER_SETTINGS,
        beside: Mapping[ProcessorSpec, Processor] | None = None,
        before: Sequence[tuple[str, bytes, Record]] = (),
        meters: Mapping[ProcessorSpec, Meter] | None = None,
    ) -> None:
        """Create the log and start the worker.

        Args:
            spec: the topics of the processor; they are created here.
            processor: the processor to drive.
            wire: the codec.
            start_ms: the time at which the clock begins.
            partitions: how many partitions each co-partitioned topic has.
            settings: how the engine runs.
            beside: processors without broadcast topics that run on the same log, each with a worker of its own.
            before: records of broadcast topics, as topic, key and record, that are written before the worker starts.
            meters: what counts for each worker; by default nothing does.
        """
        self._meters = meters or {}
        self.clock = ManualClock(start_ms)
        self.log = MemoryLog(self.clock)
        self.disk = Disk()
        self._spec = spec
        self._wire = wire
        self._settings = settings
        self._read_serials: dict[str, int] = {}
        self._workers: list[Worker] = []
        for each in (spec, *(beside or {})):
            create_topics(self.log, each, partitions)
        for topic, key, record in before:
            self.log.append(Outgoing(topic, 0, key, wire.encode(topic, record)), timestamp_ms=start_ms)
        self._start(spec, processor, self.disk)
        for each, runs in (beside or {}).items():
            self._start(each, runs, Disk())
        self.settle()

    def restart(self, processor: Processor) -> None:
        """Stop the driven worker cleanly, and start another one on the same log and the same disk."""
        self._workers.pop(0).stop()
        self._start(self._spec, processor, self.disk)
        self._workers.insert(0, self._workers.pop())
        self.settle()

    def _start(self, spec: ProcessorSpec, processor: Processor, stores: Disk) -> None:
        worker = build_worker(
            self.log,
            spec=spec,
            processor=processor,
            wire=self._wire,
            stores=stores,
            clock=self.clock,
            settings=self._settings,
            instance="driver" if spec is self._spec else f"driver-{spec.name}",
            meter=self._meters.get(spec),
        )
        self._workers.append(worker)
        worker.start()

    def pipe(
        self,
        topic: str,
        key: bytes | None,
        record: Record | bytes | None,
        time_ms: int | None = None,
        headers: Headers = (),
    ) -> Received:
        """Write one record to a topic, and let the worker process it.

        Args:
            topic: an input or broadcast topic.
            key: decides the partition; partition 0 without one.
            record: a record, bytes that are written as they are, or None for no value.
            time_ms: its broker time. If it is later than now, the clock advances first. If earlier, the clock stays.
            headers: its headers.

        Returns:
            The record as it stands on the log.
        """
        if time_ms is not None and time_ms > self.clock.now_ms():
            self.advance(time_ms)
        value = self._wire.encode(topic, record) if isinstance(record, Record) else record
        partition = 0
        if key is not None and BY_NAME[topic].spread is not Spread.BROADCAST:
            partition = partition_for(key, self.log.partition_count(topic))
        stamp_ms = self.clock.now_ms() if time_ms is None else time_ms
        offset = self.log.append(Outgoing(topic, partition, key, value, headers), timestamp_ms=stamp_ms)
        self.settle()
        return Received(topic, partition, offset, stamp_ms, key, value, headers)

    def advance(self, time_ms: int) -> None:
        """Let time pass until `time_ms`. Every timer on the way fires at its own instant."""
        for _ in range(STEPS_MAX):
            due_ms = min((w.next_due_ms for w in self._workers if w.next_due_ms is not None), default=None)
            if due_ms is None or due_ms > time_ms:
                break
            self.clock.set_ms(due_ms)
            self.settle()
        else:
            raise InvariantError(f"timers never end: {STEPS_MAX} were fired before `{time_ms}`")
        self.clock.set_ms(time_ms)
        self.settle()

    def read(self, topic: str) -> list[Read]:
        """Return the records of a topic that were not read before; tombstones are left out.

        Raises:
            RecordError: one can't be decoded.
        """
        return [
            Read(found.key, self._wire.decode(topic, found.value, found.headers), found.timestamp_ms)
            for found in self.read_raw(topic)
            if found.value is not None
        ]

    def read_raw(self, *topics: str) -> list[Received]:
        """Return new records of these topics (by default: outputs and dead letters) as bytes, in order of writing."""
        names = topics or self.output_topics()
        last_serials = {name: self._read_serials.get(name, -1) for name in names}
        found = self.log.written_since(names, min(last_serials.values()))
        new = [(serial, record) for serial, record in found if serial > last_serials[record.topic]]
        if new:
            # For all topics: what is written later has a higher serial, so an empty topic need not be searched again.
            self._read_serials.update((name, max(last_serials[name], new[-1][0])) for name in names)
        return [record for _, record in new]

    def output_topics(self) -> tuple[str, ...]:
        """Return the topics that the processor may write to, dead-letter topics included."""
        taken = {topic.name for topic in (*self._spec.read, self._spec.changelog)}
        return tuple(topic.name for topic in self._spec.topics() if topic.name not in taken)

    def settle(self) -> None:
        """Let the workers run until they find nothing more to do.

        Raises:
            InvariantError: they never do.
        """
        idle_steps = 0
        for _ in range(STEPS_MAX):
            count = sum([worker.step() for worker in self._workers])
            restoring = any(worker.restoring or worker.following for worker in self._workers)
            idle_steps = 0 if count or restoring else idle_steps + 1
            if idle_steps == _IDLE_STEPS:
                return
        raise InvariantError(f"the workers are still busy after {STEPS_MAX} steps")

    def close(self) -> None:
        """Stop the workers."""
        for worker in self._workers:
            worker.stop()


def gate_driver(
    *,
    wire: Wire,
    compile_bundle: CompileBundle,
    settings: GateSettings,
    publishers: Publishers = UNSIGNED,
    reviewers: Reviewers = ANYBODY,
    revocations: RevocationSet | None = None,
    writers: AttributeWriters = WRITTEN_BY_ANYBODY,
    attributes_room: Room = USUAL_ROOM,
    start_ms: int,
    partitions: int = 1,
    engine_settings: EngineSettings = DRIVER_SETTINGS,
    before: Sequence[tuple[str, bytes, Record]] = (),
    meters: Mapping[ProcessorSpec, Meter] | None = None,
    beside: Mapping[ProcessorSpec, Processor] | None = None,
) -> Driver:
    """Return a driver of the gate, with the budget allocator beside it.

    Args:
        wire: the codec.
        compile_bundle: compiles a published bundle.
        settings: the settings of the gate.
        publishers: whose signatures rules need.
        reviewers: whose signatures tools need.
        revocations: what holds the stops; by default they can be released without a signature.
        writers: whose signature attributes need.
        attributes_room: how many bytes of attributes are held.
        start_ms: the time at which the clock begins.
        partitions: how many partitions each co-partitioned topic has.
        engine_settings: how the engine runs.
        before: as in `Driver`.
        meters: as in `Driver`.
        beside: further processors, as in `Driver`.
    """
    return Driver(
        spec=GATE,
        processor=make_gate(
            wire,
            compile_bundle,
            settings,
            publishers,
            reviewers,
            revocations=revocations,
            attributes=Attributes(writers, attributes_room),
        ),
        wire=wire,
        start_ms=start_ms,
        partitions=partitions,
        settings=engine_settings,
        beside={BUDGETS: BudgetAllocator(wire), **(beside or {})},
        before=before,
        meters=meters,
    )


def make_gate(
    wire: Wire,
    compile_bundle: CompileBundle,
    settings: GateSettings,
    publishers: Publishers = UNSIGNED,
    reviewers: Reviewers = ANYBODY,
    *,
    revocations: RevocationSet | None = None,
    attributes: Attributes | None = None,
) -> Gate:
    """Create a gate with control state of its own."""
    rules = Publications(settings.bundle_name, publishers, InlineCompiler(compile_bundle))
    held = Attributes(WRITTEN_BY_ANYBODY) if attributes is None else attributes
    stops = RevocationSet(RELEASED_BY_ANYBODY) if revocations is None else revocations
    return Gate(settings, wire, ControlState(rules, Catalog(reviewers), stops, held))
