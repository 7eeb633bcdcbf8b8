"""Sends what stands on a topic to one receiver over HTTP, at least once and in the order of each partition.

The log itself is the queue: the receiver has a position in every partition, which the service keeps on disk. It
advances when the receiver has accepted a record, or when the record need not be sent (any more). A receiver that is
down costs nothing, and delays no other: each has a thread of its own.

Needs the extra `sts`.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from typing import ClassVar

import httpx2

from streams.model.errors import StoplogError
from streams.ports import LogError, Reader, Received, TopicPartition
from streams.sdk.transport import Transport

SEND_TIMEOUT_S = 10.0
POLL_MS = 500
POLL_RECORDS_MAX = 100
STOP_S_MAX = 15
_MS_PER_S = 1_000


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

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self._next_ms = self.first_ms


class Sender(ABC):
    """Sends records to one receiver, in a thread of its own."""

    doing: ClassVar[str]
    """What it does to the receiver, for the log: "pushing events to"."""

    fault: ClassVar[type[StoplogError]]
    """The error of the service's store: it is retried, as those of the log are."""

    def __init__(self, name: str, thread_name: str, transport: Transport, backoff: Backoff) -> None:
        """Prepare, without starting the thread.

        Args:
            name: the name of the receiver.
            thread_name: the name of the thread.
            transport: the log.
            backoff: the pauses before something is tried again; the thread alone takes them.
        """
        self._name = name
        self._transport = transport
        self._backoff = backoff
        self._log = logging.getLogger(type(self).__module__)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)

    def start(self) -> None:
        """Start the thread at the receiver's position."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; the next start continues at the receiver's position."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S_MAX)

    @abstractmethod
    def _positions(self) -> Mapping[TopicPartition, int]:
        """Return the receiver's position in every partition."""

    @abstractmethod
    def _sent(self, received: Received, client: httpx2.Client) -> bool:
        """Send a record until it need not be sent any more. Return False if the thread is stopped before."""

    @abstractmethod
    def _note(self, received: Received) -> None:
        """Remember on disk that the receiver's position is after a record."""

    def _looked(self, reader: Reader) -> None:  # noqa: B027 - only a sender that tells its position has use for it
        """Note that all records have been sent that a look at the log returned."""

    def _delay_ms(self, *, is_known: bool) -> int:
        """Return how long to wait after a fault.

        Args:
            is_known: whether it is one of the log or the store; a service may wait longer after any other.
        """
        del is_known
        return self._backoff.take_ms()

    def _pause(self, pause_ms: int) -> None:
        """Wait, or until the thread is stopped."""
        self._stop.wait(pause_ms / _MS_PER_S)

    def _run(self) -> None:
        with httpx2.Client(timeout=SEND_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    with closing(self._transport.reader()) as reader:
                        self._follow(reader, client)
                except (LogError, self.fault) as error:
                    self._log.warning("%s `%s` is delayed: %s", self.doing, self._name, error)
                    self._pause(self._delay_ms(is_known=True))
                except Exception:
                    self._log.exception("%s `%s` is delayed", self.doing, self._name)
                    self._pause(self._delay_ms(is_known=False))

    def _follow(self, reader: Reader, client: httpx2.Client) -> None:
        reader.assign(self._positions())
        while not self._stop.is_set():
            for received in reader.poll(POLL_RECORDS_MAX, POLL_MS):
                if not self._sent(received, client):
                    return
                self._note(received)
            self._looked(reader)
