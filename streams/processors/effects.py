"""What a processor is given, and what it gives back. Nothing here touches a log or a disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from streams.model.errors import RecordError
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

    def savepoint(self) -> Savepoint:
        """What has been written for the record so far, to come back to."""

    def undo_to(self, savepoint: Savepoint) -> None:
        """Forget what was written since."""


Savepoint = dict[bytes, bytes | None]
"""Opaque to processors."""


class Output(NamedTuple):
    """A record to be emitted, already in wire form. `partition` names another one than the writer's own."""

    topic: Topic
    key: bytes
    value: bytes
    header: Header
    partition: int | None = None


class SetAsideError(RecordError):
    """A record goes to the dead-letter topic, and has changed something all the same: it must not pass as if it had
    never come.

    Attributes:
        outputs: what is to be emitted along with the dead letter, as what was written to the state is kept.
    """

    def __init__(self, reason: str, text: str, outputs: Sequence[Output] = ()) -> None:
        super().__init__(reason, text)
        self.outputs = tuple(outputs)


class Encoder(Protocol):
    """Turns a record into wire bytes. Deterministic; the codec is one."""

    def encode(self, topic: str, record: Record) -> bytes:
        """The framed value of `record` on `topic`."""
