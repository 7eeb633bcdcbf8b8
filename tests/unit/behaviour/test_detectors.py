"""Each kind of detector: quiet about usual work, and not about what it is there for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from math import exp
from random import Random  # noqa: TID251 - usual amounts are drawn from a seed

import msgspec
import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import KINDS, Declaration
from streams.behaviour.detectors.registry import DETECTORS, RISK
from streams.behaviour.detectors.sequences import Onward, Stretch
from streams.behaviour.watcher import Watcher
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, office_days, watcher

AFTER_MS = START_MS + 20 * DAY_MS + 9 * HOUR_MS


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


CASES: tuple[tuple[Declaration, list[Activity]], ...] = (
    (declared("ceiling", 1, limit=50, window_ms=HOUR_MS), spaced(60)),
    (declared("rate_nb", 13, window_ms=60_000, min_support=30), spaced(60, 500)),
    (declared("new_terms", 7, term="dest.domain", min_support=30), spaced(1, destination="evil.example")),
    (
        declared("novel_cusum", 21, term="object.id", min_support=30, allowance=2),
        spaced(20, object=lambda at: f"secret-{at}"),
    ),
    (
        declared("fan_out", 8, term="object.id", window_ms=600_000, min_support=5),
        spaced(40, object=lambda at: f"new-{at}"),
    ),
    (declared("arg_mad", 3.9, value="call.amount", min_support=30), spaced(1, amount=50_000.0)),
    (
        declared("arg_cusum", 6, value="call.amount", min_support=30, allowance=1.5),
        spaced(12, HOUR_MS // 2, amount=lambda at: 260.0 + 8 * at),
    ),
    (
        declared("egress", 3.5, value="call.bytes", half_life_ms=HOUR_MS, min_support=5),
        spaced(10, size_bytes=90_000, destination="d-1.example"),
    ),
    (declared("dest_daily", 4.7, term="dest.domain", min_support=5), spaced(60, destination="d-1.example")),
    (declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5), spaced(20, call="same")),
    (
        declared("loop_run", 18, key=("session.id",), peer=("agent.type",), min_support=100),
        spaced(60, tool="docs.read", call=lambda at: f"page-{at % 7}"),
    ),
    (
        declared("seq_surprise", 15, key=("session.id",), peer=("agent.type",), min_support=100, allowance=0.5),
        spaced(12, tool=lambda at: ("mail.send", "docs.read", "crm.read")[at % 3]),
    ),
    (
        declared("two_places", 1, key=("session.id",), window_ms=300_000),
        spaced(3, instance=lambda at: ("one", "two", "one")[at]),
    ),
    (
        declared("deleg_velocity", 6, key=("delegation.root",), window_ms=600_000, min_support=5),
        spaced(40, session=lambda at: f"child-{at}", root="storm", depth=2),
    ),
    (
        declared("cross_owner", 3, key=("session.id",), peer=("agent.id",), min_support=5),
        spaced(12, owner=lambda at: f"person-{at}"),
    ),
    (
        declared("epoch_drift", 30, min_support=60),
        spaced(150, HOUR_MS // 60, epoch="v2", tool=lambda at: ("shell.run", "crm.read")[at % 2]),
    ),
    (declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS), spaced(12, night=True)),
    (
        declared("new_contact", 3.2, term="dest.domain", window_ms=10 * DAY_MS, settle_ms=7 * DAY_MS),
        spaced(40, destination="drop.example"),
    ),
)
IDS = [case[0].kind for case in CASES]


def test_every_kind_has_a_case() -> None:
    assert {*IDS, RISK} == set(KINDS) == {*DETECTORS, RISK}
    # The 17 of the design, that of hours and that of new contacts.
    assert len(KINDS) == 19


@pytest.mark.parametrize(("declaration", "attack"), CASES, ids=IDS)
def test_a_detector_finds_what_it_is_for_once(declaration: Declaration, attack: list[Activity]) -> None:
    rows, watch = Rows(), watcher(declaration)
    assert names_found(observe_all(watch, rows, mixed(20))) == []
    found = [finding for each in observe_all(watch, rows, attack) for finding in each.findings]
    assert [each.name for each in found] == [declaration.kind]
    assert found[0].explain == "it is bot"
    assert found[0].activity.session in {each.session for each in attack}
    assert found[0].share >= 1


@pytest.mark.parametrize(("declaration", "attack"), CASES, ids=IDS)
def test_a_detector_is_quiet_about_more_of_the_same(declaration: Declaration, attack: list[Activity]) -> None:
    del attack
    assert names_found(observe_all(watcher(declaration), Rows(), mixed(35))) == []


@pytest.mark.parametrize(("declaration", "attack"), CASES, ids=IDS)
def test_what_alerted_or_was_denied_teaches_nothing(declaration: Declaration, attack: list[Activity]) -> None:
    watch = watcher(declaration)
    rows = Rows()
    observe_all(watch, rows, mixed(20))
    seen = observe_all(watch, rows, attack)
    alerted = next(at for at, each in enumerate(seen) if each.findings)
    after = [each for each, call in zip(seen[alerted:], attack[alerted:], strict=True) if call.session == "attack"]
    assert not any(each.has_learned for each in after)
    for outcome in ("DENY", "QUARANTINE", "REQUIRE_APPROVAL", "DEFER"):
        denied = watch.observe(rows, activity(AFTER_MS + DAY_MS, session="other", outcome=outcome))
        assert not denied.has_learned


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
    assert second.findings[0].explain.startswith("bot: dest, amount") or "amount" in second.findings[0].explain


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


def test_peers_make_a_first_time_less_surprising() -> None:
    it = declared("new_terms", 9, term="dest.domain", peer=("agent.type",), min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    observe_all(watch, rows, [activity(AFTER_MS, agent="other", session="o", destination="shared.example")])
    known = watch.observe(rows, activity(AFTER_MS + 1, session="x", destination="shared.example"))
    unknown = watch.observe(rows, activity(AFTER_MS + 2, session="z", destination="evil.example"))
    assert names_found([known]) == []
    assert names_found([unknown]) == ["new_terms"]


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


def creeping(days: int, usual_each: int) -> list[Activity]:
    """Return two payments a day that grow from the usual to nine times of it, and usual ones between them."""
    rng, found = Random(3), []  # noqa: S311 - a test that has to be repeatable
    for day in range(days):
        for at in range(2 + 2 * usual_each):
            factor = exp(2.2 * (day + 1) / days) if at % (usual_each + 1) == 0 else exp(rng.gauss(0, 0.5))
            name = "creep" if at % (usual_each + 1) == 0 else "usual"
            at_ms = AFTER_MS + 2 * DAY_MS + day * DAY_MS + at * 1_200_000
            found.append(activity(at_ms, session=f"{name} {day} {at}", amount=100.0 * factor))
    return found


@pytest.mark.parametrize("usual_each", [0, 3])
def test_amounts_that_creep_are_found_between_usual_ones(usual_each: int) -> None:
    """Three of four payments are as usual as ever: they used to take from the sum what the others had added."""
    it = declared("arg_cusum", 7, value="call.amount", min_support=30, allowance=1, half_life_ms=3 * DAY_MS)
    rows, watch, rng = Rows(), watcher(it), Random(4)  # noqa: S311 - likewise
    usual = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)]
    assert names_found(observe_all(watch, rows, usual)) == []
    found = [each for seen in observe_all(watch, rows, creeping(8, usual_each)) for each in seen.findings]
    assert found
    assert found[0].activity.session.startswith("creep")


def test_once_amounts_are_usual_again_the_next_larger_one_is_no_news() -> None:
    it = declared("arg_cusum", 7, value="call.amount", min_support=30, allowance=1, half_life_ms=3 * DAY_MS)
    rows, watch, rng = Rows(), watcher(it), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)])
    assert names_found(observe_all(watch, rows, creeping(8, 0)))
    after_ms = AFTER_MS + 11 * DAY_MS
    usual = [activity(after_ms + at * HOUR_MS, session=f"after {at}", amount=100.0) for at in range(12)]
    larger = activity(after_ms + 2 * DAY_MS, session="larger", amount=300.0)
    assert names_found(observe_all(watch, rows, [*usual, larger])) == []


def test_amounts_that_creep_are_found_if_nothing_is_said_about_what_is_allowed() -> None:
    it = declared("arg_cusum", 7, value="call.amount", min_support=30, half_life_ms=3 * DAY_MS)
    rows, watch, rng = Rows(), watcher(it), Random(4)  # noqa: S311 - likewise
    usual = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)]
    assert names_found(observe_all(watch, rows, usual)) == []
    assert names_found(observe_all(watch, rows, creeping(8, 0)))


def test_the_same_new_term_is_no_news_for_a_month_and_another_one_is() -> None:
    it = declared("new_terms", 7, term="dest.domain", min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    places = ((0, "evil.example"), (3, "evil.example"), (25, "worse.example"), (31, "evil.example"))
    calls = [activity(AFTER_MS + day * DAY_MS, session=f"x-{day}", destination=place) for day, place in places]
    found = [names_found([each]) for each in observe_all(watch, rows, calls)]
    assert found == [["new_terms"], [], ["new_terms"], ["new_terms"]]


def night_work(
    watch: Watcher, rows: Rows, hour: int, agent: str = "bot", *, day: int = 22, count: int = 8
) -> list[str]:
    """What is found if an agent works at an hour of a day after three weeks: more than in an hour of usual work."""
    at_ms = START_MS + day * DAY_MS + hour * HOUR_MS
    calls = [activity(at_ms + at * 1_000, agent=agent, session=f"{agent} at {day} {hour}") for at in range(count)]
    return names_found(observe_all(watch, rows, calls))


def test_hours_are_counted_by_days_and_not_by_calls() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    # A thousand calls of one morning are one day.
    observe_all(watch, rows, [activity(START_MS + 9 * HOUR_MS + at * 2_000, session="m") for at in range(1_000)])
    assert night_work(watch, rows, 3) == []
    observe_all(watch, rows, office_days(20, agent="other"))
    assert night_work(watch, rows, 3, "other") == ["off_hours"]


@pytest.mark.parametrize(
    ("hour", "found"), [(8, []), (7, []), (6, ["off_hours"]), (14, []), (16, []), (23, ["off_hours"])]
)
def test_work_that_lasts_longer_is_no_other_rhythm_and_work_long_before_is(hour: int, found: list[str]) -> None:
    it = declared("off_hours", 7, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, [replace(each, agent="bot") for each in office_days(20)])
    assert night_work(watch, rows, hour) == found


def test_an_hour_at_which_peers_work_is_less_of_a_surprise() -> None:
    it = declared("off_hours", 9, peer=("agent.type",), min_support=10, settle_ms=14 * DAY_MS)
    for hour_of_peer, found in ((9, ["off_hours"]), (3, [])):
        rows, watch = Rows(), watcher(it)
        observe_all(watch, rows, office_days(20))
        for at in range(3):
            shift_ms = (hour_of_peer - 9) * HOUR_MS
            peers = [replace(each, time_ms=each.time_ms + shift_ms) for each in office_days(20, agent=f"peer-{at}")]
            observe_all(watch, rows, peers)
        assert night_work(watch, rows, 3) == found


def nights(watch: Watcher, rows: Rows, agents: list[str], days: range) -> list[tuple[str, int]]:
    """Return which agents alert on which days, if all of them have a job at three at night."""
    found = []
    for day in days:
        for number, agent in enumerate(agents):
            at_ms = START_MS + (22 + day) * DAY_MS + 3 * HOUR_MS + number * 60_000
            calls = [activity(at_ms + call, agent=agent, session=f"{agent} night {day}") for call in range(8)]
            found += [(agent, day) for _ in names_found(observe_all(watch, rows, calls))]
    return found


def test_a_job_that_is_rolled_out_to_many_agents_is_found_with_the_first_of_them() -> None:
    it = declared("off_hours", 8, peer=("agent.type",), min_support=10, settle_ms=14 * DAY_MS)
    rows, watch, agents = Rows(), watcher(it), [f"bot-{number}" for number in range(6)]
    for agent in agents:
        observe_all(watch, rows, office_days(20, agent=agent))
    assert nights(watch, rows, agents, range(4)) == [("bot-0", 0), ("bot-1", 0)]


def test_others_of_another_hour_or_of_last_week_are_no_excuse() -> None:
    it = declared("off_hours", 8, peer=("agent.type",), min_support=10, settle_ms=14 * DAY_MS)
    rows, watch, agents = Rows(), watcher(it), [f"bot-{number}" for number in range(5)]
    for agent in agents:
        observe_all(watch, rows, office_days(20, agent=agent))
    assert nights(watch, rows, agents[:2], range(1)) == [("bot-0", 0), ("bot-1", 0)]
    assert night_work(watch, rows, 23, "bot-2") == ["off_hours"]
    assert nights(watch, rows, agents[3:], range(6, 7)) == [("bot-3", 6), ("bot-4", 6)]


def test_a_new_nightly_job_is_one_alert_in_a_month() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert nights(watch, rows, ["bot"], range(29)) == [("bot", 0)]


def test_a_little_work_at_night_is_no_alert_and_a_job_the_night_after() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 3, count=3) == []
    observe_all(watch, rows, (replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(1)))
    # What was quiet and is over has been learned.
    assert night_work(watch, rows, 3, day=23, count=40) == []
    assert night_work(watch, rows, 22, day=23, count=40) == ["off_hours"]


@pytest.mark.parametrize(
    ("threshold", "count", "found"),
    [(11.5, 8, []), (11.5, 12, ["off_hours"]), (14, 200, [])],
    ids=["two hours' work", "three hours' work", "too little of a surprise for any amount"],
)
def test_an_hour_that_is_a_little_odd_alerts_with_much_work(threshold: float, count: int, found: list[str]) -> None:
    it = declared("off_hours", threshold, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    # An hour without any work is 10.1 bits now.
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 3, count=count) == found


def test_some_work_at_an_hour_that_is_a_little_odd_is_learned_when_it_is_over() -> None:
    it = declared("off_hours", 11.5, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 3, count=8) == []
    observe_all(watch, rows, (replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(1)))
    assert night_work(watch, rows, 3, day=23, count=40) == []


def test_a_night_is_not_learned_before_it_is_over_and_never_if_it_has_alerted() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 2, count=3) == []
    assert night_work(watch, rows, 3, count=3) == ["off_hours"]
    observe_all(watch, rows, (replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(30)))
    # The alert is forgotten, and the hours are as odd as before.
    assert night_work(watch, rows, 2, day=60) == ["off_hours"]


@pytest.mark.parametrize(("epoch", "wanted"), [("", ["bot-0", "bot-1"]), ("v2", ["bot-0"])])
def test_a_new_tool_that_is_rolled_out_to_many_agents_is_found_with_the_first_of_them(
    epoch: str, wanted: list[str]
) -> None:
    it = declared("new_terms", 12, peer=("agent.type",), term="tool.name", min_support=200)
    rows, watch, agents = Rows(), watcher(it), [f"bot-{number}" for number in range(6)]
    for agent in agents:
        observe_all(watch, rows, office_days(20, agent=agent))
    found = []
    for day in range(3):
        for number, agent in enumerate(agents):
            at_ms = AFTER_MS + day * DAY_MS + number * 60_000
            call = activity(at_ms, agent=agent, session=f"{agent} {day}", tool="crm.merge", epoch=epoch)
            found += [(agent, day) for _ in names_found([watch.observe(rows, call)])]
    assert found == [(agent, 0) for agent in wanted]


@pytest.mark.parametrize(
    ("epoch", "at", "wanted"),
    [("v1", 5, ["new_terms"]), ("v2", 5, []), ("v2", 150, ["new_terms"]), ("", 5, ["new_terms"])],
)
def test_a_tool_that_comes_with_a_version_is_what_the_version_is_for(epoch: str, at: int, wanted: list[str]) -> None:
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20, epoch="v1"))
    calls = [activity(AFTER_MS + number * 60_000, session="next", epoch=epoch) for number in range(at)]
    calls.append(activity(AFTER_MS + at * 60_000, session="next", epoch=epoch, tool="crm.merge"))
    assert names_found(observe_all(watch, rows, calls)) == wanted
    # What came with the version is known from then on.
    later = activity(AFTER_MS + 2 * DAY_MS, session="later", epoch=epoch, tool="crm.merge")
    assert (watch.observe(rows, later).signals == ()) is (not wanted)


def test_whoever_states_ever_more_versions_is_not_new_for_longer() -> None:
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20, epoch="v1"))
    calls = [activity(AFTER_MS + at * 60_000, session="next", epoch=f"v{2 + at // 9}") for at in range(95)]
    calls += [activity(AFTER_MS + 2 * HOUR_MS, session="next", epoch="v20", tool="crm.merge")]
    assert names_found(observe_all(watch, rows, calls)) == []
    calls = [activity(AFTER_MS + 3 * HOUR_MS + at, session="next", epoch="v21") for at in range(10)]
    calls += [activity(AFTER_MS + 4 * HOUR_MS, session="next", epoch="v22", tool="crm.wipe")]
    assert names_found(observe_all(watch, rows, calls)) == ["new_terms"]


def test_a_version_does_not_stay_new_while_all_is_denied() -> None:
    """What is denied is not learned: whoever tries out one tool after the other is found in the end."""
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20, epoch="v1"))
    tried = [
        activity(AFTER_MS + at, session="next", epoch=f"v{2 + at // 9}", tool=f"crm.try{at}", outcome="DENY")
        for at in range(150)
    ]
    assert names_found(observe_all(watch, rows, tried)) == ["new_terms"]


def test_a_version_does_not_stay_new_where_nothing_is_learned() -> None:
    """After an alert nothing is learned in its session, and so no call of it is counted."""
    it = declared("new_terms", 7, term="tool.name", min_support=200, severity="high")
    other = declared("arg_mad", 3.9, value="call.amount", min_support=30, severity="low")
    rows, watch = Rows(), watcher(it, other)
    observe_all(watch, rows, office_days(20, epoch="v1", amount=100.0))
    small = activity(AFTER_MS, session="next", epoch="v2", amount=1e6)
    assert names_found([watch.observe(rows, small)]) == ["arg_mad"]
    tools = [activity(AFTER_MS + 1 + at, session="next", epoch="v2", tool=f"crm.new{at}") for at in range(150)]
    assert names_found(observe_all(watch, rows, tools)) == ["new_terms"]


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


def test_a_session_is_not_blamed_for_what_another_one_has_read() -> None:
    it = declared("fan_out", 8, key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5)
    worse = declared("two_places", 1, key=("session.id",), window_ms=300_000, severity="low")
    rows, watch = Rows(), watcher(it, worse)
    observe_all(watch, rows, mixed(20))
    sweep = [activity(AFTER_MS + at * 1_000, session="sweep", object=f"new-{at}") for at in range(40)]
    assert names_found(observe_all(watch, rows, sweep)) == ["fan_out"]
    passing = [activity(AFTER_MS + 60_000 + at * 1_000, session="passing", object=f"own-{at}") for at in range(2)]
    seen = observe_all(watch, rows, passing)
    assert (names_found(seen), [each.quiet_count for each in seen]) == ([], [0, 0])
    # Whoever adds more is to blame as well: that is the same incident.
    joining = [activity(AFTER_MS + 90_000 + at * 1_000, session="joining", object=f"more-{at}") for at in range(4)]
    assert [each.quiet_count for each in observe_all(watch, rows, joining)] == [0, 0, 1, 1]


@pytest.mark.parametrize("per_day", [(), (1, 6), (20, 38)])
def test_peers_that_differ_from_day_to_day_allow_no_more_than_nothing_known_does(per_day: tuple[int, ...]) -> None:
    """An agent that reads 45 secrets is reported whether nothing is known or peers read one on some days and six on
    others; it is not if they read about as many."""
    it = declared("fan_out", 8, peer=("agent.type",), term="object.id", window_ms=600_000, min_support=5, deviations=5)
    rows, watch = Rows(), watcher(it)
    for day in range(14 if per_day else 0):
        count, at_ms = per_day[day % 2], START_MS + day * DAY_MS
        calls = [activity(at_ms + at, agent="peer", session=f"d{day}", object=f"{day}-{at}") for at in range(count)]
        assert names_found(observe_all(watch, rows, calls)) == []
    sweep = [activity(AFTER_MS + at * 1_000, session="sweep", object=f"new-{at}") for at in range(45)]
    assert names_found(observe_all(watch, rows, sweep)) == ([] if 38 in per_day else ["fan_out"])


@pytest.mark.parametrize(("every_ms", "wanted"), [(30_000, ["loop"]), (90_000, [])])
def test_whoever_asks_the_same_with_pauses_is_in_no_loop(every_ms: int, wanted: list[str]) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=600_000)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    assert names_found(observe_all(watch, rows, spaced(40, every_ms, call="same"))) == wanted


@pytest.mark.parametrize(
    ("pauses_s", "wanted"),
    [
        # As a client tries again that waits twice as long each time, up to two minutes.
        ([2, 4, 8, 16, 32, 64, 100, 100, 100, 100, 100, 100], []),
        ([50] * 12, ["loop"]),
        # Longer pauses with chance, and no longer at the end.
        ([40, 90, 30, 60, 80, 20, 70, 50, 60, 30, 90, 40], ["loop"]),
        # Pauses that grow excuse twice as many calls, and no more.
        ([2] * 12 + [4] * 30, ["loop"]),
    ],
)
def test_whoever_asks_ever_less_often_may_ask_twice_as_often(pauses_s: list[int], wanted: list[str]) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=15 * 60_000)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    times = accumulate(pauses_s, initial=0)
    calls = [activity(AFTER_MS + at * 1_000, session="asks", call="same") for at in times]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("usual", "growth", "other", "length", "wanted"),
    [
        # Nothing is known, so the limit is 25 of the same calls.
        (0, 1.0, 0, 1, 25),
        (0, 1.01, 0, 1, 25),
        (0, 1.03, 0, 1, 50),
        (0, 1.04, 0, 1, 50),
        # The same limit, which is learned, and another call now and then.
        (8, 1.0, 0, 1, 25),
        (8, 1.03, 0, 1, 50),
        (8, 1.03, 9, 1, 57),
        # Two calls in turn, where a limit of 16 is learned, which they reach.
        (4, 1.0, 0, 2, 31),
        (4, 1.03, 0, 2, 63),
    ],
)
def test_pauses_that_grow_without_end_excuse_no_more_than_twice_as_many_calls(
    usual: int, growth: float, other: int, length: int, wanted: int
) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=600_000)
    rows, watch = Rows(), watcher(it)
    for day in range(14):
        at_ms = START_MS + day * DAY_MS
        polls = [activity(at_ms + at * 5_000, session=f"d{day}", call=f"job-{day}") for at in range(usual)]
        assert names_found(observe_all(watch, rows, polls)) == []
    at_ms, calls = float(AFTER_MS), []
    for at in range(120):
        call = f"other-{at}" if other and at % other == 0 else f"same-{at % length}"
        calls.append(activity(int(at_ms), session="asks", call=call))
        at_ms += 1_000 * growth**at
    found = observe_all(watch, rows, calls)
    assert next((at for at, each in enumerate(found, 1) if each.findings), 0) == wanted


@pytest.mark.parametrize(
    ("count", "different", "wanted"),
    [(30, 30, []), (30, 7, ["loop_run"]), (30, 0, ["loop_run"]), (60, 60, ["loop_run"])],
)
def test_whoever_gets_on_with_each_call_may_use_one_tool_for_longer(
    count: int, different: int, wanted: list[str]
) -> None:
    it = declared("loop_run", 9, key=("session.id",), peer=("agent.type",), min_support=100)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    pages = [f"page-{at % different}" if different else "" for at in range(count)]
    calls = [
        activity(AFTER_MS + at * 5_000, session="pages", tool="docs.read", call=page) for at, page in enumerate(pages)
    ]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("different", "then", "wanted"),
    [
        # About a limit of 74 calls.
        (0, "page-0", 74),
        (200, "", 107),
        # One that was seen lets all count, and one that nobody remembers counts as what comes after the others.
        (70, "page-3", 74),
        (70, "stuck", 107),
        (100, "page-99", 107),
    ],
)
def test_what_comes_after_more_calls_than_are_remembered_counts_in_full(different: int, then: str, wanted: int) -> None:
    it = declared("loop_run", 0.5, key=("session.id",), peer=("agent.type",), min_support=100, deviations=2.0)
    rows, watch = Rows(), watcher(it)
    for day in range(14):
        at_ms = START_MS + day * DAY_MS
        pages = [activity(at_ms + at * 5_000, session=f"d{day}", call=f"{day}-{at}") for at in range(40)]
        assert names_found(observe_all(watch, rows, pages)) == []
    called = [f"page-{at}" if at < different else then for at in range(200)]
    calls = [activity(AFTER_MS + at * 5_000, session="pages", call=call) for at, call in enumerate(called)]
    found = observe_all(watch, rows, calls)
    assert next((at for at, each in enumerate(found, 1) if each.findings), 0) == wanted


def test_a_stretch_that_an_earlier_version_has_begun_counts_in_full() -> None:
    older = msgspec.msgpack.encode(Stretch(7, 40))
    assert msgspec.msgpack.decode(older, type=Onward).after(7, "page-41").length == 41
    assert Onward().after(7, "page-1").after(7, "page-2").length == 1


def odd_session(day: int, steps: int) -> list[Activity]:
    """Return calls in an order that is never taken: known tools, each after one that it never follows."""
    tools = ("crm.update", "crm.search", "mail.send", "crm.read")
    at_ms = START_MS + day * DAY_MS + 10 * HOUR_MS
    return [activity(at_ms + step * 5_000, session="odd", tool=tools[step % 4]) for step in range(steps)]


def steady_sessions(days: int) -> Iterator[Activity]:
    """Yield three sessions a day that take the same four tools in turn."""
    tools = ("crm.search", "crm.read", "mail.send", "crm.update")
    for day in range(days):
        for part in range(3):
            at_ms = START_MS + day * DAY_MS + (9 + part) * HOUR_MS
            for step in range(16):
                yield activity(at_ms + step * 5_000, session=f"steady-{day}-{part}", tool=tools[step % 4])


def test_one_step_that_nobody_has_taken_is_no_odd_order_and_several_are() -> None:
    it = declared(
        "seq_surprise", 12, key=("session.id",), peer=("agent.type",), min_support=200, allowance=1.5,
        half_life_ms=HOUR_MS,
    )  # fmt: skip
    for steps, found in ((2, []), (10, ["seq_surprise"])):
        rows, watch = Rows(), watcher(it)
        assert names_found(observe_all(watch, rows, steady_sessions(20))) == []
        assert names_found(observe_all(watch, rows, odd_session(21, steps))) == found


def test_where_sessions_are_odd_every_day_one_more_is_none() -> None:
    it = declared(
        "seq_surprise", 12, key=("session.id",), peer=("agent.type",), min_support=200, allowance=1.5,
        half_life_ms=HOUR_MS,
    )  # fmt: skip
    rows, watch, tools = Rows(), watcher(it), [f"shell.run{number}" for number in range(40)]
    for day in range(20):
        observe_all(
            watch, rows, (each for each in steady_sessions(day + 1) if each.session.startswith(f"steady-{day}-"))
        )
        # A person tries four tools of hundreds, others each day.
        at_ms = START_MS + day * DAY_MS + 15 * HOUR_MS
        tried = [
            activity(at_ms + step * 5_000, session=f"tried-{day}", tool=tools[(day * 4 + step) % 40])
            for step in range(4)
        ]
        found = names_found(observe_all(watch, rows, tried))
        if day > 10:
            assert found == []


def test_small_changes_of_many_releases_are_compared_one_by_one() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    shares = (0.1, 0.15, 0.2, 0.27, 0.35, 0.45)
    for day, share in enumerate(shares):
        calls = [
            activity(
                START_MS + day * DAY_MS + at * 20_000,
                session=f"v{day}",
                epoch=f"v{day}",
                tool="a.send" if (at * share) % 1 < share else f"a.read{at % 2}",
            )
            for at in range(300)
        ]
        assert names_found(observe_all(watch, rows, calls)) == []
    jump = [
        activity(START_MS + 9 * DAY_MS + at * 20_000, session="x", epoch="x", tool=("a.read0", "a.wipe")[at % 2])
        for at in range(60)
    ]
    (found,) = [finding for each in observe_all(watch, rows, jump) for finding in each.findings]
    assert (found.name, found.activity.tool) == ("epoch_drift", "a.wipe")


def version(day: int, epoch: str, share: float, count: int = 300, agent: str = "bot") -> list[Activity]:
    """Return calls of a version, with a share of `a.send`."""
    return [
        activity(
            START_MS + day * DAY_MS + at * 20_000,
            agent=agent,
            session=f"{agent} {epoch}",
            epoch=epoch,
            tool="a.send" if (at * share) % 1 < share else f"a.read{at % 2}",
        )
        for at in range(count)
    ]


def test_a_version_that_does_what_was_reported_of_the_one_before_is_not_reported_again_and_more_of_it_is() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    seen = [
        names_found(observe_all(watch, rows, version(day, f"v{day}", share)))
        for day, share in ((0, 0.05), (3, 0.2), (6, 0.2), (9, 0.22), (12, 0.48))
    ]
    assert seen == [[], ["epoch_drift"], [], [], ["epoch_drift"]]
    # People who have heard of it are told again after a month.
    assert names_found(observe_all(watch, rows, version(60, "v60", 0.48))) == ["epoch_drift"]


@pytest.mark.parametrize(("is_same", "wanted"), [(True, ["bot-0"]), (False, ["bot-0", "bot-1"])])
def test_what_new_versions_of_many_agents_do_alike_is_one_release(*, is_same: bool, wanted: list[str]) -> None:
    it = declared("epoch_drift", 6, peer=("agent.type",), min_support=60)
    rows, watch, found = Rows(), watcher(it), []
    agents = [f"bot-{number}" for number in range(5)]
    for agent in agents:
        observe_all(watch, rows, version(0, "v0", 0.05, agent=agent))
    for agent in agents:
        epoch = "v3" if is_same else f"v3 of {agent}"
        found += [agent for _ in names_found(observe_all(watch, rows, version(3, epoch, 0.4, agent=agent)))]
    assert found == wanted


@pytest.mark.parametrize(("every", "wanted"), [(14, []), (3, ["epoch_drift"])])
def test_a_tool_that_comes_with_a_version_may_take_a_tenth_of_its_calls(every: int, wanted: list[str]) -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, version(0, "v0", 0.2))
    calls = version(3, "v3", 0.2)
    used = [replace(call, tool="a.assist") if at % every == 0 else call for at, call in enumerate(calls)]
    assert names_found(observe_all(watch, rows, used)) == wanted


def test_an_errand_is_no_other_behaviour_of_a_version() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, version(0, "v0", 0.3))
    errand = [
        activity(START_MS + DAY_MS + at, session="x", epoch="v1", tool=("m.send", "a.read0")[at % 2])
        for at in range(10)
    ]
    assert names_found(observe_all(watch, rows, errand)) == []


def test_a_release_that_changes_nothing_becomes_the_mature_epoch() -> None:
    it = declared("epoch_drift", 30, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    later = [
        activity(AFTER_MS + at * 60_000, session="v2", epoch="v2", tool=("crm.read", "docs.read", "mail.send")[at % 3])
        for at in range(700)
    ]
    assert names_found(observe_all(watch, rows, later)) == []
    changed = [
        activity(AFTER_MS + DAY_MS + at * 60_000, session="v3", epoch="v3", tool=("shell.run", "crm.read")[at % 2])
        for at in range(150)
    ]
    found = [finding for each in observe_all(watch, rows, changed) for finding in each.findings]
    assert [each.name for each in found] == ["epoch_drift"]
