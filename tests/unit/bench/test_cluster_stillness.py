"""What `bench.cluster` says about the machine: a silence that the machine itself has caused must be seen as such."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bench.cluster.stillness import (
    Busy,
    Delay,
    Noted,
    busy_share,
    noted_of,
    stood_still_ms,
    watching_machine,
)

STILL_S = 0.4
RUN_S = 0.2


def test_the_longest_delay_within_a_time_counts() -> None:
    noted = Noted([Delay(1_000.0, 300.0), Delay(2_000.0, 80.0), Delay(9_000.0, 900.0)], [])
    assert stood_still_ms(noted, 0.0, 5_000.0) == 300.0
    assert stood_still_ms(noted, 1_500.0, 5_000.0) == 80.0
    assert stood_still_ms(noted, 3_000.0, 5_000.0) == 0.0


def test_of_a_delay_across_a_border_only_what_lies_within_counts() -> None:
    noted = Noted([Delay(1_000.0, 300.0)], [])
    assert stood_still_ms(noted, 900.0, 5_000.0) == 100.0
    assert stood_still_ms(noted, 0.0, 800.0) == 100.0


def test_the_share_of_the_processors_is_that_of_the_time_within() -> None:
    noted = Noted([], [Busy(0.0, 0, 0), Busy(1_000.0, 200, 200), Busy(2_000.0, 250, 400), Busy(9_000.0, 999, 999)])
    assert busy_share(noted, 500.0, 5_000.0) == 0.25
    assert busy_share(noted, 3_000.0, 5_000.0) is None


def test_a_process_that_was_stopped_says_for_how_long() -> None:
    with watching_machine() as machine:
        # It says that it is ready just before it begins.
        time.sleep(STILL_S)
        begin_ms = time.time_ns() / 1e6
        os.kill(machine.pid, signal.SIGSTOP)
        time.sleep(STILL_S)
        os.kill(machine.pid, signal.SIGCONT)
        time.sleep(RUN_S)
        noted = noted_of(machine.end())
    end_ms = time.time_ns() / 1e6
    assert stood_still_ms(noted, begin_ms, end_ms) == pytest.approx(STILL_S * 1_000, rel=0.5)
    assert stood_still_ms(noted, begin_ms, end_ms) > STILL_S * 1_000 * 0.9
