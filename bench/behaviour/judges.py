"""What is compared: the shipped detectors, a static rate limit, and a z-score of hourly counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple, Protocol

from simulation.fleet.announced import Notice
from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Declared, Observed, Watcher

STEP = 40
"""Decisions that are judged in one step, as in the watch where some hundred come in a second."""
HOURS_MIN = 24
"""Hours of work that a z-score needs."""


class Judge(Protocol):
    """Something that raises alerts about activities."""

    def alerts(self, activity: Activity) -> tuple[str, ...]:
        """Return the names of the alerts that an activity causes."""


class Rows(dict[bytes, bytes]):
    """Rows in memory."""

    def put(self, key: bytes, row: bytes) -> None:
        """Set a row."""
        self[key] = row


class Detectors:
    """Declared detectors and correlations.

    Attributes:
        observed: what came of the last activity.
    """

    def __init__(self, declared: Declared, notices: Sequence[Notice] = ()) -> None:
        """Args:
        declared: the detectors and correlations.
        notices: what is announced, in order of time.
        """
        self.observed = Observed()
        self._notices = deque(notices)
        self._watcher = Watcher(declared)
        self._rows, self._remembered = Rows(), RememberedRows()
        self._open = OpenRows(self._rows, self._remembered)
        self._judged = 0

    def alerts(self, activity: Activity) -> tuple[str, ...]:
        """Return the names of the findings."""
        self._judged += 1
        if self._judged % STEP == 0:
            self._open.close()
            self._open = OpenRows(self._rows, self._remembered)
        while self._notices and self._notices[0].time_ms <= activity.time_ms:
            it = self._notices.popleft()
            self._watcher.announcements.announce(self._open, it.tenant, it.uid, it.announced, it.time_ms)
        self.observed = self._watcher.judge(self._open, activity)
        return tuple([finding.name for finding in self.observed.findings])

    @property
    def rows(self) -> Rows:
        """The rows after all decisions so far."""
        self._open.close()
        return self._rows


class Latched:
    """Keeps a judge quiet about an agent for a day after an alert, as the detectors are."""

    def __init__(self) -> None:
        self._until_ms: dict[str, int] = {}

    def once(self, name: str, activity: Activity) -> tuple[str, ...]:
        """Return the alert, or nothing while the agent's incident is known."""
        if activity.time_ms < self._until_ms.get(activity.agent, 0):
            return ()
        self._until_ms[activity.agent] = activity.time_ms + DAY_MS
        return (name,)


class RateLimit:
    """More than a fixed number of calls of an agent within an hour."""

    def __init__(self, limit: float) -> None:
        self._limit, self._latch = limit, Latched()
        self._times: dict[str, deque[int]] = {}

    def alerts(self, activity: Activity) -> tuple[str, ...]:
        """Return an alert if there are too many calls."""
        times = self._times.setdefault(activity.agent, deque())
        times.append(activity.time_ms)
        while times[0] <= activity.time_ms - HOUR_MS:
            times.popleft()
        return self._latch.once("rate", activity) if len(times) > self._limit else ()


class _Hours(NamedTuple):
    hour: int = -1
    calls: int = 0
    hours: int = 0
    total: float = 0.0
    squares: float = 0.0


class ZScore:
    """An hour of an agent whose count is a fixed number of standard deviations above the mean of its active hours."""

    def __init__(self, limit: float) -> None:
        self._limit, self._latch = limit, Latched()
        self._hours: dict[str, _Hours] = {}

    def alerts(self, activity: Activity) -> tuple[str, ...]:
        """Return an alert if the hour's count is too high."""
        it, hour = self._hours.get(activity.agent, _Hours()), activity.time_ms // HOUR_MS
        if hour != it.hour:
            it = _Hours(hour, 0, it.hours + (it.hour >= 0), it.total + it.calls, it.squares + it.calls**2)
        it = it._replace(calls=it.calls + 1)
        self._hours[activity.agent] = it
        if it.hours < HOURS_MIN:
            return ()
        mean = it.total / it.hours
        deviation = sqrt(max(it.squares / it.hours - mean * mean, 1.0))
        return self._latch.once("z", activity) if (it.calls - mean) / deviation > self._limit else ()
