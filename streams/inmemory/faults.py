"""Where the in-memory log lets itself be disturbed, and the default: not at all."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from streams.ports import TopicPartition


class Call(StrEnum):
    """The calls of the log's clients that can go wrong."""

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


class Faults(Protocol):
    """Asked around every call. Whatever it raises is what the client's caller sees.

    An error of `before` means that nothing of the call has happened; one of `after`, that all of it has. A
    `RetriableLogError` of `POLL` and `READ` is an answer that does not come: the poll finds nothing.
    """

    def before(self, client: str, call: Call) -> None:
        """`client` (its instance name or transactional id) is about to make a call."""

    def after(self, client: str, call: Call) -> None:
        """The call has been carried out, but its answer is still on the way."""

    def waits(self, client: str) -> None:
        """`client` waits for records, and time has passed: what the broker and everybody else have made of it."""

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """The order in which a poll looks at the partitions; one that is left out has not answered yet."""

    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        """Whether the marker of a decided transaction reaches this partition only later."""


class NoFaults:
    """Everything works."""

    def before(self, client: str, call: Call) -> None:
        """Goes well."""

    def after(self, client: str, call: Call) -> None:
        """Goes well."""

    def waits(self, client: str) -> None:
        """Nothing."""

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """As they come."""
        del client
        return partitions

    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        """At once."""
        del transactional_id, partition
        return False
