"""Define the settings of the gate."""

from __future__ import annotations

from typing import Protocol

import msgspec

from streams.delegation.anchors import TrustAnchors
from streams.delegation.verification import DEPTH_MAX
from streams.model.audit import RetentionClass
from streams.model.delegation import GRANT_LIFE_MS_MAX
from streams.provenance.extraction.digests import RecordedKeys

ALERT_WINDOW_MS = 60_000
"""For how long further occurrences of an alert are only counted, unless the settings say otherwise."""
_SECRETS = frozenset({"root_key", "recorded_keys"})


class GateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Holds the bounds of the gate; every duration is in ms of broker time.

    Attributes:
        root_key: the key from which session keys are derived, at least 32 bytes.
        deployment: the name of the deployment that executors and agents sign their reports for.
        bundle_name: the rule bundle that is enforced.
        join_grace_ms: how long an intent waits for its session to appear.
        verdict_ttl_ms: how long an ALLOW can be used.
        intent_age_max_ms: the age beyond which an intent is denied.
        skew_ms: how far a writer's clock may be ahead of the broker's.
        dedup_retention_ms: how long a verdict is remembered for a redelivered intent.
        verdict_bytes_retention_ms: for how much of that time the verdict's bytes are kept, to be given again.
        verdict_bytes_per_partition_max: bytes of verdicts that a partition keeps; the oldest are dropped first.
        approval_ttl_ms: how long a person has to decide, unless the rule states a time.
        defer_ms: the length of a cancel window, unless the rule states one.
        args_bytes_max: the size beyond which arguments are denied.
        pending_per_session_max: how many intents of one session can be pending at once.
        questions_per_session_budget: how many questions to people a session may raise before an alert says so.
        session_age_max_ms: how long a session lives at most, whatever its credential states.
        unattended_age_max_ms: the same for a session without a person present.
        session_idle_ms: how long a session lives in which nothing happens.
        budget_wait_ms: how long an intent waits at least for a lease of a budget that several partitions share. It
            waits longer where leases take longer to arrive, as measured.
        budget_wait_max_ms: how long it waits at most, unless `budget_wait_ms` is longer.
        budget_idle_ms: how long an unused lease is kept.
        unproven_per_window_max: how many intents without a proof a partition judges in a window; each further one
            becomes a dead letter.
        unproven_window_ms: the length of that window.
        alert_window_ms: for how long further occurrences of an alert are only counted; then one record says how many.
        trust_anchors: who may issue root grants.
        require_delegation: whether every session needs a grant; false where the development token service opens
            sessions without grants.
        delegation_depth_max: how often a grant may be delegated further.
        capture: which content goes on the record, encrypted (`streams.model.content.ContentField`).
        content_retention: the class of the keys of that content, which decides when they are erased by age.
        recorded_keys: the keys of users' atoms, for a run of records of a deployment whose root key is not known; None
            for a gate, which derives them.
    """

    root_key: bytes
    deployment: str = ""
    bundle_name: str = "default"
    join_grace_ms: int = 2_000
    verdict_ttl_ms: int = 30_000
    intent_age_max_ms: int = 300_000
    skew_ms: int = 30_000
    dedup_retention_ms: int = 86_400_000
    verdict_bytes_retention_ms: int = 300_000
    verdict_bytes_per_partition_max: int = 268_435_456
    approval_ttl_ms: int = 900_000
    defer_ms: int = 60_000
    args_bytes_max: int = 262_144
    pending_per_session_max: int = 64
    questions_per_session_budget: int = 10
    session_age_max_ms: int = 86_400_000
    unattended_age_max_ms: int = 28_800_000
    session_idle_ms: int = 3_600_000
    budget_wait_ms: int = 500
    budget_wait_max_ms: int = 10_000
    budget_idle_ms: int = 5_000
    unproven_per_window_max: int = 500
    unproven_window_ms: int = 10_000
    alert_window_ms: int = ALERT_WINDOW_MS
    trust_anchors: TrustAnchors = TrustAnchors()
    require_delegation: bool = False
    delegation_depth_max: int = DEPTH_MAX
    capture: tuple[str, ...] = ()
    content_retention: RetentionClass = RetentionClass.STANDARD
    recorded_keys: RecordedKeys | None = None

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _SECRETS)
        return f"GateSettings(root_key=<{len(self.root_key)} bytes>, {', '.join(shown)})"

    def __post_init__(self) -> None:
        if len(self.root_key) < 32:
            raise ValueError(f"the root key has {len(self.root_key)} bytes; at least 32 are needed")
        if self.session_age_max_ms > GRANT_LIFE_MS_MAX:
            raise ValueError(f"`session_age_max_ms` must not be longer than {GRANT_LIFE_MS_MAX}, the life of a grant")
        conflict = conflict_of(self)
        if conflict is not None:
            raise ValueError(conflict)


class Durations(Protocol):
    """The durations of a gate that must fit each other."""

    @property
    def session_age_max_ms(self) -> int: ...

    @property
    def unattended_age_max_ms(self) -> int: ...

    @property
    def dedup_retention_ms(self) -> int: ...

    @property
    def intent_age_max_ms(self) -> int: ...

    @property
    def skew_ms(self) -> int: ...


def conflict_of(durations: Durations) -> str | None:
    """Return which durations do not fit each other, and why; None if all do."""
    if durations.unattended_age_max_ms > durations.session_age_max_ms:
        return (
            f"`unattended_age_max_ms` is {durations.unattended_age_max_ms}, and must not be longer than "
            f"`session_age_max_ms`, which is {durations.session_age_max_ms}"
        )
    judged_ms = durations.intent_age_max_ms + durations.skew_ms
    if durations.dedup_retention_ms <= judged_ms:
        return (
            f"`dedup_retention_ms` is {durations.dedup_retention_ms}, and must be longer than `intent_age_max_ms` and "
            f"`skew_ms` together, which are {judged_ms}: otherwise an intent could be judged twice"
        )
    return None


class WatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the watch.

    Attributes:
        grace_ms: how long a decision waits for earlier ones.
        publish_ms: how often a baseline is published at most.
        alert_window_ms: within which time alerts of one kind are counted together.
    """

    grace_ms: int = 2_000
    publish_ms: int = 3_600_000
    alert_window_ms: int = ALERT_WINDOW_MS
