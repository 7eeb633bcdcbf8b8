"""Calls that do not come back are left behind, and nothing is asked of who makes them again."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from streams.kafka import producer
from streams.kafka.bounded import deadline
from streams.kafka.bounded.deadline import StuckError, TimedCalls, require_few_stuck, within
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.ports import FatalLogError, RetriableLogError
from tests.waiting import until


@pytest.fixture
def calls() -> Iterator[TimedCalls]:
    made = TimedCalls("test calls")
    yield made
    made.close()


def test_results_and_errors_come_back(calls: TimedCalls) -> None:
    assert calls.call(lambda: threading.current_thread().name, within(60)) == "test calls"

    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        calls.call(fail, within(60))
    assert calls.call(lambda: 2, within(60)) == 2


def test_one_that_does_not_come_back_is_left_behind(calls: TimedCalls) -> None:
    released, ran = threading.Event(), threading.Event()
    with pytest.raises(StuckError, match=r"after \d+\.\d s"):
        calls.call(lambda: released.wait(10), within(0.05))
    with pytest.raises(StuckError, match="earlier call"):
        calls.call(ran.set, within(60))
    calls.close()
    released.set()
    assert not ran.is_set()


def test_a_wait_that_was_broken_off_leaves_nothing_for_the_next_call(calls: TimedCalls) -> None:
    """As Ctrl-C does it."""
    released = threading.Event()

    class BrokenOffError(BaseException):
        pass

    class Interrupted:
        def get(self, timeout: float) -> None:
            raise BrokenOffError

    ended, calls._ended = calls._ended, Interrupted()
    with pytest.raises(BrokenOffError):
        calls.call(lambda: released.wait(10), within(60))
    calls._ended = ended
    with pytest.raises(StuckError):
        calls.call(lambda: "second", within(60))
    released.set()


def test_calls_that_are_stuck_are_counted_told_of_and_bounded_until_they_return(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deadline, "STUCK_CALLS_MAX", 2)
    released = threading.Event()
    made = [TimedCalls(f"stuck {number}") for number in range(2)]
    for each in made:
        require_few_stuck()
        with pytest.raises(StuckError):
            each.call(lambda: released.wait(10), within(0.05))
    assert "`stuck 1`" in caplog.text
    assert "2 of 2" in caplog.text
    with pytest.raises(FatalLogError, match="start it again"):
        require_few_stuck()
    with pytest.raises(FatalLogError, match="start it again"):
        KafkaProducer("nowhere:9092", "gate-1")
    with pytest.raises(FatalLogError, match="start it again"):
        KafkaConsumer("nowhere:9092", "executors", instance="mail-1")
    released.set()
    for each in made:
        each.close()
    until(_few_are_stuck)


def _few_are_stuck() -> bool:
    try:
        require_few_stuck()
    except FatalLogError:
        return False
    return True


def test_who_waits_may_be_told_to_wait_no_longer(calls: TimedCalls) -> None:
    released = threading.Event()
    left_s = [60.0]
    hastening = threading.Timer(0.05, lambda: left_s.__setitem__(0, 0.0))
    hastening.start()
    with pytest.raises(StuckError):
        calls.call(lambda: released.wait(60), lambda: left_s[0])
    released.set()
    hastening.join()


def test_closing_ends_the_thread() -> None:
    made = TimedCalls("calls that end")
    made.close()
    assert "calls that end" not in {thread.name for thread in threading.enumerate()}


def test_a_producer_whose_brokers_did_not_answer_frees_its_client_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client is some ten threads, and a gate lets Python look for cycles seldom."""
    monkeypatch.setattr(producer, "INIT_S_MAX", 0.3)
    gc.disable()
    try:
        left = [_after_no_answer() for _ in range(3)]
        until(lambda: all(reference() is None for reference in left))
    finally:
        gc.enable()


def _after_no_answer() -> weakref.ref[KafkaProducer]:
    made = KafkaProducer("127.0.0.1:1", "nobody answers")
    with contextlib.suppress(RetriableLogError):
        made.init_transactions()
    made.close()
    return weakref.ref(made)
