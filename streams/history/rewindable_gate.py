"""Runs the engine on one partition of a recording, with what the recording says has been broadcast by then, and can
go back to where it was last committed.
"""

from __future__ import annotations

from streams.engine.job import Job
from streams.engine.state import PartitionState
from streams.engine.task import PartitionTask, Turn
from streams.history.brief_wire import BriefWire
from streams.history.control_tape import PLACED_BY_TIME, PlacedControl
from streams.history.exchangeable_gate import ExchangeableGate
from streams.history.outcomes import Outcomes
from streams.history.recording import Arrival, Expected, RecordedVerdicts, Recording, Stated, place_of, was_ahead
from streams.history.replayed import ReplayPlan
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.topics import ATTRIBUTES, BASELINE, REVOCATION, RULESET
from streams.ports import Received
from streams.processors.gate.gate import Gate
from streams.stores.memory import MemoryStore
from streams.topology import GATE

BEHIND_MS = 1_000
"""A gate was behind if it wrote a verdict this much later than the instant of the verdict."""


class RewindableGate:
    """The gate of one partition.

    Attributes:
        control: what it has read of broadcast topics.
        task: the engine's task of the partition.
        state: the rows of the partition.
        recorded: the verdicts of the recording.
        outcomes: what the gate has written, and what of it was recorded.
        wire: what gives records their bytes.
        catalog_to: up to where the catalog is to be read, if not as far as the times of its entries say.
    """

    def __init__(self, plan: ReplayPlan, recording: Recording) -> None:
        self._plan = plan
        self._recording = recording
        self.wire = BriefWire(plan.wire)
        self.control = PlacedControl(plan.tape, plan.make_control)
        self._processor = ExchangeableGate(self._gate(), self.control.state)
        self.state = PartitionState(MemoryStore(), recording.partition)
        self._commits = 0
        self._kept_offsets = dict(self.control.offsets)
        self.catalog_to: int | None = None
        self.recorded = RecordedVerdicts(recording.verdicts, plan.wire)
        self.outcomes = Outcomes(self.recorded, plan.wire)
        job = Job(
            spec=GATE,
            processor=self._processor,
            wire=self.wire,
            settings=plan.engine,
            partition_counts=plan.partition_counts,
        )
        self.task = PartitionTask(
            job=job,
            partition=recording.partition,
            state=self.state,
            emit=self.outcomes.emit,
            committed={},
            has_reached_end=lambda _: True,
        )
        self._turn = Turn(self.fault_of, lambda: True)

    def feed(self, arrival: Arrival, *, strict: bool) -> bool:
        """Process a record. Return whether the outcome is the recorded one, as far as it is known."""
        self.task.input.buffer.add([arrival])
        while self.task.process(self._turn, 0) and len(self.task.input.buffer):
            pass
        return self.outcomes.match(strict=strict)

    def place(self, expected: Expected | None, time_ms: int, *, is_behind: bool, is_brief: bool) -> None:
        """Read broadcast topics as far as a verdict says, else as far as their times and the next verdict say."""
        control = self.control
        state = control.state
        if not is_behind:
            # What stood on the topics when the gate wrote its last verdict had been read by now.
            self._read_by_time(max(time_ms, self.outcomes.written_ms))
        if expected is not None and not expected.is_repeated:
            control.match(expected.stated, expected.received.key or b"")
        if self.catalog_to is not None:
            if self.catalog_to < control.offsets[PLACED_BY_TIME]:
                control.put_back({PLACED_BY_TIME: self.catalog_to})
            control.read_to(PLACED_BY_TIME, self.catalog_to)
        if control.state is not state:
            self._processor.exchange(self._gate(), control.state)
        reason = None if expected is None else expected.stated.reason
        control.state.stale = reason == Reason.CONTROL_STATE_STALE
        while self.task.follow_broadcast() and not is_brief:
            pass

    def _read_by_time(self, time_ms: int) -> None:
        control, tape = self.control, self._plan.tape
        head = self.recorded.fresh()
        if head is not None and head.received.timestamp_ms - head.stated.evaluated_at > BEHIND_MS:
            # The gate was behind, and has read what was broadcast before it went on.
            time_ms = max(time_ms, head.received.timestamp_ms)
        if time_ms < control.next_ms:
            return
        for topic in tape.records:
            if topic == PLACED_BY_TIME and self.catalog_to is not None:
                continue
            offset = tape.offset_at(topic, time_ms)
            if offset <= control.offsets[topic]:
                continue
            if head is not None:
                offset = min(offset, self._cap(topic, head.stated, offset))
            control.read_to(topic, offset)

    def _cap(self, topic: str, stated: Stated, otherwise: int) -> int:
        """Return up to where a topic was read at most before the next verdict."""
        if topic == REVOCATION.name:
            return stated.revocation_offset
        if topic == RULESET.name:
            return stated.ruleset_offset + 1
        if topic == ATTRIBUTES.name:
            offset = self.recorded.next_attributes_offset()
            return otherwise if offset is None else offset
        if topic == BASELINE.name:
            version = self.recorded.next_baseline_version()
            return version - 1 if version else otherwise
        return otherwise

    def _gate(self) -> Gate:
        return Gate(self._plan.gate, self.wire, self.control.state)

    def admit(self, arrival: Arrival, last_ms: int) -> Arrival:
        """Give a record whose time can't be true that of the record before it, as in the engine."""
        received = arrival.received
        is_ahead = was_ahead(self._recording.rejected, received)
        limit_ms = received.timestamp_ms - 1 if is_ahead else self._recording.now_ms
        if received.timestamp_ms <= limit_ms:
            return arrival
        (checked,) = self.task.steps.with_possible_times([arrival], limit_ms, {received.topic: last_ms})
        return Arrival(*checked)

    def fault_of(self, received: Received) -> RecordError | None:
        """Return why a record became a dead letter without being processed: the log did not take what it led to."""
        rejected = self._recording.rejected
        if rejected and rejected.get(place_of(received)) == DeadLetterReason.PROCESSING_FAILED:
            return RecordError(DeadLetterReason.PROCESSING_FAILED, "recorded")
        return None

    def commit(self) -> None:
        """Keep what was done since the last commit."""
        self.task.note_time()
        self._commits += bool(self.state.changes())
        self.task.committed(self._commits)
        self.outcomes.keep()
        self._kept_offsets = dict(self.control.offsets)

    def roll_back(self) -> None:
        """Undo what was done since the last commit."""
        if self.control.offsets != self._kept_offsets:
            self.control.put_back(self._kept_offsets)
            self._processor.exchange(self._gate(), self.control.state)
        self.task.aborted()
        self.task.prepare()
        self.outcomes.drop()
