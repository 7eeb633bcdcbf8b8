"""Revocations, which are broadcast to every gate and every executor."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Millis, Record


class RevocationKind(StrEnum):
    """The kind of thing that `id` names."""

    UNKNOWN = "UNKNOWN"
    SESSION = "SESSION"
    DELEGATION = "DELEGATION"
    AGENT = "AGENT"
    SUBJECT = "SUBJECT"
    TOOL = "TOOL"
    MODEL = "MODEL"
    TENANT = "TENANT"
    RULESET = "RULESET"
    ALL = "ALL"


class RevocationState(StrEnum):
    """Whether it is revoked or released."""

    REVOKED = "REVOKED"
    RELEASED = "RELEASED"


class Revocation(Record, frozen=True, kw_only=True):
    """One entry of the revocation set; the newest record of a key (`kind:id`) counts.

    `id` is scoped by kind: a session `tenant|session_id`, an agent or subject `tenant|sub`, a tool
    `server_id/name`, a model `provider/name`, a delegation its uid, a tenant its uid, all `*`.
    """

    header: Header
    kind: RevocationKind = RevocationKind.UNKNOWN
    id: str
    state: RevocationState = RevocationState.REVOKED
    effective_at: Millis
    until: Millis | None = None
    reason: str
    initiating_entity: str
    set_jti: str | None = None
