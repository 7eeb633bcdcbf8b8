"""The verdict: the decision about an intent."""

from __future__ import annotations

from enum import StrEnum

from streams.model.catalog import ArgumentRole
from streams.model.intent import ReplyTo
from streams.model.labels import Label
from streams.model.types import Actor, Header, Millis, Model, Record, Sha256, ToolRef, Uuid


class Outcome(StrEnum):
    """What the executor must do; see docs/reference/reasons.md."""

    DENY = "DENY"
    QUARANTINE = "QUARANTINE"
    REQUIRE_APPROVAL = "REQUIRE_APPROVAL"
    DEFER = "DEFER"
    ALLOW = "ALLOW"


FINAL_OUTCOMES = frozenset({Outcome.DENY, Outcome.QUARANTINE, Outcome.ALLOW})
"""Outcomes that no other verdict follows."""


class VerdictMode(StrEnum):
    """The mode of a verdict. Only ENFORCE lets anything run."""

    SHADOW = "SHADOW"
    REPLAY = "REPLAY"
    ENFORCE = "ENFORCE"


class RuleEffect(StrEnum):
    """The effect that a rule asks for."""

    DENY = "DENY"
    QUARANTINE = "QUARANTINE"
    REQUIRE_APPROVAL = "REQUIRE_APPROVAL"
    DEFER = "DEFER"
    PERMIT = "PERMIT"


class RuleMode(StrEnum):
    """Whether a rule is enforced."""

    SHADOW = "SHADOW"
    ENFORCE = "ENFORCE"


class RuleHit(Record, frozen=True, kw_only=True):
    """A rule whose condition held."""

    rule_id: str
    rule_version: str
    effect: RuleEffect = RuleEffect.DENY
    mode: RuleMode = RuleMode.SHADOW
    reason: str


class RuleFault(Record, frozen=True, kw_only=True):
    """A rule whose condition could not be evaluated."""

    rule_id: str
    text: str


class Obligation(Record, frozen=True, kw_only=True):
    """Something the executor must do with the call; an unknown type means deny."""

    id: str
    type: str
    properties_json: str = "{}"


class Origin(StrEnum):
    """Where an argument's value comes from."""

    NOWHERE = "NOWHERE"
    UNTRUSTED = "UNTRUSTED"
    TRUSTED = "TRUSTED"
    USER = "USER"


class Influence(Record, frozen=True, kw_only=True):
    """An event that could have influenced the call: of its session, or of another one that it knows something from.

    Attributes:
        event_id: the event; or the intent of a call that has no result yet, or that has written a note.
        arg_pointers: the arguments with values of it.
        origin: whether others may write it.
        session_id: the session of the event, if it is another one: of the same conversation, or one that has written
            what this session has read.
    """

    event_id: str
    arg_pointers: tuple[str, ...] = ()
    origin: Origin = Origin.NOWHERE
    session_id: str | None = None


class ValueOrigin(StrEnum):
    """Where one value of the arguments comes from, the best source first; the default is the worst.

    USER: the user's own words, or the session's subject. TRUSTED: data that only the operator's systems write.
    FIELD: a whole field of a structured result that others may write. TEXT: inside such text. NOWHERE: in nothing that
    the session has read.
    """

    NOWHERE = "NOWHERE"
    TEXT = "TEXT"
    FIELD = "FIELD"
    TRUSTED = "TRUSTED"
    USER = "USER"


class ArgumentOrigin(Record, frozen=True, kw_only=True):
    """Where the value at `pointer` in the arguments comes from; `event_ids` and `paths` say what held it.

    `identified_by` is the call by whose arguments the user has identified himself, if its result is this value: then it
    counts as the user.
    """

    pointer: str
    role: ArgumentRole = ArgumentRole.UNKNOWN
    origin: ValueOrigin = ValueOrigin.NOWHERE
    instructed: bool = False
    decoded: bool = False
    event_ids: tuple[Uuid, ...] = ()
    paths: tuple[str, ...] = ()
    identified_by: Uuid | None = None


class Signal(Record, frozen=True, kw_only=True):
    """The output of a detector."""

    name: str
    score: float
    explain: str


class InclusionProof(Record, frozen=True, kw_only=True):
    """A proof that the verdict's audit record is in the signed log."""

    leaf_index: int
    tree_size: int
    path: tuple[Sha256, ...]
    signed_head: str


class Verdict(Record, frozen=True, kw_only=True):
    """The decision about one intent, with the exact call that was judged.

    `ancestor_session_ids` are the sessions that the call's session descends from, `ancestor_actors` the agents of those
    sessions: a revocation of any of them stops the call. `attributes_offset` is up to where the attributes of entities
    had been read; None if no rule of the tool reads them. `origins` says where the values of the arguments come from.
    `atom_key` is the key under which an executor digests the atoms of the result, and `content_type` the media type of
    the result, if the catalog states it. `compensating_tool` and `compensating_args_json` are the call that undoes this
    one, as far as it is known before the result. `audit_leaf` and `proof` are never written: a verdict can't hold the
    proof of a log that holds the verdict. They stay in the schema, which only grows.
    """

    header: Header
    verdict_id: Uuid
    intent_id: Uuid
    session_id: str
    outcome: Outcome = Outcome.DENY
    reason: str
    reason_text: str
    rules: tuple[RuleHit, ...] = ()
    errors: tuple[RuleFault, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    sub: str
    act: Actor
    delegation_path: tuple[str, ...] = ()
    ancestor_session_ids: tuple[str, ...] = ()
    ancestor_actors: tuple[str, ...] = ()
    model: Model | None = None
    tool: ToolRef
    args_json: str
    args_digest: Sha256
    label: Label
    influences: tuple[Influence, ...] = ()
    signals: tuple[Signal, ...] = ()
    ruleset_digest: Sha256 | None = None
    ruleset_offset: int = -1
    session_sequence: int
    revocation_offset: int
    baseline_version: int = 0
    approval_id: Uuid | None = None
    compensating_tool: str | None = None
    evaluated_at: Millis
    expires_at: Millis
    audience: str | None = None
    reply_to: ReplyTo | None = None
    mode: VerdictMode = VerdictMode.SHADOW
    audit_leaf: Sha256 | None = None
    proof: InclusionProof | None = None
    attributes_offset: int | None = None
    origins: tuple[ArgumentOrigin, ...] = ()
    atom_key: bytes | None = None
    content_type: str | None = None
    compensating_args_json: str | None = None
