"""Announced work, through the watch itself: what is not reported, and everything that still is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from msgspec.structs import replace

from streams.audit.alert_handlers import signed_status
from streams.audit.signatures import SigningKey
from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.announced import KEPT_MAX, REPEATED_MS_MAX, Expected, with_announcement, without_announcement
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Declared, Watcher
from streams.engine.worker_meter import LOOK_NS
from streams.history.driver import Driver
from streams.metrics.declared import ANNOUNCED_CALLS, Exporter
from streams.metrics.registry import Metrics
from streams.model.alert_status import (
    AHEAD_MS_MAX,
    ANNOUNCED_MS_MAX,
    ANYWHERE,
    STATUS_AGE_MAX_MS,
    AlertState,
    AlertStatus,
    Announced,
    announcement_key,
    announcement_uid,
)
from streams.model.proof import derived_uuid
from streams.model.topics import ALERT_STATUS, BEHAVIOUR
from streams.model.types import Header
from streams.processors.watch.keying import Keying
from streams.processors.watch.watch import CoveredCalls, Watch
from streams.services.gate.metrics import watch_meter
from streams.topology import KEYING, WATCH
from tests.unit.behaviour.kit import START_MS, Rows, activity, mixed
from tests.unit.processors.watch.test_feedback import ANN, BEN, HANDLERS, HONEST, WIDE, Desk, names
from tests.unit.processors.watch.watch_bench import QUICK, SHIPPED, WIRE

HOURS = 4 * HOUR_MS


def announced(desk: Desk, **changes: object) -> AlertStatus:
    """Return a signed announcement of a batch that would alert."""
    now_ms = desk.driver.clock.now_ms()
    it = Announced(agent="clerk", tools=("crm.use",), from_time=now_ms, until_time=now_ms + HOURS, calls_max=2 * HONEST)
    return status_of(replace(it, **changes), now_ms)


def status_of(
    it: Announced, now_ms: int, state: AlertState = AlertState.ANNOUNCED, uid: str | None = None
) -> AlertStatus:
    made_id = derived_uuid("announced", it.agent, str(now_ms), state.value)
    status = AlertStatus(
        header=Header(id=made_id, source="stoplog-cli", time=now_ms, tenant_uid="acme"),
        finding_uid=uid or announcement_uid(made_id, "acme", it.agent),
        status=state,
        dedup_key=announcement_key("acme", it.agent),
        by_user="Ann",
        reason="all records have a new form, CHG-881",
        announced=it,
    )
    return signed_status(status, ANN, "prod")


def test_what_is_announced_raises_no_alert_and_what_is_not_does() -> None:
    desk = Desk()
    desk.write(announced(desk))
    assert desk.sweep(HONEST, "s-1") == []
    assert names(desk.sweep(HONEST, "s-2", "other")) == [("behaviour/fan_out_short", "other")]
    assert names(desk.sweep(HONEST, "s-3", tool="docs.use")) == [WIDE]


def test_it_ends_after_its_calls() -> None:
    desk = Desk()
    desk.write(announced(desk))
    assert desk.sweep(2 * HONEST, "s-1") == []
    assert names(desk.sweep(HONEST, "s-2")) == [WIDE]


def test_it_begins_and_ends_at_its_time_and_what_it_covered_does_not_count_afterwards() -> None:
    desk = Desk()
    now_ms = desk.driver.clock.now_ms()
    later_ms = now_ms + 2 * DAY_MS
    desk.write(announced(desk, from_time=later_ms, until_time=later_ms + HONEST * 1_000))
    assert names(desk.sweep(HONEST, "s-1")) == [WIDE]
    desk.now_ms = later_ms
    desk.call(HONEST, "s-2")
    # A few further calls are no batch: the announced ones are not counted with them.
    assert desk.sweep(5, "s-2") == []
    assert names(desk.sweep(HONEST, "s-3")) == [WIDE]


def test_it_is_withdrawn_at_once_and_can_be_announced_again() -> None:
    desk = Desk()
    status = announced(desk)
    desk.write(status)
    assert status.announced is not None
    desk.write(status_of(status.announced, desk.driver.clock.now_ms(), AlertState.RESOLVED, status.finding_uid))
    assert names(desk.sweep(HONEST, "s-1")) == [WIDE]
    desk.now_ms += 2 * DAY_MS
    desk.settle(2 * DAY_MS)
    desk.write(announced(desk))
    assert desk.sweep(HONEST, "s-2") == []


def test_an_announcement_that_is_written_again_after_its_withdrawal_stays_withdrawn() -> None:
    """Whoever may write the topic can write what Ann has signed again."""
    desk = Desk()
    status = announced(desk)
    desk.write(status)
    assert status.announced is not None
    desk.write(status_of(status.announced, desk.driver.clock.now_ms(), AlertState.RESOLVED, status.finding_uid))
    desk.write(status)
    assert desk.driver.clock.now_ms() - status.header.time < STATUS_AGE_MAX_MS
    assert names(desk.sweep(HONEST, "s-1")) == [WIDE]


def test_an_announcement_that_is_written_again_has_no_more_calls() -> None:
    desk = Desk()
    status = announced(desk, calls_max=HONEST)
    desk.write(status)
    desk.call(HONEST, "s-1")
    desk.settle(2 * QUICK.grace_ms)
    desk.now_ms = desk.driver.clock.now_ms()
    assert desk.alerts() == []
    assert desk.now_ms - status.header.time < STATUS_AGE_MAX_MS
    desk.write(status)
    assert names(desk.sweep(HONEST, "s-2")) == [WIDE]


def test_a_withdrawal_that_names_another_agent_does_not_count() -> None:
    desk = Desk()
    status = announced(desk)
    desk.write(status)
    assert status.announced is not None
    other = replace(status.announced, agent="bob")
    desk.write(status_of(other, desk.driver.clock.now_ms(), AlertState.RESOLVED, status.finding_uid))
    assert [each.reason for each in desk.audits()] == ["work_announced", "record_invalid"]
    assert desk.sweep(HONEST, "s-1") == []


def test_what_is_withdrawn_is_forgotten_for_others_only_when_it_cannot_be_written_again() -> None:
    it = Announced(agent="bot", tools=("x.y",), from_time=START_MS, until_time=START_MS + HOURS, calls_max=1)
    expected: Expected | None = None
    for at in range(KEPT_MAX):
        expected = with_announcement(expected, f"a-{at}", it, START_MS)
        expected = without_announcement(expected, f"a-{at}", START_MS)
    assert with_announcement(expected, "a-new", it, START_MS + REPEATED_MS_MAX) is None
    again = with_announcement(expected, "a-0", it, START_MS + REPEATED_MS_MAX)
    assert again is not None
    assert {each.left_count for each in again.announced} == {0}
    later = with_announcement(expected, "a-new", it, START_MS + REPEATED_MS_MAX + 1)
    assert later is not None
    assert [each.uid for each in later.announced] == ["a-new"]


def test_what_there_is_no_room_for_is_a_dead_letter_and_what_was_announced_before_is_kept() -> None:
    desk = Desk()
    for at in range(KEPT_MAX + 1):
        desk.write(announced(desk, tools=("crm.use" if at == 0 else f"x.y{at}",)))
    (letter,) = [record for _, record in desk.driver.log.written_since([BEHAVIOUR.dlq], -1)]
    assert letter.value is not None
    assert [each.reason for each in desk.audits()][-1] == "record_invalid"
    assert desk.sweep(HONEST, "s-1") == []


@pytest.mark.parametrize(
    "calls",
    [
        {"destination": "elsewhere.example"},
        {"destination": None},
        {"amount": 120.0},
        {"amount": None},
        {"outcome": "DENY"},
    ],
)
def test_calls_that_differ_are_judged(calls: dict[str, object]) -> None:
    """Calls to another place, or to none that can be read, are none of those that were announced. Nor are calls that
    move more, or no amount that can be read, and denied ones."""
    watch, rows = Watcher(SHIPPED.declared), Rows()
    opened = OpenRows(rows, RememberedRows())
    it = Announced(
        agent="bot",
        tools=("files.use",),
        destinations=("archive.example",),
        from_time=START_MS,
        until_time=START_MS + HOURS,
        calls_max=1_000,
        amount_max=119.0,
    )
    watch.announcements.announce(opened, "acme", "a-1", it, START_MS)
    opened.close()
    usual: dict[str, object] = {"tool": "files.use", "destination": "archive.example", "amount": 119.0}

    def found(session: str, **fields: object) -> list[str]:
        given = {**usual, **fields}
        made = [
            watch.observe(
                rows, activity(START_MS + at * 1_000, object=f"o-{at}", session=session, call=f"{session}{at}", **given)
            )
            for at in range(100)
        ]
        return [finding.name for each in made for finding in each.findings]

    assert found("as-announced") == []
    assert found("as-announced, too", amount=-1.0) == []
    assert found("otherwise", **calls) != []


def test_a_mailing_may_go_anywhere() -> None:
    watch, rows = Watcher(SHIPPED.declared), Rows()
    opened = OpenRows(rows, RememberedRows())
    span = {"from_time": START_MS, "until_time": START_MS + HOURS}
    it = Announced(agent="bot", tools=("mail.send",), destinations=(ANYWHERE,), calls_max=10, **span)
    watch.announcements.announce(opened, "acme", "a-1", it, START_MS)
    opened.close()
    places = [None, *(f"lead-{at}.example" for at in range(11))]
    calls = [activity(START_MS + at, tool="mail.send", destination=place) for at, place in enumerate(places)]
    assert [watch.observe(rows, each).is_announced for each in calls] == [True] * 10 + [False] * 2


def test_what_was_announced_without_a_place_and_an_amount_has_none() -> None:
    watch, rows = Watcher(SHIPPED.declared), Rows()
    opened = OpenRows(rows, RememberedRows())
    span = {"from_time": START_MS, "until_time": START_MS + HOURS}
    watch.announcements.announce(
        opened, "acme", "a-1", Announced(agent="bot", tools=("x.y",), calls_max=10, **span), START_MS
    )
    opened.close()
    calls = [
        activity(START_MS + at, tool="x.y", event_id=f"e-{at}", **fields)
        for at, fields in enumerate(({}, {"destination": "lead.example"}, {"amount": 1.0}))
    ]
    assert [watch.observe(rows, each).is_announced for each in calls] == [True, False, False]


def test_nothing_is_learned_from_it_and_a_call_that_comes_twice_counts_once() -> None:
    watch, rows = Watcher(SHIPPED.declared), Rows()
    opened = OpenRows(rows, RememberedRows())
    it = Announced(agent="bot", tools=("crm.use",), from_time=START_MS, until_time=START_MS + HOURS, calls_max=2)
    watch.announcements.announce(opened, "acme", "a-1", it, START_MS)
    opened.close()
    first, second, third = (activity(START_MS + at, tool="crm.use", object=f"o-{at}", call=str(at)) for at in range(3))
    assert watch.observe(rows, first).is_announced
    assert watch.observe(rows, first).is_repeated
    after = watch.observe(rows, second)
    assert (after.is_announced, after.has_learned, after.signals) == (True, False, ())
    assert watch.observe(rows, third).has_learned


def test_usual_work_is_judged_the_same_whether_something_else_was_announced() -> None:
    calls = mixed(10)
    plain, told = Rows(), Rows()
    watch = Watcher(Declared(SHIPPED.declared.detectors, SHIPPED.declared.correlations))
    opened = OpenRows(told, RememberedRows())
    it = Announced(agent=calls[0].agent, tools=("x.y",), from_time=START_MS, until_time=START_MS + HOURS, calls_max=10)
    watch.announcements.announce(opened, calls[0].tenant, "a-1", it, START_MS)
    opened.close()
    assert [watch.observe(plain, each) for each in calls] == [watch.observe(told, each) for each in calls]


def test_it_is_on_the_record_and_a_siem_hears_of_no_finding() -> None:
    desk = Desk()
    desk.told()
    status = announced(desk, destinations=("archive.example",))
    desk.write(status)
    (event,) = desk.audits()
    assert (event.reason, event.act and event.act.sub) == ("work_announced", "Ann")
    assert event.reason_text == (
        "a person has announced work of an agent, about which the watch raises no alert (clerk: up to 100 calls of "
        "crm.use to archive.example, 2026-01-05T00:00:00Z to 2026-01-05T04:00:00Z): "
        "Ann, signed by ann: all records have a new form, CHG-881"
    )
    assert status.announced is not None
    desk.write(status_of(status.announced, desk.driver.clock.now_ms(), AlertState.RESOLVED, status.finding_uid))
    assert [each.reason for each in desk.audits()] == ["announcement_withdrawn"]
    assert desk.told() == []


def test_calls_that_were_not_judged_are_counted() -> None:
    desk, metrics, covered, ticks_ns = Desk(), Metrics(Exporter.GATE), CoveredCalls(), count(0, LOOK_NS)
    desk.driver = Driver(
        spec=KEYING,
        processor=Keying(WIRE, desk.files.features, QUICK, HANDLERS),
        wire=WIRE,
        start_ms=START_MS,
        partitions=2,
        beside={WATCH: Watch(WIRE, desk.files.declared, QUICK, covered=covered)},
        meters={WATCH: watch_meter(metrics, covered, lambda: next(ticks_ns))},
    )
    desk.write(announced(desk, calls_max=7))
    assert desk.sweep(9, "s-1") == []
    assert metrics.value(ANNOUNCED_CALLS) == 7


def unsigned(status: AlertStatus) -> AlertStatus:
    return replace(status, proof=None)


def by_a_stranger(status: AlertStatus) -> AlertStatus:
    return signed_status(status, SigningKey.made(), "prod")


def for_another_tenant(status: AlertStatus) -> AlertStatus:
    return signed_status(status, BEN, "prod")


def with_more(**changes: object) -> Callable[[AlertStatus], AlertStatus]:
    def changed(status: AlertStatus) -> AlertStatus:
        assert status.announced is not None
        return replace(status, announced=replace(status.announced, **changes))

    return changed


def signed_with(**changes: object) -> Callable[[AlertStatus], AlertStatus]:
    return lambda status: signed_status(with_more(**changes)(status), ANN, "prod")


NOW_MS = START_MS + 1_000


@pytest.mark.parametrize(
    "forged",
    [
        unsigned,
        by_a_stranger,
        for_another_tenant,
        with_more(calls_max=1_000),
        with_more(tools=("crm.use", "crm.delete")),
        signed_with(agent="other"),
        signed_with(from_time=START_MS - STATUS_AGE_MAX_MS - 1),
        signed_with(from_time=START_MS - 1_000, until_time=START_MS),
        lambda status: signed_status(replace(status, finding_uid=status.header.id), ANN, "prod"),
        signed_with(tools=()),
        signed_with(calls_max=0),
        signed_with(amount_max=float("inf")),
        signed_with(until_time=START_MS),
        signed_with(until_time=NOW_MS + 2 * ANNOUNCED_MS_MAX),
        signed_with(from_time=NOW_MS + 2 * AHEAD_MS_MAX, until_time=NOW_MS + 2 * AHEAD_MS_MAX + 1),
        lambda status: signed_status(replace(status, announced=None), ANN, "prod"),
    ],
)
def test_what_nobody_entitled_has_signed_or_what_has_no_bounds_does_not_count(
    forged: Callable[[AlertStatus], AlertStatus],
) -> None:
    desk = Desk()
    desk.write(forged(announced(desk)))
    assert len(desk.driver.log.written_since([ALERT_STATUS.dlq], -1)) == 1
    desk.alerts()
    assert names(desk.sweep(HONEST, "s-1")) == [WIDE]
