"""Calls that do not come back are left behind, and nothing is asked of who makes them again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from streams.kafka.deadline import StuckError, TimedCalls


@pytest.fixture
def calls() -> Iterator[TimedCalls]:
    made = TimedCalls("test calls")
    yield made
    made.close()


def test_results_and_errors_come_back(calls: TimedCalls) -> None:
    assert calls.call(lambda: threading.current_thread().name, 5) == "test calls"

    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        calls.call(fail, 5)
    assert calls.call(lambda: 2, 5) == 2


def test_one_that_does_not_come_back_is_left_behind(calls: TimedCalls) -> None:
    released, ran = threading.Event(), threading.Event()
    with pytest.raises(StuckError, match=r"after 0\.05 s"):
        calls.call(lambda: released.wait(10), 0.05)
    with pytest.raises(StuckError, match="earlier call"):
        calls.call(ran.set, 5)
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
        calls.call(lambda: released.wait(10), 5)
    calls._ended = ended
    with pytest.raises(StuckError):
        calls.call(lambda: "second", 5)
    released.set()


def test_closing_ends_the_thread() -> None:
    made = TimedCalls("calls that end")
    made.close()
    assert "calls that end" not in {thread.name for thread in threading.enumerate()}
