"""Alerts: routed findings for people."""

from __future__ import annotations

from streams.model.types import Actor, Header, Millis, Record


class Attack(Record, frozen=True, kw_only=True):
    """A MITRE ATLAS technique."""

    technique_uid: str
    technique_name: str


class Alert(Record, frozen=True, kw_only=True):
    """A finding; the ids are OCSF's (Detection Finding 2004)."""

    header: Header
    finding_uid: str
    severity_id: int = 0
    confidence_id: int = 0
    risk_level_id: int = 0
    status_id: int = 0
    title: str
    desc: str
    analytic_uid: str
    analytic_version: str
    attacks: tuple[Attack, ...] = ()
    types: tuple[str, ...] = ()
    action_id: int = 0
    disposition_id: int = 0
    session_id: str | None = None
    sub: str | None = None
    act: Actor | None = None
    first_seen_time: Millis
    last_seen_time: Millis
    count: int = 1
    related_event_ids: tuple[str, ...] = ()
    dedup_key: str
    suggested_response: tuple[str, ...] = ()
    ocsf_json: str | None = None
