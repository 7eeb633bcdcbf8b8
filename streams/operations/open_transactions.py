"""Notice transactions that stay open: readers see nothing behind the first record of one, whoever has written it.

A writer that stands still inside a transaction holds up every reader of the partitions that it has written to, until it
goes on or the brokers abort its transaction. Their setting `transaction.max.timeout.ms` bounds how long that may take
(15 minutes by default). They read it at their start only, so it can't be set from here.

A finding names the producer that has the transaction open, as far as the brokers tell. It also says which of Kafka's
own commands names the producer and which one ends the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from streams.ports import LogError, OpenTransaction, Reader, TopicPartition

STUCK_MS = 5_000
"""A last stable offset that stands still for this long, with records behind it, is reported. No part of stoplog keeps a
transaction open for as long."""

TRANSACTION_TIMEOUT_SETTING = "transaction.max.timeout.ms"
TRANSACTION_TIMEOUT_MS_MAX = 15_000
"""The longest time that the brokers should let a transaction be open: that of stoplog's own writers."""

TRANSACTIONAL_ID_CHARS_MAX = 200
"""How much of a transactional id is shown. Whoever writes has chosen it."""

BROKER_SESSION_SETTING = "broker.session.timeout.ms"
BROKER_SESSION_MS_RECOMMENDED = 3_000
BROKER_HEARTBEAT_MS_RECOMMENDED = 500
"""What `broker.heartbeat.interval.ms` should be then: with its default of 2 s, one late heartbeat ends a session."""


def is_long(settings: Mapping[str, str], name: str, ms_max: int) -> bool:
    """Return whether a broker's setting is a time above a maximum; an unknown setting is not."""
    value = settings.get(name, "")
    return value.isdecimal() and int(value) > ms_max


class Stuck(NamedTuple):
    """A partition whose readers wait for an open transaction.

    Attributes:
        partition: the partition.
        stable_offset: the last stable offset; the first record of the transaction is there.
        end_offset: the end of the partition.
        since_ms: since when it stands still, at least; of a clock that never goes back.
    """

    partition: TopicPartition
    stable_offset: int
    end_offset: int
    since_ms: int

    def text(self, now_ms: int) -> str:
        """Say what is held up, and since when."""
        topic, number = self.partition
        return (
            f"readers of `{topic}` partition {number} have waited for at least {now_ms - self.since_ms} ms for an open "
            f"transaction: {self.end_offset - self.stable_offset} offsets from {self.stable_offset} on are not visible"
        )

    def writer_text(self, oldest: OpenTransaction | None) -> str:
        """Say whose transaction it is.

        Args:
            oldest: the open transaction that begins first, as the log has answered.
        """
        if oldest is None or oldest.start_offset != self.stable_offset:
            return f"the log names no producer whose open transaction begins at {self.stable_offset}"
        text = (
            f"producer id {oldest.producer_id} (epoch {oldest.epoch}) has had it open since offset "
            f"{oldest.start_offset}"
        )
        if oldest.last_record_ms is not None:
            at = datetime.fromtimestamp(oldest.last_record_ms / 1_000, UTC).isoformat(" ", "milliseconds")
            text += f"; the time of its last record is {at}"
        if oldest.transactional_id is None:
            return (
                f"{text}; its transactional id is not visible to this principal: an administrator's `stoplog doctor` "
                "can name it"
            )
        # Escaped: it goes to logs and alerts, and its writer is a stranger.
        return f"{text}; its transactional id is {json.dumps(oldest.transactional_id[:TRANSACTIONAL_ID_CHARS_MAX])}"

    def advice(self, prefix: str) -> str:
        """Say which of Kafka's commands names the producer, and which ends its transaction.

        Args:
            prefix: the prefix of the deployment's topics.
        """
        where = f"--topic {prefix}{self.partition.topic} --partition {self.partition.partition}"
        return (
            f"`kafka-transactions.sh --bootstrap-server BROKER describe-producers {where}` names the producer whose "
            f"transaction begins at {self.stable_offset}; stop that writer, or run `kafka-transactions.sh "
            f"--bootstrap-server BROKER abort {where} --start-offset {self.stable_offset}`"
        )


class StableOffsets:
    """Follows the last stable offsets of some partitions. Asks nobody: the caller does."""

    def __init__(self) -> None:
        self._seen: dict[TopicPartition, tuple[int, int]] = {}
        self._reported: dict[TopicPartition, int] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a transaction is open that was not reported yet."""
        return any(self._reported.get(partition) != offset for partition, (offset, _) in self._seen.items())

    def observe(
        self, ends: Mapping[TopicPartition, int], stable: Mapping[TopicPartition, int], now_ms: int
    ) -> list[Stuck]:
        """Return the partitions that are found stuck for the first time since they last moved.

        Args:
            ends: the end of each partition, asked for before `stable`, or newer records would count as held up.
            stable: the last stable offset of each partition.
            now_ms: of a clock that never goes back.
        """
        found = []
        for partition, offset in stable.items():
            end = ends.get(partition, offset)
            seen = self._seen.get(partition)
            if offset >= end:
                self._seen.pop(partition, None)
                self._reported.pop(partition, None)
                continue
            if seen is None or seen[0] != offset:
                self._seen[partition] = (offset, now_ms)
                self._reported.pop(partition, None)
                continue
            if now_ms - seen[1] >= STUCK_MS and self._reported.get(partition) != offset:
                self._reported[partition] = offset
                found.append(Stuck(partition, offset, end, seen[1]))
        return found


def writer_texts(reader: Reader, found: Sequence[Stuck]) -> list[str]:
    """Say for each partition whose transaction it is that readers wait for, or why that is not known.

    After a first failure nobody is asked again: each may take seconds, and what is stuck must be reported soon.

    Args:
        reader: who is asked.
        found: what is stuck.
    """
    texts: list[str] = []
    failure = ""
    for stuck in found:
        if not failure:
            try:
                texts.append(stuck.writer_text(reader.oldest_transaction(stuck.partition)))
                continue
            except LogError as error:
                failure = f"who has it open can't be asked: {error}"
        texts.append(failure)
    return texts
