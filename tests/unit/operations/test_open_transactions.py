"""Open transactions that hold up readers, and how long brokers let them."""

from __future__ import annotations

from streams.kafka.timeouts import TRANSACTION_TIMEOUT_MS
from streams.operations.open_transactions import STUCK_MS, TRANSACTION_TIMEOUT_MS_MAX, StableOffsets, Stuck, is_long
from streams.ports import TopicPartition

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


def test_a_setting_that_is_not_known_is_not_long() -> None:
    assert is_long({"t": "900000"}, "t", 15_000)
    assert not is_long({"t": "15000"}, "t", 15_000)
    assert not is_long({}, "t", 15_000)


def test_our_own_writers_fit_the_setting_that_brokers_should_have() -> None:
    """A broker rejects a producer whose transactions may take longer than its `transaction.max.timeout.ms`."""
    assert TRANSACTION_TIMEOUT_MS <= TRANSACTION_TIMEOUT_MS_MAX
