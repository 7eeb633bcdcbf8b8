"""The watch end to end on a log in memory: verdicts and audit records in, baselines and alerts out."""

from __future__ import annotations

import json
from random import Random  # noqa: TID251 - a seeded order of arrival
from uuid import UUID

import msgspec
import pytest

from simulation.fleet.fleet import Plan, make_fleet
from simulation.fleet.records import audit_of, verdict_of
from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.names import NAME_CHARS_MAX
from streams.behaviour.profiles import Profile
from streams.codec.ocsf import detection_finding
from streams.model.audit import AuditEvent
from streams.model.behaviour import BehaviourScope
from streams.model.control import Baseline
from streams.model.keys import baseline_key, session_key_of
from streams.model.topics import (
    ALERT,
    AUDIT,
    AUDIT_REPORTED,
    BASELINE,
    BEHAVIOUR,
    KEYING_CHANGELOG,
    VERDICT,
    WATCH_CHANGELOG,
)
from streams.model.verdict import Verdict, VerdictMode
from streams.ports import Outgoing
from streams.processors.control.baselines import Baselines
from streams.processors.gate.record_checks import NAME_CHARS_MAX as GATES_NAME_CHARS_MAX
from streams.processors.watch.keying import JOIN_WAIT_MS, Keying
from streams.processors.watch.new_agents import AGENTS_PER_DAY_MAX
from tests.ocsf import faults
from tests.unit.behaviour.kit import START_MS
from tests.unit.processors.watch.watch_bench import QUICK, WIRE, Bench, loop_of, sent, watch_rows

replace = msgspec.structs.replace


def test_a_decision_is_written_once_for_its_agent_with_the_features_of_its_call() -> None:
    bench = Bench()
    each = sent(START_MS, destination="Shop.Example", epoch="m1/abc", size_bytes=200)
    bench.decide(each)
    (event,) = bench.events()
    assert (event.scope, event.destination, event.cohort) == (BehaviourScope.AGENT, "shop.example", "mailer")
    assert event.epoch.startswith("example/m1/")
    assert event.header.id == audit_of(each).header.id
    assert event.size_bytes == 200
    (record,) = bench.driver.log.written_since([BEHAVIOUR.name], -1)
    assert record[1].key == b"acme|agents mailer"
    assert b"somebody" not in (record[1].value or b"")


@pytest.mark.parametrize("first", ["verdict", "audit"])
def test_the_halves_of_a_decision_wait_for_each_other(first: str) -> None:
    bench, each = Bench(), sent(START_MS)
    bench.decide(each, audit=first == "audit", verdict=first == "verdict")
    assert bench.events() == []
    bench.decide(each, audit=first != "audit", verdict=first != "verdict")
    assert len(bench.events()) == 1
    bench.settle(JOIN_WAIT_MS * 2)
    assert bench.events() == []


def test_halves_that_come_in_one_transaction_leave_nothing_on_the_changelog() -> None:
    """A row and a timer of each would be four records for a decision, which say nothing to anybody."""
    bench, pairs = Bench(partitions=1), 40
    for number in range(pairs):
        each = sent(START_MS + number)
        for topic, record in ((VERDICT.name, verdict_of(each)), (AUDIT.name, audit_of(each))):
            key = session_key_of(each.tenant, each.session)
            bench.driver.log.append(Outgoing(topic, 0, key, WIRE.encode(topic, record)), timestamp_ms=START_MS)
    bench.driver.settle()
    assert len(bench.events()) == pairs
    written = [record for _, record in bench.driver.log.written_since([KEYING_CHANGELOG.name], -1)]
    assert 0 < len(written) < pairs / 4
    assert not [record for record in written if record.value is None]
    bench.settle(JOIN_WAIT_MS * 2)
    assert bench.events() == []


def test_a_verdict_without_its_audit_record_is_written_alone_and_an_audit_record_is_not() -> None:
    bench = Bench()
    bench.decide(sent(START_MS), audit=False)
    bench.decide(sent(START_MS), verdict=False)
    bench.settle(JOIN_WAIT_MS - 1_000)
    assert bench.events() == []
    bench.settle(2_000)
    assert len(bench.events()) == 1


def test_interim_and_shadow_verdicts_and_other_records_say_nothing_about_behaviour() -> None:
    bench, key = Bench(), session_key_of("acme", "s-1")
    for outcome in ("DEFER", "REQUIRE_APPROVAL"):
        bench.decide(sent(START_MS, outcome=outcome))
    shadow = replace(verdict_of(sent(START_MS)), mode=VerdictMode.SHADOW)
    bench.driver.pipe(VERDICT.name, key, shadow, START_MS)
    bench.settle(JOIN_WAIT_MS * 2)
    assert bench.events() == []


def test_a_delegated_decision_is_also_written_for_its_delegation() -> None:
    bench = Bench()
    bench.decide(sent(START_MS, root="g-7", depth=3))
    events = bench.events()
    assert sorted(event.scope for event in events) == [BehaviourScope.AGENT, BehaviourScope.DELEGATION]
    assert len({event.header.id for event in events}) == 2
    keys = {record.key for _, record in bench.driver.log.written_since([BEHAVIOUR.name], -1)}
    assert keys == {b"acme|agents mailer", b"acme|grant g-7"}


@pytest.mark.parametrize(
    ("above", "wanted"),
    [((), None), (("planner",), "planner"), (("other", "planner"), None)],
)
def test_who_has_delegated_is_known_if_it_is_one_agent(above: tuple[str, ...], wanted: str | None) -> None:
    bench, call = Bench(), sent(START_MS, root="g-7", depth=3)
    key = session_key_of("acme", "s-1")
    bench.driver.pipe(VERDICT.name, key, replace(verdict_of(call), ancestor_actors=above), START_MS)
    bench.driver.pipe(AUDIT.name, key, audit_of(call), START_MS)
    assert [event.delegator for event in bench.events()] == [wanted] * 2


def test_an_agent_that_plans_the_work_of_others_may_give_more_of_it() -> None:
    alerts = []
    for by in ("planner", "steered"):
        bench = Bench(partitions=1)
        for day in range(5):
            for at in range(5):
                time_ms = START_MS + day * DAY_MS + at * 60_000
                child = f"task-{day}-{at}"
                bench.decide(sent(time_ms, session=child, root=f"g-{day}", depth=2, delegator="planner"))
        for at in range(13):
            time_ms = START_MS + 7 * DAY_MS + at * 60_000
            bench.decide(sent(time_ms, session=f"child-{at}", root="g-storm", depth=2, delegator=by))
        bench.settle()
        alerts.append({each.analytic_uid for each in bench.alerts()} & {"behaviour/delegation_storm"})
    assert alerts == [set(), {"behaviour/delegation_storm"}]


@pytest.mark.parametrize("step", [1, 7])
def test_an_agent_that_plans_work_under_a_new_grant_each_time_is_no_alert_on_many_partitions(step: int) -> None:
    """Each grant is on one of six partitions, so each of them learns of the planner for itself."""
    bench = Bench(partitions=6)
    for plan in range(30):
        for at in range(10):
            task = {"session": f"task-{plan}-{at}", "root": f"g-{plan}", "agent": f"helper-{at % 3}"}
            bench.decide(sent(START_MS + plan * step * DAY_MS + at * 60_000, depth=2, delegator="planner", **task))
    bench.settle()
    assert {each.analytic_uid for each in bench.alerts()} & {"behaviour/delegation_storm"} == set()


def test_the_alert_about_a_storm_names_who_has_given_the_work_and_how_to_stop_it() -> None:
    bench = Bench(partitions=1)
    for at in range(12):
        child = {"session": f"child-{at}", "agent": f"helper-{at % 3}", "delegator": "planner"}
        bench.decide(sent(START_MS + at * 60_000, root="g-storm", depth=2, **child))
    bench.settle()
    (alert,) = [each for each in bench.alerts() if each.analytic_uid == "behaviour/delegation_storm"]
    assert "given by planner; the usual peak is not known" in alert.desc
    stops = [line.partition(" --why")[0] for line in alert.suggested_response if "kill --agent" in line]
    assert stops == ["stoplog kill --agent helper-2", "stoplog kill --agent planner"]


def test_a_loop_is_one_alert_with_evidence_and_a_way_to_stop_it() -> None:
    bench = Bench()
    for each in loop_of(80):
        bench.decide(each)
    bench.settle()
    (alert,) = [each for each in bench.alerts() if each.analytic_uid == "behaviour/loop"]
    assert alert.act is not None
    assert (alert.session_id, alert.act.sub, alert.count) == ("loop", "mailer", 1)
    assert "mailer made the same call" in alert.desc
    assert alert.types == ("ASI08",)
    assert [attack.technique_uid for attack in alert.attacks] == ["AML.T0034.002"]
    assert faults(detection_finding(alert)) == []
    ids = {audit_of(each).header.id for each in loop_of(80)}
    assert set(alert.related_event_ids) <= ids
    assert alert.related_event_ids
    assert any(line.startswith("stoplog kill --session 'acme|loop'") for line in alert.suggested_response)
    assert "stoplog behaviour show 'acme|mailer'" in alert.suggested_response
    assert json.loads(alert.dedup_key)[0] == "behaviour/loop"


def test_a_delegation_storm_is_found_on_the_partition_of_its_root() -> None:
    bench = Bench()
    for at in range(40):
        bench.decide(sent(START_MS + at * 1_000, session=f"child-{at}", root="g-storm", depth=2))
    bench.settle()
    assert "behaviour/delegation_storm" in {each.analytic_uid for each in bench.alerts()}


def test_a_baseline_is_published_with_what_was_learned_and_only_after_a_change() -> None:
    bench = Bench()
    for at in range(5):
        bench.decide(sent(START_MS + at * 60_000, destination=f"d-{at % 2}.example"))
    bench.decide(sent(START_MS + 400_000, outcome="DENY", destination="never.example"))
    bench.settle(HOUR_MS)
    (read,) = bench.driver.read(BASELINE.name)
    baseline = read.record
    assert isinstance(baseline, Baseline)
    profile = msgspec.msgpack.decode(baseline.state, type=Profile)
    assert (baseline.agent, baseline.version, baseline.intents_count, profile.calls) == ("mailer", 1, 5, 5)
    assert dict(profile.destinations) == {"d-0.example": 3, "d-1.example": 2}
    assert dict(profile.tools) == {"mail.send": 5}
    assert profile.hours[0] == 5
    bench.settle(5 * HOUR_MS)
    assert bench.driver.read(BASELINE.name) == []
    bench.decide(sent(bench.driver.clock.now_ms()))
    bench.settle(2 * HOUR_MS)
    (again,) = bench.driver.read(BASELINE.name)
    assert (again.record.version, again.key) == (2, read.key)


SMALL = Plan(agents_count=4, days_count=3, quiet_days_count=1, odd_per_agent_day=0.1, attacks_each=1)


def fleet() -> list[Activity]:
    return [each.activity for each in make_fleet(3, SMALL)][:400]


def judged(stream: list[Activity], arrivals: list[int] | None = None, restart_at: int = -1) -> tuple[object, object]:
    """Return alerts and rows after a stream, the n-th of which arrives as `arrivals` says."""
    bench = Bench(partitions=1)
    order = list(range(len(stream))) if arrivals is None else arrivals
    last_ms = 0
    for number, at in enumerate(order):
        last_ms = max(last_ms, stream[at].time_ms)
        bench.decide(stream[at], at_ms=last_ms)
        if number == restart_at:
            bench.driver.restart(Keying(WIRE, bench.files.features, QUICK))
    bench.settle(60_000)
    rows: dict[bytes, bytes | None] = {}
    for _, record in bench.driver.log.written_since([WATCH_CHANGELOG.name], -1):
        rows[record.key or b""] = record.value
    behaviour = {key: row for key, row in rows.items() if row is not None and key[:1] in b"WI" and row}
    found = [(each.finding_uid, each.title, each.desc, each.related_event_ids) for each in bench.alerts()]
    return found, behaviour


def test_order_of_arrival_repetitions_and_a_restart_make_no_difference() -> None:
    stream = fleet()
    expected, rows = judged(stream)
    rng = Random(5)  # noqa: S311 - likewise
    near = sorted(range(len(stream)), key=lambda at: stream[at].time_ms + rng.randrange(1_500))
    for arrivals, restart_at in ((near, -1), (near + near[-50:], -1), (list(range(len(stream))), 200)):
        found, kept = judged(stream, arrivals, restart_at)
        assert found == expected
        assert kept == rows


def test_ten_thousand_new_agents_are_one_alert_and_bounded_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.processors.watch.new_agents.AGENTS_PER_DAY_MAX", 20)
    bench = Bench(partitions=1)
    for at in range(120):
        bench.decide(sent(START_MS + at * 100, agent=f"new-{at}", session=f"s-{at}"))
    bench.settle(120_000)
    alerts = [each for each in bench.alerts() if each.analytic_uid == "behaviour/too_many_agents"]
    assert len(alerts) <= 2
    assert alerts[-1].count == 100
    assert AGENTS_PER_DAY_MAX > 20
    bench.decide(sent(START_MS + DAY_MS * 2, agent="new-119", session="later"))
    bench.settle(10_000)
    assert not [each for each in bench.alerts() if each.analytic_uid == "behaviour/too_many_agents"]


def test_an_agent_that_works_never_counts_as_new_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the day on which too many agents appear, those that were known are watched, however long ago they began."""
    monkeypatch.setattr("streams.processors.watch.new_agents.AGENTS_PER_DAY_MAX", 5)
    bench = Bench(partitions=1)
    for day in range(60):
        bench.decide(sent(START_MS + day * DAY_MS, session=f"s-{day}"))
    flood_ms = START_MS + 60 * DAY_MS
    for at in range(20):
        bench.decide(sent(flood_ms + at * 100, agent=f"new-{at}", session=f"n-{at}"))
    for each in loop_of(80, start_ms=flood_ms + 10_000):
        bench.decide(each)
    bench.settle()
    assert "loop" in {each.session_id for each in bench.alerts()}


def test_rows_that_nobody_uses_are_deleted() -> None:
    bench = Bench(partitions=1)
    for at in range(30):
        bench.decide(sent(START_MS + at * 60_000, session=f"s-{at}"))
    bench.settle()
    later_ms = START_MS + 100 * DAY_MS
    bench.driver.advance(later_ms)
    bench.decide(sent(later_ms, session="last"))
    bench.settle()
    bench.driver.advance(later_ms + 100 * DAY_MS)
    rows: dict[bytes, bytes | None] = {}
    for _, record in bench.driver.log.written_since([WATCH_CHANGELOG.name], -1):
        rows[record.key or b""] = record.value
    assert [key for key, row in rows.items() if row and key[:1] in b"WIB"] == []


def test_rows_of_sessions_are_deleted_days_after_their_end_and_those_of_agents_stay() -> None:
    bench = Bench(partitions=1)
    for at in range(3):
        bench.decide(
            sent(START_MS + at * 60_000, call=f"c-{at}", outcome="DENY", owner="c-1", object="o", instance="i")
        )
        bench.decide(sent(START_MS + at * 60_000 + 1, call=f"d-{at}"))
    bench.settle()
    names = {key[1:].partition(b"\x00")[0] for key in watch_rows(bench)}
    of_sessions = {b"session.id", b"=probing"}
    assert of_sessions < names
    bench.driver.advance(START_MS + 6 * DAY_MS)
    left = {key[1:].partition(b"\x00")[0] for key in watch_rows(bench)}
    assert not of_sessions & left
    assert {b"@profile", b"agent.id", b"agent.id+tool.name", b"agent.id+dest.domain"} <= left


def test_a_record_with_an_unknown_scope_or_a_long_name_is_a_dead_letter() -> None:
    bench = Bench(partitions=1)
    bench.decide(sent(START_MS))
    (event,) = bench.events()
    for bad in (
        replace(event, scope=BehaviourScope.UNKNOWN),
        replace(event, session_id="x" * 1_000),
        replace(event, act=replace(event.act, sub="x" * (GATES_NAME_CHARS_MAX + 1))),
    ):
        bench.driver.pipe(BEHAVIOUR.name, b"acme|agents mailer", bad, START_MS)
    letters = [read.record for read in bench.driver.read(AUDIT_REPORTED.name)]
    assert [letter.reason for letter in letters if isinstance(letter, AuditEvent)] == ["record_invalid"] * 3


@pytest.mark.parametrize("name", ["n" * GATES_NAME_CHARS_MAX, "\U0001f916" * GATES_NAME_CHARS_MAX])
def test_every_agent_that_gates_decide_about_is_watched_whatever_its_name(name: str) -> None:
    bench = Bench(partitions=1)
    for at in range(60):
        bench.decide(sent(START_MS + at * 1_000, agent=name, tool="crm.use", object=f"record-{at}", destination=None))
    bench.settle(2 * HOUR_MS)
    assert bench.driver.read(AUDIT_REPORTED.name) == []
    assert {each.act.sub for each in bench.alerts() if each.act} == {name}
    published = [read.record for read in bench.driver.read(BASELINE.name)]
    assert {each.agent for each in published} == {name}
    gates = Baselines()
    for each in published:
        gates.offer(baseline_key("acme", name, each.epoch), each, START_MS)
    assert gates.usual_of("acme", name, START_MS) is not None


def test_long_names_are_kept_short_and_stay_different() -> None:
    bench = Bench(partitions=1)
    bench.decide(sent(START_MS))
    (event,) = bench.events()
    long = "n" * 3_000
    for number in range(4):
        tool = replace(event.tool, name=f"{long}{number % 2}", server_id=long)
        header = replace(event.header, id=str(UUID(int=number)), time=START_MS + number)
        act = replace(event.act, iss=long, instance_uid=long)
        names = dict.fromkeys(("sub", "epoch", "root_uid", "destination", "object", "owner"), long)
        bench.driver.pipe(
            BEHAVIOUR.name, b"acme|agents mailer", replace(event, header=header, act=act, tool=tool, **names), START_MS
        )
    bench.settle(2 * HOUR_MS)
    published = [read.record for read in bench.driver.read(BASELINE.name) if read.record.epoch.startswith("nnn")]
    profile = msgspec.msgpack.decode(published[-1].state, type=Profile)
    assert len(published[-1].epoch) <= NAME_CHARS_MAX
    assert [count for _, count in profile.tools] == [2, 2], "both tools were seen, and told apart"
    assert all(len(name) <= 2 * NAME_CHARS_MAX + 1 for name, _ in profile.tools)
    written = bench.driver.log.written_since([WATCH_CHANGELOG.name, BASELINE.name, ALERT.name], -1)
    assert long.encode()[:1_000] not in b"".join((each.key or b"") + (each.value or b"") for _, each in written)


def test_the_records_of_a_fleet_have_the_features_that_the_declarations_look_for() -> None:
    for each in fleet():
        verdict = verdict_of(each)
        assert isinstance(verdict, Verdict)
        assert json.loads(verdict.args_json)


def test_how_many_partitions_there_are_makes_no_difference() -> None:
    """Also where the records about an agent and about a delegation happen to lie on one partition.

    The session in which a storm is found goes on to loop: those are two incidents, of the delegation and of the agent.
    """
    storm = {"root": "g-storm", "depth": 2, "tool": "crm.read", "agent": "breeder"}
    calls = [sent(START_MS + at * 1_000, session=f"child-{at}", **storm) for at in range(30)]
    calls += [sent(START_MS + (30 + at) * 1_000, session="child-29", call="same", **storm) for at in range(40)]
    found = []
    for partitions in (1, 3, 5):
        bench = Bench(partitions=partitions)
        for each in calls:
            bench.decide(each)
        bench.settle(60_000)
        found.append(sorted((each.analytic_uid, each.session_id, each.desc) for each in bench.alerts()))
    assert [name for name, _, _ in found[0]] == ["behaviour/delegation_storm", "behaviour/loop"]
    assert found[0] == found[1] == found[2]


def test_a_storm_of_many_agents_is_one_incident_of_its_root() -> None:
    bench = Bench()
    for at in range(60):
        bench.decide(
            sent(START_MS + at * 5_000, session=f"child-{at}", root="g-storm", depth=3, agent=f"breeder-{at % 6}")
        )
    bench.settle(60_000)
    assert [each.analytic_uid for each in bench.alerts() if "storm" in each.analytic_uid] == [
        "behaviour/delegation_storm"
    ]


def test_the_alert_of_a_correlation_says_what_its_detectors_say() -> None:
    bench = Bench(partitions=1)
    for at in range(60):
        bench.decide(
            sent(START_MS + at * 2_000, session="wiper", tool="files.delete", destination=None, object=f"data/{at}")
        )
    bench.settle(60_000)
    (alert,) = [each for each in bench.alerts() if each.analytic_uid == "behaviour/mass_deletion"]
    assert alert.desc.startswith(
        "Mass deletion (this call); 40 different objects in ten minutes by mailer with files.delete;"
    )
