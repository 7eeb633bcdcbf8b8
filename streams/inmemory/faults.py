"""Defines where faults can be injected into the in-memory log. By default nothing goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from streams.ports import TopicPartition


class Call(StrEnum):
    """The calls of clients that can go wrong."""

    POLL = "poll"
    COMMITTED = "committed"
    READ = "read"
    END_OFFSETS = "end_offsets"
    INIT_TRANSACTIONS = "init_transactions"
    BEGIN = "begin"
    SEND = "send"
    SEND_OFFSETS = "send_offsets"
    COMMIT = "commit"
    ABORT = "abort"
    HURRY = "hurry"


class Faults(Protocol):
    """Is asked around every call. What it raises is what the client's caller sees.

    An error of `before` means that nothing of the call has happened; one of `after`, that all of it has. After a
    `RetriableLogError` of `POLL` or `READ`, the poll finds nothing, as if no answer had come. After an
    `UnansweredError` of `HURRY`, the log answers nothing until the producer begins its next transaction.
    """

    def before(self, client: str, call: Call) -> None:
        """Note that `client` (an instance name or transactional id) is about to make a call."""

    def after(self, client: str, call: Call) -> None:
        """Note that a call was carried out, and that its answer is still on the way."""

    def waits(self, client: str) -> None:
        """Let the broker and everybody else do what they do while `client` waits for records."""

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Return the order in which a poll looks at the partitions. One that is left out has not answered yet."""

    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        """Return whether the marker of a decided transaction reaches this partition only later."""


class NoFaults:
    """Implements `Faults` without any."""

    def before(self, client: str, call: Call) -> None:
        """Do nothing."""

    def after(self, client: str, call: Call) -> None:
        """Do nothing."""

    def waits(self, client: str) -> None:
        """Do nothing."""

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Return the partitions as they come."""
        del client
        return partitions

    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        """Return False: markers are written at once."""
        del transactional_id, partition
        return False
