"""Closing ends in time."""

from __future__ import annotations

import logging
import threading

import pytest

from streams.kafka.bounded import bounded_close
from streams.kafka.bounded.bounded_close import close_in_time


def test_it_waits_for_the_end_and_hands_on_what_goes_wrong() -> None:
    done: list[str] = []
    close_in_time(lambda: done.append("closed"), "a reader")
    assert done == ["closed"]

    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        close_in_time(fail, "a reader")


def test_what_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(bounded_close, "CLOSE_S_MAX", 0.05)
    released = threading.Event()

    def hang() -> None:
        released.wait(10)

    with caplog.at_level(logging.WARNING, "streams.kafka"):
        close_in_time(hang, "a member of group `g`")
    released.set()
    assert "a member of group `g` is not closed" in caplog.text
