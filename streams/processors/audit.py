"""Build every audit record of the processors, and nothing else does.

One function per event type takes what the event is about and fills in what all records of the type have in common:
phase, retention class, commitments. `audit_output` is the only way from an event to its bytes. What later applies to
all records (inputs, labels, encrypted content) is added here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from streams.model.alert_status import AlertStatus
from streams.model.approval import GRANT_MADE, GRANT_USED, ApprovalDecision
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.content import ContentField
from streams.model.control import RulesChange
from streams.model.ids import audit_id_of
from streams.model.intent import Intent
from streams.model.proof import derived_uuid, make_hmac
from streams.model.session import COMPLETIONS, SessionEvent
from streams.model.topics import AUDIT, Topic
from streams.model.types import Actor, Encrypted, Header, ToolRef
from streams.model.verdict import Verdict
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.headers import gate_header, reply_header
from streams.processors.session_row import Identity, Source
from streams.processors.state import ApprovalGrantRow

COMMITS_CACHED_MAX = 8_192
"""Commitments to prompts that are cached: the prompts of a session are the same over many of its intents."""

AGENT_VERSION_CHARS_MAX = 200
"""What agents state as their version is recorded up to this length."""

CONTROL_TEXT_CHARS_MAX = 20_000
"""Longest text of a record about rules or tools."""

_NOBODY = Actor(iss="", sub="(unknown)")
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_VERDICT = AuditEventType.VERDICT
_PRE_EXECUTION = AuditPhase.PRE_EXECUTION
_STANDARD = RetentionClass.STANDARD


def audit_output(encoder: Encoder, key: bytes | None, event: AuditEvent, topic: Topic = AUDIT) -> Output:
    """Return the output of an audit record.

    Args:
        encoder: what encodes it.
        key: the record key: that of the session, or the name of what a record without a session is about.
        event: the record.
        topic: the topic: that of the gate's records, or that of what others report.
    """
    return Output(topic, key, encoder.encode(topic.name, event), event.header)


def verdict_event(
    intent: Intent,
    verdict: Verdict,
    verdict_digest: bytes,
    *,
    secret: bytes,
    prompt: bytes | None,
    sources: Sequence[Source],
    approvals: tuple[str, ...],
    tags: tuple[str, ...],
) -> AuditEvent:
    """Return the record of a verdict.

    Args:
        intent: the intent that was decided.
        verdict: its verdict.
        verdict_digest: SHA-256 of the bytes of the verdict on its topic.
        secret: the key of the session. Arguments and prompts are recorded as HMACs under it, because plain digests of
            small values can be guessed.
        prompt: what identifies the system prompt among those of the agent; None if the intent states none.
        sources: what the session has read, in order.
        approvals: the ids of the decisions of persons that have counted.
        tags: the tags of the rules that matched.
    """
    return AuditEvent(
        header=reply_header(audit_id_of(verdict.verdict_id), intent, verdict.evaluated_at),
        event_type=_VERDICT,
        phase=_PRE_EXECUTION,
        outcome=verdict.outcome,
        session_id=intent.session_id,
        intent_id=intent.intent_id,
        verdict_id=verdict.verdict_id,
        parent_event_id=sources[-1].event_id if sources else None,
        sub=intent.sub,
        act=intent.act,
        delegation_path=verdict.delegation_path,
        agent_version=None if intent.agent_version is None else intent.agent_version[:AGENT_VERSION_CHARS_MAX],
        model=intent.model,
        user_request_commit=_commitment(secret, intent.user_request_digest),
        system_prompt_commit=_commitment(secret, intent.system_prompt_digest),
        toolset_digest=intent.toolset_digest,
        # From lists, which take half as long as from generators.
        inputs=tuple([source.event_id for source in sources]),
        input_labels=tuple([source.label for source in sources]),
        approvals=approvals,
        signals=verdict.signals,
        tool=verdict.tool,
        args_commit=make_hmac(secret, intent.args_digest),
        verdict_digest=verdict_digest,
        label=verdict.label,
        ruleset_digest=verdict.ruleset_digest,
        reason=verdict.reason,
        reason_text=verdict.reason_text,
        rules=verdict.rules,
        tags=tags,
        retention_class=_STANDARD,
        system_prompt_fingerprint=prompt,
    )


def approval_event(
    intent: Intent, decision: ApprovalDecision, now_ms: int, *, is_complete: bool, is_first: bool = True
) -> AuditEvent:
    """Return the record of a person's decision about an intent.

    Args:
        is_complete: whether no further approvals are needed.
        is_first: whether it is the first of the intents that the decision is about.
    """
    of_many = () if is_first else (intent.intent_id,)
    return AuditEvent(
        header=reply_header(derived_uuid("approval audit", decision.header.id, *of_many), intent, now_ms),
        event_type=AuditEventType.APPROVAL,
        phase=_PRE_EXECUTION,
        session_id=intent.session_id,
        intent_id=intent.intent_id,
        parent_event_id=decision.header.id,
        sub=intent.sub,
        act=decision.approver,
        tool=intent.tool,
        reason=decision.status.value.lower(),
        reason_text=f"{decision.approver.sub} decided{'' if is_complete else '; more approvals are needed'}",
        retention_class=_STANDARD,
    )


def grant_event(
    intent: Intent, decision: ApprovalDecision, grant: ApprovalGrantRow, text: str, now_ms: int
) -> AuditEvent:
    """Return the record of an approval that people have granted for further calls of a session.

    Args:
        intent: the intent that they were asked about.
        decision: the decision that made the grant complete.
        grant: the grant.
        text: what it approves, in words.
    """
    return AuditEvent(
        header=reply_header(derived_uuid("approval grant audit", grant.uid), intent, now_ms),
        event_type=AuditEventType.APPROVAL,
        phase=_PRE_EXECUTION,
        session_id=intent.session_id,
        intent_id=intent.intent_id,
        parent_event_id=decision.header.id,
        sub=intent.sub,
        act=grant.approver,
        delegation_path=(grant.uid,),
        reason=GRANT_MADE,
        reason_text=text[:CONTROL_TEXT_CHARS_MAX],
        retention_class=_STANDARD,
    )


def grant_use_event(intent: Intent, grant: ApprovalGrantRow, now_ms: int) -> AuditEvent:
    """Return the record of a call that a grant of people has approved.

    Args:
        intent: the call.
        grant: the grant, with this use counted.
    """
    left = "any number of" if grant.uses_left is None else str(grant.uses_left)
    return AuditEvent(
        header=reply_header(derived_uuid("approval grant use", grant.uid, intent.intent_id), intent, now_ms),
        event_type=AuditEventType.APPROVAL,
        phase=_PRE_EXECUTION,
        session_id=intent.session_id,
        intent_id=intent.intent_id,
        parent_event_id=grant.decision_id,
        sub=intent.sub,
        act=grant.approver,
        delegation_path=(grant.uid,),
        tool=intent.tool,
        reason=GRANT_USED,
        reason_text=f"the grant of {grant.approver.sub} approves the call; it approves {left} further calls",
        retention_class=_STANDARD,
    )


def session_event(
    record_id: str,
    tenant_uid: str,
    session_id: str,
    now_ms: int,
    *,
    sub: str,
    act: Actor,
    delegation_path: tuple[str, ...],
    reason: str,
    text: str,
    parent_event_id: str | None,
) -> AuditEvent:
    """Return the record of a change of a session.

    Args:
        sub: the session's subject; empty if it is not known.
        act: the session's actor.
        delegation_path: the grants on which the session stands, root first.
        reason: the code of the change.
        text: the change in words.
        parent_event_id: the record that caused the change; None if time did.
    """
    return AuditEvent(
        header=gate_header(record_id, tenant_uid, now_ms),
        event_type=AuditEventType.SESSION,
        phase=AuditPhase.CONCURRENT,
        session_id=session_id,
        parent_event_id=parent_event_id,
        sub=sub or None,
        act=act,
        delegation_path=delegation_path,
        reason=reason,
        reason_text=text,
        retention_class=_STANDARD,
    )


def control_event(
    record_id: str,
    tenant_uid: str,
    time_ms: int,
    *,
    claimed_by: str,
    place: str,
    reason: str | None,
    text: str,
    tool: ToolRef | None = None,
    ruleset_digest: bytes | None = None,
    rules_change: RulesChange | None = None,
) -> AuditEvent:
    """Return the record of a change of rules or tools.

    Args:
        claimed_by: who the change claims to be from; `text` names those whose signatures are valid.
        place: topic, partition and offset of the change, or whatever else identifies it.
        reason: the code of the change, or that of its rejection.
        text: the change in words; cut to `CONTROL_TEXT_CHARS_MAX`.
        tool: the tool, for a change of the catalog.
        ruleset_digest: the digest of the bundle, for a change of rules.
        rules_change: the publication, for a change of rules.
    """
    return AuditEvent(
        header=gate_header(record_id, tenant_uid, time_ms),
        event_type=AuditEventType.CONTROL,
        phase=_PRE_EXECUTION,
        session_id="",
        act=Actor(iss="", sub=claimed_by),
        inputs=(place,),
        tool=tool,
        ruleset_digest=ruleset_digest,
        rules_change=rules_change,
        reason=reason,
        reason_text=text[:CONTROL_TEXT_CHARS_MAX],
        # Who changed rules and tools is asked long after single calls are forgotten.
        retention_class=RetentionClass.LONG,
    )


def content_event(
    event: SessionEvent,
    field: ContentField,
    secret: bytes,
    identity: Identity,
    content: Encrypted | None,
    now_ms: int,
) -> AuditEvent:
    """Return the record of a content that was reported.

    Args:
        event: the report.
        field: what the content is.
        secret: the key of the session, for the commitment.
        identity: whose session it is.
        content: the content, encrypted; None if it is not captured.
    """
    is_result = event.type in COMPLETIONS
    return AuditEvent(
        header=gate_header(derived_uuid("content audit", event.header.id), event.header.tenant_uid, now_ms),
        event_type=AuditEventType.CONTENT,
        phase=AuditPhase.POST_EXECUTION if is_result else AuditPhase.CONCURRENT,
        session_id=event.session_id,
        intent_id=event.intent_id,
        verdict_id=event.verdict_id,
        parent_event_id=event.header.id,
        sub=identity.sub or None,
        act=Actor(iss=identity.act_iss, sub=identity.act_sub),
        model=event.model,
        tool=event.tool,
        label=event.label,
        reason=field.value,
        sensitive=content,
        content_commit=_commitment(secret, event.content_digest),
        retention_class=_STANDARD,
    )


def alert_status_event(
    status: AlertStatus, record_id: str, source: str, time_ms: int, reason: str, text: str
) -> AuditEvent:
    """Return the record of what somebody has done with an alert, or of what that has changed.

    Args:
        status: what was done.
        record_id: the id of the audit record.
        source: the processor that reports it.
        time_ms: broker time.
        reason: a `ControlReason`.
        text: the same in words, with the name of who has signed it.
    """
    return AuditEvent(
        header=Header(id=record_id, source=source, time=time_ms, tenant_uid=status.header.tenant_uid),
        event_type=AuditEventType.CONTROL,
        phase=AuditPhase.CONCURRENT,
        session_id=status.session_id or "",
        parent_event_id=status.header.id,
        act=Actor(iss="", sub=status.by_user),
        inputs=(status.finding_uid,),
        reason=reason,
        reason_text=text[:CONTROL_TEXT_CHARS_MAX],
        # Who has called an attack a false positive is asked long after single calls are forgotten.
        retention_class=RetentionClass.LONG,
    )


def desk_event(record_id: str, source: str, time_ms: int, sink: str, reason: str, text: str) -> AuditEvent:
    """Return the record of how far a sink of the desk is behind.

    Args:
        record_id: the id of the audit record.
        source: the desk.
        time_ms: when it was found.
        sink: the name of the sink.
        reason: a `ControlReason`.
        text: the reason in words.
    """
    return AuditEvent(
        header=Header(id=record_id, source=source, time=time_ms, tenant_uid=""),
        event_type=AuditEventType.CONTROL,
        phase=AuditPhase.CONCURRENT,
        session_id="",
        act=_NOBODY,
        inputs=(sink,),
        reason=reason,
        reason_text=text[:CONTROL_TEXT_CHARS_MAX],
        retention_class=_STANDARD,
    )


def dead_letter_event(
    record_id: str,
    source: str,
    tenant_uid: str,
    session_id: str,
    time_ms: int,
    *,
    place: str,
    reason: str,
    text: str,
) -> AuditEvent:
    """Return the record of input that could not be processed.

    Args:
        record_id: the id of the audit record.
        source: the processor that reports it.
        tenant_uid: the tenant that the key of the input names; empty if it names none.
        session_id: the session that the key names; empty if it names none.
        time_ms: broker time of the input.
        place: topic, partition and offset of the input, or what identifies a timer.
        reason: a `DeadLetterReason`.
        text: the reason in words.
    """
    return AuditEvent(
        header=Header(id=record_id, source=source, time=time_ms, tenant_uid=tenant_uid),
        event_type=AuditEventType.DEAD_LETTER,
        phase=_PRE_EXECUTION,
        session_id=session_id,
        act=_NOBODY,
        inputs=(place,),
        reason=reason,
        reason_text=text,
        retention_class=_STANDARD,
    )


def _commitment(secret: bytes, digest: bytes | None) -> bytes | None:
    return None if digest is None else _cached_hmac(secret, digest)


_cached_hmac = lru_cache(maxsize=COMMITS_CACHED_MAX)(make_hmac)
