"""The thread of a service: no fault ends it, and none is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from streams.ports import LogError
from streams.services.retrying import RetryingThread
from tests.waiting import until


class Turning(RetryingThread):
    """Does one thing after the other."""

    faults = (LogError,)

    def __init__(self, *turns: Callable[[], None]) -> None:
        super().__init__("turning")
        self.turns = list(turns)
        self.delays: list[bool] = []

    @property
    def _trouble(self) -> str:
        return "it does not turn"

    def _work(self) -> None:
        if self.turns:
            self.turns.pop(0)()
        else:
            self._pause(10)

    def _delay_ms(self, *, is_known: bool) -> int:
        self.delays.append(is_known)
        return 1


def fails(error: Exception) -> Callable[[], None]:
    def turn() -> None:
        raise error

    return turn


def test_each_fault_is_logged_and_delays_the_work(caplog: pytest.LogCaptureFixture) -> None:
    turning = Turning(fails(LogError("no answer")), fails(ValueError("a bug")), lambda: None)
    turning.start()
    until(lambda: not turning.turns)
    assert "turning" in {thread.name for thread in threading.enumerate()}
    turning.stop()
    assert "turning" not in {thread.name for thread in threading.enumerate()}
    assert turning.delays == [True, False]
    first, second = caplog.records
    assert (first.name, first.levelno, first.getMessage()) == (
        __name__, logging.WARNING, "it does not turn: no answer",
    )  # fmt: skip
    assert first.exc_info is None
    assert (second.levelno, second.getMessage()) == (logging.ERROR, "it does not turn")
    assert second.exc_info is not None


def test_one_that_is_being_stopped_does_not_wait() -> None:
    turning = Turning()

    def stopped() -> None:
        turning._stop.set()
        raise LogError("closed")

    turning.turns = [stopped]
    turning.start()
    turning.stop()
    assert turning.delays == []


def test_one_that_was_never_started_can_be_stopped() -> None:
    Turning().stop()
