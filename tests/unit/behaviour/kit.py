"""What tests of behaviour share: rows in a dictionary, activities with defaults, and streams of usual work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.watcher import Declared, Observed, Watcher

START_MS = 1_767_571_200_000
"""A Monday, 00:00 UTC."""
AFTER_MS = START_MS + 20 * DAY_MS + 9 * HOUR_MS
"""When work begins on the day after 20 days of usual work."""
_serials = count()


class Rows(dict[bytes, bytes]):
    """The rows of a partition."""

    def put(self, key: bytes, row: bytes) -> None:
        self[key] = row


def activity(time_ms: int, **fields: object) -> Activity:
    """Return an activity with an id of its own."""
    given = {"agent": "bot", "session": "s-1", "tool": "crm.use", "cohort": "bots", "tenant": "acme", **fields}
    return Activity(
        event_id=str(fields.pop("event_id", f"e-{next(_serials)}")),
        time_ms=time_ms,
        **{name: value for name, value in given.items() if name != "event_id"},
    )


def declared(kind: str, threshold: float, **parameters: object) -> Declaration:
    """Return a declaration of one kind."""
    given = {"name": kind, "key": ("agent.id",), "explain": "it is {agent.id}", **parameters}
    return Declaration(kind=kind, threshold=threshold, **given)


FIRST_AMOUNT = declared(
    "first_amount",
    3.4,
    key=("agent.id", "tool.name"),
    peer=("agent.type", "tool.name"),
    value="call.amount",
    min_support=30,
)


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


def spaced(count: int, every_ms: int = 5_000, **fields: object) -> list[Activity]:
    """Return calls at equal distances, in a session of their own."""
    begin_ms = AFTER_MS + 17 * HOUR_MS if fields.pop("night", False) else AFTER_MS
    return [activity(begin_ms + at * every_ms, **{"session": "attack", **_of(fields, at)}) for at in range(count)]


def _of(fields: dict[str, object], at: int) -> dict[str, object]:
    return {name: value(at) if callable(value) else value for name, value in fields.items()}


def mixed(days: int) -> list[Activity]:
    """Return usual work with objects, destinations, amounts and tools that take turns."""
    tools = ("crm.read", "docs.read", "mail.send")
    return [
        activity(
            each.time_ms,
            session=each.session,
            tool=tools[at % 3],
            call=f"call-{at}",
            object=f"o-{at % 7}",
            owner="alice",
            destination=f"d-{at % 3}.example",
            amount=100.0 + 10 * (at % 5),
            size_bytes=500 + 10 * (at % 9),
            root=each.session,
            instance="one",
            epoch="v1",
        )
        for at, each in enumerate(office_days(days))
    ]
