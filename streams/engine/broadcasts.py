"""Does what a worker has to do about broadcast topics: reads them, reports each record once, keeps what must not come
back.

Every instance reads all broadcast records, and its partitions follow them. Two things must nevertheless happen once:

- **A report of each record** (a dead letter, and what the processor returns for it) is written by the owner of
  partition 0, in its transaction. What was reported is a row of that partition, so a new owner does not repeat it.
- **What the processor wants remembered** of the topics is a row of every partition: whoever takes over any of them
  knows it, even where somebody has removed records from the topic.

The rows:

    c <topic>    the reports that were made of records of the topic (partition 0)
    c !<topic>   the last report of an event that no record has caused (partition 0)
    c +          what the processor wants remembered (every partition)
    c *          the same, in layout 1 of the rows (`streams.processors.layout`)

**Rejected.** A consumer group for the reports: its offsets would be committed in other transactions than the reports.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping

import msgspec

from streams.engine.advisory_reader import AdvisoryReader
from streams.engine.broadcast_reader import BroadcastReader, BroadcastReport
from streams.engine.job import Job
from streams.engine.meter import SeenControl
from streams.engine.ports import Ports
from streams.engine.task import PartitionTask
from streams.engine.transaction import Transaction
from streams.model.canonical import sha256
from streams.model.errors import InvariantError
from streams.ports import Received
from streams.ports.processor import BROADCAST_KEY_PREFIX, FENCE, MEMORY_KEY, V1_MEMORY_KEY, Broadcast

REPORTED_KEPT_MAX = 256
"""Reports of one topic that are remembered; records before the earliest of them count as reported."""

_REPORTING_PARTITION = 0
_EVENT_KEY = BROADCAST_KEY_PREFIX + b"!"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode


class Broadcasts:
    """The broadcast topics of one worker.

    A record is known by its time and its offset: a topic that was deleted and created again begins with offset 0.
    """

    def __init__(self, broadcast: Broadcast, reader: BroadcastReader, advisory: AdvisoryReader | None = None) -> None:
        """Create them over `reader` and `advisory`, which feed the sink of `broadcast`."""
        self._sink = broadcast.sink
        self._follower = broadcast.follower
        self._reader = reader
        self._advisory = advisory
        self._made_count = 0
        self._remembered: bytes | None = None

    @property
    def is_current(self) -> bool:
        """Whether all that was broadcast until a short time ago has been read."""
        return not self._sink.stale

    @property
    def is_busy(self) -> bool:
        """Whether `poll` has something to do although nothing has come."""
        return self._sink.is_busy

    def seen(self) -> SeenControl:
        """Return how far everything that is broadcast was read."""
        newest = self._reader.newest if self._advisory is None else self._reader.newest | self._advisory.newest
        return SeenControl(self._reader.confirmed_ms, newest)

    def read_to_end(self) -> None:
        """Read everything there is, and make it ready. Blocks.

        Raises:
            RetriableLogError: the log does not answer.
        """
        self._reader.read_to_end()

    def poll(self) -> None:
        """Apply what has come, without waiting."""
        self._reader.poll()
        if self._advisory is not None:
            self._advisory.poll()

    def close(self) -> None:
        """Release the readers, and drop what is under way."""
        self._reader.close()
        if self._advisory is not None:
            self._advisory.close()

    def write(self, tasks: Mapping[int, PartitionTask], transaction: Transaction) -> None:
        """Write what there is to report and to remember, in the transaction."""
        reporting = tasks.get(_REPORTING_PARTITION)
        if reporting is not None:
            # They are removed once they are committed.
            for report in self._reader.reports[self._made_count :]:
                self._made_count += 1
                self._report(report, reporting, transaction)
        memory = self._sink.memory()
        if memory is self._remembered or memory is None:
            return
        for task in tasks.values():
            if task.state.get(MEMORY_KEY) != memory:
                transaction.ensure_open()
                task.state.put(MEMORY_KEY, memory)
                task.state.keep_record()
        self._remembered = memory

    def recall(self, task: PartitionTask) -> None:
        """Pass on what a partition remembers that was taken over."""
        memory = task.state.get(MEMORY_KEY)
        if memory is None:
            # Its rows may have layout 1: they are prepared only after this.
            memory = task.state.get(V1_MEMORY_KEY)
        if memory not in (None, FENCE):
            self._sink.recall(memory)
        self._remembered = None

    def committed(self) -> None:
        """Note that what was written is durable."""
        del self._reader.reports[: self._made_count]
        self._made_count = 0

    def rolled_back(self) -> None:
        """Note that what was written and not committed is lost."""
        self._made_count = 0
        self._remembered = None

    def _report(self, report: BroadcastReport, task: PartitionTask, transaction: Transaction) -> None:
        record, error, event = report
        if record is None:
            place = None if event is None else self._place_of_event(event.topic, task)
            time_ms = task.stream_time_ms
        else:
            place, time_ms = f"{record.topic}/{record.partition}/{record.offset}", record.timestamp_ms
        if place is None or not self._is_new(record, task):
            return
        transaction.ensure_open()
        task.state.keep_record()
        if record is not None and error is not None:
            task.steps.report_dead_letter(record, error, task.stream_time_ms)
        if event is not None:
            reported = self._follower.on_broadcast_event(event, place, time_ms, task.state, task.stream_time_ms)
            task.state.keep_record()
            task.steps.emit_outputs(reported)

    def _is_new(self, record: Received | None, task: PartitionTask) -> bool:
        """Return whether a record was not reported yet; from now on it was."""
        if record is None:
            return True
        key = BROADCAST_KEY_PREFIX + record.topic.encode()
        row = task.state.get(key)
        reported = [] if row is None else _decode(row)
        own = (record.timestamp_ms, record.offset)
        if own in reported or (len(reported) >= REPORTED_KEPT_MAX and own < reported[0]):
            return False
        insort(reported, own)
        task.state.put(key, _encode(reported[-REPORTED_KEPT_MAX:]))
        return True

    def _place_of_event(self, topic: str, task: PartitionTask) -> str | None:
        """Return what names an event without a record; None if the last one of its topic was the same."""
        key, digest = _EVENT_KEY + topic.encode(), sha256(self._sink.memory() or b"")
        if task.state.get(key) == digest:
            return None
        task.state.put(key, digest)
        return f"remembered/{digest.hex()}"


def open_broadcasts(job: Job, ports: Ports) -> Broadcasts | None:
    """Return the broadcast topics of the job's processor; None if it has none.

    Raises:
        InvariantError: the spec has broadcast topics, and the processor has no sink for them.
    """
    topics, broadcast = job.spec.broadcast, job.processor.broadcast
    if broadcast is None:
        if topics:
            raise InvariantError(f"processor `{job.spec.name}` reads broadcast topics, but has no sink for them")
        return None
    reader = BroadcastReader(
        reader=ports.open_reader(),
        topics=[topic.name for topic in topics],
        sink=broadcast.sink,
        wire=job.wire,
        clock=ports.clock,
        settings=job.settings,
    )
    advisory = None
    if job.spec.advisory:
        advisory = AdvisoryReader(
            open_reader=ports.open_reader,
            topics=[topic.name for topic in job.spec.advisory],
            sink=broadcast.sink,
            wire=job.wire,
            clock=ports.clock,
            report=reader.report_advisory,
        )
    return Broadcasts(broadcast, reader, advisory)
