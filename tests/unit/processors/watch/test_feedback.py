"""What people do with alerts, through the watch itself: who is heard, what is lowered, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from streams.audit.alert_handlers import ANYBODY, NOBODY, AlertHandlers, signed_status
from streams.audit.signatures import SigningKey
from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import DETECTORS
from streams.behaviour.feedback import LOWERED_MS, NEVER_LOWERED, alike_correlation_key, alike_key
from streams.behaviour.findings import Finding
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Declared, Watcher
from streams.codec.ocsf import detection_finding
from streams.model.alert import Alert
from streams.model.alert_status import STATUS_AGE_MAX_MS, AlertState, AlertStatus, alert_status_key
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.proof import derived_uuid
from streams.model.topics import ALERT_OCSF, ALERT_STATUS, AUDIT_REPORTED, BEHAVIOUR, WATCH_CHANGELOG
from streams.model.types import Header
from streams.processors.watch.behaviour_file import BehaviourFiles
from streams.processors.watch.keying import Keying
from tests.ocsf import faults
from tests.unit.behaviour.kit import START_MS, Rows
from tests.unit.processors.watch.watch_bench import QUICK, SHIPPED, WIRE, Bench, sent

ANN, BEN = SigningKey.made(), SigningKey.made()
HANDLERS = AlertHandlers.of(
    {"ann": str(ANN.public), "ben": str(BEN.public)}, tenants={"ben": ["other"]}, deployment="prod"
)
NAMED = frozenset({"fan_out_short", "two_places", "ceiling", "agent"})
FILES = SHIPPED._replace(
    declared=Declared(
        tuple(each for each in SHIPPED.declared.detectors if each.name in NAMED), SHIPPED.declared.correlations
    )
)
HONEST, STRONGER = 50, 200
"""Different objects in ten minutes: just above the threshold of an unknown agent, and far above it."""
replace = msgspec.structs.replace


class Desk(Bench):
    """The watch, and people who handle its alerts."""

    def __init__(self, handlers: AlertHandlers = HANDLERS, files: BehaviourFiles | None = None) -> None:
        super().__init__(files or FILES)
        self.driver.restart(Keying(WIRE, self.files.features, QUICK, handlers))
        self.now_ms = START_MS

    def sweep(self, count: int, session: str, agent: str = "clerk", tool: str = "crm.use") -> list[Alert]:
        """Return the alerts after a session has gone from one object to the next, and then rested."""
        self.call(count, session, agent, tool)
        self.settle(HOUR_MS)
        self.now_ms = self.driver.clock.now_ms()
        return self.alerts()

    def call(self, count: int, session: str, agent: str = "clerk", tool: str = "crm.use", first: int = 0) -> None:
        """Let a session go from one object to the next, each second one."""
        for at in range(first, first + count):
            each = sent(
                self.now_ms, session=session, agent=agent, tool=tool, object=f"{session}-{at}", destination=None
            )
            self.decide(each)
            self.now_ms += 1_000

    def close(self, alert: Alert, state: AlertState = AlertState.FALSE_POSITIVE, **changes: object) -> AlertStatus:
        """Write what somebody does with an alert."""
        status = status_of(alert, state, self.driver.clock.now_ms())
        status = signed_status(replace(status, **changes), ANN, "prod")
        self.write(status)
        return status

    def write(self, status: AlertStatus) -> None:
        key = alert_status_key(status.header.tenant_uid, status.finding_uid)
        self.driver.pipe(ALERT_STATUS.name, key, status, self.driver.clock.now_ms())
        self.settle(1_000)
        self.now_ms = self.driver.clock.now_ms()

    def told(self) -> list[dict[str, Any]]:
        """Return what a SIEM has got since the last time."""
        return [json.loads(read.value or b"") for read in self.driver.read_raw(ALERT_OCSF.name)]

    def audits(self) -> list[AuditEvent]:
        return [read.record for read in self.driver.read(AUDIT_REPORTED.name)]


def status_of(alert: Alert, state: AlertState, time_ms: int) -> AlertStatus:
    tenant_uid = alert.header.tenant_uid
    made_id = derived_uuid("status", alert.finding_uid, state.value, str(time_ms))
    return AlertStatus(
        header=Header(id=made_id, source="stoplog-cli", time=time_ms, tenant_uid=tenant_uid),
        finding_uid=alert.finding_uid,
        status=state,
        dedup_key=alert.dedup_key,
        session_id=alert.session_id,
        by_user="Ann",
        reason="it pages through a mailbox",
    )


def names(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(each.analytic_uid, each.act.sub if each.act else "") for each in alerts]


def lowered(audits: list[AuditEvent]) -> list[AuditEvent]:
    return [each for each in audits if each.reason == "alerts_lowered"]


WIDE = ("behaviour/fan_out_short", "clerk")


@pytest.mark.parametrize(
    ("count", "agent", "tool"),
    [(STRONGER, "clerk", "crm.use"), (HONEST, "other", "crm.use"), (HONEST, "clerk", "docs.use")],
)
def test_after_a_false_positive_the_same_is_quiet_and_what_is_stronger_or_anothers_alerts(
    count: int, agent: str, tool: str
) -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    assert names([alert]) == [WIDE]
    desk.close(alert)
    assert desk.sweep(HONEST, "s-2") == []
    assert names(desk.sweep(count, "s-3", agent, tool)) == [("behaviour/fan_out_short", agent)]
    assert desk.sweep(HONEST, "s-4") == []


def test_without_it_the_next_session_alerts_a_day_later() -> None:
    desk = Desk()
    assert names(desk.sweep(HONEST, "s-1")) == [WIDE]
    assert desk.sweep(STRONGER, "s-2") == []
    desk.now_ms += 2 * DAY_MS
    assert names(desk.sweep(HONEST, "s-3")) == [WIDE]


def test_a_resolved_alert_lowers_nothing_and_its_incident_alerts_again() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.close(alert, AlertState.ACKNOWLEDGED)
    assert desk.sweep(HONEST, "s-2") == []
    desk.close(alert, AlertState.RESOLVED)
    assert names(desk.sweep(HONEST, "s-3")) == [WIDE]
    assert [each.reason for each in desk.audits()] == ["alert_acknowledged", "alert_resolved"]


def test_what_is_done_with_an_alert_updates_and_ends_its_finding_in_a_siem() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.told()
    desk.close(alert, AlertState.ACKNOWLEDGED, title=alert.title, severity_id=alert.severity_id)
    desk.close(alert, AlertState.FALSE_POSITIVE, title=alert.title, severity_id=alert.severity_id)
    taken, ended = desk.told()
    assert [faults(each) for each in (taken, ended)] == [[], []]
    assert [(each["activity_name"], each["status"], each["status_detail"]) for each in (taken, ended)] == [
        ("Update", "In Progress", "acknowledged"),
        ("Close", "Resolved", "false positive"),
    ]
    assert "end_time" in ended
    for each in (taken, ended):
        assert each["finding_info"]["uid"] == alert.finding_uid
        assert each["metadata"]["correlation_uid"] == alert.dedup_key
        assert each["severity_id"] == alert.severity_id
        assert each["comment"] == "ann: it pages through a mailbox"
        assert each["message"].endswith(alert.title)


def test_a_title_can_neither_be_put_into_a_signed_status_nor_be_taken_out() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.told()
    status = status_of(alert, AlertState.RESOLVED, desk.driver.clock.now_ms())
    desk.write(replace(signed_status(status, ANN, "prod"), title="nothing happened"))
    titled = signed_status(replace(status, title=alert.title, severity_id=alert.severity_id), ANN, "prod")
    desk.write(replace(titled, title="", severity_id=0))
    assert [each["activity_name"] for each in desk.told()] == ["Create"]


def test_what_goes_on_after_an_alert_was_resolved_within_its_window_is_a_new_alert() -> None:
    """The window of a minute in which the alert was raised is still open when somebody resolves it."""
    desk = Desk()
    desk.call(HONEST, "s-1")
    desk.settle(2 * QUICK.grace_ms)
    (alert,) = desk.alerts()
    status = desk.close(alert, AlertState.RESOLVED)
    assert status.header.time - alert.header.time < QUICK.alert_window_ms
    assert desk.alerts() == []
    desk.call(STRONGER, "s-1", first=HONEST)
    desk.settle(HOUR_MS)
    (again,) = desk.alerts()
    assert names([again]) == [WIDE]
    assert again.finding_uid != alert.finding_uid
    assert again.activity_id == alert.activity_id


def test_the_strength_of_the_whole_incident_counts_and_the_bar_is_capped() -> None:
    desk = Desk()
    (alert,) = desk.sweep(10 * HONEST, "s-1")
    desk.close(alert)
    (event,) = lowered(desk.audits())
    assert "from 4 times its threshold on, for 30 days" in (event.reason_text or "")
    assert desk.sweep(2 * HONEST, "s-2") == []
    assert names(desk.sweep(10 * HONEST, "s-3")) == [WIDE]


def test_a_signed_false_positive_that_is_written_again_raises_no_bar() -> None:
    """The incident has become an attack meanwhile, and whoever may write the topic can write the status again."""
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    status = desk.close(alert)
    assert len(lowered(desk.audits())) == 1
    desk.call(STRONGER, "s-2")
    desk.settle(2 * QUICK.grace_ms)
    assert names(desk.alerts()) == [WIDE]
    assert desk.driver.clock.now_ms() - status.header.time < STATUS_AGE_MAX_MS
    desk.write(status)
    assert lowered(desk.audits()) == []
    desk.now_ms += 2 * DAY_MS
    assert names(desk.sweep(STRONGER, "s-3")) == [WIDE]


def test_the_bar_expires() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.close(alert)
    desk.now_ms += LOWERED_MS - DAY_MS
    assert desk.sweep(HONEST, "s-2") == []
    desk.now_ms += 2 * DAY_MS
    assert names(desk.sweep(HONEST, "s-3")) == [WIDE]


def test_both_acts_are_on_the_record_with_who_has_signed() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    status = desk.close(alert)
    closed, bar = desk.audits()
    assert (closed.event_type, closed.reason, closed.act.sub) == (AuditEventType.CONTROL, "alert_false_positive", "Ann")
    assert closed.reason_text == (
        "a person has closed an alert as a false positive: Ann, signed by ann: it pages through a mailbox"
    )
    assert (closed.inputs, closed.parent_event_id) == ((alert.finding_uid,), status.header.id)
    assert (bar.reason, bar.act.sub, bar.session_id) == ("alerts_lowered", "ann", "s-1")
    assert "fan_out_short about agent clerk, from 1.5" in (bar.reason_text or "")
    assert "it pages through a mailbox" in (bar.reason_text or "")


def unsigned(status: AlertStatus) -> AlertStatus:
    return replace(status, proof=None)


def by_a_stranger(status: AlertStatus) -> AlertStatus:
    return signed_status(status, SigningKey.made(), "prod")


def for_another_tenant(status: AlertStatus) -> AlertStatus:
    return signed_status(status, BEN, "prod")


def of_another_deployment(status: AlertStatus) -> AlertStatus:
    return signed_status(status, ANN, "test")


def altered(status: AlertStatus) -> AlertStatus:
    return replace(signed_status(status, ANN, "prod"), status=AlertState.FALSE_POSITIVE, reason="because")


def long_ago(status: AlertStatus) -> AlertStatus:
    header = replace(status.header, time=status.header.time - STATUS_AGE_MAX_MS - 1)
    return signed_status(replace(status, header=header), ANN, "prod")


FORGERIES = (unsigned, by_a_stranger, for_another_tenant, of_another_deployment, altered, long_ago)


@pytest.mark.parametrize("forged", FORGERIES)
def test_what_nobody_entitled_has_signed_changes_nothing_and_is_an_alert(
    forged: Callable[[AlertStatus], AlertStatus],
) -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.write(forged(status_of(alert, AlertState.FALSE_POSITIVE, desk.driver.clock.now_ms())))
    (event,) = desk.audits()
    assert (event.event_type, event.reason) == (AuditEventType.DEAD_LETTER, "alert_status_unproven")
    assert len(desk.driver.log.written_since([ALERT_STATUS.dlq], -1)) == 1
    (forgery,) = desk.alerts()
    assert (forgery.analytic_uid, forgery.related_event_ids) == ("alert_status_unproven", (event.header.id,))
    assert faults(detection_finding(forgery)) == []
    desk.now_ms += 2 * DAY_MS
    assert names(desk.sweep(HONEST, "s-2")) == [WIDE]


def test_without_handlers_nothing_counts_and_where_nobody_is_asked_anything_does() -> None:
    for handlers, reasons in ((NOBODY, ["alert_status_unproven"]), (ANYBODY, ["alert_resolved"])):
        desk = Desk(handlers)
        (alert,) = desk.sweep(HONEST, "s-1")
        desk.write(status_of(alert, AlertState.RESOLVED, desk.driver.clock.now_ms()))
        assert [each.reason for each in desk.audits()] == reasons


def test_risk_is_never_lowered() -> None:
    watcher = Watcher(Declared(tuple(each for each in SHIPPED.declared.detectors if each.kind in NEVER_LOWERED)))
    rows = OpenRows(Rows(), RememberedRows())
    finding = Finding(
        name="agent",
        kind="risk",
        title="",
        explain="",
        severity="high",
        tags=(),
        score=3.0,
        share=1.2,
        activity=sent(START_MS),
        events=(),
    )
    watcher.reports.remember(rows, finding, "f-1")
    closed = watcher.reports.close(rows, "acme", "f-1", "status-1", START_MS, is_false=True)
    assert closed is not None
    assert closed.bar is None


@pytest.mark.parametrize("each", SHIPPED.declared.detectors, ids=lambda each: each.name)
def test_what_is_alike_has_the_same_agent_and_tool_or_destination(each: Declaration) -> None:
    terms = DETECTORS[each.kind](each).keys_have_term if each.kind != "risk" else False

    def key(**fields: object) -> bytes:
        return alike_key("@bar", each, sent(START_MS, object="o-1", **fields), tells_terms_apart=terms)

    if each.kind in NEVER_LOWERED:
        assert key() == b""
        return
    assert key(session="s-1") == key(session="s-2", call="another", instance="i-2")
    assert key() != key(agent="other")
    assert key() != key(tenant="other")
    if "tool.name" in (*each.key, *each.peer):
        assert key() != key(tool="web.fetch")
    if terms and each.term == "dest.domain":
        assert key() != key(destination="new.example")


def test_a_correlation_is_lowered_for_its_tool_and_destination() -> None:
    def key(**fields: object) -> bytes:
        return alike_correlation_key("@bar", "probing", sent(START_MS, **fields))

    assert key(session="s-1") == key(session="s-2")
    assert len({key(), key(agent="other"), key(tool="web.fetch"), key(destination="new.example")}) == 4


def test_a_false_positive_about_a_delegation_is_brought_to_the_partition_of_its_root() -> None:
    desk = Desk()
    storm = SHIPPED._replace(
        declared=Declared(tuple(each for each in SHIPPED.declared.detectors if each.name == "delegation_storm"))
    )
    desk = Desk(files=storm)
    for at in range(40):
        desk.decide(sent(START_MS + at * 1_000, session=f"child-{at}", root="g-storm", depth=2))
    desk.settle()
    (alert,) = desk.alerts()
    assert json.loads(alert.dedup_key)[4] == "g-storm"
    desk.close(alert)
    (record,) = [
        each for _, each in desk.driver.log.written_since([BEHAVIOUR.name], -1) if b"it pages" in (each.value or b"")
    ]
    assert record.key == b"acme|grant g-storm"
    assert len(lowered(desk.audits())) == 1


@pytest.mark.parametrize("is_closed", [True, False])
def test_too_many_new_sessions_are_an_alert_again_once_somebody_has_closed_it(
    monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    monkeypatch.setattr("streams.behaviour.growth.SESSIONS_PER_DAY_MAX", 10)
    desk = Desk()
    many = ("behaviour/too_many_rows", "clerk")

    def flood(day: str) -> list[Alert]:
        for at in range(20):
            desk.call(1, f"{day}-{at}")
        desk.settle(HOUR_MS)
        desk.now_ms = desk.driver.clock.now_ms()
        return desk.alerts()

    (alert,) = flood("first")
    assert names([alert]) == [many]
    if is_closed:
        desk.close(alert, AlertState.RESOLVED)
    # Less than a day later, but later than an alert about the agent is quiet that only says "more than usual".
    desk.now_ms += 7 * HOUR_MS
    assert names(flood("later")) == ([many] if is_closed else [])


def test_alerts_of_the_gate_are_closed_and_lower_nothing() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.close(replace(alert, dedup_key=json.dumps(["rule_denied", "acme", "s-1", "mail/send", "R-1"])))
    assert [each.reason for each in desk.audits()] == ["alert_false_positive"]
    desk.close(replace(alert, dedup_key="not json", finding_uid=derived_uuid("another")))
    assert [each.reason for each in desk.audits()] == ["alert_false_positive"]


def test_a_status_under_the_key_of_another_alert_is_set_aside() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    status = signed_status(status_of(alert, AlertState.RESOLVED, desk.driver.clock.now_ms()), ANN, "prod")
    desk.driver.pipe(ALERT_STATUS.name, alert_status_key("acme", "f-2"), status, desk.driver.clock.now_ms())
    desk.settle(1_000)
    assert [each.reason for each in desk.audits()] == ["key_mismatch"]


def test_a_restart_keeps_the_bar() -> None:
    desk = Desk()
    (alert,) = desk.sweep(HONEST, "s-1")
    desk.close(alert)
    desk.driver.restart(Keying(WIRE, desk.files.features, QUICK, HANDLERS))
    assert desk.sweep(HONEST, "s-2") == []
    rows = {record.key for _, record in desk.driver.log.written_since([WATCH_CHANGELOG.name], -1)}
    assert any(b"@bar" in (key or b"") for key in rows)
