"""How long the machine itself stood still: a child that sleeps for a moment, again and again, and notes its delays.

It asks nothing of Kafka, and the system lets one that has slept go first. So if it goes on late, then whatever else
runs here stood still or waited for a processor as well, and a silence of the same time says little about gates.

Not a command for people: `bench.cluster.stillness` begins at once, and its report is what it has noted.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.harness.child import READY, Child, ending, say

SLEEP_S = 0.001
# A busy system lets a sleeper wait for some milliseconds as a matter of course.
DELAY_NOTED_MS = 20.0
BUSY_PAUSE_S = 1.0
NOTED_MAX = 200_000
_IDLE_FIELDS = (3, 4)  # idle, and waiting for disks


class Delay(NamedTuple):
    """The child went on later than it should have.

    Attributes:
        until_ms: when it went on, since the epoch.
        delay_ms: how much later that was.
    """

    until_ms: float
    delay_ms: float


class Busy(NamedTuple):
    """What all processors together have done since the machine was started, in ticks.

    Attributes:
        at_ms: when this was read, since the epoch.
    """

    at_ms: float
    busy: int
    all: int


class Noted(NamedTuple):
    """What the child has noted."""

    delays: list[Delay]
    busy: list[Busy]


def stood_still_ms(noted: Noted, begin_ms: float, end_ms: float) -> float:
    """Return the longest delay within a time; of one that has begun before or ended later, only what lies within."""
    within = (min(delay.until_ms, end_ms) - max(delay.until_ms - delay.delay_ms, begin_ms) for delay in noted.delays)
    return max(0.0, max(within, default=0.0))


def busy_share(noted: Noted, begin_ms: float, end_ms: float) -> float | None:
    """Return which part of their time the processors worked within a time; None if too little of it was noted."""
    within: Sequence[Busy] = [each for each in noted.busy if begin_ms <= each.at_ms <= end_ms]
    if len(within) < 2 or within[-1].all == within[0].all:
        return None
    return (within[-1].busy - within[0].busy) / (within[-1].all - within[0].all)


def main() -> None:
    """Run it."""
    told = ending()
    noted = Noted([], [])
    looking = threading.Thread(target=_look_busy, args=(noted.busy, told), daemon=True)
    say(READY)
    looking.start()
    _look_delays(noted.delays, told)
    looking.join()
    say(noted)


def _look_delays(delays: list[Delay], told: threading.Event) -> None:
    while not told.is_set():
        began_s = time.monotonic()
        time.sleep(SLEEP_S)
        delay_ms = (time.monotonic() - began_s - SLEEP_S) * 1_000
        if delay_ms >= DELAY_NOTED_MS and len(delays) < NOTED_MAX:
            delays.append(Delay(time.time_ns() / 1e6, delay_ms))


def _look_busy(busy: list[Busy], told: threading.Event) -> None:
    while not told.wait(BUSY_PAUSE_S) and len(busy) < NOTED_MAX:
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        busy.append(Busy(time.time_ns() / 1e6, sum(ticks) - sum(ticks[at] for at in _IDLE_FIELDS), sum(ticks)))


@contextlib.contextmanager
def watching_machine() -> Iterator[Child]:
    """Yield a child that has begun to note; the caller ends it, and reads its report with `noted_of`."""
    with Child("bench.cluster.stillness", {}) as child:
        child.wait_ready()
        yield child


def noted_of(report: tuple[list[list[float]], list[list[float]]]) -> Noted:
    """Return what the child has noted, from its report."""
    delays, busy = report
    return Noted([Delay(*each) for each in delays], [Busy(at_ms, int(used), int(every)) for at_ms, used, every in busy])


if __name__ == "__main__":
    main()
