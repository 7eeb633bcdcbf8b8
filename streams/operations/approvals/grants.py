"""Lists what people have granted for further calls of sessions, and revokes it.

What was granted and used is read from the audit log, what was granted exactly from the decision, and what was revoked
from the revocations: the state of gates can't be read from outside.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from streams.model.approval import GRANT_MADE, GRANT_PREFIX, GRANT_USED, ApprovalDecision, ApprovalGrant
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.topics import APPROVAL_DECISION, AUDIT, REVOCATION
from streams.operations.approvals.errors import ApprovalError
from streams.operations.operator import Operator
from streams.operations.stops import write_revocation


class GrantState(StrEnum):
    """Whether a grant still approves calls, as far as the log tells. Its session may have ended."""

    IN_FORCE = "in force"
    USED_UP = "used up"
    ENDED = "ended"
    REVOKED = "revoked"


class Granted(NamedTuple):
    """What people have granted for further calls of a session.

    Attributes:
        uid: the id by which it is revoked.
        tenant_uid: the tenant.
        session_id: the session.
        made_ms: when.
        by: who gave the approval that made it complete.
        grant: what it approves; None if the decision is not on the log any more.
        used_count: how many calls it has approved.
        state: whether it still approves calls.
    """

    uid: str
    tenant_uid: str
    session_id: str
    made_ms: int
    by: str
    grant: ApprovalGrant | None
    used_count: int
    state: GrantState


def list_grants(operator: Operator) -> list[Granted]:
    """Return all grants of people that the log knows, the newest first. Blocking.

    Raises:
        TopicReadError, LogError: a topic can't be read.
    """
    made: dict[str, AuditEvent] = {}
    used: Counter[str] = Counter()
    for _, record in operator.find(AUDIT):
        if not isinstance(record, AuditEvent) or record.event_type is not AuditEventType.APPROVAL:
            continue
        for uid in record.delegation_path[-1:]:
            if record.reason == GRANT_MADE:
                made[uid] = record
            elif record.reason == GRANT_USED:
                used[uid] += 1
    if not made:
        return []
    wanted = {event.parent_event_id for event in made.values()}
    decisions = {
        record.header.id: record.grant
        for _, record in operator.find(APPROVAL_DECISION)
        if isinstance(record, ApprovalDecision) and record.header.id in wanted
    }
    revoked = _revoked(operator)
    now_ms = operator.clock.now_ms()
    found = [
        Granted(
            uid=uid,
            tenant_uid=event.header.tenant_uid,
            session_id=event.session_id,
            made_ms=event.header.time,
            by=event.act.sub,
            grant=(grant := decisions.get(event.parent_event_id or "")),
            used_count=used[uid],
            state=GrantState.REVOKED if uid in revoked else _state(grant, used[uid], now_ms),
        )
        for uid, event in made.items()
    ]
    return sorted(found, key=lambda each: (-each.made_ms, each.uid))


def _state(grant: ApprovalGrant | None, used_count: int, now_ms: int) -> GrantState:
    if grant is not None and grant.uses_max is not None and used_count >= grant.uses_max:
        return GrantState.USED_UP
    if grant is not None and grant.until is not None and grant.until <= now_ms:
        return GrantState.ENDED
    return GrantState.IN_FORCE


def _revoked(operator: Operator) -> set[str]:
    revoked: set[str] = set()
    for _, record in operator.find(REVOCATION):
        if isinstance(record, Revocation) and record.kind is RevocationKind.DELEGATION:
            change = revoked.add if record.state is RevocationState.REVOKED else revoked.discard
            change(record.id)
    return revoked


def revoke_grant(operator: Operator, stated: str, why: str) -> Granted:
    """Revoke a grant; the revocation is on the log when this returns.

    Args:
        operator: reads and writes the log.
        stated: the grant's id, or the beginning of it.
        why: the reason, which is recorded.

    Raises:
        ApprovalError: no grant of people begins with the text, or several do.
        PublishError, TopicReadError, LogError: the log can't be read or written.
    """
    wanted = f"{GRANT_PREFIX}{stated.removeprefix(GRANT_PREFIX)}"
    found = [each for each in list_grants(operator) if stated and each.uid.startswith(wanted)]
    if not found:
        raise ApprovalError(f"people have granted nothing under `{stated}`; see `stoplog approvals grants`")
    if len(found) > 1:
        raise ApprovalError(f"{len(found)} grants begin with `{stated}`; give more of the id")
    write_revocation(operator, RevocationKind.DELEGATION, found[0].uid, RevocationState.REVOKED, why)
    return found[0]._replace(state=GrantState.REVOKED)
