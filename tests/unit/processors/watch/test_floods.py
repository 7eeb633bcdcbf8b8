"""Floods on the real watch: whoever writes too much hides nobody else, fills no state and causes one alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.model.alert import Alert
from streams.processors.watch.new_agents import AGENTS_PER_DAY_MAX
from tests.unit.behaviour.kit import START_MS
from tests.unit.processors.watch.watch_bench import SHIPPED, Bench, loop_of, sent, watch_rows

AGENTS = 4
DAYS = 8
CALLS_PER_DAY = 24
FLOOD_FACTOR = 100
FLOOD_MS = START_MS + DAYS * DAY_MS + 9 * HOUR_MS
FLOOD_HOURS = 2
PER_SESSION = 20
NEW_AGENTS = 10_000
MINUTE_MS = 60_000
_serials = count()


def call(time_ms: int, agent: str, session: str, **fields: object) -> Activity:
    number = next(_serials)
    return sent(time_ms, agent=agent, session=session, event_id=f"f-{number}", call=f"c-{number}", **fields)


def usual_days() -> Iterator[Activity]:
    """Some agents that send their mails in office hours, a session for each four of them."""
    for day in range(DAYS):
        for at in range(CALLS_PER_DAY):
            for number in range(AGENTS):
                time_ms = START_MS + day * DAY_MS + 8 * HOUR_MS + at * 20 * MINUTE_MS + number * 1_000
                place = f"d-{at % 3}.example"
                yield call(time_ms, f"mailer-{number}", f"{number}-{day}-{at // 4}", destination=place)


def flood(**fields: object) -> Iterator[Activity]:
    """One agent at 100 times its rate of three calls an hour, in a new session for each twenty calls."""
    calls = int(FLOOD_FACTOR * 3 * FLOOD_HOURS)
    for at in range(calls):
        given = {name: value(at) if callable(value) else value for name, value in fields.items()}
        time_ms = FLOOD_MS + int(at * FLOOD_HOURS * HOUR_MS / calls)
        yield call(time_ms, "mailer-0", f"flood-{at // PER_SESSION}", **given)


def others() -> list[Activity]:
    """What goes wrong meanwhile: one agent loops."""
    calls = loop_of(60, session="victim", start_ms=FLOOD_MS + 5 * MINUTE_MS)
    return [Activity(**{**_fields(each), "agent": "mailer-1"}) for each in calls]


def _fields(each: Activity) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__struct_fields__}


def watched(calls: Iterable[Activity], partitions: int = 1) -> tuple[Bench, list[Alert]]:
    bench = Bench(partitions=partitions)
    for each in sorted(calls, key=lambda each: (each.time_ms, each.event_id)):
        bench.decide(each)
    bench.settle(2 * MINUTE_MS)
    return bench, bench.alerts()


def about(alerts: Iterable[Alert], agent: str) -> list[tuple[str, str | None, str]]:
    return [(each.analytic_uid, each.session_id, each.desc) for each in alerts if each.act and each.act.sub == agent]


def test_one_agent_at_100_times_its_rate_is_one_alert_and_hides_nobody() -> None:
    honest, meanwhile = list(usual_days()), others()
    _, quiet = watched([*honest, *meanwhile])
    bench, flooded = watched([*honest, *meanwhile, *flood(destination=lambda at: f"d-{at % 3}.example")])
    expected = about(quiet, "mailer-1")
    assert [uid for uid, _, _ in expected] == ["behaviour/loop"]
    assert about(flooded, "mailer-1") == expected
    assert len({each.finding_uid for each in flooded if each.act and each.act.sub == "mailer-0"}) == 1
    assert {each.act.sub for each in flooded if each.act} == {"mailer-0", "mailer-1"}
    assert len(watch_rows(bench)) > 0


def test_an_agent_whose_calls_all_have_new_names_adds_a_bounded_number_of_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is new beyond the bound is not kept, and what is known of all agents, this one too, stays as it was."""
    terms_max, sessions_max = 100, 10
    monkeypatch.setattr("streams.behaviour.growth.TERMS_PER_DAY_MAX", terms_max)
    monkeypatch.setattr("streams.behaviour.growth.SESSIONS_PER_DAY_MAX", sessions_max)
    honest, meanwhile = list(usual_days()), others()
    before, _ = watched([*honest, *meanwhile])
    new = {"destination": lambda at: f"new-{at}.example", "object": lambda at: f"o-{at}", "epoch": lambda at: f"m-{at}"}
    bench, flooded = watched([*honest, *meanwhile, *flood(**new)])
    added = Counter(key[1:].partition(b"\x00")[0] for key in set(watch_rows(bench)) - set(watch_rows(before)))
    latches = added.pop(b"@latch", 0)
    profiles = added.pop(b"@profile", 0)
    alert_rows = added.pop(b"@reported", 0) + added.pop(b"@bar", 0)
    assert added.pop(b"session.id") <= sessions_max
    # The last call that adds something may open a window of each correlation.
    assert sum(added.values()) <= terms_max + len(SHIPPED.declared.correlations)
    assert profiles <= terms_max
    assert latches + alert_rows <= 20
    assert "victim" in {each.session_id for each in flooded}
    assert len({each.finding_uid for each in flooded if each.act and each.act.sub == "mailer-0"}) <= 3


@pytest.mark.parametrize("partitions", [1, 3])
def test_ten_thousand_new_agents_in_a_minute_are_one_alert_and_hide_nobody(partitions: int) -> None:
    honest, meanwhile = list(usual_days()), others()
    crowd = [
        call(FLOOD_MS + 5 * MINUTE_MS + at * MINUTE_MS // NEW_AGENTS, f"new-{at}", f"new-{at}")
        for at in range(NEW_AGENTS)
    ]
    bench, alerts = watched([*honest, *meanwhile, *crowd], partitions)
    found = {(each.analytic_uid, each.session_id) for each in alerts}
    assert found == {("behaviour/loop", "victim"), ("behaviour/too_many_agents", None)}
    crowded = [each for each in alerts if each.analytic_uid == "behaviour/too_many_agents"]
    assert len({each.finding_uid for each in crowded}) == 1
    assert len(crowded) <= 2 * partitions
    known = [key for key in watch_rows(bench) if key[1:].startswith(b"@agent\x00")]
    assert len(known) <= AGENTS_PER_DAY_MAX * partitions + AGENTS


def test_a_new_delegator_for_each_grant_adds_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them gives two tasks, as many as are remembered of an agent that gives work."""
    agents_max = 20
    monkeypatch.setattr("streams.processors.watch.new_agents.AGENTS_PER_DAY_MAX", agents_max)

    def flooded(number: int) -> tuple[Counter[bytes], set[str]]:
        calls = []
        for at in range(2 * number):
            by = at // 2
            given = {"root": f"g-{by}", "depth": 2, "delegator": f"planner-{by}"}
            calls.append(call(START_MS + at * 10_000, "helper", f"task-{at}", **given))
        bench, alerts = watched(calls)
        rows = Counter(key[1:].partition(b"\x00")[0] for key in watch_rows(bench))
        return rows, {each.analytic_uid for each in alerts} & {"behaviour/too_many_agents"}

    few, quiet = flooded(agents_max - 1)
    many, alerts = flooded(3 * agents_max)
    # The helper is one of them.
    assert few[b"delegation.agent.root"] == many[b"delegation.agent.root"] == agents_max - 1
    assert few[b"@agent"] == many[b"@agent"] == agents_max
    assert (quiet, alerts) == (set(), {"behaviour/too_many_agents"})


def test_of_single_tasks_nothing_is_remembered_of_who_has_given_them() -> None:
    calls = [
        call(START_MS + at * 60_000, "helper", f"t-{at}", root=f"g-{at}", depth=2, delegator="planner")
        for at in range(20)
    ]
    bench, _ = watched(calls)
    assert not [key for key in watch_rows(bench) if key[1:].startswith(b"delegation.agent")]


def test_who_uses_up_the_sessions_of_a_day_is_still_found_by_what_is_counted_by_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the flood, the agent probes ten tools, each in a session of its own, and all are denied."""
    monkeypatch.setattr("streams.behaviour.growth.SESSIONS_PER_DAY_MAX", 10)
    crowd = [call(START_MS + at * 1_000, "mailer", f"crowd-{at}", tool="crm.read") for at in range(20)]
    start_ms = START_MS + 10 * MINUTE_MS
    probes = [
        call(start_ms + at * 10 * MINUTE_MS, "mailer", f"probe-{at}", tool=f"admin.t{at}", outcome="DENY")
        for at in range(10)
    ]
    for calls in (probes, [*crowd, *probes]):
        _, alerts = watched(calls)
        assert "behaviour/wide_probing" in {each.analytic_uid for each in alerts}


@pytest.mark.parametrize("outcome", ["ALLOW", "DENY"])
def test_a_new_delegation_and_session_for_each_call_is_one_alert_and_a_bounded_number_of_rows(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    monkeypatch.setattr("streams.behaviour.growth.SESSIONS_PER_DAY_MAX", 10)

    def flooded(number: int) -> tuple[Counter[bytes], list[Alert]]:
        names = {at: {"session": f"s-{at}", "root": f"g-{at}", "depth": 3} for at in range(number)}
        calls = [call(START_MS + at * 1_000, "mailer", outcome=outcome, **given) for at, given in names.items()]
        bench, alerts = watched(calls)
        return Counter(key[1:].partition(b"\x00")[0] for key in watch_rows(bench)), alerts

    few, _ = flooded(50)
    many, alerts = flooded(200)
    for name in (b"@latch", b"@reported", b"@latch.root", b"@reported.root"):
        assert many[name] == few[name]
    full = [each for each in alerts if each.analytic_uid == "behaviour/too_many_rows"]
    # One of the agent's partition, and one of the partition of its delegations.
    assert 1 <= len({each.finding_uid for each in full}) <= 2
