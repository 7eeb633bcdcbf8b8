"""What the engine needs of the codec and the processor; both are given to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.ports import Headers, Outgoing, Received
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
    """A pure processor; `streams.processors.gate.Gate` is one."""

    def process(
        self, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Take in one record of an input topic."""

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Take in a timer that has come due."""


class ControlSink(Protocol):
    """Where broadcast records go; `streams.processors.control.ControlState` is one."""

    stale: bool

    def apply(self, topic: str, key: bytes | None, record: Record | None, next_offset: int) -> None:
        """Take in one record (None: a tombstone)."""

    def block_unreadable(self, topic: str, key: bytes | None) -> None:
        """A record under this key could not be read."""


Emit = Callable[[Outgoing], None]
