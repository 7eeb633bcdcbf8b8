"""Who is notified of what and when: routes, counting, escalation, maintenance. The rows are in the desk's own file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.codec.ocsf import ocsf_json
from streams.desk import messages
from streams.desk.desk import AGENTS_MAX, SUMMARY_LINES_MAX, Desk
from streams.desk.messages import Delivery, Kind
from streams.desk.routes import Match, Owner, Route, Window, route_of
from streams.desk.rows import State, StatusChange
from streams.model.alert import Alert, Severity
from streams.model.proof import derived_uuid
from streams.model.types import ToolRef
from streams.services.desk.store import DeskStore
from tests.unit.desk.alerts import T0, again, alert

MINUTE_MS = 60_000
WINDOW_MS = 30 * MINUTE_MS
URGENT = Route(
    name="urgent",
    match=Match(severity_min=Severity.HIGH),
    sinks=("pager",),
    escalate_after_ms=15 * MINUTE_MS,
    escalate_to=("lead",),
)
ALL = Route(name="all", match=Match(), sinks=("chat", "siem"))
NIGHT = Window(
    name="night", starts_ms=T0, ends_ms=T0 + 60 * MINUTE_MS, match=Match(agents=("agent-*",)), below=Severity.CRITICAL
)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[DeskStore]:
    with closing(DeskStore(tmp_path)) as store, store.transaction():
        yield store


def desk(*windows: Window) -> Desk:
    return Desk((URGENT, ALL), windows, WINDOW_MS)


def told(deliveries: list[Delivery]) -> list[tuple[str, str, int]]:
    return [(each.sink, each.message.kind.value, each.message.count) for each in deliveries]


def status(number: int, state: State = State.ACKNOWLEDGED, **changes: object) -> StatusChange:
    word = "acknowledged" if state is State.ACKNOWLEDGED else "resolved"
    key = alert(number).dedup_key
    given = StatusChange(f"finding-{number}", "acme", key, state, word, "ben", "on it", T0)._replace(**changes)
    return given._replace(uid=f"{number} {given.word} {given.changed_ms}")


@pytest.mark.parametrize(
    ("match", "takes"),
    [
        (Match(), True),
        (Match(severity_min=3), True),
        (Match(severity_min=4), False),
        (Match(tenants=("acme", "other")), True),
        (Match(tenants=("ac",)), False),
        (Match(agents=("agent-*",)), True),
        (Match(agents=("AGENT-*",)), False),
        (Match(users=("b*", "a?n")), True),
        (Match(tools=("mail/*",)), True),
        (Match(tools=("mail",)), False),
        (Match(analytics=("loop",), tags=("ASI01",)), False),
        (Match(tags=("AML.T0034*",)), True),
    ],
)
def test_conditions_hold_together(match: Match, takes: bool) -> None:
    assert match.takes(alert()) is takes
    given = Route(name="given", match=match, sinks=("x",))
    assert route_of((given, ALL), alert(), "") is (given if takes else ALL)


def test_an_alert_without_agent_user_or_tool_fulfils_no_condition_on_them() -> None:
    bare = alert(act=None, sub=None, tool=None)
    assert Match().takes(bare)
    assert not any(each.takes(bare) for each in (Match(agents=("a*",)), Match(users=("a*",)), Match(tools=("m*",))))


def test_alerts_go_to_the_owner_of_the_agent_and_owners_have_incidents_of_their_own(rows: DeskStore) -> None:
    owners = (Owner(name="payments", agents=("pay-*", "bank-*")), Owner(name="office", agents=("*-office", "pay-*")))
    given = Route(name="given", match=Match(owners=("payments",)), sinks=("team",))
    owned = Desk((given, ALL), (), WINDOW_MS, owners)
    first = owned.on_alert(rows, alert(1, agent="pay-1"), T0)
    assert [(each.sink, each.message.owner) for each in first] == [("team", "payments")]
    assert owned.on_alert(rows, alert(2, agent="bank-2"), T0) == []
    assert [(each.sink, each.message.owner) for each in owned.on_alert(rows, alert(3, agent="x-office"), T0)] == [
        ("chat", "office"),
        ("siem", "office"),
    ]
    assert [each.message.owner for each in owned.on_alert(rows, alert(4, agent="other"), T0)] == ["", ""]
    assert owned.on_alert(rows, alert(5, act=None), T0) == [], "nobody owns what has no agent"


def test_findings_of_many_agents_are_one_message_and_further_ones_at_powers_of_ten(rows: DeskStore) -> None:
    decided = [desk().on_alert(rows, alert(number), T0 + number) for number in range(1, 1_001)]
    assert told(decided[0]) == [("chat", "new", 1), ("siem", "new", 1)]
    assert {number + 1: told(each)[0] for number, each in enumerate(decided) if each} == {
        1: ("chat", "new", 1),
        10: ("chat", "update", 10),
        100: ("chat", "update", 100),
        1_000: ("chat", "update", 1_000),
    }
    last = decided[-1][0].message
    assert (len(last.agents), last.has_more_agents, last.findings_count) == (AGENTS_MAX, True, 1_000)
    assert len({each.message.uid for decision in decided for each in decision}) == 4


def test_tenants_analytics_and_tags_are_told_apart(rows: DeskStore) -> None:
    others = (alert(2, tenant="other"), alert(3, analytic_uid="egress"), alert(4, types=("ASI01",)))
    for each in (alert(), *others):
        assert told(desk().on_alert(rows, each, T0)) == [("chat", "new", 1), ("siem", "new", 1)]


def test_after_the_window_it_is_a_new_incident(rows: DeskStore) -> None:
    assert desk().on_alert(rows, alert(1), T0)
    assert not desk().on_alert(rows, alert(2), T0 + WINDOW_MS - 1)
    assert desk().on_alert(rows, alert(3), T0 + WINDOW_MS)[0].message.count == 1


def test_an_alert_that_comes_again_changes_nothing_and_its_count_is_the_findings(rows: DeskStore) -> None:
    assert desk().on_alert(rows, alert(1), T0)
    assert desk().on_alert(rows, alert(1), T0) == []
    assert told(desk().on_alert(rows, again(1, 50), T0 + 1))[0] == ("chat", "update", 50)
    assert desk().on_alert(rows, again(1, 50), T0 + 2) == []
    # The first record after the second one: topics are read at least once.
    assert desk().on_alert(rows, alert(1), T0 + 3) == []


def test_an_incident_has_the_times_of_what_occurred_and_not_of_when_it_was_read(rows: DeskStore) -> None:
    """A desk that was stopped reads alerts hours later. A clock that is ahead puts nothing after the reading."""
    read_ms = T0 + 240 * MINUTE_MS
    new = desk().on_alert(rows, alert(1, first_seen_time=T0 - 9, last_seen_time=T0), read_ms)[0].message
    assert (new.first_ms, new.last_ms, new.made_ms) == (T0 - 9, T0, read_ms)
    update = desk().on_alert(rows, again(1, 50, last_seen_time=T0 + MINUTE_MS), read_ms + 1)[0].message
    assert (update.first_ms, update.last_ms) == (T0 - 9, T0 + MINUTE_MS)
    late = {"last_seen_time": read_ms + MINUTE_MS, "first_seen_time": T0 - 99}
    ahead = desk().on_alert(rows, again(1, 500, **late), read_ms + 2)[0].message
    assert (ahead.first_ms, ahead.last_ms) == (T0 - 99, read_ms + 2)


def test_an_open_incident_of_an_older_version_began_when_its_first_alert_arrived(rows: DeskStore) -> None:
    uid = desk().on_alert(rows, alert(1), T0)[0].message.incident
    row = rows.incident(uid)
    assert row is not None
    rows.put_incident(replace(row, occurred_first_ms=0, occurred_last_ms=0))
    later = T0 + MINUTE_MS
    update = desk().on_alert(rows, again(1, 50, first_seen_time=later, last_seen_time=later), later)[0].message
    assert (update.first_ms, update.last_ms) == (T0, later)


def test_the_end_of_an_incident_of_an_older_version_does_not_fall_back(rows: DeskStore) -> None:
    """What people were told ended with its last alert. One that is about something earlier ends it no sooner."""
    uid = desk().on_alert(rows, alert(1), T0)[0].message.incident
    row = rows.incident(uid)
    assert row is not None
    told_ms = T0 + 20 * MINUTE_MS
    rows.put_incident(replace(row, occurred_first_ms=0, occurred_last_ms=0, last_ms=told_ms))
    earlier = T0 + MINUTE_MS
    late = again(1, 50, first_seen_time=earlier, last_seen_time=earlier)
    update = desk().on_alert(rows, late, told_ms + MINUTE_MS)[0].message
    assert update.last_ms == told_ms


def test_a_summary_has_the_times_of_what_occurred(rows: DeskStore) -> None:
    for number in (1, 2):
        seen = alert(number, first_seen_time=T0 - number, last_seen_time=T0 + number)
        assert desk(NIGHT).on_alert(rows, seen, T0 + 5 * MINUTE_MS) == []
    summary = desk(NIGHT).on_time(rows, NIGHT.ends_ms)[0].message
    assert (summary.first_ms, summary.last_ms) == (T0 - 2, T0 + 2)


def test_what_becomes_more_severe_is_told_at_once(rows: DeskStore) -> None:
    everything = Desk((ALL,), (), WINDOW_MS)
    everything.on_alert(rows, alert(1, severity_id=Severity.LOW, title="first"), T0)
    worse = everything.on_alert(rows, alert(2, severity_id=Severity.CRITICAL, title="second"), T0)
    assert told(worse)[0] == ("chat", "update", 2)
    assert (worse[0].message.severity_id, worse[0].message.title) == (Severity.CRITICAL, "second")
    assert everything.on_alert(rows, alert(3, severity_id=Severity.LOW), T0) == []


def test_what_nobody_acknowledges_is_escalated_once(rows: DeskStore) -> None:
    assert told(desk().on_alert(rows, alert(severity_id=Severity.HIGH), T0)) == [("pager", "new", 1)]
    assert desk().on_time(rows, T0 + 15 * MINUTE_MS - 1) == []
    escalated = desk().on_time(rows, T0 + 15 * MINUTE_MS)
    assert told(escalated) == [("lead", "escalation", 1)]
    assert desk().on_time(rows, T0 + 90 * MINUTE_MS) == []
    # Those who were told then are notified of the end, too.
    assert told(desk().on_status(rows, status(1, State.CLOSED), T0 + 91 * MINUTE_MS)) == [
        ("pager", "resolved", 1),
        ("lead", "resolved", 1),
    ]


def test_what_ocsf_cant_describe_is_escalated_without_it(rows: DeskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        desk().on_alert(rows, alert(number, severity_id=Severity.HIGH, analytic_uid=f"rule-{number}"), T0)

    def fails(given: Alert) -> str:
        if given.analytic_uid == "rule-1":
            raise RecursionError
        return ocsf_json(given)

    monkeypatch.setattr(messages, "ocsf_json", fails)
    escalated = desk().on_time(rows, T0 + 15 * MINUTE_MS)
    assert [(each.message.analytic, each.message.ocsf is None) for each in escalated] == [
        ("rule-1", True),
        ("rule-2", False),
    ]


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.CLOSED])
def test_what_is_acknowledged_or_closed_is_not_escalated(rows: DeskStore, state: State) -> None:
    desk().on_alert(rows, alert(severity_id=Severity.HIGH), T0)
    changed = desk().on_status(rows, status(1, state), T0 + 1)
    assert [(each.sink, each.message.by, each.message.why.endswith(": on it")) for each in changed] == [
        ("pager", "ben", True)
    ]
    assert desk().on_status(rows, status(1, state), T0 + 2) == []
    assert desk().on_time(rows, T0 + 90 * MINUTE_MS) == []


def test_what_was_left_out_for_a_sink_is_told_as_it_is_by_then(rows: DeskStore) -> None:
    given = desk()
    (new,) = given.on_alert(rows, alert(1, severity_id=4), T0)
    uid = new.message.incident
    given.on_alert(rows, again(1, 9, severity_id=4), T0 + 1)
    kinds = [Kind.UPDATE, Kind.NEW]
    (told_late,) = given.told_late(rows, uid, kinds, T0 + 2)
    assert (told_late.kind, told_late.count, told_late.uid) == (Kind.NEW, 9, new.message.uid)
    assert [each.kind for each in given.told_late(rows, uid, [Kind.UPDATE, Kind.ESCALATION], T0 + 2)] == [
        Kind.ESCALATION
    ]
    given.on_status(rows, status(1), T0 + 3)
    later = given.told_late(rows, uid, [*kinds, Kind.ACKNOWLEDGED], T0 + 4)
    assert [(each.kind, each.by) for each in later] == [(Kind.NEW, ""), (Kind.ACKNOWLEDGED, "ben")]
    given.on_status(rows, status(1, State.CLOSED, changed_ms=T0 + 5), T0 + 5)
    assert [each.kind for each in given.told_late(rows, uid, [Kind.ACKNOWLEDGED, Kind.RESOLVED], T0 + 6)] == [
        Kind.RESOLVED
    ]
    assert given.told_late(rows, "forgotten", kinds, T0 + 6) == []


def test_a_status_that_comes_before_its_alert_counts_when_that_comes(rows: DeskStore) -> None:
    assert desk().on_status(rows, status(1), T0) == []
    assert told(desk().on_alert(rows, alert(severity_id=Severity.HIGH), T0 + 1)) == [
        ("pager", "new", 1),
        ("pager", "acknowledged", 1),
    ]
    assert desk().on_time(rows, T0 + 90 * MINUTE_MS) == []


def test_nobody_acknowledges_the_alerts_of_another_tenant(rows: DeskStore) -> None:
    foreign = status(1, tenant="mallory")
    assert desk().on_status(rows, foreign, T0) == []
    assert told(desk().on_alert(rows, alert(severity_id=Severity.HIGH), T0)) == [("pager", "new", 1)]
    assert desk().on_status(rows, foreign._replace(changed_ms=T0 + 5), T0) == []
    assert told(desk().on_time(rows, T0 + 15 * MINUTE_MS)) == [("lead", "escalation", 1)]


def test_an_id_that_anybody_can_compute_reaches_no_later_finding_of_another_tenant(rows: DeskStore) -> None:
    """What holds for later findings was once kept under such an id, among the findings."""
    given = alert(severity_id=Severity.HIGH)
    uid = derived_uuid("desk matter", "acme", given.dedup_key)
    forged = status(1, finding_uid=uid, tenant="mallory", dedup_key="x")
    assert desk().on_status(rows, forged, T0) == []
    assert desk().on_status(rows, forged._replace(dedup_key=given.dedup_key, changed_ms=T0 + 1), T0) == []
    assert told(desk().on_alert(rows, given, T0 + 2)) == [("pager", "new", 1)]
    assert told(desk().on_time(rows, T0 + 2 + 15 * MINUTE_MS)) == [("lead", "escalation", 1)]


def test_an_incident_is_resolved_when_all_its_findings_are(rows: DeskStore) -> None:
    for number in (1, 2, 3):
        desk().on_alert(rows, alert(number), T0)
    assert desk().on_status(rows, status(1, State.CLOSED), T0) == []
    assert desk().on_status(rows, status(2, State.CLOSED), T0) == []
    assert told(desk().on_status(rows, status(3, State.CLOSED), T0))[0] == ("chat", "resolved", 3)
    # The incident is over: what comes now is another one, although the window goes on.
    assert told(desk().on_alert(rows, alert(4), T0 + 1))[0] == ("chat", "new", 1)


def test_closing_one_finding_does_not_end_the_escalation_of_the_others(rows: DeskStore) -> None:
    for number in range(1, 6):
        desk().on_alert(rows, alert(number, severity_id=Severity.HIGH), T0)
    false_positive = status(2, State.CLOSED, word="false positive")
    assert desk().on_status(rows, false_positive, T0 + 1) == []
    assert told(desk().on_time(rows, T0 + 15 * MINUTE_MS)) == [("lead", "escalation", 5)]


def test_closing_one_finding_of_an_acknowledged_incident_leaves_it_acknowledged(rows: DeskStore) -> None:
    for number in (1, 2, 3):
        desk().on_alert(rows, alert(number, severity_id=Severity.HIGH), T0)
    assert told(desk().on_status(rows, status(1), T0 + 1)) == [("pager", "acknowledged", 3)]
    assert desk().on_status(rows, status(2, State.CLOSED), T0 + 2) == []
    assert desk().on_time(rows, T0 + 90 * MINUTE_MS) == []


def test_a_finding_that_is_taken_up_again_is_open_again(rows: DeskStore) -> None:
    desk().on_alert(rows, alert(1), T0)
    desk().on_status(rows, status(1, State.CLOSED), T0)
    reopened = desk().on_status(rows, status(1, changed_ms=T0 + 1), T0)
    closed = desk().on_status(rows, status(1, State.CLOSED, changed_ms=T0 + 2), T0)
    assert [told(each)[0][1] for each in (reopened, closed)] == ["acknowledged", "resolved"]
    assert desk().on_status(rows, status(1, changed_ms=T0 + 1), T0) == [], "an older one"


def test_a_status_that_is_written_again_changes_nothing(rows: DeskStore) -> None:
    """It is signed, and whoever may write the topic can write it again."""
    desk().on_alert(rows, alert(1), T0)
    for state, changed_ms in ((State.CLOSED, T0 + 1), (State.ACKNOWLEDGED, T0 + 2)):
        desk().on_status(rows, status(1, state, changed_ms=changed_ms), T0 + 2)
    again = status(1, State.CLOSED, changed_ms=T0 + 1)._replace(changed_ms=T0 + 3)
    assert desk().on_status(rows, again, T0 + 3) == []
    found = rows.finding("finding-1")
    assert found is not None
    assert found.status is not None
    assert found.status.state is State.ACKNOWLEDGED
    taken_up = status(1, State.CLOSED, changed_ms=T0 + 4)
    assert told(desk().on_status(rows, taken_up, T0 + 4)) == [("chat", "resolved", 1), ("siem", "resolved", 1)]


def test_what_somebody_looks_after_calls_nobody_when_it_goes_on_and_hides_nothing(rows: DeskStore) -> None:
    key = alert(1).dedup_key
    desk().on_alert(rows, alert(1, severity_id=Severity.HIGH), T0)
    desk().on_status(rows, status(1), T0 + 1)
    later_ms = T0 + 2 * WINDOW_MS
    goes_on = desk().on_alert(rows, alert(2, severity_id=Severity.HIGH, dedup_key=key), later_ms)
    assert goes_on == [], "it is the same incident, for which nobody is called again"
    # The same rule in a session that nobody looks after.
    other = desk().on_alert(rows, alert(3, severity_id=Severity.HIGH), later_ms + 1)
    assert told(other) == [("pager", "new", 1)]
    escalated = desk().on_time(rows, later_ms + WINDOW_MS)
    assert [(each.sink, each.message.finding_uid) for each in escalated] == [("lead", "finding-3")]
    # What was closed is new when it occurs again, and so is what another tenant has acknowledged.
    desk().on_status(rows, status(2, State.CLOSED, dedup_key=key, changed_ms=T0 + 9), later_ms)
    after_ms = later_ms + 2 * WINDOW_MS
    assert told(desk().on_alert(rows, alert(4, severity_id=Severity.HIGH, dedup_key=key), after_ms)) == [
        ("pager", "new", 1)
    ]
    desk().on_status(rows, status(9, tenant="mallory", dedup_key=alert(8).dedup_key), T0)
    assert told(desk().on_alert(rows, alert(8, severity_id=Severity.HIGH), after_ms + WINDOW_MS)) == [
        ("pager", "new", 1)
    ]


def test_what_is_looked_after_is_one_incident_however_long_it_goes_on(rows: DeskStore) -> None:
    key = alert(1).dedup_key
    first = desk().on_alert(rows, alert(1, severity_id=Severity.HIGH), T0)
    desk().on_status(rows, status(1), T0 + 1)
    sent = []
    for number in range(2, 12):
        goes_on = alert(number, severity_id=Severity.HIGH, dedup_key=key)
        sent += desk().on_alert(rows, goes_on, T0 + number * (WINDOW_MS + MINUTE_MS))
    assert told(sent) == [("pager", "update", 10)]
    worse = desk().on_alert(rows, alert(12, severity_id=Severity.CRITICAL, dedup_key=key), T0 + 12 * WINDOW_MS)
    assert told(worse) == [("pager", "update", 12)]
    assert {each.message.incident for each in (*sent, *worse)} == {first[0].message.incident}
    assert desk().on_time(rows, T0 + 24 * WINDOW_MS) == []
    # Alerts that take another route are of another incident, which is acknowledged from the beginning, too.
    other = [desk().on_alert(rows, alert(number, dedup_key=key), T0 + number * WINDOW_MS) for number in (13, 15)]
    assert [told(each) for each in other] == [
        [("chat", "new", 1), ("siem", "new", 1), ("chat", "acknowledged", 1), ("siem", "acknowledged", 1)],
        [],
    ]


def test_what_is_new_after_an_acknowledgement_is_told_and_escalated(rows: DeskStore) -> None:
    """The incident was acknowledged for what it was: another agent's finding is hidden in no such one."""
    desk().on_alert(rows, alert(1, severity_id=Severity.HIGH), T0)
    desk().on_status(rows, status(1), T0 + 1)
    later_ms = T0 + MINUTE_MS
    assert told(desk().on_alert(rows, alert(2, severity_id=Severity.HIGH), later_ms)) == [("pager", "new", 1)]
    assert desk().on_alert(rows, alert(3, severity_id=Severity.HIGH), later_ms) == []
    escalated = desk().on_time(rows, later_ms + 15 * MINUTE_MS)
    assert [(each.sink, each.message.agents) for each in escalated] == [("lead", ("agent-2", "agent-3"))]


def test_an_acknowledgement_ahead_of_its_alert_acknowledges_nothing_else(rows: DeskStore) -> None:
    desk().on_alert(rows, alert(1, severity_id=Severity.HIGH), T0)
    desk().on_status(rows, status(2), T0 + 1)
    assert told(desk().on_alert(rows, alert(2, severity_id=Severity.HIGH), T0 + 2)) == [
        ("pager", "new", 1),
        ("pager", "acknowledged", 1),
    ]
    escalated = desk().on_time(rows, T0 + 15 * MINUTE_MS)
    assert [(each.sink, each.message.finding_uid) for each in escalated] == [("lead", "finding-1")]


def test_alerts_wait_for_the_end_of_maintenance_and_none_is_forgotten(rows: DeskStore) -> None:
    for number in range(1, 31):
        assert desk(NIGHT).on_alert(rows, alert(number, analytic_uid=f"rule-{number}"), T0 + number) == []
        assert desk(NIGHT).on_alert(rows, again(number, 4, analytic_uid=f"rule-{number}"), T0 + number) == []
    assert desk(NIGHT).on_time(rows, NIGHT.ends_ms - 1) == []
    summaries = desk(NIGHT).on_time(rows, NIGHT.ends_ms)
    assert [(each.sink, each.message.kind) for each in summaries] == [("chat", Kind.SUMMARY), ("siem", Kind.SUMMARY)]
    summary = summaries[0].message
    assert (summary.findings_count, summary.count) == (30, 120)
    assert (len(summary.lines), summary.left_out_count) == (SUMMARY_LINES_MAX, 30 - SUMMARY_LINES_MAX)
    assert summary.lines[0] == "4 x rule-1: tool call repeated by agent-1"
    assert desk(NIGHT).on_time(rows, NIGHT.ends_ms + 1) == []
    # From now on, they are as any other.
    assert told(desk(NIGHT).on_alert(rows, again(1, 10, analytic_uid="rule-1"), NIGHT.ends_ms + 1))[0][1] == "update"


def test_what_waits_for_maintenance_or_escalation_is_not_forgotten_before(rows: DeskStore) -> None:
    month_ms = 30 * 24 * 60 * MINUTE_MS
    long = Window(name="long", starts_ms=T0, ends_ms=T0 + 2 * month_ms, match=NIGHT.match, below=Severity.CRITICAL)
    assert desk(long).on_alert(rows, alert(1), T0) == []
    rows.purge(T0 + month_ms)
    assert told(desk(long).on_time(rows, long.ends_ms))[0] == ("chat", "summary", 1)
    assert told(desk(long).on_alert(rows, alert(2, severity_id=Severity.HIGH), long.ends_ms)) == [("pager", "new", 1)]
    rows.purge(long.ends_ms + month_ms)
    assert told(desk(long).on_time(rows, long.ends_ms + month_ms)) == [("lead", "escalation", 1)]


def test_what_has_waited_for_months_can_still_be_acknowledged(rows: DeskStore) -> None:
    month_ms = 30 * 24 * 60 * MINUTE_MS
    long = Window(name="long", starts_ms=T0, ends_ms=T0 + 3 * month_ms, match=NIGHT.match, below=Severity.CRITICAL)
    assert desk(long).on_alert(rows, alert(1, severity_id=Severity.HIGH), T0) == []
    for months in (1, 2, 3):
        rows.purge(T0 + months * month_ms - 1)
    assert told(desk(long).on_time(rows, long.ends_ms))[0] == ("pager", "summary", 1)
    assert told(desk(long).on_status(rows, status(1), long.ends_ms + 1)) == [("pager", "acknowledged", 1)]
    assert desk(long).on_time(rows, long.ends_ms + month_ms) == []
    for _ in range(2):
        rows.purge(long.ends_ms + month_ms)
    assert rows.finding("finding-1") is None, "and then it is forgotten as any other"


def test_what_is_severe_enough_does_not_wait_nor_what_the_window_does_not_name(rows: DeskStore) -> None:
    assert told(desk(NIGHT).on_alert(rows, alert(1, severity_id=Severity.CRITICAL), T0)) == [("pager", "new", 1)]
    assert told(desk(NIGHT).on_alert(rows, alert(2, agent="robot"), T0))[0] == ("chat", "new", 1)
    assert told(desk(NIGHT).on_alert(rows, alert(3, analytic_uid="x"), NIGHT.starts_ms - 1))[0] == ("chat", "new", 1)


def test_what_waits_is_told_when_it_becomes_severe_and_not_again_in_the_summary(rows: DeskStore) -> None:
    everything = Desk((ALL,), (NIGHT,), WINDOW_MS)
    assert everything.on_alert(rows, alert(1), T0) == []
    assert told(everything.on_alert(rows, alert(2, severity_id=Severity.CRITICAL), T0))[0] == ("chat", "new", 2)
    assert everything.on_time(rows, NIGHT.ends_ms) == []


MAIL = Window(
    name="mail", starts_ms=T0, ends_ms=T0 + 60 * MINUTE_MS, match=Match(tools=("mail/*",)), below=Severity.CRITICAL
)
BANK = ToolRef(server_id="bank", name="pay")


@pytest.mark.parametrize("is_bank_first", [True, False])
def test_an_alert_that_maintenance_does_not_name_waits_in_no_incident_that_it_names(
    rows: DeskStore, is_bank_first: bool
) -> None:
    mail = alert(1, severity_id=Severity.HIGH)
    bank = alert(2, severity_id=Severity.HIGH, tool=BANK)
    both = [desk(MAIL).on_alert(rows, each, T0 + 1) for each in ((bank, mail) if is_bank_first else (mail, bank))]
    assert [told(each) for each in both] == (
        [[("pager", "new", 1)], []] if is_bank_first else [[], [("pager", "new", 2)]]
    )
    # Nor is its escalation put off.
    assert told(desk(MAIL).on_time(rows, T0 + 15 * MINUTE_MS + 1)) == [("lead", "escalation", 2)]
    assert desk(MAIL).on_time(rows, MAIL.ends_ms) == []


def test_an_incident_from_before_maintenance_is_escalated_during_it_for_the_alert_that_it_does_not_name(
    rows: DeskStore,
) -> None:
    for number, changes in ((1, {}), (2, {"tool": BANK})):
        desk(MAIL).on_alert(rows, alert(number, severity_id=Severity.HIGH, **changes), T0 - MINUTE_MS)
    assert told(desk(MAIL).on_time(rows, T0 + 14 * MINUTE_MS)) == [("lead", "escalation", 2)]


def test_what_has_waited_is_escalated_from_the_end_of_maintenance_on(rows: DeskStore) -> None:
    assert desk(NIGHT).on_alert(rows, alert(severity_id=Severity.HIGH), T0) == []
    assert desk(NIGHT).on_time(rows, T0 + 20 * MINUTE_MS) == []
    assert told(desk(NIGHT).on_time(rows, NIGHT.ends_ms))[0][:2] == ("pager", "summary")
    assert desk(NIGHT).on_time(rows, NIGHT.ends_ms + 15 * MINUTE_MS - 1) == []
    assert told(desk(NIGHT).on_time(rows, NIGHT.ends_ms + 15 * MINUTE_MS)) == [("lead", "escalation", 1)]


def test_nothing_is_escalated_during_maintenance_that_would_wait_then(rows: DeskStore) -> None:
    before_ms = NIGHT.starts_ms - MINUTE_MS
    assert told(desk(NIGHT).on_alert(rows, alert(severity_id=Severity.HIGH), before_ms)) == [("pager", "new", 1)]
    assert desk(NIGHT).on_time(rows, NIGHT.starts_ms + 30 * MINUTE_MS) == []
    assert told(desk(NIGHT).on_time(rows, NIGHT.ends_ms)) == [("lead", "escalation", 1)]


def test_a_window_that_is_taken_out_of_the_settings_has_ended(rows: DeskStore) -> None:
    assert desk(NIGHT).on_alert(rows, alert(), T0) == []
    assert told(desk().on_time(rows, T0 + 1))[0][:2] == ("chat", "summary")


class _StoryIsOverError(Exception):
    pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),  # the finding
            st.integers(1, 30),  # its count
            st.integers(1, 5),  # its severity
            st.integers(0, 40 * MINUTE_MS),  # the time until the next one
            st.booleans(),  # whether a person closes it
        ),
        max_size=40,
    )
)
def test_whatever_comes_is_told_with_its_whole_count_or_waits(
    rows: DeskStore, story: list[tuple[int, int, int, int, bool]]
) -> None:
    """At the end, no incident is unknown to people, and what they were told counts what has come."""
    now_ms, counts, told_counts, told_uids = T0, dict[str, int](), dict[str, int](), list[str]()
    store = rows
    # Each story begins with an empty file, to which the savepoint goes back.
    with suppress(_StoryIsOverError), store.savepoint():

        def keep(deliveries: list[Delivery]) -> None:
            for each in deliveries:
                if each.sink in ("chat", "pager"):
                    told_uids.append(each.message.uid)
                    if each.message.kind is Kind.SUMMARY:
                        told_counts["summaries"] = told_counts.get("summaries", 0) + each.message.findings_count
                    elif each.message.kind is Kind.NEW:
                        told_counts["new"] = told_counts.get("new", 0) + 1

        for number, count, severity, pause_ms, closes in story:
            changed: Alert = again(number, count, severity_id=severity)
            keep(desk(NIGHT).on_alert(store, changed, now_ms))
            counts[changed.finding_uid] = max(counts.get(changed.finding_uid, 0), count)
            if closes:
                keep(desk(NIGHT).on_status(store, status(number, State.CLOSED, changed_ms=now_ms), now_ms))
            now_ms += pause_ms
            keep(desk(NIGHT).on_time(store, now_ms))
        keep(desk(NIGHT).on_time(store, max(now_ms, NIGHT.ends_ms)))
        incidents = {found.incident for number in range(1, 7) if (found := store.finding(f"finding-{number}"))}
        kept = [store.incident(uid) for uid in incidents]
        assert all(each is not None and each.told_count for each in kept)
        assert sum(each.count for each in kept if each is not None) == sum(counts.values())
        assert told_counts.get("new", 0) + told_counts.get("summaries", 0) == len(kept)
        assert len(told_uids) == len(set(told_uids))
        raise _StoryIsOverError
