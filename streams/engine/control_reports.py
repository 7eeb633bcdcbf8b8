"""What partitions keep of control state: which broadcast records were put on record, and what must not come back.

c <topic>    the reports that were made of records of the topic (partition 0)
c !          the last report of an event that no record has caused (partition 0)
c *          what control state wants remembered (every partition)
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping

import msgspec

from streams.engine.checkpoint import Transaction
from streams.engine.control_reader import ControlReader, ControlReport
from streams.engine.task import PartitionTask
from streams.engine.wire import Wire
from streams.model.canonical import sha256
from streams.ports import Received
from streams.processors.control.audit import event_outputs

REPORTED_KEPT_MAX = 256
"""Reports of one topic that are remembered; records before the earliest of them count as reported."""

_REPORTING_PARTITION = 0
_REPORTED_PREFIX = b"c"
_EVENT_KEY = b"c!"
_MEMORY_KEY = b"c*"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode


class ControlReports:
    """Broadcast records are read by every instance; the owner of partition 0 reports each, once.

    A record is known by its time and its offset: a topic that was made anew begins with offset 0 again.
    """

    def __init__(self, control: ControlReader, wire: Wire) -> None:
        self._control = control
        self._wire = wire
        self._made_count = 0
        self._remembered: bytes | None = None

    def write(self, tasks: Mapping[int, PartitionTask], transaction: Transaction) -> None:
        """Put on record, in the transaction, what there is to report and to remember."""
        reporting = tasks.get(_REPORTING_PARTITION)
        if reporting is not None:
            # They are taken out once they are committed.
            for report in self._control.reports[self._made_count :]:
                self._made_count += 1
                self._report(report, reporting, transaction)
        memory = self._control.memory()
        if memory is self._remembered or memory is None:
            return
        for task in tasks.values():
            if task.state.get(_MEMORY_KEY) != memory:
                transaction.ensure_open()
                task.state.put(_MEMORY_KEY, memory)
                task.state.keep_record()
        self._remembered = memory

    def recall(self, task: PartitionTask) -> None:
        """A partition was taken over."""
        memory = task.state.get(_MEMORY_KEY)
        if memory is not None:
            self._control.recall(memory)
        self._remembered = None

    def committed(self) -> None:
        """What was written is durable."""
        del self._control.reports[: self._made_count]
        self._made_count = 0

    def begin_again(self) -> None:
        """What was written and not committed is lost."""
        self._made_count = 0
        self._remembered = None

    def _report(self, report: ControlReport, task: PartitionTask, transaction: Transaction) -> None:
        record, error, event = report
        if record is None:
            place = None if event is None else self._place_of_event(event.topic, task)
            time_ms = task.stream_time_ms
        else:
            place, time_ms = _place(record), record.timestamp_ms
        if place is None or not self._is_new(record, task):
            return
        transaction.ensure_open()
        task.state.keep_record()
        if record is not None and error is not None:
            task.report_dead_letter(record, error)
        if event is not None:
            task.emit_outputs(event_outputs(self._wire, event, place, time_ms))

    def _is_new(self, record: Received | None, task: PartitionTask) -> bool:
        """Whether a record was not reported yet; from now on it was."""
        if record is None:
            return True
        key = _REPORTED_PREFIX + record.topic.encode()
        row = task.state.get(key)
        reported = [] if row is None else _decode(row)
        own = (record.timestamp_ms, record.offset)
        if own in reported or (len(reported) >= REPORTED_KEPT_MAX and own < reported[0]):
            return False
        insort(reported, own)
        task.state.put(key, _encode(reported[-REPORTED_KEPT_MAX:]))
        return True

    def _place_of_event(self, topic: str, task: PartitionTask) -> str | None:
        """What an event without a record is called; None if the last one of its topic was the same."""
        key, digest = _EVENT_KEY + topic.encode(), sha256(self._control.memory() or b"")
        if task.state.get(key) == digest:
            return None
        task.state.put(key, digest)
        return f"remembered/{digest.hex()}"


def _place(record: Received) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
