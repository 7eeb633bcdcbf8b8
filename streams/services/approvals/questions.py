"""Knows the questions that can still be answered, from the topic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing

from streams.model.approval import ApprovalRequest
from streams.model.errors import RecordError
from streams.model.topics import APPROVAL_REQUEST
from streams.operations.approvals.questions import Question
from streams.ports import LogError, Received, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.services.approvals.held_questions import HeldQuestions
from streams.services.retrying import RetryingThread

POLL_MS = 500
POLL_RECORDS_MAX = 500
RETRY_MS = 1_000


class OpenQuestions(RetryingThread):
    """The questions, by task and revision. Thread-safe; follows the topic in a thread of its own."""

    faults = (LogError,)

    def __init__(self, transport: Transport, count_dropped: Callable[[int], None]) -> None:
        """Prepare, without starting the thread.

        Args:
            transport: the log.
            count_dropped: told how many questions were dropped that could still be answered, for lack of room.
        """
        super().__init__("stoplog-approvals-questions")
        self._transport = transport
        self._count_dropped = count_dropped
        self._changed = threading.Condition()
        self._held = HeldQuestions()
        self._next_offsets: dict[int, int] = {}
        self._is_complete = threading.Event()

    @property
    def is_complete(self) -> bool:
        """Whether all questions are known that were on the topic when the service started."""
        return self._is_complete.is_set()

    def find(self, task_id: str, revision: int) -> Question | None:
        """Return a question in the form in which a person was shown it; None if it is not known."""
        with self._changed:
            return self._held.find((task_id, revision))

    def wait_for(self, received: Received, timeout_s: float) -> None:
        """Wait until a record of the topic has been read, but no longer than `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._next_offsets.get(received.partition, 0) > received.offset, timeout_s)

    @property
    def _trouble(self) -> str:
        return "following the questions is delayed"

    def _delay_ms(self, *, is_known: bool) -> int:
        del is_known
        return RETRY_MS

    def _work(self) -> None:
        places = [
            TopicPartition(APPROVAL_REQUEST.name, number)
            for number in range(self._transport.partitions(APPROVAL_REQUEST.name))
        ]
        with closing(self._transport.reader()) as reader:
            ends = reader.end_offsets(places)
            # After trouble, it goes on: to read again what was dropped would drop what is held, and count it again.
            reader.assign({place: self._next_offsets.get(place.partition, 0) for place in places})
            while not self._stop.is_set():
                polled = reader.poll(POLL_RECORDS_MAX, POLL_MS)
                for received in polled:
                    self._note(received)
                self._note_read(polled)
                if not self.is_complete and all(reader.position(place) >= end for place, end in ends.items()):
                    self._is_complete.set()

    def _note_read(self, polled: Sequence[Received]) -> None:
        with self._changed:
            for received in polled:
                self._next_offsets[received.partition] = received.offset + 1
            self._changed.notify_all()

    def _note(self, received: Received) -> None:
        if received.value is None or received.key is None:
            return
        try:
            record = self._transport.codec.decode(APPROVAL_REQUEST.name, received.value, received.headers)
        except RecordError:
            return
        now_ms = self._transport.now_ms()
        if not isinstance(record, ApprovalRequest) or record.expires_at <= now_ms:
            return
        question = Question(received.key, record, received.timestamp_ms, {}, is_known=False)
        with self._changed:
            dropped_count = self._held.add(question, len(received.value), now_ms)
        if dropped_count:
            self._count_dropped(dropped_count)
