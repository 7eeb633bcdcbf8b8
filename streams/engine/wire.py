"""What the engine needs of the codec and the processor; both are given to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.ports import Headers, Outgoing, Received
from streams.processors.control.state import ControlEvent
from streams.processors.effects import Output, StateView


class Wire(Protocol):
    """Bytes to records and back. Deterministic, no I/O on the hot path."""

    def decode(self, topic: str, value: bytes, headers: Headers) -> Record:
        """The record.

        Raises:
            RecordError: it can't be read.
        """

    def encode(self, topic: str, record: Record) -> bytes:
        """The record's framed bytes."""

    def headers(self, topic: Topic, header: Header) -> Headers:
        """The record's envelope (CloudEvents, trace context)."""

    def dead_letter(self, record: Received, reason: str, text: str) -> Outgoing:
        """The record as it goes to the dead-letter topic of its own."""


class Processor(Protocol):
    """A pure processor; `streams.processors.gate.gate.Gate` is one."""

    def process(
        self, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Take in one record of an input topic."""

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Take in a timer that has come due."""

    @property
    def control_mark(self) -> int:
        """Differs from what it was whenever partitions have to follow what was broadcast."""

    def follow_control(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """Let a partition's state follow what was broadcast, a bounded step; whether it has."""


class ControlSink(Protocol):
    """Where broadcast records go; `streams.processors.control.state.ControlState` is one."""

    stale: bool

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has something to do, rather than to wait for another process."""

    def apply(self, topic: str, key: bytes | None, record: Record | None, next_offset: int) -> bool:
        """Take in one record (None: a tombstone). Whether an event will tell what became of it."""

    def block_unreadable(self, topic: str, key: bytes | None) -> None:
        """A record under this key could not be read."""

    def advance(self, now_ms: int) -> list[ControlEvent]:
        """Go on with what takes time, for some milliseconds; what has become of records since this was last asked.

        Args:
            now_ms: of a clock that never goes back.
        """

    def take_events(self) -> list[ControlEvent]:
        """What has become of records since this was last asked, as far as it is known."""

    def settle(self) -> list[ControlEvent]:
        """All topics were read to their end: finish what is needed to begin. Blocks; events as with `advance`."""

    def memory(self) -> bytes | None:
        """What every partition is to remember of it; the same object until it changes."""

    def recall(self, memory: bytes) -> None:
        """What a partition remembered when it was taken over."""

    def close(self) -> None:
        """Drop what is under way."""


Emit = Callable[[Outgoing], None]
