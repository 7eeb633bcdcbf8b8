"""What the watch reads of verdicts and of audit records: to read a whole one takes three times as long.

A class here has a part of the fields of the record's own class, with the same types and defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streams.model.audit import AuditEventType
from streams.model.catalog import ArgumentRole
from streams.model.labels import Integrity
from streams.model.topics import AUDIT, VERDICT
from streams.model.types import Actor, Millis, Model, Record, Sha256, Uuid
from streams.model.verdict import Outcome, VerdictMode


class SeenHeader(Record, frozen=True, kw_only=True):
    """The part of a header that says whose record it is."""

    tenant_uid: str


class SeenTool(Record, frozen=True, kw_only=True):
    """The name of a tool."""

    server_id: str
    name: str


class SeenLabel(Record, frozen=True, kw_only=True):
    """The part of a label that says whether the session has read only trusted data."""

    integrity: Integrity = Integrity.UNTRUSTED


class SeenOrigin(Record, frozen=True, kw_only=True):
    """Where a value of the arguments stands, and what it is for."""

    pointer: str
    role: ArgumentRole = ArgumentRole.UNKNOWN


class SeenVerdict(Record, frozen=True, kw_only=True):
    """The part of a verdict that detectors need to know about the call."""

    header: SeenHeader
    verdict_id: Uuid
    session_id: str
    outcome: Outcome = Outcome.DENY
    reason: str
    sub: str
    act: Actor
    delegation_path: tuple[str, ...] = ()
    ancestor_actors: tuple[str, ...] = ()
    model: Model | None = None
    tool: SeenTool
    args_json: str
    args_digest: Sha256
    label: SeenLabel
    evaluated_at: Millis
    mode: VerdictMode = VerdictMode.SHADOW
    origins: tuple[SeenOrigin, ...] = ()


class SeenAudit(Record, frozen=True, kw_only=True):
    """The part of an audit record that names its verdict, and the version of the agent."""

    event_type: AuditEventType = AuditEventType.UNKNOWN
    outcome: Outcome | None = None
    verdict_id: Uuid | None = None
    agent_version: str | None = None
    toolset_digest: Sha256 | None = None
    system_prompt_fingerprint: Sha256 | None = None


SEEN: Mapping[str, type[Record]] = MappingProxyType({VERDICT.name: SeenVerdict, AUDIT.name: SeenAudit})
"""What of which topic is read."""
