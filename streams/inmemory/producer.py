"""The transactional producer of the in-memory log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

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
    TopicPartition,
)

if TYPE_CHECKING:
    from streams.inmemory.log import MemoryLog


class MemoryProducer:
    """The port `Producer`. Records lie in the log from `send` on, as on Kafka, and become visible by `commit`."""

    def __init__(self, log: MemoryLog, transactional_id: str) -> None:
        """Made by `MemoryLog.producer`."""
        self._log = log
        self._id = transactional_id
        self._epoch: int | None = None
        self._transaction: LogTransaction | None = None
        self._failure: LogError | None = None
        self._may_abort = False
        self._stored: list[tuple[Callable[[int], None], int]] = []

    def init_transactions(self) -> None:
        """Fence former holders of the transactional id and abort what they left open."""
        self._before(Call.INIT_TRANSACTIONS)
        self._epoch = self._log.take_over(self._id)
        self._after(Call.INIT_TRANSACTIONS)

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            FatalLogError: not initialised, one is open already, or this producer is of no more use.
        """
        self._before(Call.BEGIN)
        if self._epoch is None or self._transaction is not None:
            fault = "init_transactions was not called" if self._epoch is None else "a transaction is open already"
            raise FatalLogError(f"producer `{self._id}` can't begin: {fault}")
        self._check_epoch()
        self._transaction = self._log.begin(self._id)
        self._after(Call.BEGIN)

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """Store a record in the open transaction."""
        transaction = self._open(Call.SEND)
        offset = self._log.append(record, transaction)
        transaction.unmarked.setdefault(TopicPartition(record.topic, record.partition))
        if on_stored is not None:
            self._stored.append((on_stored, offset))
        self._after(Call.SEND)

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """Make the group's offsets part of the transaction. Without any nothing is sent, and nothing is fenced.

        Raises:
            FencedError: `group` is of an earlier generation, or its member was put out.
        """
        transaction = self._open(Call.SEND_OFFSETS)
        if not isinstance(group, MemoryGroupMetadata):
            raise LogError(f"group metadata `{group!r}` is not of the in-memory log")
        if not offsets:
            return
        target = self._log.group(group.group)
        try:
            target.check(group)
        except FencedError as error:
            self._failure, self._may_abort = error, True
            raise
        self._log.commit_offsets(transaction, target, offsets)
        self._after(Call.SEND_OFFSETS)

    def commit(self) -> None:
        """Decide for it: all of it becomes visible."""
        self._open(Call.COMMIT)
        self._log.end(self._id, TransactionStatus.COMMITTED)
        self._transaction = None
        stored, self._stored = self._stored, []
        self._after(Call.COMMIT)
        for on_stored, offset in stored:
            on_stored(offset)

    def abort(self) -> None:
        """Drop the open transaction. A no-op without one."""
        if self._transaction is None:
            return
        if self._may_abort:
            self._failure = None
        self._open(Call.ABORT)
        self._log.end(self._id, TransactionStatus.ABORTED)
        self._transaction = None
        self._stored = []
        self._after(Call.ABORT)

    def close(self) -> None:
        """Aborts what is open, if this producer still may. Never raises."""
        mine = self._epoch is not None and self._epoch == self._log.epoch(self._id)
        if mine and self._transaction is not None and (self._failure is None or self._may_abort):
            self._log.end(self._id, TransactionStatus.ABORTED)
        self._transaction = None
        self._failure, self._may_abort = FatalLogError(f"producer `{self._id}` is closed"), False

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
            self._log.faults.before(self._id, call)
        except (AbortableTransactionError, FatalLogError) as error:
            self._failure, self._may_abort = error, isinstance(error, AbortableTransactionError)
            raise

    def _after(self, call: Call) -> None:
        try:
            self._log.faults.after(self._id, call)
        except (AbortableTransactionError, FatalLogError) as error:
            self._failure, self._may_abort = error, isinstance(error, AbortableTransactionError)
            raise

    def _check_epoch(self) -> None:
        if self._epoch != self._log.epoch(self._id):
            text = f"producer `{self._id}`: a newer one has taken over, or the transaction timed out"
            self._failure, self._may_abort = FencedError(text), False
            raise self._failure
