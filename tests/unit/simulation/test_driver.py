"""The driver: time that is told, the same result every time."""

from __future__ import annotations

import pytest

from simulation.records import SessionMaker
from streams.inmemory.clock import ManualClock
from streams.model.errors import InvariantError
from streams.model.topics import AUDIT, INTENT, VERDICT
from tests.kit import FILES_READ, HOUR_MS, MAIL_SEND, START_MS, GateBench


def test_the_same_history_gives_the_same_bytes() -> None:
    def once() -> list[object]:
        bench = GateBench(partitions=3)
        for number in range(6):
            session = SessionMaker(f"s-{number}")
            bench.establish(session)
            bench.propose(session=session)
            bench.propose(MAIL_SEND, {"ask": "one"}, session=session)
            bench.wait(777)
        bench.wait(HOUR_MS)
        return list(bench.driver.read_raw())

    assert once() == once()


def test_every_timer_on_the_way_fires_at_its_own_instant() -> None:
    bench = GateBench()
    for wait_ms in (0, 40, 300):
        bench.wait(wait_ms)
        bench.propose(MAIL_SEND, {"later": True})
    bench.verdicts()
    bench.wait(HOUR_MS // 2)
    assert [verdict.evaluated_at - START_MS for verdict in bench.verdicts()] == [30_000, 30_040, 30_340]


def test_a_record_from_before_keeps_its_stamp_and_time_does_not_go_back() -> None:
    bench = GateBench()
    bench.wait(10_000)
    intent = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
    received = bench.driver.pipe(INTENT.name, bench.session.key, intent, time_ms=bench.now_ms - 5_000)
    assert received.timestamp_ms == bench.now_ms - 5_000
    assert bench.verdict().evaluated_at == START_MS + 5_000
    assert bench.now_ms == START_MS + 10_000


def test_records_are_read_once_and_in_the_order_of_writing() -> None:
    bench = GateBench()
    bench.judge()
    bench.driver.read_raw()
    bench.propose()
    bench.propose()
    assert [found.topic for found in bench.driver.read_raw()] == [VERDICT.name, AUDIT.name] * 2
    assert bench.driver.read_raw() == []


def test_a_clock_goes_forward_only() -> None:
    clock = ManualClock(1_000)
    clock.sleep_ms(5)
    clock.set_ms(900)
    assert (clock.now_ms(), clock.monotonic_ms()) == (1_005, 5)
    with pytest.raises(InvariantError):
        clock.advance(-1)
