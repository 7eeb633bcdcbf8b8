"""How the SDK reaches a log. What differs between logs is in here; agents and executors are the same on all of them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Protocol, Self

from streams.model.types import Record
from streams.ports import Consumer, Headers, Producer, Publisher, Reader
from streams.sdk.inbox import VerdictInbox


class RecordCodec(Protocol):
    """Records to bytes and back."""

    def encode(self, topic: str, record: Record) -> bytes:
        """The record's value on the wire of `topic`."""

    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record:
        """The record in a value of `topic`.

        Raises:
            RecordError: it cannot be read; its `reason` says why.
        """


class Transport(ABC):
    """A connection to one log. Thread-safe. Closing it closes its publisher and ends the waiting of its agents.

    Readers, consumers and producers belong to who asked for them: that one closes them.
    """

    def __init__(self, codec: RecordCodec) -> None:
        self.codec = codec
        self._parts_lock = threading.Lock()
        self._publisher: Publisher | None = None
        self._inbox: VerdictInbox | None = None
        self._closed = False

    @abstractmethod
    def reader(self) -> Reader:
        """A new reader of named partitions."""

    @abstractmethod
    def consumer(self, group: str, instance: str) -> Consumer:
        """A new member of a consumer group; `instance` is its stable name in the group."""

    @abstractmethod
    def producer(self, transactional_id: str) -> Producer:
        """A new transactional producer; it fences the former holders of its id."""

    @abstractmethod
    def partitions(self, topic: str) -> int:
        """How many partitions the topic has.

        Raises:
            LogError: there is no such topic, or the log did not answer.
        """

    @abstractmethod
    def now_ms(self) -> int:
        """The wall clock that this side of the log goes by."""

    @abstractmethod
    def _open_publisher(self) -> Publisher:
        """Make the one publisher of this transport."""

    def publisher(self) -> Publisher:
        """The transport's publisher, made at the first call and shared by all."""
        with self._parts_lock:
            self._refuse_closed()
            if self._publisher is None:
                self._publisher = self._open_publisher()
            return self._publisher

    def verdicts(self) -> VerdictInbox:
        """Where this transport's agents wait for verdicts: one reading thread for all of them."""
        with self._parts_lock:
            self._refuse_closed()
            if self._inbox is None:
                self._inbox = VerdictInbox(self.reader, self.codec)
            return self._inbox

    def close(self) -> None:
        """Release what was made. May be called again."""
        with self._parts_lock:
            self._closed = True
            inbox, self._inbox = self._inbox, None
            publisher, self._publisher = self._publisher, None
        if inbox is not None:
            inbox.close()
        if publisher is not None:
            publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            msg = "the transport is closed: make a new one"
            raise RuntimeError(msg)
