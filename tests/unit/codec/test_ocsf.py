"""Alerts as OCSF events: held against the published schema."""

from __future__ import annotations

import json

import msgspec
import pytest

from simulation.records import agent, header
from streams.codec.ocsf import (
    detection_finding,
    handled_finding,
    ocsf_json,
)
from streams.model.alert import Alert, Attack
from streams.model.alert_status import OCSF_STATUS, AlertState, AlertStatus
from tests.ocsf import faults

FULL = Alert(
    header=header("alert", 1_764_061_200_000),
    finding_uid="f-1",
    severity_id=4,
    confidence_id=3,
    risk_level_id=3,
    status_id=1,
    title="tool definition changed after its approval: mail/send",
    desc="the description is not the one that was approved",
    analytic_uid="tool_definition_changed",
    analytic_version="1",
    attacks=(Attack(technique_uid="AML.T0109", technique_name="Rug Pull"),),
    types=("ASI04",),
    action_id=2,
    disposition_id=2,
    session_id="s-1",
    sub="alice",
    act=agent("assistant"),
    first_seen_time=1_764_061_200_000,
    last_seen_time=1_764_061_200_001,
    count=2,
    related_event_ids=("e-1",),
    dedup_key='["tool_definition_changed","mail/send"]',
    suggested_response=("stoplog catalog review mail/send",),
)
BARE = Alert(
    header=header("bare alert", 1),
    finding_uid="f-2",
    title="t",
    desc="",
    analytic_uid="a",
    analytic_version="1",
    first_seen_time=1,
    last_seen_time=1,
    dedup_key="k",
)


@pytest.mark.parametrize("alert", [FULL, BARE])
def test_an_alert_is_a_valid_detection_finding(alert: Alert) -> None:
    assert faults(detection_finding(alert)) == []


@pytest.mark.parametrize(
    "state", [each for each in AlertState if each in OCSF_STATUS and each is not AlertState.UNKNOWN]
)
@pytest.mark.parametrize("title", ["", "tool definition changed"])
def test_what_people_do_with_an_alert_is_a_valid_change_of_its_finding(state: AlertState, title: str) -> None:
    status = AlertStatus(
        header=header("status", 1_764_061_300_000),
        finding_uid="f-1",
        status=state,
        dedup_key="k",
        by_user="ann",
        reason="a release",
        title=title,
        severity_id=4 if title else 0,
    )
    event = handled_finding(status)
    assert faults(event) == []
    assert (event["finding_info"]["uid"], event["type_uid"]) == ("f-1", 200400 + event["activity_id"])
    assert event["is_alert"] is False


def test_the_schema_does_refuse_something() -> None:
    event = detection_finding(FULL)
    assert faults({name: value for name, value in event.items() if name != "finding_info"})
    assert faults(event | {"severity_id": 42})
    assert faults(event | {"action_id": "denied"})


def test_ids_and_tags_are_where_they_are_looked_for() -> None:
    event = json.loads(ocsf_json(FULL))
    assert (event["class_uid"], event["type_uid"]) == (2004, 200401)
    assert event["finding_info"]["attacks"][0]["technique"]["uid"] == "AML.T0109"
    assert event["finding_info"]["types"] == ["ASI04"]
    assert (event["action_id"], event["disposition_id"]) == (2, 2)
    assert event["severity"] == "High"


def test_the_same_alert_gives_the_same_text() -> None:
    assert ocsf_json(FULL) == ocsf_json(msgspec.structs.replace(FULL))


@pytest.mark.parametrize("key", ["[" * 3_000, "[", '"text"', "[]", "[1]", ""])
def test_a_key_of_any_shape_makes_an_event(key: str) -> None:
    event = detection_finding(msgspec.structs.replace(FULL, dedup_key=key))
    assert event["metadata"]["event_code"] == FULL.analytic_uid
    assert event["metadata"]["correlation_uid"] == key
