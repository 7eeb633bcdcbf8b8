"""What a processor is given, and what it gives back. Nothing here touches a log or a disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from streams.model.topics import Topic
from streams.model.types import Header, Record


class StateView(Protocol):
    """The state of one partition as the processor sees it: committed rows under its own writes.

    Writes become durable with the outputs of the same transaction, or not at all.
    """

    @property
    def partition(self) -> int:
        """Whose state it is."""

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""

    def put(self, key: bytes, row: bytes) -> None:
        """Set the row."""

    def delete(self, key: bytes) -> None:
        """Remove the row."""

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, in order. The state must not be written to while iterating."""

    def set_timer(self, due_ms: int, payload: bytes) -> None:
        """Call the processor with `payload` once stream time has reached `due_ms`. Idempotent."""

    def cancel_timer(self, due_ms: int, payload: bytes) -> None:
        """Forget it again."""


class Output(NamedTuple):
    """A record to be emitted, already in wire form. `partition` names another one than the writer's own."""

    topic: Topic
    key: bytes
    value: bytes
    header: Header
    partition: int | None = None


class Encoder(Protocol):
    """Turns a record into wire bytes. Deterministic; the codec is one."""

    def encode(self, topic: str, record: Record) -> bytes:
        """The framed value of `record` on `topic`."""
