"""Open transactions that hold up readers, and how long brokers let them."""

from __future__ import annotations

from contextlib import closing

import pytest

from streams.inmemory.clients import MemoryReader
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.kafka.timeouts import TRANSACTION_TIMEOUT_MS
from streams.operations.open_transactions import (
    STUCK_MS,
    TRANSACTION_TIMEOUT_MS_MAX,
    StableOffsets,
    Stuck,
    is_long,
    writer_texts,
)
from streams.ports import LogError, OpenTransaction, TopicPartition

PLACE = TopicPartition("agent.intent.v1", 3)


def observe(offsets: StableOffsets, end: int, stable: int, now_ms: int) -> list[Stuck]:
    return offsets.observe({PLACE: end}, {PLACE: stable}, now_ms)


def test_one_that_stands_still_is_reported_once() -> None:
    offsets = StableOffsets()
    assert observe(offsets, 10, 7, 100) == []
    assert offsets.is_waiting
    assert observe(offsets, 12, 7, 100 + STUCK_MS - 1) == []
    assert observe(offsets, 14, 7, 100 + STUCK_MS) == [Stuck(PLACE, 7, 14, 100)]
    assert observe(offsets, 15, 7, 100 + 2 * STUCK_MS) == []
    assert not offsets.is_waiting


def test_one_that_moves_is_not_stuck_however_far_it_is_behind() -> None:
    offsets = StableOffsets()
    for step in range(20):
        assert observe(offsets, 1_000, step, step * STUCK_MS) == []


def test_one_that_was_stuck_and_is_stuck_again_is_reported_again() -> None:
    offsets = StableOffsets()
    for end, stable, now_ms, count in ((9, 7, 0, 0), (9, 7, STUCK_MS, 1), (9, 9, STUCK_MS + 1, 0), (12, 9, 10_000, 0)):
        assert len(observe(offsets, end, stable, now_ms)) == count
    assert len(observe(offsets, 12, 9, 10_000 + STUCK_MS)) == 1


def test_what_to_do_is_a_command_that_can_be_typed() -> None:
    stuck = Stuck(PLACE, 7, 9, 0)
    assert "readers of `agent.intent.v1` partition 3 have waited for at least 6000 ms" in stuck.text(6_000)
    assert "describe-producers --topic x-agent.intent.v1 --partition 3" in stuck.advice("x-")
    assert "abort --topic x-agent.intent.v1 --partition 3 --start-offset 7" in stuck.advice("x-")


def test_the_producer_is_named_with_what_is_known_of_it() -> None:
    stuck = Stuck(PLACE, 7, 9, 0)
    known = OpenTransaction(4_005, 2, 7, 1_700_000_000_123, "their\n`writer`")
    assert stuck.writer_text(known) == (
        "producer id 4005 (epoch 2) has had it open since offset 7; the time of its last record is "
        '2023-11-14 22:13:20.123+00:00; its transactional id is "their\\n`writer`"'
    )
    assert stuck.writer_text(known._replace(last_record_ms=None, transactional_id=None)) == (
        "producer id 4005 (epoch 2) has had it open since offset 7; its transactional id is not visible to this "
        "principal: an administrator's `stoplog doctor` can name it"
    )
    assert len(stuck.writer_text(known._replace(transactional_id="x" * 30_000))) < 500


def test_the_producer_of_another_transaction_is_not_blamed() -> None:
    stuck = Stuck(PLACE, 7, 9, 0)
    for other in (None, OpenTransaction(4_005, 2, 8, None, "later")):
        assert stuck.writer_text(other) == "the log names no producer whose open transaction begins at 7"


def test_after_a_failure_nobody_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TopicPartition] = []

    def oldest(_reader: MemoryReader, partition: TopicPartition) -> OpenTransaction:
        asked.append(partition)
        if len(asked) > 1:
            raise LogError("the brokers did not answer")
        return OpenTransaction(1, 0, 7, None, "first")

    monkeypatch.setattr(MemoryReader, "oldest_transaction", oldest)
    found = [Stuck(TopicPartition(PLACE.topic, number), 7, 9, 0) for number in range(4)]
    with closing(MemoryLog(ManualClock(0)).reader()) as reader:
        first, *others = writer_texts(reader, found)
    assert 'its transactional id is "first"' in first
    assert others == ["who has it open can't be asked: the brokers did not answer"] * 3
    assert [partition.partition for partition in asked] == [0, 1]


def test_a_setting_that_is_not_known_is_not_long() -> None:
    assert is_long({"t": "900000"}, "t", 15_000)
    assert not is_long({"t": "15000"}, "t", 15_000)
    assert not is_long({}, "t", 15_000)


def test_our_own_writers_fit_the_setting_that_brokers_should_have() -> None:
    """A broker rejects a producer whose transactions may take longer than its `transaction.max.timeout.ms`."""
    assert TRANSACTION_TIMEOUT_MS <= TRANSACTION_TIMEOUT_MS_MAX
