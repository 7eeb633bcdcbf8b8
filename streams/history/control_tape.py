"""Puts control state back to where it was when a verdict was made: reads broadcast topics up to stated offsets."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import accumulate

from streams.history.recording import FOREVER_MS, Stated
from streams.model.errors import InvariantError, RecordError
from streams.model.topics import ATTRIBUTES, BASELINE, CATALOG, REVOCATION, RULESET
from streams.model.types import Record
from streams.ports import Received
from streams.ports.wire import Wire
from streams.processors.control.state import ControlState

_log = logging.getLogger(__name__)


class ControlTape:
    """The records of the broadcast topics, decoded. All partitions of a replay share it."""

    def __init__(self, wire: Wire, records: Mapping[str, Sequence[Received]]) -> None:
        """Args:
        wire: decodes them.
        records: by topic, in offset order.
        """
        self.records = {topic: [(each, _decoded(wire, each)) for each in found] for topic, found in records.items()}
        # The times of a topic with several leaders can go back; what was read before a record is below its offset.
        self._times = {
            topic: list(accumulate((r.timestamp_ms for r in found), max)) for topic, found in records.items()
        }

    def without(self, topic: str) -> ControlTape:
        """Return a tape that lacks one topic."""
        other = copy(self)
        other.records = {name: found for name, found in self.records.items() if name != topic}
        return other

    def offset_at(self, topic: str, time_ms: int) -> int:
        """Return the offset after the last record that stood on the topic at an instant; 0 if there was none."""
        count = bisect_right(self._times[topic], time_ms)
        return self.records[topic][count - 1][0].offset + 1 if count else 0

    def time_of(self, topic: str, index: int) -> int:
        """Return the latest time of a record and of those before it; far in the future if there is no such record."""
        times = self._times[topic]
        return times[index] if index < len(times) else FOREVER_MS

    def next_after(self, topic: str, offset: int) -> int | None:
        """Return the offset after the first record from `offset` on; None at the end."""
        return next((each.offset + 1 for each, _ in self.records[topic] if each.offset >= offset), None)

    def before(self, topic: str, offset: int) -> int | None:
        """Return the offset of the last record below `offset`: to read up to it leaves that record out."""
        return next((each.offset for each, _ in reversed(self.records[topic]) if each.offset < offset), None)


class PlacedControl:
    """Control state that has read a tape up to some offset of each topic, and can be put further ahead or back.

    Attributes:
        state: the control state. Another object after it was put back.
        offsets: by topic, up to where it was read.
        next_ms: the earliest time of a record that was not read yet; far in the future if there is none.
    """

    def __init__(self, tape: ControlTape, make: Callable[[], ControlState]) -> None:
        """Args:
        tape: the records.
        make: creates control state that has read nothing. What it holds beyond the tape stays in force.
        """
        self.tape = tape
        self._make = make
        self.offsets: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self.state = self._fresh()

    def read_to(self, topic: str, offset: int) -> None:
        """Read a topic up to an offset; nothing if it was read further already."""
        if offset <= self.offsets[topic]:
            return
        records, index = self.tape.records[topic], self._counts[topic]
        while index < len(records) and records[index][0].offset < offset:
            self._apply(*records[index])
            index += 1
        self._counts[topic], self.offsets[topic] = index, offset
        self._note_next()
        # Of a compacted topic, the last record that was read then may be gone by now.
        if topic == REVOCATION.name:
            self.state.revocations.next_offset = offset
        elif topic == ATTRIBUTES.name:
            self.state.attributes.next_offset = offset
        elif topic == BASELINE.name:
            self.state.baselines.next_offset = offset
        self._finish()

    def put_back(self, offsets: Mapping[str, int]) -> None:
        """Read everything again, but some topics only up to other offsets than now."""
        if {name for name, offset in offsets.items() if offset != self.offsets[name]} == {BASELINE.name}:
            # Nothing else depends on them, and to compile the rules again takes seconds.
            self._put_back_baselines(offsets[BASELINE.name])
            return
        offsets = {**self.offsets, **offsets}
        self.state = self._fresh()
        for name, wanted in offsets.items():
            self.read_to(name, wanted)

    def match(self, stated: Stated, session_key: bytes) -> None:
        """Read the topics as far as the gate had read them when it made a verdict, also if that is less than now.

        Rules are those that judged the session; the catalog stays as it is: no verdict says how far it was read.
        """
        self._match_offset(REVOCATION.name, stated.revocation_offset)
        if stated.attributes_offset is not None:
            self._match_offset(ATTRIBUTES.name, stated.attributes_offset)
        if stated.baseline_version:
            self._match_offset(BASELINE.name, stated.baseline_version - 1)
        if RULESET.name not in self.tape.records:
            return
        in_force = self.state.rules.in_force(session_key)
        if (-1 if in_force is None else in_force.offset) != stated.ruleset_offset:
            self._match_offset(RULESET.name, stated.ruleset_offset + 1)

    def _match_offset(self, topic: str, offset: int) -> None:
        if topic not in self.tape.records:
            return
        if offset < self.offsets[topic]:
            self.put_back({topic: offset})
        self.read_to(topic, offset)

    def _put_back_baselines(self, offset: int) -> None:
        self.state.baselines.clear()
        self.offsets[BASELINE.name] = self._counts[BASELINE.name] = 0
        self._note_next()
        self.read_to(BASELINE.name, offset)

    def _fresh(self) -> ControlState:
        state = self._make()
        # From here on each publication counts as it is read, as in a gate that runs.
        state.settle()
        state.stale = False
        self.offsets = dict.fromkeys(self.tape.records, 0)
        self._counts = dict.fromkeys(self.tape.records, 0)
        self._note_next()
        return state

    def _note_next(self) -> None:
        times_ms = (self.tape.time_of(topic, count) for topic, count in self._counts.items())
        self.next_ms = min(times_ms, default=FOREVER_MS)

    def _apply(self, received: Received, decoded: Record | RecordError | None) -> None:
        """Apply a record as `streams.engine.broadcast_reader` does; its reports are not needed."""
        topic, key = received.topic, received.key
        try:
            if isinstance(decoded, RecordError):
                raise decoded
            self.state.apply(topic, key, decoded, received.offset + 1, received.timestamp_ms)
        except RecordError:
            self.state.block_unreadable(topic, key)
        except InvariantError:
            raise
        except Exception:
            _log.exception("processing %s/%d/%d failed", topic, received.partition, received.offset)
            self.state.block_unreadable(topic, key)
        if topic == RULESET.name:
            self._finish()

    def _finish(self) -> None:
        """Let rules that were read come into force, and drop the reports."""
        self.state.rules.advance(0)
        self.state.take_events()


PLACED_BY_TIME = CATALOG.name
"""The topic of which no verdict says how far it was read."""


def _decoded(wire: Wire, received: Received) -> Record | RecordError | None:
    if received.value is None:
        return None
    try:
        return wire.decode(received.topic, received.value, received.headers)
    except RecordError as error:
        return error
