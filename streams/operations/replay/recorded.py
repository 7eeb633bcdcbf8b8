"""Reads from the log what a replay needs: broadcast topics once, and the topics of one partition at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from heapq import merge
from typing import cast

from streams.engine.startup import tenant_topics
from streams.history.control_tape import ControlTape
from streams.history.recording import Recording, in_rows
from streams.model.audit import AuditEventType
from streams.model.budget import BudgetRequest
from streams.model.errors import RecordError
from streams.model.topics import AUDIT, BUDGET_REQUEST, DELEGATION, INTENT, REPORT, SESSION, VERDICT
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import partitions_of, read_places
from streams.operations.topics.tail import DeadLetter
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log
from streams.ports.wire import Wire
from streams.topology import GATE

_TELLING = frozenset({AuditEventType.VERDICT, AuditEventType.SESSION, AuditEventType.APPROVAL})
"""Audit records whose time is the stream time at which they were written."""

_TOLD_PATHS = ("header.time", "event_type")

_FROM_ZERO = frozenset({SESSION.name, REPORT.name, DELEGATION.name, INTENT.name})
"""Topics whose writers use no transactions: their first record has offset 0, unless it was deleted."""


@dataclass
class RecordedLog:
    """The topics of a deployment, up to the ends that they had when this was made.

    Attributes:
        partition_counts: by topic.
        tape: the records of the broadcast topics.
        beheaded: input topics whose first records are gone, by their partitions.
    """

    log: Log
    wire: Wire
    clock: Clock
    time_ahead_max_ms: int
    partition_counts: dict[str, int] = field(default_factory=dict)
    beheaded: dict[str, set[int]] = field(default_factory=dict)
    _ends: dict[TopicPartition, int] = field(default_factory=dict)
    _rejected: dict[str, str] = field(default_factory=dict)
    _asked_ms: dict[int, dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read how far each topic goes, what every gate reads, and which input was rejected. Blocking.

        Raises:
            TopicReadError: a topic does not exist, or this client may not read it.
            LogError: the log did not answer.
        """
        letters = {topic.dlq for topic in GATE.inputs if topic.dead_letters}
        # Verdicts first: what is written meanwhile has inputs without a verdict, and no verdict without inputs.
        names = [
            VERDICT.name,
            AUDIT.name,
            BUDGET_REQUEST.name,
            *letters,
            *(topic.name for topic in GATE.read),
        ]
        places = partitions_of(self.log, names)
        with closing(self.log.admin()) as admin:
            self.partition_counts.update(tenant_topics(GATE, admin))
            written = admin.describe([topic.name for topic in GATE.topics()], ())
        self.partition_counts.update({name: state.partitions for name, state in written.items()})
        with closing(self.log.reader()) as reader:
            for name in names:
                own = [place for place in places if place.topic == name]
                self._ends.update(reader.end_offsets(own))
        for name in letters:
            for number in range(self.partition_counts[name]):
                for received in self._read(name, number):
                    letter = DeadLetter.read(received)
                    self._rejected[f"{letter.topic}/{letter.partition}/{letter.offset}"] = letter.reason
        for number in range(self.partition_counts[BUDGET_REQUEST.name]):
            for received in self._read(BUDGET_REQUEST.name, number):
                record = decoded(self.wire, received)
                if isinstance(record, BudgetRequest):
                    self._asked_ms.setdefault(record.gate_partition, {})[record.serial] = record.header.time
        self.tape = ControlTape(
            self.wire, {topic.name: list(self._read(topic.name, 0)) for topic in (*GATE.broadcast, *GATE.advisory)}
        )

    @property
    def partitions(self) -> int:
        """How many partitions the gate's inputs have."""
        return self.partition_counts[INTENT.name]

    def recording(self, partition: int) -> Recording:
        """Return what the topics hold of one partition; it is read as it is used."""
        return Recording(
            partition=partition,
            inputs={topic.name: self._input(topic.name, partition) for topic in GATE.inputs},
            verdicts=self._read(VERDICT.name, partition),
            instants=self._instants(partition),
            rejected=self._rejected,
            now_ms=self.clock.now_ms() + self.time_ahead_max_ms,
            asked_ms=self._asked_ms.get(partition, {}),
        )

    def _input(self, topic: str, partition: int) -> Iterator[Received]:
        is_first = True
        for received in self._read(topic, partition):
            if is_first and topic in _FROM_ZERO and received.offset > 0:
                self.beheaded.setdefault(topic, set()).add(partition)
            is_first = False
            yield received

    def _instants(self, partition: int) -> Iterator[int]:
        return merge(self._audited(partition), sorted(self._asked_ms.get(partition, {}).values()))

    def _audited(self, partition: int) -> Iterator[int]:
        for _, told in in_rows(self._read(AUDIT.name, partition), self._told):
            if told is not None and told[1] in _TELLING:
                yield told[0]

    def _told(self, received: Received) -> tuple[int, AuditEventType] | None:
        """Return the time and the kind of an audit record; None if it can't be read."""
        try:
            fields = self.wire.read_fields(AUDIT.name, received.value, received.headers, _TOLD_PATHS)
        except RecordError:
            return None
        return cast("tuple[int, AuditEventType]", fields)

    def _read(self, topic: str, partition: int) -> Iterable[Received]:
        place = TopicPartition(topic, partition)
        end = self._ends.get(place, 0)
        return read_places(self.log, {place: end}, self.clock) if end else ()


def told_beheaded(beheaded: Mapping[str, set[int]]) -> list[str]:
    """Return the input topics whose beginning is gone, each with its partitions, for a message."""
    return [f"`{topic}` ({', '.join(map(str, sorted(found)))})" for topic, found in sorted(beheaded.items())]
