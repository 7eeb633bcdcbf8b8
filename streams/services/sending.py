"""Sends what stands on a topic to one receiver over HTTP, at least once and in the order of each partition.

The log itself is the queue: the receiver has a position in every partition, which the service keeps on disk. It
advances when the receiver has accepted a record, or when the record need not be sent (any more). A receiver that is
down costs nothing, and delays no other: each has a thread of its own.

Needs the extra `sts`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import closing
from typing import ClassVar

from streams.ports import Reader, Received, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.services.posting import Poster
from streams.services.retrying import RetryingThread

SEND_TIMEOUT_S = 10.0
POLL_MS = 500
POLL_RECORDS_MAX = 100
DOUBLED_MAX = 30
"""How often a pause is doubled at most. Every pause has come to the longest by then."""


class Backoff:
    """The pause before something is sent again."""

    def __init__(self, first_ms: int, longest_ms: int) -> None:
        self.first_ms = first_ms
        self.longest_ms = longest_ms
        self._next_ms = first_ms

    def take_ms(self) -> int:
        """Return the next pause, which doubles each time, up to the longest."""
        pause_ms, self._next_ms = self._next_ms, min(self._next_ms * 2, self.longest_ms)
        return pause_ms

    def after_ms(self, failures: int) -> int:
        """Return the pause that follows so many others, for what counts its own failures. It changes nothing."""
        return min(self.first_ms << min(failures, DOUBLED_MAX), self.longest_ms)

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self._next_ms = self.first_ms


class Sender(RetryingThread):
    """Sends records to one receiver, in a thread of its own."""

    doing: ClassVar[str]
    """What it does to the receiver, for the log: "pushing events to"."""

    def __init__(self, name: str, thread_name: str, transport: Transport, backoff: Backoff) -> None:
        """Prepare, without starting the thread. It starts at the receiver's position.

        Args:
            name: the name of the receiver.
            thread_name: the name of the thread.
            transport: the log.
            backoff: the pauses before something is tried again; the thread alone takes them.
        """
        super().__init__(thread_name)
        self._name = name
        self._transport = transport
        self._backoff = backoff

    @abstractmethod
    def _positions(self) -> Mapping[TopicPartition, int]:
        """Return the receiver's position in every partition."""

    @abstractmethod
    def _sent(self, received: Received) -> bool:
        """Send a record until it need not be sent any more. Return False if the thread is stopped before."""

    @abstractmethod
    def _note(self, received: Received) -> None:
        """Remember on disk that the receiver's position is after a record."""

    def _looked(self, reader: Reader) -> None:
        """Note that all records have been sent that a look at the log returned."""

    @property
    def _trouble(self) -> str:
        return f"{self.doing} `{self._name}` is delayed"

    def _delay_ms(self, *, is_known: bool) -> int:
        """Return how long to wait after a fault; a service may wait longer after one that is not expected."""
        del is_known
        return self._backoff.take_ms()

    def _run(self) -> None:
        with closing(Poster(SEND_TIMEOUT_S)) as poster:
            self._poster = poster
            super()._run()

    def _work(self) -> None:
        with closing(self._transport.reader()) as reader:
            self._follow(reader)

    def _follow(self, reader: Reader) -> None:
        reader.assign(self._positions())
        while not self._stop.is_set():
            for received in reader.poll(POLL_RECORDS_MAX, POLL_MS):
                if not self._sent(received):
                    return
                self._note(received)
            self._looked(reader)
