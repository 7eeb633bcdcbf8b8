"""How the log is cut into polls and transactions, and when a watch restarts, makes no difference to what it says."""

from __future__ import annotations

import msgspec
import pytest

from simulation.fleet.fleet import Plan, make_fleet
from streams.history.driver import DRIVER_SETTINGS, Driver
from streams.model.topics import ALERT, ALERT_OCSF, AUDIT_REPORTED, BASELINE, BEHAVIOUR, WATCH_CHANGELOG
from streams.ports import Outgoing, Received
from streams.processors.row_kinds import RowKind
from streams.processors.watch.watch import Watch
from streams.topology import WATCH
from tests.unit.behaviour.kit import START_MS
from tests.unit.processors.watch.test_floods import flood, usual_days
from tests.unit.processors.watch.watch_bench import QUICK, SHIPPED, WIRE, Bench, loop_of

SMALL = Plan(agents_count=5, days_count=4, quiet_days_count=1, odd_per_agent_day=0.2, attacks_each=1)
DECISIONS = 700
OUTPUTS = (ALERT, ALERT_OCSF, BASELINE, AUDIT_REPORTED)
LAST_MS = 3_600_000
ENGINE_ROWS = b"nlct"
"""What rows of the engine begin with: they say how far it has come, and when."""


@pytest.fixture(scope="module")
def decisions() -> list[Received]:
    """What keying writes about a fleet, a loop and a flood, in the order in which it stands on the log."""
    bench = Bench(partitions=1)
    calls = [planned.activity for planned in make_fleet(9, SMALL)][:DECISIONS]
    calls += [*loop_of(60, start_ms=START_MS + 3_600_000), *list(usual_days())[-100:], *list(flood())[:100]]
    for each in sorted(calls, key=lambda each: (each.time_ms, each.event_id)):
        bench.decide(each)
    return [record for _, record in bench.driver.log.written_since([BEHAVIOUR.name], -1)]


def judged(decisions: list[Received], *, poll: int, commit: int, restart_every: int = 0) -> Driver:
    """A watch that has judged decisions.

    Args:
        decisions: the decisions.
        poll: how many lie on the log before the watch reads on.
        commit: how many it takes into a transaction.
        restart_every: after how many polls a new watch takes over; 0: never.
    """
    settings = msgspec.structs.replace(DRIVER_SETTINGS, commit_records_max=commit)
    driver = Driver(
        spec=WATCH,
        processor=Watch(WIRE, SHIPPED.declared, QUICK),
        wire=WIRE,
        start_ms=decisions[0].timestamp_ms,
        settings=settings,
    )
    for number, start in enumerate(range(0, len(decisions), poll)):
        part = decisions[start : start + poll]
        driver.clock.set_ms(part[-1].timestamp_ms)
        for each in part:
            driver.log.append(Outgoing(BEHAVIOUR.name, 0, each.key, each.value), timestamp_ms=each.timestamp_ms)
        driver.settle()
        if restart_every and number % restart_every == restart_every - 1:
            driver.restart(Watch(WIRE, SHIPPED.declared, QUICK))
    driver.advance(driver.clock.now_ms() + LAST_MS)
    return driver


def said(driver: Driver) -> tuple[list[tuple[str, bytes | None, bytes | None]], dict[bytes, bytes]]:
    """What a watch has written about decisions, and the rows that it has at the end."""
    names = [topic.name for topic in OUTPUTS]
    written = [(record.topic, record.key, record.value) for _, record in driver.log.written_since(names, -1)]
    rows: dict[bytes, bytes | None] = {}
    for _, record in driver.log.written_since([WATCH_CHANGELOG.name], -1):
        rows[record.key or b""] = record.value
    kept = {key: row for key, row in rows.items() if row is not None and key[:1] not in ENGINE_ROWS}
    return written, kept


@pytest.mark.parametrize(
    ("poll", "commit", "restart_every"), [(1, 1, 100), (17, 5, 0), (250, 1_000, 1), (2_000, 1, 0), (2_000, 2_000, 0)]
)
def test_what_a_watch_says_does_not_depend_on_polls_commits_and_restarts(
    decisions: list[Received], poll: int, commit: int, restart_every: int
) -> None:
    expected, rows = said(judged(decisions, poll=50, commit=1_000))
    topics = {topic for topic, _, _ in expected}
    assert {ALERT.name, ALERT_OCSF.name, BASELINE.name} <= topics
    assert len(rows) > 300
    written, kept = said(judged(decisions, poll=poll, commit=commit, restart_every=restart_every))
    assert written == expected
    assert kept == rows


def late(decisions: list[Received]) -> list[Received]:
    """The decisions as keying writes them when it catches up: many at one time, so many wait for their turn at once."""
    times = [decisions[start : start + 250][-1].timestamp_ms for start in range(0, len(decisions), 250)]
    return [each._replace(timestamp_ms=times[number // 250]) for number, each in enumerate(decisions)]


@pytest.mark.parametrize(("poll", "commit", "restart_every"), [(50, 1_000, 0), (50, 1_000, 1), (30, 7, 5)])
def test_what_a_watch_says_of_many_that_wait_does_not_depend_on_them_either(
    decisions: list[Received], poll: int, commit: int, restart_every: int
) -> None:
    many = late(decisions)
    expected = said(judged(many, poll=250, commit=1))
    assert said(judged(many, poll=poll, commit=commit, restart_every=restart_every)) == expected


def test_decisions_that_wait_at_the_end_of_a_transaction_are_few_rows(decisions: list[Received]) -> None:
    driver = judged(late(decisions), poll=250, commit=1_000)
    keys = [record.key or b"" for _, record in driver.log.written_since([WATCH_CHANGELOG.name], -1)]
    packed = [key for key in keys if key.startswith(RowKind.BEHAVIOUR_PACK.prefix)]
    alone = [key for key in keys if key.startswith(RowKind.BEHAVIOUR_WAITING.prefix)]
    assert packed
    # Each is written and deleted.
    assert len(packed) + len(alone) < len(decisions) / 5
