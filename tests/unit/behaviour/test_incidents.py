"""What is one incident: what alerts once, again, or together with other findings."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS
from tests.unit.behaviour.kit import (
    AFTER_MS,
    START_MS,
    Rows,
    activity,
    declared,
    mixed,
    names_found,
    observe_all,
    spaced,
    watcher,
)


def test_risk_adds_what_single_detectors_leave_below_their_thresholds() -> None:
    parts = (
        declared("new_terms", 20, name="dest", term="dest.domain", min_support=30),
        declared("arg_mad", 30, name="amount", value="call.amount", min_support=30),
        declared("risk", 0.6, name="agent", half_life_ms=HOUR_MS, explain="{agent.id}: {causes}"),
    )
    rows, watch = Rows(), watcher(*parts)
    assert names_found(observe_all(watch, rows, mixed(20))) == []
    first = watch.observe(rows, activity(AFTER_MS, session="x", destination="evil.example"))
    assert [each.name for each in first.signals] == ["dest"]
    assert not first.findings
    second = watch.observe(rows, activity(AFTER_MS + 60_000, session="x", amount=50_000.0))
    assert names_found([second]) == ["agent"]
    causes = second.findings[0].explain.partition(";")[0].removeprefix("bot: ").split(", ")
    assert set(causes) == {"dest", "amount"}


def test_risk_fades() -> None:
    parts = (
        declared("new_terms", 20, name="dest", term="dest.domain", min_support=30),
        declared("arg_mad", 30, name="amount", value="call.amount", min_support=30),
        declared("risk", 0.6, name="agent", half_life_ms=HOUR_MS),
    )
    rows, watch = Rows(), watcher(*parts)
    observe_all(watch, rows, mixed(20))
    watch.observe(rows, activity(AFTER_MS, session="x", destination="evil.example"))
    later = watch.observe(rows, activity(AFTER_MS + 8 * HOUR_MS, session="y", amount=5_000.0))
    assert later.signals
    assert not later.findings


@pytest.mark.parametrize(
    ("place", "size", "wanted"),
    [("d-1.example", 14_000, []), ("drop.example", 14_000, ["egress"]), ("d-1.example", 56_000, ["egress"])],
)
def test_data_counts_for_a_quarter_where_agents_of_the_type_have_sent_something_for_long(
    place: str, size: int, wanted: list[str]
) -> None:
    it = declared(
        "egress", 3.5, peer=("agent.type",), term="dest.domain", value="call.bytes", settle_ms=7 * DAY_MS,
        half_life_ms=HOUR_MS, min_support=5,
    )  # fmt: skip
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    books = activity(AFTER_MS, session="books", destination=place, size_bytes=size)
    assert names_found([watch.observe(rows, books)]) == wanted


def test_a_flood_of_calls_to_known_places_counts_in_full() -> None:
    found = []
    for term in ("dest.domain", None):
        it = declared(
            "egress", 3.5, peer=("agent.type",), term=term, value="call.bytes", settle_ms=7 * DAY_MS,
            half_life_ms=HOUR_MS, min_support=5,
        )  # fmt: skip
        rows, watch = Rows(), watcher(it)
        observe_all(watch, rows, mixed(20))
        flood = observe_all(watch, rows, spaced(60, destination="d-1.example", size_bytes=600))
        found.append(next(at for at, each in enumerate(flood) if each.findings))
    # Sixteen calls count for a quarter, and no more.
    assert found[1] < found[0] <= found[1] + 14


def test_much_that_leaves_in_an_hour_and_in_a_day_is_one_thing_and_not_two() -> None:
    leaves = [
        declared("egress", 40, name=name, value="call.bytes", half_life_ms=span_ms, min_support=5)
        for name, span_ms in (("hour", HOUR_MS), ("day", DAY_MS))
    ]
    amount = declared("arg_mad", 150, name="amount", value="call.amount", min_support=30)
    risk = declared("risk", 1.2, name="agent", half_life_ms=HOUR_MS, explain="{causes}")
    rows, watch = Rows(), watcher(*leaves, amount, risk)
    observe_all(watch, rows, mixed(20))
    much = activity(AFTER_MS, session="x", destination="d-1.example", size_bytes=300_000_000)
    first = watch.observe(rows, much)
    assert sum(each.share for each in first.signals if each.name in ("hour", "day")) > 1.2
    assert not first.findings
    second = watch.observe(rows, activity(AFTER_MS + 60_000, session="x", amount=1e12))
    assert [set(finding.explain.split(";")[0].split(", ")) for finding in second.findings] == [{"amount", "hour"}]


def test_a_lesser_finding_hides_no_worse_one_of_its_session() -> None:
    lesser = declared("loop", 5, key=("session.id",), min_support=1, severity="medium")
    worse = declared("two_places", 1, key=("session.id",), window_ms=300_000, severity="critical")
    watch, rows = watcher(lesser, worse), Rows()
    same = [activity(START_MS + 1_000 * number, call="crm.read 1", instance="a") for number in range(20)]
    assert names_found(observe_all(watch, rows, same)) == ["loop"]
    moved = [activity(START_MS + 30_000 + 1_000 * turn, instance="ab"[turn % 2]) for turn in range(1, 6)]
    assert names_found(observe_all(watch, rows, moved)) == ["two_places"]
    # What is no worse is one incident with it.
    assert names_found(observe_all(watch, rows, [activity(START_MS + 60_000, call="crm.read 1")])) == []


def test_an_incident_is_one_alert_while_it_goes_on_and_others_are_counted() -> None:
    it = declared("arg_mad", 3.9, value="call.amount", min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    calls = [activity(AFTER_MS + at * 60_000, session=f"x-{at}", amount=90_000.0) for at in range(50)]
    seen = observe_all(watch, rows, calls)
    assert len(names_found(seen)) == 1
    assert sum(each.quiet_count for each in seen) == 49
    # It goes on every day, a little later each time: that is no news, until a week has passed.
    days = [activity(AFTER_MS + day * 25 * HOUR_MS, session=f"day-{day}", amount=90_000.0) for day in range(1, 8)]
    assert [names_found([each]) for each in observe_all(watch, rows, days)] == [[]] * 6 + [["arg_mad"]]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [({}, []), ({"tool": "crm.merge"}, ["fan"]), ({"agent": "other"}, ["fan"]), ({"hours": 8}, ["fan"])],
)
def test_what_is_found_about_one_tool_within_some_hours_is_one_incident(
    changes: dict[str, object], wanted: list[str]
) -> None:
    """Whoever looks into an amount of a tool sees how many things the tool was used for, in whichever session."""
    amount = declared("arg_mad", 3.9, name="amount", value="call.amount", min_support=30, tools=("crm.use",))
    fan = declared(
        "fan_out", 8, name="fan", key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5
    )
    rows, watch = Rows(), watcher(amount, fan)
    observe_all(watch, rows, [replace(each, tool="crm.use", destination=None) for each in mixed(20)])
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="a", amount=1e9))]) == ["amount"]
    given = dict(changes)
    begin_ms = AFTER_MS + int(str(given.pop("hours", 1))) * HOUR_MS
    many = [activity(begin_ms + at * 1_000, session="b", object=f"o-{at}", **given) for at in range(60)]
    assert names_found(observe_all(watch, rows, many)) == wanted


def test_an_incident_that_comes_back_after_some_days_is_another_alert() -> None:
    it = declared("arg_mad", 3.9, value="call.amount", min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    calls = [activity(AFTER_MS + day * DAY_MS, session=f"x-{day}", amount=90_000.0) for day in (0, 1, 3)]
    assert [names_found([each]) for each in observe_all(watch, rows, calls)] == [["arg_mad"], [], ["arg_mad"]]


@pytest.mark.parametrize(("hours", "amount", "wanted"), [(20, 1.1e3, []), (20, 1e9, ["arg_mad"]), (2, 1e9, [])])
def test_an_incident_that_becomes_much_stronger_is_news_some_hours_later(
    hours: int, amount: float, wanted: list[str]
) -> None:
    """Whoever has a small finding reported on purpose does not hide a large one of the next day."""
    it = declared("arg_mad", 3.9, value="call.amount", min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="a", amount=1e3))]) == ["arg_mad"]
    later = activity(AFTER_MS + hours * HOUR_MS, session="b", amount=amount)
    assert names_found([watch.observe(rows, later)]) == wanted


@pytest.mark.parametrize(("hours", "wanted"), [(20, ["egress"]), (2, [])])
def test_a_known_incident_does_not_hide_what_else_is_found_some_hours_later(hours: int, wanted: list[str]) -> None:
    """The larger of two findings about a call is known, and the other one is not."""
    known = declared("arg_mad", 3.9, value="call.amount", min_support=30)
    other = declared("egress", 3.5, value="call.bytes", half_life_ms=HOUR_MS, min_support=5)
    rows, watch = Rows(), watcher(known, other)
    observe_all(watch, rows, mixed(20))
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="a", amount=1e9))]) == ["arg_mad"]
    later_ms = AFTER_MS + hours * HOUR_MS
    both = activity(later_ms, session="b", amount=1e9, destination="d-1.example", size_bytes=300_000_000)
    seen = watch.observe(rows, both)
    assert {each.name for each in seen.signals if each.share >= 1} == {"arg_mad", "egress"}
    assert names_found([seen]) == wanted


def test_a_session_is_not_blamed_for_what_another_one_has_read() -> None:
    it = declared("fan_out", 8, key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5)
    worse = declared("two_places", 1, key=("session.id",), window_ms=300_000, severity="low")
    rows, watch = Rows(), watcher(it, worse)
    observe_all(watch, rows, mixed(20))
    sweep = [activity(AFTER_MS + at * 1_000, session="sweep", object=f"new-{at}", is_trusted=False) for at in range(40)]
    assert names_found(observe_all(watch, rows, sweep)) == ["fan_out"]
    passing = [activity(AFTER_MS + 60_000 + at * 1_000, session="passing", object=f"own-{at}") for at in range(2)]
    seen = observe_all(watch, rows, passing)
    assert (names_found(seen), [each.quiet_count for each in seen]) == ([], [0, 0])
    # Whoever adds more is to blame as well: that is the same incident.
    joining = [activity(AFTER_MS + 90_000 + at * 1_000, session="joining", object=f"more-{at}") for at in range(4)]
    assert [each.quiet_count for each in observe_all(watch, rows, joining)] == [0, 0, 1, 1]
