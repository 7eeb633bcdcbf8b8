"""What an operator can set of the gate's judgement."""

from __future__ import annotations

import msgspec

from streams.delegation.anchors import TrustAnchors
from streams.delegation.verification import DEPTH_MAX


class GateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and lives; every duration in ms of broker time.

    Attributes:
        root_key: what session keys are derived from, at least 32 bytes.
        bundle_name: the rule bundle that is enforced.
        join_grace_ms: how long an intent waits for its session to appear.
        verdict_ttl_ms: how long an ALLOW may be used.
        intent_age_max_ms: an intent that claims to be older is denied.
        skew_ms: how far a writer's clock may be ahead of the broker's.
        dedup_retention_ms: how long a verdict is remembered for a redelivered intent.
        approval_ttl_ms: how long a person has, where the rule doesn't say.
        defer_ms: the cancel window, where the rule doesn't say.
        args_bytes_max: arguments beyond are denied.
        pending_per_session_max: intents of one session that may wait at once.
        session_age_max_ms: how long a session lives, whatever its credential says.
        unattended_age_max_ms: the same for one without a person present.
        session_idle_ms: a session in which nothing has happened for so long has ended.
        budget_wait_ms: how long an intent waits for a slice of a budget that several partitions share.
        budget_idle_ms: a slice that was not touched for so long is given back.
        trust_anchors: who may issue root grants.
        require_delegation: whether a session without a grant may do nothing; false for the development token service,
            which opens sessions without grants.
        delegation_depth_max: how often a grant may be given on.
    """

    root_key: bytes
    bundle_name: str = "default"
    join_grace_ms: int = 2_000
    verdict_ttl_ms: int = 30_000
    intent_age_max_ms: int = 300_000
    skew_ms: int = 30_000
    dedup_retention_ms: int = 86_400_000
    approval_ttl_ms: int = 900_000
    defer_ms: int = 60_000
    args_bytes_max: int = 262_144
    pending_per_session_max: int = 64
    session_age_max_ms: int = 86_400_000
    unattended_age_max_ms: int = 28_800_000
    session_idle_ms: int = 3_600_000
    budget_wait_ms: int = 500
    budget_idle_ms: int = 5_000
    trust_anchors: TrustAnchors = TrustAnchors()
    require_delegation: bool = False
    delegation_depth_max: int = DEPTH_MAX

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "root_key")
        return f"GateSettings(root_key=<{len(self.root_key)} bytes>, {', '.join(shown)})"

    def __post_init__(self) -> None:
        if len(self.root_key) < 32:
            raise ValueError(f"root key has {len(self.root_key)} bytes; at least 32 are needed")
        if self.unattended_age_max_ms > self.session_age_max_ms:
            raise ValueError("`unattended_age_max_ms` must not be longer than `session_age_max_ms`")
        if self.dedup_retention_ms <= self.intent_age_max_ms + self.skew_ms:
            raise ValueError("`dedup_retention_ms` must be longer than `intent_age_max_ms` and `skew_ms` together")
