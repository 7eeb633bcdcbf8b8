"""The transactional producer of the in-memory log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streams.inmemory.broker import MemoryBroker
from streams.inmemory.faults import Call
from streams.inmemory.group import MemoryGroupMetadata
from streams.inmemory.partition import LogTransaction, TransactionStatus
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    FencedError,
    GroupMetadata,
    LogError,
    Outgoing,
    RetriableLogError,
    TopicPartition,
    UnansweredError,
)


class MemoryProducer:
    """Implements the port `Producer`. As on Kafka, records are on the log after `send` and visible after `commit`."""

    def __init__(self, broker: MemoryBroker, transactional_id: str) -> None:
        """Create it. Call `MemoryLog.producer` instead."""
        self._broker = broker
        self._id = transactional_id
        self._epoch: int | None = None
        self._transaction: LogTransaction | None = None
        self._failure: LogError | None = None
        self._may_abort = False
        self._in_hurry = False
        self._is_answered = True
        self._is_left_open = False
        self._stored: list[tuple[Callable[[int], None], int]] = []
        self._times_ms: list[int] = []
        self._stored_ms: Sequence[int] = ()

    def init_transactions(self) -> None:
        """Fence former holders of the transactional id and abort what they left open."""
        self._before(Call.INIT_TRANSACTIONS)
        self._epoch = self._broker.take_over(self._id)
        self._after(Call.INIT_TRANSACTIONS)

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            UnansweredError: one was left open, and the log does not answer.
            FatalLogError: the producer is not initialised or not usable any more, or a transaction is open already.
        """
        self._in_hurry, self._is_answered = False, True
        if self._is_left_open:
            self._go_on()
        self._before(Call.BEGIN)
        if self._epoch is None or self._transaction is not None:
            fault = "init_transactions was not called" if self._epoch is None else "a transaction is open already"
            raise FatalLogError(f"producer `{self._id}` can't begin: {fault}")
        self._check_epoch()
        self._transaction = self._broker.begin(self._id)
        self._after(Call.BEGIN)

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """Store a record in the open transaction."""
        transaction = self._open(Call.SEND)
        now_ms = self._broker.clock.now_ms()
        offset = self._broker.append(record, transaction, now_ms)
        transaction.unmarked.setdefault(TopicPartition(record.topic, record.partition))
        if on_stored is not None:
            self._stored.append((on_stored, offset))
            self._times_ms.append(now_ms)
        self._after(Call.SEND)

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """Make offsets of the group part of the transaction. Without offsets, nothing is sent and nothing is fenced.

        Raises:
            FencedError: the group has a newer generation, or the member was put out.
        """
        transaction = self._open(Call.SEND_OFFSETS)
        if not self._is_answered:
            self._failure, self._may_abort = AbortableTransactionError("the coordinator does not answer"), True
            raise self._failure
        if not isinstance(group, MemoryGroupMetadata):
            raise LogError(f"group metadata `{group!r}` is not of the in-memory log")
        if not offsets:
            return
        target = self._broker.group(group.group)
        try:
            target.check(group)
        except FencedError as error:
            self._failure, self._may_abort = error, True
            raise
        self._broker.commit_offsets(transaction, target, offsets)
        self._after(Call.SEND_OFFSETS)

    def commit(self) -> None:
        """Make everything in the transaction visible."""
        self._open(Call.COMMIT)
        self._broker.end(self._id, TransactionStatus.COMMITTED)
        self._transaction = None
        stored, self._stored = self._stored, []
        self._stored_ms, self._times_ms = self._times_ms, []
        self._after(Call.COMMIT)
        for on_stored, offset in stored:
            on_stored(offset)

    def abort(self) -> None:
        """Abort the open transaction. Does nothing without one."""
        if self._transaction is None:
            return
        if self._may_abort:
            self._failure = None
        # A commit without an answer is another matter: its outcome is unknown.
        may_leave = self._in_hurry and self._failure is None
        try:
            self._open(Call.ABORT)
        except UnansweredError:
            if not may_leave:
                raise
            self._failure, self._is_left_open = None, True
        else:
            if self._is_answered:
                self._broker.end(self._id, TransactionStatus.ABORTED)
            else:
                self._is_left_open = True
        self._transaction = None
        self._stored = []
        self._times_ms = []
        self._after(Call.ABORT)

    def hurry(self) -> None:
        """Leave the open transaction on the log, without an error, if `abort` is not answered."""
        if self._transaction is None:
            return
        self._in_hurry = True
        try:
            self._broker.faults.before(self._id, Call.HURRY)
        except UnansweredError:
            self._is_answered = False

    def leave(self) -> None:
        """Do nothing: no call waits."""

    @property
    def stored_ms(self) -> Sequence[int]:
        """Return what the port says."""
        return self._stored_ms

    def close(self) -> None:
        """Abort what is open, if this producer still may. Never raises."""
        mine = self._epoch is not None and self._epoch == self._broker.epoch(self._id)
        if mine and self._transaction is not None and (self._failure is None or self._may_abort):
            self._broker.end(self._id, TransactionStatus.ABORTED)
        self._transaction = None
        self._failure, self._may_abort = FatalLogError(f"producer `{self._id}` is closed"), False

    def _go_on(self) -> None:
        self._is_left_open = False
        try:
            self.init_transactions()
        except RetriableLogError as error:
            raise UnansweredError(str(error)) from error

    def _open(self, call: Call) -> LogTransaction:
        self._before(call)
        if self._transaction is None:
            raise FatalLogError(f"producer `{self._id}` can't {call.value}: no transaction is open")
        self._check_epoch()
        return self._transaction

    def _before(self, call: Call) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            self._broker.faults.before(self._id, call)
        except (AbortableTransactionError, FatalLogError) as error:
            self._failure, self._may_abort = error, isinstance(error, AbortableTransactionError)
            raise

    def _after(self, call: Call) -> None:
        try:
            self._broker.faults.after(self._id, call)
        except (AbortableTransactionError, FatalLogError) as error:
            self._failure, self._may_abort = error, isinstance(error, AbortableTransactionError)
            raise

    def _check_epoch(self) -> None:
        if self._epoch != self._broker.epoch(self._id):
            text = f"producer `{self._id}`: a newer one has taken over, or the transaction timed out"
            self._failure, self._may_abort = FencedError(text), False
            raise self._failure
