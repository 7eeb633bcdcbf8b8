"""Alerts: what raises one, what it says, and that a flood of findings is one alert with a count."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset, tool_ref
from streams.codec.ocsf import detection_finding
from streams.engine.state import PartitionState
from streams.model.alert import ACTIVITY_CREATE, ACTIVITY_UPDATE, Alert, Severity, clipped
from streams.model.analytics import VERDICTS, made_alert
from streams.model.labels import Confidentiality, Label
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import SessionEventType
from streams.model.topics import ALERT, ALERT_OCSF, DELEGATION, INTENT, REPORT, RULESET, SESSION
from streams.model.types import Header
from streams.processors.dedup.alerts import (
    OPEN_PER_KIND_MAX,
    OPEN_PER_TENANT_MAX,
    UNPROVEN_OPEN_PER_KIND_MAX,
    AlertWindows,
)
from streams.processors.gate.alerts import FAULTS_MAX
from streams.processors.row_kinds import RowKind
from streams.processors.rows import OPEN_ALERTS_KEY, all_rows
from streams.stores.memory import MemoryStores
from tests.kit import BUNDLE, GATE_SETTINGS, HOUR_MS, MAIL_SEND, START_MS, WEB_FETCH, GateBench, wire
from tests.ocsf import faults
from tests.unit.delegation.attacks import ATTACKS
from tests.unit.delegation.denials import SETTINGS
from tests.unit.delegation.family import Family

ATTACKER = {"to": "attacker@evil.example"}
WINDOW_MS = GATE_SETTINGS.alert_window_ms
RULES = """
apiVersion: rules/v1
pack: testing
budgets:
  few_mails: {per: session, measure: calls, match: {tools: [mail.send]}, limit: 2, window: 1h}
rules:
  - id: T-001
    effect: permit
    match: {tools: [mail.send]}
    when: "true"
    reason: fine
    tags: [ASI02, AML.T0053]
  - id: T-002
    effect: deny
    match: {tools: [mail.send]}
    when: has(args.to) && args.to == "attacker@evil.example"
    reason: to the attacker
    tags: [ASI01, AML.T0086]
"""


def written(bench: GateBench) -> list[Alert]:
    """The new alerts. Each is on both topics, in the same form."""
    found = bench.driver.read_raw(ALERT.name, ALERT_OCSF.name)
    records = [wire().decode(ALERT.name, each.value or b"", each.headers) for each in found if each.topic == ALERT.name]
    events = [(each.key, json.loads(each.value or b"")) for each in found if each.topic == ALERT_OCSF.name]
    alerts = [record for record in records if isinstance(record, Alert)]
    assert events == [(alert.dedup_key.encode(), detection_finding(alert)) for alert in alerts]
    assert [faults(event) for _, event in events] == [[] for _ in alerts]
    return alerts


def rows_of_alerts(bench: GateBench) -> list[bytes]:
    prefixes = (RowKind.ALERT.prefix, RowKind.OPEN_ALERTS.prefix)
    return [key for key in bench.driver.disk.rows(0) if key.startswith(prefixes)]


class TestWhatIsSaid:
    def test_a_denied_call_is_named_with_intent_tool_and_what_was_read(self) -> None:
        bench = GateBench()
        retrieval = bench.session.event(SessionEventType.RETRIEVAL, bench.now_ms)
        bench.driver.pipe(REPORT.name, bench.session.key, retrieval)
        intent = bench.propose(MAIL_SEND, ATTACKER)
        (alert,) = written(bench)
        assert alert.intent_id == intent.intent_id
        assert alert.tool is not None
        assert (alert.tool.server_id, alert.tool.name) == ("mail", "send")
        assert (alert.analytic_uid, alert.types) == ("T-010", ("ASI01",))
        event = detection_finding(alert)
        call, *read = event["evidences"]
        assert call["api"] == {
            "operation": "send",
            "service": {"name": "mail"},
            "request": {"uid": intent.intent_id},
        }
        assert [each["uid"] for each in read] == [retrieval.header.id]
        assert "attacker@" not in json.dumps(event)

    @pytest.mark.parametrize(
        ("label", "name"),
        [
            (Label(confidentiality=Confidentiality.PUBLIC), "wiki/a, wiki/b"),
            (Label(confidentiality=Confidentiality.PUBLIC, readers=("ann",)), None),
            (Label(confidentiality=Confidentiality.PRIVATE), None),
        ],
    )
    def test_documents_are_named_only_where_anybody_may_see_them(self, label: Label, name: str | None) -> None:
        bench = GateBench()
        public = msgspec.structs.replace(WEB_FETCH, output_label=Label(confidentiality=Confidentiality.PUBLIC))
        bench.publish(msgspec.structs.replace(public, catalog_version=2))
        read = bench.session.event(
            SessionEventType.RETRIEVAL,
            bench.now_ms,
            tool=tool_ref(WEB_FETCH),
            label=label,
            sources=("wiki/a", "wiki/b"),
        )
        bench.driver.pipe(REPORT.name, bench.session.key, read)
        bench.propose(MAIL_SEND, ATTACKER)
        (alert,) = written(bench)
        assert [(document.uid, document.name) for document in alert.documents] == [(read.header.id, name)]
        _, evidence = detection_finding(alert)["evidences"]
        assert evidence.get("file") == (None if name is None else {"name": name, "type_id": 0})
        assert ("wiki" in json.dumps(detection_finding(alert))) is (name is not None)

    def test_techniques_are_those_of_the_rule_that_decided(self) -> None:
        bench = GateBench(with_rules=False)
        bench.driver.pipe(RULESET.name, b"default", ruleset({"bundle.yaml": BUNDLE, "testing/t.rules.yaml": RULES}))
        bench.propose(MAIL_SEND, ATTACKER)
        (alert,) = written(bench)
        assert [attack.technique_uid for attack in alert.attacks] == ["AML.T0086"]
        assert alert.attacks[0].technique_name == "Exfiltration via AI Agent Tool Invocation"
        assert alert.types == ("ASI01",)

    def test_the_commands_that_explain_and_stop_it_are_suggested(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, ATTACKER)
        (alert,) = written(bench)
        assert alert.suggested_response == (
            f"stoplog explain {intent.intent_id}",
            "stoplog session show 'acme|s-1'",
            f"stoplog kill --session 'acme|s-1' --why 'alert {alert.finding_uid}'",
        )


class TestWhatRaisesOne:
    def test_a_budget_that_is_exhausted(self) -> None:
        bench = GateBench(with_rules=False)
        bench.driver.pipe(RULESET.name, b"default", ruleset({"bundle.yaml": BUNDLE, "testing/t.rules.yaml": RULES}))
        for _ in range(5):
            bench.propose(MAIL_SEND, {"to": "bob@example.com"})
        (alert,) = written(bench)
        assert (alert.analytic_uid, alert.title) == (Reason.BUDGET_EXHAUSTED, "budget exhausted: mail/send")
        assert "budget `few_mails` of 2 per session in 3600 s" in alert.desc
        assert alert.attacks[0].technique_uid == "AML.T0034.002"
        bench.wait(WINDOW_MS)
        assert [each.count for each in written(bench)] == [3]

    def test_a_rule_that_cannot_be_evaluated_whatever_comes_of_the_call(self) -> None:
        bench = GateBench()
        for number in range(3):
            bench.propose(MAIL_SEND, {"divide": 0, "to": f"bob{number}@example.com"})
        (alert,) = written(bench)
        assert (alert.analytic_uid, alert.severity_id) == (Reason.RULE_ERROR, Severity.MEDIUM)
        assert alert.title == "rule can't be evaluated: rule T-012"
        assert alert.dedup_key == '["rule_error", "acme", "T-012"]'
        # The call is denied for another reason, and the rule is broken all the same.
        bench.propose(MAIL_SEND, {"divide": 0, **ATTACKER})
        assert [each.analytic_uid for each in written(bench)] == ["T-010"]
        bench.wait(WINDOW_MS)
        assert [(each.analytic_uid, each.count) for each in written(bench)] == [(Reason.RULE_ERROR, 4)]

    def test_arguments_that_make_many_rules_fail_raise_few_alerts(self) -> None:
        rules = [
            f"  - {{id: B-{number:03}, effect: deny, match: {{tools: [mail.send]}}, when: args.n / 0 > 1, reason: no}}"
            for number in range(4 * FAULTS_MAX)
        ]
        text = "\n".join(["apiVersion: rules/v1", "pack: testing", "rules:", *rules])
        bench = GateBench(with_rules=False)
        bench.driver.pipe(RULESET.name, b"default", ruleset({"bundle.yaml": BUNDLE, "testing/t.rules.yaml": text}))
        bench.propose(MAIL_SEND, {"n": 1})
        assert [alert.title for alert in written(bench)] == [
            f"rule can't be evaluated: rule B-{number:03}" for number in range(FAULTS_MAX)
        ]

    def test_every_key_is_one_that_a_verdict_has(self) -> None:
        assert {part for kind in VERDICTS.values() for part in kind.key} <= {"session", "tool", "rule", "budget"}
        assert VERDICTS[Reason.RULE_ERROR].key == ("rule",)

    @pytest.mark.parametrize("name", [name for name, (reason, _) in ATTACKS.items() if reason in VERDICTS])
    def test_a_grant_when_it_arrives(self, name: str) -> None:
        reason, make = ATTACKS[name]
        grant, receiver = make(Family())
        bench = GateBench(settings=SETTINGS, with_session=False)
        for _ in range(3):
            bench.driver.pipe(DELEGATION.name, receiver.key, grant)
        (alert,) = written(bench)
        assert alert.analytic_uid == reason
        assert alert.title == f"{VERDICTS[reason].title}: grant {clipped(grant.uid)}"
        assert (alert.session_id, alert.intent_id, alert.types) == (grant.session_id, None, VERDICTS[reason].types)
        bench.wait(WINDOW_MS)
        assert [each.count for each in written(bench)] == [3]

    def test_dead_letters_that_forge_something(self) -> None:
        bench = GateBench()
        forged = bench.session.event(SessionEventType.SESSION_REVOKED, bench.now_ms)
        for _ in range(20):
            bench.driver.pipe(SESSION.name, bench.session.key, msgspec.structs.replace(forged, proof=None))
        (alert,) = written(bench)
        assert (alert.analytic_uid, alert.types) == (DeadLetterReason.WRITER_UNPROVEN, ("ASI03", "ASI07"))
        bench.wait(WINDOW_MS)
        assert [each.count for each in written(bench)] == [20]

    def test_a_broken_envelope_raises_none(self) -> None:
        bench = GateBench()
        bench.driver.pipe(INTENT.name, bench.session.key, b"nonsense")
        assert written(bench) == []

    def test_rules_that_are_rejected_again_and_again_are_common_findings_in_the_end(self) -> None:
        bench = GateBench()
        for _ in range(OPEN_PER_TENANT_MAX + 20):
            bench.driver.pipe(RULESET.name, b"default", b"nonsense")
        assert len(written(bench)) <= OPEN_PER_TENANT_MAX + 1


class TestFloods:
    def test_a_flood_is_one_alert_and_one_count(self) -> None:
        bench = GateBench()
        for _ in range(50):
            bench.propose(MAIL_SEND, ATTACKER)
            bench.wait(10)
        (first,) = written(bench)
        assert (first.activity_id, first.count) == (ACTIVITY_CREATE, 1)
        bench.wait(WINDOW_MS)
        (last,) = written(bench)
        assert (last.activity_id, last.count) == (ACTIVITY_UPDATE, 50)
        assert last.finding_uid == first.finding_uid
        assert last.header.id != first.header.id
        assert (last.first_seen_time, last.last_seen_time) == (first.first_seen_time, first.first_seen_time + 490)
        assert detection_finding(last)["type_uid"] == 200402
        bench.wait(HOUR_MS // 2)
        assert written(bench) == []
        assert rows_of_alerts(bench) == []

    def test_what_occurs_once_is_said_once_and_the_next_window_is_a_new_finding(self) -> None:
        bench = GateBench()
        bench.propose(MAIL_SEND, ATTACKER)
        (first,) = written(bench)
        bench.wait(WINDOW_MS)
        assert written(bench) == []
        bench.propose(MAIL_SEND, ATTACKER)
        (second,) = written(bench)
        assert second.dedup_key == first.dedup_key
        assert second.finding_uid != first.finding_uid

    def test_another_gate_that_takes_over_goes_on_counting(self) -> None:
        bench = GateBench()
        for _ in range(3):
            bench.propose(MAIL_SEND, ATTACKER)
            bench.restart()
        assert len(written(bench)) == 1
        bench.wait(WINDOW_MS)
        assert [alert.count for alert in written(bench)] == [3]

    def test_invented_sessions_have_common_alerts(self) -> None:
        bench = GateBench()
        invented = [SessionMaker(f"s-invented-{number}") for number in range(3 * UNPROVEN_OPEN_PER_KIND_MAX)]
        for session in invented:
            bench.establish(session)
        for session in invented:
            bench.propose(session=session, unproven={"turn": 77})
        alerts = written(bench)
        assert len(alerts) == UNPROVEN_OPEN_PER_KIND_MAX + 1
        common = alerts[-1]
        assert common.dedup_key == '["proof_invalid", "common", 0]'
        assert (common.session_id, common.intent_id, common.header.tenant_uid) == (None, None, "")
        bench.wait(WINDOW_MS)
        (update,) = written(bench)
        assert (update.finding_uid, update.count) == (common.finding_uid, 2 * UNPROVEN_OPEN_PER_KIND_MAX)
        assert rows_of_alerts(bench) == []


def open_counts(state: PartitionState) -> set[int]:
    return set(msgspec.msgpack.decode(state.get(OPEN_ALERTS_KEY) or b"", type=dict[str, int]).values())


class TestWindows:
    def alert(self, key: str = "k", time_ms: int = START_MS, **fields: Any) -> Alert:
        reason = Reason.RULE_ERROR.value
        header = Header(id="c237cd76-dd2c-81d9-b0ae-59627e601de2", source="test", time=time_ms, tenant_uid="acme")
        made = made_alert(reason, header, title="t", desc="d", dedup_key=json.dumps([reason, key]), response=())
        return msgspec.structs.replace(made, **fields)

    def test_counts_of_occurrences_are_added(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        assert len(windows.raised(self.alert(count=3), state, START_MS)) == 2
        assert windows.raised(self.alert(count=4), state, START_MS + 1) == []
        # Its timer never came: the window is closed by the next occurrence.
        outputs = windows.raised(self.alert(), state, START_MS + WINDOW_MS)
        alerts = [wire().decode(ALERT.name, each.value or b"", ()) for each in outputs if each.topic is ALERT]
        assert [(a.activity_id, a.count) for a in alerts if isinstance(a, Alert)] == [(2, 7), (1, 1)]

    def test_a_stream_time_that_was_set_back_begins_a_new_window(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        windows.raised(self.alert(), state, START_MS + HOUR_MS)
        assert len(windows.raised(self.alert(), state, START_MS)) == 2
        assert open_counts(state) == {1}

    def test_a_window_ends_early_for_the_finding_that_it_is_of_and_for_no_other(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        first = self.alert()
        windows.raised(first, state, START_MS)
        windows.raised(self.alert(), state, START_MS + 1)
        for tenant_uid, finding_uid in (("other", first.finding_uid), ("acme", "another")):
            assert windows.end(first.dedup_key, tenant_uid, finding_uid, state, START_MS + 2) == []
        outputs = windows.end(first.dedup_key, "acme", first.finding_uid, state, START_MS + 2)
        (update,) = [wire().decode(ALERT.name, each.value or b"", ()) for each in outputs if each.topic is ALERT]
        assert isinstance(update, Alert)
        assert (update.finding_uid, update.activity_id, update.count) == (first.finding_uid, ACTIVITY_UPDATE, 2)
        assert state.get(OPEN_ALERTS_KEY) is None
        assert windows.end(first.dedup_key, "acme", first.finding_uid, state, START_MS + 2) == []

    def test_one_kind_leaves_room_for_others(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        for number in range(2 * OPEN_PER_TENANT_MAX):
            windows.raised(self.alert(str(number)), state, START_MS)
        other = msgspec.structs.replace(self.alert(), dedup_key='["rule_denied", "x"]')
        assert len(windows.raised(other, state, START_MS)) == 2
        rows = list(state.scan(*all_rows(RowKind.ALERT)))
        assert len(rows) == OPEN_PER_TENANT_MAX + 2

    def of_tenant(self, tenant_uid: str, key: str) -> Alert:
        alert = self.alert(f"{tenant_uid} {key}")
        return msgspec.structs.replace(alert, header=msgspec.structs.replace(alert.header, tenant_uid=tenant_uid))

    def test_one_tenant_hides_nothing_of_others(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        for number in range(2 * OPEN_PER_TENANT_MAX):
            windows.raised(self.of_tenant("noisy", str(number)), state, START_MS)
        outputs = windows.raised(self.of_tenant("quiet", "x"), state, START_MS)
        (alert,) = [wire().decode(ALERT.name, each.value or b"", ()) for each in outputs if each.topic is ALERT]
        assert isinstance(alert, Alert)
        assert (alert.header.tenant_uid, json.loads(alert.dedup_key)[1]) == ("quiet", "quiet x")

    def test_all_tenants_together_have_a_bound_and_their_room_comes_back(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        for number in range(2 * OPEN_PER_KIND_MAX):
            windows.raised(self.of_tenant(f"t{number % 50}", str(number)), state, START_MS)
        rows = list(state.scan(*all_rows(RowKind.ALERT)))
        assert len(rows) == OPEN_PER_KIND_MAX + 1
        for key, _ in rows:
            windows.on_due(key[1:].hex().encode(), state, START_MS + WINDOW_MS)
        assert state.get(OPEN_ALERTS_KEY) is None

    def test_what_a_version_without_counts_of_tenants_has_left_takes_no_room(self) -> None:
        state, windows = PartitionState(MemoryStores().open(0)), AlertWindows(wire(), WINDOW_MS)
        first = self.of_tenant("acme", "x")
        windows.raised(first, state, START_MS)
        # The earlier version has closed it, and has counted its kind alone.
        counts = msgspec.msgpack.decode(state.get(OPEN_ALERTS_KEY) or b"")
        state.put(OPEN_ALERTS_KEY, msgspec.msgpack.encode({name: n for name, n in counts.items() if "acme" in name}))
        (row,) = state.scan(*all_rows(RowKind.ALERT))
        state.delete(row[0])
        windows.raised(self.of_tenant("acme", "y"), state, START_MS)
        assert open_counts(state) == {1}
