"""What tests of behaviour share: rows in a dictionary, activities with defaults, and streams of usual work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.watcher import Declared, Observed, Watcher

START_MS = 1_767_571_200_000
"""A Monday, 00:00 UTC."""
_serials = count()


class Rows(dict[bytes, bytes]):
    """The rows of a partition."""

    def put(self, key: bytes, row: bytes) -> None:
        self[key] = row


def activity(time_ms: int, **fields: object) -> Activity:
    """Return an activity with an id of its own."""
    given = {"agent": "bot", "session": "s-1", "tool": "crm.read", "cohort": "bots", "tenant": "acme", **fields}
    return Activity(
        event_id=str(fields.pop("event_id", f"e-{next(_serials)}")),
        time_ms=time_ms,
        **{name: value for name, value in given.items() if name != "event_id"},
    )


def declared(kind: str, threshold: float, **parameters: object) -> Declaration:
    """Return a declaration of one kind."""
    given = {"name": kind, "key": ("agent.id",), "explain": "it is {agent.id}", **parameters}
    return Declaration(kind=kind, threshold=threshold, **given)


def watcher(*declarations: Declaration) -> Watcher:
    """Return a watcher with these detectors."""
    return Watcher(Declared(declarations))


def observe_all(watch: Watcher, rows: Rows, activities: Iterable[Activity]) -> list[Observed]:
    """Return what comes of each activity."""
    return [watch.observe(rows, each) for each in activities]


def names_found(observed: Iterable[Observed]) -> list[str]:
    """Return the names of all findings."""
    return [finding.name for each in observed for finding in each.findings]


def office_days(days: int, per_day: int = 12, **fields: object) -> Iterator[Activity]:
    """Yield usual work: every day the same number of calls in office hours, one session a day."""
    for day in range(days):
        for call in range(per_day):
            time_ms = START_MS + day * DAY_MS + 9 * HOUR_MS + call * 20 * 60_000
            yield activity(time_ms, **{"session": f"day-{day}", **fields})
