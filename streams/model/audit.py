"""Audit records and the signed heads of their log."""

from __future__ import annotations

from enum import StrEnum

from streams.model.control import RulesChange
from streams.model.labels import Label
from streams.model.types import Actor, Encrypted, Header, Model, Record, Sha256, ToolRef, Uuid
from streams.model.verdict import Outcome, RuleHit, Signal


class AuditPhase(StrEnum):
    """When the event happened, relative to the call."""

    CONCURRENT = "CONCURRENT"
    PRE_EXECUTION = "PRE_EXECUTION"
    POST_EXECUTION = "POST_EXECUTION"


class RetentionClass(StrEnum):
    """How long an event is kept; the default is the longest, so that nothing is deleted without being asked for."""

    LEGAL_HOLD = "LEGAL_HOLD"
    LONG = "LONG"
    STANDARD = "STANDARD"
    SHORT = "SHORT"


class AuditEventType(StrEnum):
    """The kind of event."""

    UNKNOWN = "UNKNOWN"
    VERDICT = "VERDICT"
    OUTCOME = "OUTCOME"
    REFUSAL = "REFUSAL"
    DEAD_LETTER = "DEAD_LETTER"
    SESSION = "SESSION"
    APPROVAL = "APPROVAL"
    CONTROL = "CONTROL"
    CONTENT = "CONTENT"


class AuditEvent(Record, frozen=True, kw_only=True):
    """One event of the audit log.

    Of a verdict, `inputs` are the ids of the events that the session had read, with their labels in `input_labels`;
    `parent_event_id` is the last of them, which is where the chain of calls goes back; `approvals` are the decisions of
    persons that have counted. The result of a call is in the report of its executor.

    `sensitive` is captured content: of a verdict the arguments, of a CONTENT event what `reason` names
    (`streams.model.content`). `content_commit` is an HMAC of the content's digest under the key of the session.

    `system_prompt_commit` is different in each session. `system_prompt_fingerprint` is an HMAC of the same digest under
    a key of the agent: it tells whether two sessions of the agent had the same prompt, and nothing else about it.
    """

    header: Header
    event_type: AuditEventType = AuditEventType.UNKNOWN
    phase: AuditPhase = AuditPhase.CONCURRENT
    outcome: Outcome | None = None
    session_id: str
    intent_id: Uuid | None = None
    verdict_id: Uuid | None = None
    parent_event_id: str | None = None
    sub: str | None = None
    act: Actor
    delegation_path: tuple[str, ...] = ()
    agent_version: str | None = None
    model: Model | None = None
    user_request_commit: Sha256 | None = None
    system_prompt_commit: Sha256 | None = None
    toolset_digest: Sha256 | None = None
    inputs: tuple[str, ...] = ()
    tool: ToolRef | None = None
    args_commit: Sha256 | None = None
    verdict_digest: Sha256 | None = None
    label: Label | None = None
    ruleset_digest: Sha256 | None = None
    rules_change: RulesChange | None = None
    reason: str | None = None
    reason_text: str | None = None
    rules: tuple[RuleHit, ...] = ()
    tags: tuple[str, ...] = ()
    sensitive: Encrypted | None = None
    retention_class: RetentionClass = RetentionClass.LEGAL_HOLD
    input_labels: tuple[Label, ...] = ()
    approvals: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
    content_commit: Sha256 | None = None
    system_prompt_fingerprint: Sha256 | None = None


class AuditCheckpoint(Record, frozen=True, kw_only=True):
    """The signed head of one partition's audit log (C2SP tlog-checkpoint as a signed note).

    `first_audit_offset` is -1: a gate does not know offsets before its transaction is committed. The field stays,
    because schemas do not change.
    """

    header: Header
    partition: int
    tree_size: int
    root: Sha256
    first_audit_offset: int
    signed_head: str


class Seal(Record, frozen=True, kw_only=True):
    """What a gate's transaction has added to one partition's log, and the signed head of the log after it.

    Attributes:
        first: how many leaves the log had before.
        frontier: the hashes of the complete subtrees of that log, the largest first, 32 bytes each.
        leaves: the hashes of the leaves that were added, 32 bytes each, in the order of writing.
        kinds: one byte for each leaf: `A` for a record of the audit topic, `V` for one of the verdict topic; of what
            the gate has read, `R` for a report and `S` for a session event.
        continues: whether the batch is larger than one seal, and the next record of the transaction goes on with it.
        signed_head: the head as a C2SP checkpoint in a signed note.
    """

    header: Header
    partition: int
    first: int
    frontier: bytes
    leaves: bytes
    kinds: bytes
    continues: bool = False
    signed_head: str
