"""Alerts: findings that are sent to people."""

from __future__ import annotations

from enum import IntEnum

from streams.model.labels import Integrity
from streams.model.types import Actor, Header, Millis, Record, ToolRef, Uuid

# The OCSF 1.8 codes of a Detection Finding (2004) that alerts use.
CONFIDENCE_MEDIUM = 2
CONFIDENCE_HIGH = 3
STATUS_NEW = 1
ACTION_DENIED = 2
ACTION_OBSERVED = 3
DISPOSITION_BLOCKED = 2
DISPOSITION_LOGGED = 17
ACTIVITY_CREATE = 1
ACTIVITY_UPDATE = 2
ACTIVITY_CLOSE = 3

NAME_CHARS_MAX = 200
DESC_CHARS_MAX = 1_000
DOCUMENTS_MAX = 8
"""Documents that an alert names: the last ones that the session has read and that nobody vouches for."""


class Severity(IntEnum):
    """The severities of OCSF."""

    UNKNOWN = 0
    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5
    FATAL = 6


def severity_word(severity_id: int, otherwise: str | None = None) -> str:
    """Return the word of a severity, such as `high`.

    Args:
        severity_id: the severity.
        otherwise: what to return for a number that is not among the severities; None for the number itself.
    """
    try:
        return Severity(severity_id).name.lower()
    except ValueError:
        return str(severity_id) if otherwise is None else otherwise


def clipped(name: str) -> str:
    """Return a name in the length in which alerts repeat it: anybody may have chosen it."""
    return name if len(name) <= NAME_CHARS_MAX else f"{name[:NAME_CHARS_MAX]}..."


class Attack(Record, frozen=True, kw_only=True):
    """A MITRE ATLAS technique."""

    technique_uid: str
    technique_name: str


class ReadDocument(Record, frozen=True, kw_only=True):
    """Something that the session has read: the id of the record that says so, and a name that anybody may see."""

    uid: str
    name: str | None = None
    integrity: Integrity = Integrity.UNTRUSTED


class Alert(Record, frozen=True, kw_only=True):
    """A finding; the ids are OCSF's (Detection Finding 2004).

    One finding can have two records: the first is written when it occurs, the second, with `activity_id` 2 and the
    same `finding_uid`, when its window ends, if it has occurred again (`count`, `last_seen_time`).
    """

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
    activity_id: int = ACTIVITY_CREATE
    intent_id: Uuid | None = None
    tool: ToolRef | None = None
    documents: tuple[ReadDocument, ...] = ()
