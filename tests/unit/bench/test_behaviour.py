"""The measurement of behaviour detectors: what counts as found, as false and as further, and how it is shown."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest

from bench.behaviour.engine_cost import us_per_decision
from bench.behaviour.figures import Tally, judge_fleet
from bench.behaviour.judges import Detectors, RateLimit, ZScore
from bench.behaviour.measure import _figures, _rules
from bench.behaviour.missed import missed
from bench.behaviour.outcomes import outcomes_of
from bench.behaviour.stops import Stops
from bench.harness.workload import SIGNALS, bundle_record
from bench.tables.behaviour import behaviour_table, printed
from simulation.bureau.bureau import Size, make_bureau
from simulation.bureau.desks import DESKS
from simulation.bureau.extras import ABUSES
from simulation.bureau.extras import ODD as BUREAU_ODD
from simulation.fleet.agents import DAY_MS, Planned
from simulation.fleet.attacks import ATTACKS
from simulation.fleet.fleet import LOUD, STEALTHY, Plan, make_fleet
from simulation.fleet.habits import HABITS, OFFICE
from simulation.fleet.roles import ROLES
from streams.behaviour.activity import Activity
from streams.behaviour.watcher import Observed
from streams.model.topics import BEHAVIOUR
from streams.policy.language.bundle import bundle_from_files, load_detector_files
from streams.policy.runtime.ruleset import compile_bundle
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.topology import WATCH
from streams.wiring.shipped import rules_directory
from tests.unit.behaviour.kit import START_MS, activity

SMALL = Plan(agents_count=6, days_count=9, quiet_days_count=2, attacks_each=1)


class Planted:
    """Alerts about the activities with these sessions."""

    def __init__(self, *sessions: str) -> None:
        self.sessions = sessions

    def alerts(self, activity: Activity) -> tuple[str, ...]:
        return ("planted",) if activity.session in self.sessions else ()


def planned(second: int, session: str, episode: str = "", *, is_attack: bool = False) -> Planned:
    return Planned(activity(START_MS + second * 1_000, session=session), episode, "loop", is_attack, LOUD)


FLEET = [
    planned(0, "honest"),
    planned(1, "other"),
    planned(60, "bad", "attack-1", is_attack=True),
    planned(120, "bad", "attack-1", is_attack=True),
    planned(130, "worse", "attack-2", is_attack=True),
    planned(140, "strange", "odd-1"),
]


def tallied(*sessions: str) -> Tally:
    tally = Tally()
    judge_fleet(Planted(*sessions), 1, FLEET, tally)
    return tally


def test_an_alert_counts_for_the_attack_whose_session_it_names() -> None:
    tally = tallied("bad", "honest", "strange")
    assert tally.recall(None, is_loud=True) == (1, 2)
    assert tally.recall(None, is_loud=False) == (0, 0)
    assert tally.delay_minutes("loop") == 0.0
    assert tally.further_per_incident == 1.0
    assert tally.false_count == {"planted": 1}
    assert tally.false_per_10k == 5_000
    assert tally.odd_share == 1.0


def test_honest_calls_after_an_alert_about_their_session_would_be_stopped() -> None:
    fleet = [planned(at, session) for at, session in enumerate(("a", "a", "b", "a"))]
    fleet += [planned(9, "odd", "odd-1"), planned(10, "odd", "odd-1")]
    fleet += [planned(at, "bad", "attack-1", is_attack=True) for at in (20, 21)]
    tally = Tally()
    judge_fleet(Planted("a", "odd", "bad"), 1, fleet, tally)
    # Two of the session `a`, and one of `odd`; what an attacker does is no loss.
    assert (tally.stopped_count, tally.stopped_per_10k) == (3, 5_000)


@pytest.mark.parametrize("name", [name for name, habits in HABITS.items() if habits is not OFFICE])
def test_each_habit_makes_another_fleet(name: str) -> None:
    plan = SMALL._replace(odd_per_agent_day=0.5)
    usual, other = make_fleet(5, plan), make_fleet(5, plan._replace(habits=HABITS[name]))
    assert usual != other
    assert {each.kind for each in other if each.is_attack} == set(ATTACKS)
    assert [each.activity.time_ms for each in other] == sorted(each.activity.time_ms for each in other)


@pytest.mark.parametrize("name", ["many releases", "thorough releases", "rollouts"])
def test_an_agent_is_one_version_at_a_time_whatever_it_does(name: str) -> None:
    """Odd work and attacks are drawn after everyday work, and still by the version of their day."""
    plan = SMALL._replace(odd_per_agent_day=0.5, days_count=14, habits=HABITS[name])
    fleet = [each.activity for each in make_fleet(5, plan) if each.kind not in ("bad_epoch", "failing_tool")]
    seen: dict[str, list[str]] = {}
    for call in fleet:
        versions = seen.setdefault(call.agent, [])
        if call.epoch not in versions[-1:]:
            versions.append(call.epoch)
    assert max(map(len, seen.values())) > 2
    assert all(len(versions) == len(set(versions)) for versions in seen.values())


def test_the_second_generator_makes_the_same_fleet_for_a_seed_and_has_every_attack() -> None:
    size = Size(agents_each=1, days=21, quiet_days=10, odd_per_agent_day=0.5, attacks_each=1)
    fleet = make_bureau(5, size)
    assert fleet == make_bureau(5, size)
    assert fleet != make_bureau(6, size)
    assert {(each.kind, each.strength) for each in fleet if each.is_attack} == {
        (kind, strength) for kind in ABUSES for strength in (LOUD, STEALTHY)
    }
    assert {each.kind for each in fleet if each.episode and not each.is_attack} == set(BUREAU_ODD)
    assert [each.activity.time_ms for each in fleet] == sorted(each.activity.time_ms for each in fleet)
    assert len({each.activity.event_id for each in fleet}) == len(fleet)


def test_the_generators_share_no_tools_but_by_chance() -> None:
    """What is found on both is not found by the names of tools."""
    tools = {step.tool for desk in DESKS for _, steps in desk.procedures for step in steps}
    assert tools.isdisjoint(tool for role in ROLES for row in role.flow.values() for tool in row)


def test_shadow_rules_count_the_honest_calls_and_the_attacks_that_they_would_stop() -> None:
    """Two instances use a session in turn, an honest one and a stolen one; the rules quarantine the session."""
    places = ("a", "b") * 3
    fleet = [
        Planned(activity(START_MS + at * 1_000, session="shared", instance=place)) for at, place in enumerate(places)
    ]
    fleet += [
        Planned(activity(START_MS + at * 1_000, session="stolen", instance=place), "attack-1", "two_places", True, LOUD)
        for at, place in enumerate(places, 60)
    ]
    tally = Tally()
    files = parse_behaviour(load_detector_files(rules_directory()))
    judge_fleet(Detectors(files.declared), 1, fleet, tally, Stops())
    # The first return is the third call, the second one the fourth: that and what follows would be stopped.
    assert (tally.rules_count, tally.rules) == (3, {"BEH-001": 3})
    assert (tally.stopped_attacks(is_loud=True), tally.stopped_attacks(is_loud=False)) == ((1, 1), (0, 0))
    assert tally.rules_per_10k == 5_000


def test_rules_read_what_the_watch_has_learned_of_an_agent_and_ask_once() -> None:
    """A payment is judged by what the watch has published of the agent, which only allowed calls taught.

    The answer to the first question can approve the further payments of the session.
    """
    stops = Stops()
    for day in range(10):
        for at in range(30):
            at_ms, session = START_MS + day * DAY_MS + at * 600_000, f"day-{day}"
            call = activity(at_ms, session=session, tool="pay.transfer", amount=100.0 + at, call=f"{day}-{at}")
            assert stops.stopped_by(call) == ()
            stops.learn(call, Observed(has_learned=True))
    large = activity(START_MS + 11 * DAY_MS, tool="pay.transfer", amount=90_000.0, session="other")
    assert stops.stopped_by(large) == ("BEH-003",)
    again = activity(START_MS + 11 * DAY_MS + 9_000, tool="pay.transfer", amount=95_000.0, session="other")
    assert stops.stopped_by(again) == ()
    stops.learn(large, Observed(has_learned=False))
    assert stops.stopped_by(activity(START_MS + 11 * DAY_MS, tool="pay.transfer", amount=120.0, session="third")) == ()


def test_without_alerts_there_is_nothing_to_show_but_what_was_missed() -> None:
    tally = tallied()
    assert tally.recall("loop", is_loud=True) == (0, 2)
    assert tally.delay_minutes(None) is None
    assert (tally.false_per_10k, tally.odd_share, tally.further_per_incident) == (0, 0, 0)


def test_each_loud_attack_that_was_missed_is_described_with_its_strongest_signals() -> None:
    tally, lines = missed("office", (5,), frozenset(), SMALL)
    loud = [kind for kind, strength, count, _ in tally.attacks.values() if strength >= LOUD and not count]
    described = [lines[at + 1] for at, line in enumerate(lines) if line == "[office 5]"]
    assert Counter(line.split(" of ")[0] for line in described) == Counter(loud)
    assert loud
    assert any(": first " in line for line in lines)
    _, few = missed("office", (5,), frozenset({loud[0]}), SMALL)
    assert {few[at + 1].split(" of ")[0] for at, line in enumerate(few) if line == "[office 5]"} == {loud[0]}


def test_tables_show_every_kind_within_a_screen() -> None:
    figures = _figures(tallied("bad")) | _rules(tallied("bad"))
    cost = {
        "us_per_event": 100.0,
        "us_per_decision": 300.0,
        "bytes_per_agent": 50_000,
        "bytes_per_session": 90,
        "rows_per_agent": 400,
        "events": 6,
    }
    processes = {
        "watch": {"decisions": 9, "decisions_per_cpu_s": 4_000, "cpu_us_per_decision": 250.0},
        "gate": {"us_without": 150.0, "us_with": 165.0, "us_of_signals": 15.0, "us_of_signals_varied": 9.0},
    }
    result = {
        "judges": {"detectors": figures},
        "others_on": [3],
        "others": {"a fleet with a name that is too long": figures},
        "cost": cost,
        "calibrated_on": [1],
        "reported_on": [2],
        "processes": processes,
    }
    stopped = "the shadow rules would stop a call of 0% of the loud and 0% of the stealthy attacks"
    assert stopped in printed(result)
    assert stopped in behaviour_table(result)
    assert "| loop | 1/2 | 0/0 | 0.0 |" in behaviour_table(result)
    assert "| a fleet with a name that is too long | 50% | 0% | 0.0 |" in behaviour_table(result)
    assert all(len(line) <= 100 for line in printed(result).splitlines())
    assert "cost a gate 15.0 us for an intent, 165.0 instead of 150.0" in behaviour_table(result)
    assert "and 9.0 us where no two calls are equal" in behaviour_table(result)
    assert "and 9.0 us where no two calls are equal" in printed(result)
    assert "(pure Python)" in printed(result)
    assert "a build with compiled modules" in behaviour_table({**result, "is_compiled": True})
    assert "4,000 decisions in a second of CPU time" in behaviour_table(result)
    assert "These are 8,000 input records in a second." in behaviour_table(result)
    assert "4,000 decisions (8,000 input records) a second of CPU" in printed(result)
    assert "On Kafka" not in behaviour_table({**result, "processes": None})


def test_simple_judges_alert_once_about_a_burst() -> None:
    usual = [activity(START_MS + hour * 3_600_000 + at * 60_000) for hour in range(30) for at in range(3 + hour % 3)]
    burst = [activity(START_MS + 30 * 3_600_000 + at * 1_000) for at in range(80)]
    for judge in (RateLimit(60), ZScore(8)):
        assert not any(judge.alerts(each) for each in usual)
        assert sum(len(judge.alerts(each)) for each in burst) == 1


def test_what_the_watch_costs_is_of_decisions_that_it_has_judged() -> None:
    files = parse_behaviour(load_detector_files(rules_directory()))
    assert us_per_decision(make_fleet(5, SMALL), files, 50) > 0


def test_outcomes_are_the_same_whenever_they_are_made_and_tell_one_amount_from_another() -> None:
    files = parse_behaviour(load_detector_files(rules_directory()))
    fleet = make_fleet(5, SMALL)[:400]
    lines = list(outcomes_of(fleet, files))
    assert lines == list(outcomes_of(fleet, files))
    kinds = Counter(json.loads(line)["topic"] for line in lines)
    assert kinds[BEHAVIOUR.name] >= len(fleet)
    assert kinds[WATCH.changelog.name] > len(fleet)
    at = next(number for number, each in enumerate(fleet) if each.activity.amount is not None)
    one = fleet[at]._replace(activity=msgspec.structs.replace(fleet[at].activity, size_bytes=9_999, amount=9_999.0))
    assert list(outcomes_of([*fleet[:at], one, *fleet[at + 1 :]], files)) != lines


def test_rules_that_ask_for_signals_differ_from_those_that_let_all_through_by_one_rule() -> None:
    plain, asking = (
        compile_bundle(bundle_from_files({file.path: file.content for file in bundle_record(rules).files}))
        for rules in ("permit-all", SIGNALS)
    )
    assert "signal" in asking.reads
    assert plain.reads == asking.reads - {"signal"}


def test_a_fleet_is_the_same_for_its_seed_and_has_every_attack() -> None:
    fleet = make_fleet(5, SMALL)
    assert fleet == make_fleet(5, SMALL)
    assert fleet != make_fleet(6, SMALL)
    assert {(each.kind, each.strength) for each in fleet if each.is_attack} == {
        (kind, strength) for kind in ATTACKS for strength in (LOUD, STEALTHY)
    }
    first_ms = fleet[0].activity.time_ms
    assert min(each.activity.time_ms for each in fleet if each.is_attack) >= first_ms + 1 * DAY_MS
    assert len({each.activity.event_id for each in fleet}) == len(fleet)
    times = [each.activity.time_ms for each in fleet]
    assert times == sorted(times)
