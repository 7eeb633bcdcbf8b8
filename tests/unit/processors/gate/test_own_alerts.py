"""The alerts of stoplog about itself: each from its real producer, on the topic as a record and as OCSF 1.8."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest

from simulation.records import ruleset
from streams.audit.alert_handlers import NOBODY
from streams.audit.merkle import Frontier
from streams.audit.seals import AUDIT_LEAF, make_seals
from streams.audit.signatures import SigningKey
from streams.codec.ocsf import detection_finding
from streams.history.driver import Driver
from streams.inmemory.faults import NoFaults
from streams.model.alert import Alert, Severity
from streams.model.alert_status import AlertState, AlertStatus, alert_status_key
from streams.model.analytics import ANALYTICS, AUDIT_GAP, UNREADABLE, made_alert
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import SessionEventType
from streams.model.topics import (
    ALERT,
    ALERT_OCSF,
    ALERT_STATUS,
    BUDGET_REQUEST,
    DELEGATION,
    INTENT,
    RULESET,
    SEAL,
    SEAL_KEY,
    SESSION,
    VERDICT,
)
from streams.model.types import Header, Proof, ProofAlg, ToolRef
from streams.ports import Outgoing
from streams.processors.dead_letters import UNREADABLE_TOLD_FROM
from streams.processors.watch.keying import JOIN_WAIT_MS, Keying
from tests.kit import BUNDLE, GATE_SETTINGS, MAIL_SEND, START_MS, GateBench, NoEnds, wire
from tests.ocsf import faults
from tests.unit.delegation.attacks import ATTACKS
from tests.unit.delegation.denials import SETTINGS
from tests.unit.delegation.family import Family
from tests.unit.processors.watch.watch_bench import QUICK, WIRE, Bench, sent

WINDOW_MS = GATE_SETTINGS.alert_window_ms
TIMES = 15
SIGNER = SigningKey.made()
RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - id: T-003
    effect: quarantine
    match: {tools: [mail.send]}
    when: has(args.to) && args.to.endsWith("evil.example")
    reason: to the attacker
    tags: [ASI01, AML.T0086]
"""
replace = msgspec.structs.replace


class Case(NamedTuple):
    """What goes wrong, `TIMES` times over, and the alert that says so.

    Attributes:
        run: makes it go wrong; returns the log on which the alert is.
        kind: the first part of the incident's key.
        response: the beginning of a command among those that are suggested.
        told_from: how often it has to happen.
    """

    run: Callable[[], Driver]
    kind: str
    severity_id: int
    types: tuple[str, ...]
    attacks: tuple[str, ...]
    response: str
    told_from: int = 1


def a_rule_freezes_the_session() -> Driver:
    bench = GateBench(with_rules=False)
    bench.driver.pipe(RULESET.name, b"default", ruleset({"bundle.yaml": BUNDLE, "testing/t.rules.yaml": RULES}))
    bench.judge(MAIL_SEND, {"to": "exfil@evil.example"})
    return bench.driver


def a_tool_has_changed_since_its_approval() -> Driver:
    bench = GateBench()
    for _ in range(TIMES):
        bench.judge(tool=ToolRef(server_id="files", name="read", definition_digest=bytes(32)))
    return bench.driver


def a_proof_is_forged() -> Driver:
    bench = GateBench()
    for _ in range(TIMES):
        bench.judge(unproven={"proof": Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32))})
    return bench.driver


def a_chain_is_attacked() -> Driver:
    _, make = ATTACKS[next(name for name, (reason, _) in ATTACKS.items() if reason is CHAIN_BROKEN)]
    grant, receiver = make(Family())
    bench = GateBench(settings=SETTINGS, with_session=False)
    for _ in range(TIMES):
        bench.driver.pipe(DELEGATION.name, receiver.key, grant)
    return bench.driver


CHAIN_BROKEN = Reason.DELEGATION_SIGNATURE_INVALID


def the_gate_does_not_know_what_is_in_force() -> Driver:
    bench = GateBench()
    bench.driver.log.faults = NoEnds()
    bench.wait(10_001)
    for _ in range(TIMES):
        bench.judge()
    bench.driver.log.faults = NoFaults()
    return bench.driver


def a_session_event_is_forged() -> Driver:
    bench = GateBench()
    forged = replace(bench.session.event(SessionEventType.SESSION_REVOKED, bench.now_ms), proof=None)
    for _ in range(TIMES):
        bench.driver.pipe(SESSION.name, bench.session.key, forged)
    return bench.driver


def nothing_can_be_read() -> Driver:
    bench = GateBench()
    for _ in range(TIMES):
        bench.driver.pipe(INTENT.name, bench.session.key, b"nonsense")
    return bench.driver


def requests_for_leases_cannot_be_read() -> Driver:
    bench = GateBench()
    for _ in range(TIMES):
        bench.driver.pipe(BUDGET_REQUEST.name, b"key", b"nonsense")
    return bench.driver


def verdicts_have_no_audit_record() -> Driver:
    bench = Bench()
    for at in range(TIMES):
        bench.decide(sent(START_MS + at, session="s-1"), audit=False)
    bench.settle(JOIN_WAIT_MS + 1_000)
    return bench.driver


def a_seal_is_missing() -> Driver:
    bench = Bench()
    for first in (0, *range(3, 3 + 2 * TIMES, 2)):
        write_seal(bench, first)
    return bench.driver


def an_alert_is_closed_by_nobody() -> Driver:
    bench = Bench()
    bench.driver.restart(Keying(WIRE, bench.files.features, QUICK, NOBODY))
    header = Header(id=START_ID, source="x", time=bench.driver.clock.now_ms(), tenant_uid="acme")
    status = AlertStatus(
        header=header, finding_uid="f-1", status=AlertState.RESOLVED, dedup_key="[]", by_user="eve", reason="fine"
    )
    for _ in range(TIMES):
        bench.driver.pipe(ALERT_STATUS.name, alert_status_key("acme", "f-1"), status, bench.driver.clock.now_ms())
    return bench.driver


START_ID = "0192f3c1-7a5b-7c3d-8e9f-0123456789ab"


def write_seal(bench: Bench, first: int) -> None:
    """Write a signed seal of one record, behind `first` others."""
    before = Frontier()
    for at in range(first):
        before = before.appended([at.to_bytes(32, "big")])
    now_ms = bench.driver.clock.now_ms()
    (seal,), _ = make_seals(
        before,
        [bytes(32)],
        bytes([AUDIT_LEAF]),
        partition=0,
        deployment="d",
        source="stoplog/gate",
        now_ms=now_ms,
        signer=SIGNER,
    )
    bench.driver.log.append(Outgoing(VERDICT.name, 0, SEAL_KEY, WIRE.encode(SEAL.name, seal)), timestamp_ms=now_ms)
    bench.driver.settle()


_KILL, _DOCTOR, _LETTERS = "stoplog kill --session", "stoplog doctor", "stoplog tail deadletters"
_FORGED, _TAMPERED = ("ASI03", "ASI07"), ("ASI03", "ASI04")
CASES = {
    "quarantine": Case(
        a_rule_freezes_the_session, Reason.QUARANTINED_BY_RULE, Severity.HIGH, ("ASI01",), ("AML.T0086",), _KILL
    ),
    "rug pull": Case(
        a_tool_has_changed_since_its_approval,
        Reason.TOOL_DEFINITION_CHANGED,
        Severity.HIGH,
        ("ASI04",),
        ("AML.T0109",),
        "stoplog explain",
    ),
    "forged proof": Case(a_proof_is_forged, Reason.PROOF_INVALID, Severity.HIGH, _FORGED, (), _KILL),
    "chain attack": Case(a_chain_is_attacked, CHAIN_BROKEN, Severity.HIGH, _FORGED, (), "stoplog session show"),
    "stale control state": Case(
        the_gate_does_not_know_what_is_in_force, Reason.CONTROL_STATE_STALE, Severity.HIGH, ("ASI08",), (), _DOCTOR
    ),
    "dead letters, forged": Case(
        a_session_event_is_forged, DeadLetterReason.WRITER_UNPROVEN, Severity.HIGH, _FORGED, (), _LETTERS
    ),
    "dead letters, unreadable": Case(
        nothing_can_be_read, UNREADABLE, Severity.LOW, ("ASI07",), (), _LETTERS, UNREADABLE_TOLD_FROM
    ),
    "dead letters of the budget allocator": Case(
        requests_for_leases_cannot_be_read, UNREADABLE, Severity.LOW, ("ASI07",), (), _LETTERS, UNREADABLE_TOLD_FROM
    ),
    "audit gap, record": Case(
        verdicts_have_no_audit_record, AUDIT_GAP, Severity.CRITICAL, _TAMPERED, (), "stoplog audit verify"
    ),
    "audit gap, seal": Case(a_seal_is_missing, AUDIT_GAP, Severity.CRITICAL, _TAMPERED, (), "stoplog audit verify"),
    "alert closed by nobody": Case(
        an_alert_is_closed_by_nobody, DeadLetterReason.ALERT_STATUS_UNPROVEN, Severity.HIGH, _FORGED, (), _LETTERS
    ),
}


def written(driver: Driver) -> list[Alert]:
    """The new alerts; each is on both topics, and a valid event of OCSF."""
    found = driver.read_raw(ALERT.name, ALERT_OCSF.name)
    records = [wire().decode(ALERT.name, each.value or b"", each.headers) for each in found if each.topic == ALERT.name]
    events = [json.loads(each.value or b"") for each in found if each.topic == ALERT_OCSF.name]
    alerts = [record for record in records if isinstance(record, Alert)]
    assert [detection_finding(alert) for alert in alerts] == events
    assert [faults(event) for event in events] == [[] for _ in events]
    return alerts


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_one_alert_with_all_that_a_soc_needs(case: Case) -> None:
    driver = case.run()
    (alert,) = written(driver)
    event = detection_finding(alert)
    assert event["metadata"]["event_code"] == case.kind
    assert (alert.severity_id, alert.confidence_id) == (case.severity_id, 3)
    assert (alert.types, tuple(each.technique_uid for each in alert.attacks)) == (case.types, case.attacks)
    assert any(line.startswith(case.response) for line in alert.suggested_response), alert.suggested_response
    assert event["remediation"]["desc"]
    assert alert.desc
    assert alert.related_event_ids
    assert alert.count == case.told_from
    # What comes again within a window is counted, and said once at its end.
    driver.advance(driver.clock.now_ms() + WINDOW_MS + 1_000)
    updates = written(driver)
    assert {each.finding_uid for each in updates} <= {alert.finding_uid}
    assert [each.count for each in updates] == ([TIMES] if case.run is not a_rule_freezes_the_session else [])


@pytest.mark.parametrize("count", [1, UNREADABLE_TOLD_FROM - 1])
def test_a_few_records_that_cannot_be_read_are_no_alert(count: int) -> None:
    bench = GateBench()
    for _ in range(count):
        bench.driver.pipe(INTENT.name, bench.session.key, b"nonsense")
    assert written(bench.driver) == []
    bench.wait(2 * WINDOW_MS)
    assert written(bench.driver) == []


def test_seals_that_go_on_from_each_other_are_no_alert_and_a_log_that_was_set_back_is() -> None:
    bench = Bench()
    for first in (5, 6, 7):
        write_seal(bench, first)
    assert written(bench.driver) == []
    write_seal(bench, 2)
    (alert,) = written(bench.driver)
    assert "goes on at record 2 where 8 was expected: it was set back by 6 records" in alert.desc
    bench.driver.restart(Keying(WIRE, bench.files.features, QUICK))
    write_seal(bench, 3)
    assert written(bench.driver) == []


@pytest.mark.parametrize("kind", ANALYTICS)
def test_every_kind_of_alert_is_a_valid_event_with_severity_and_advice(kind: str) -> None:
    header = Header(id=START_ID, source="stoplog/gate", time=START_MS, tenant_uid="acme")
    alert = made_alert(kind, header, title="t", desc="d", dedup_key=json.dumps([kind]), response=("stoplog doctor",))
    assert faults(detection_finding(alert)) == []
    assert WIRE.decode(ALERT.name, WIRE.encode(ALERT.name, alert), ()) == alert
    assert Severity.LOW <= alert.severity_id <= Severity.CRITICAL
    assert alert.confidence_id in (2, 3)
    assert ANALYTICS[kind].advice
