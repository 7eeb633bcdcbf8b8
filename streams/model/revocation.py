"""Revocations, which are broadcast to every gate and every executor."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Millis, Proof, Record


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
    """A stop or a release of what its key (`kind:id`) names.

    `id` is scoped by kind: a session `tenant|session_id`, an agent or subject `tenant|sub`, a tool
    `server_id/name`, a model `provider/name`, a delegation its uid, a tenant its uid, a version of the rules its digest
    (64 digits of lower-case hex), all `*`.
    A release lifts the stops of its key that stand before the offset `lifts_before`; `proof` is the signature of who
    releases (`streams.model.release_signature`).
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
    lifts_before: int | None = None
    proof: Proof | None = None
