"""What goes with a session that is over or frozen: all that it has given on, wherever that is judged.

A sub-session lies on a partition of its own, which this gate may never see. So the gate says of a session that it has
ended the same as a person who stops one: a record that every gate, executor and token service holds against whatever
descends from the session (ADR 0022). It is written in the transaction that ends the session.
"""

from __future__ import annotations

import msgspec

from streams.delegation.authority import AuthorityRow
from streams.model.delegation import Delegation, DelegationOp
from streams.model.keys import revocation_key
from streams.model.proof import derived_uuid
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind
from streams.model.revocation_set import session_target
from streams.model.topics import REVOCATION
from streams.model.types import Header
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.gate.case import Case
from streams.processors.gate.verdicts import SOURCE
from streams.processors.sessions.grants import kept_row
from streams.processors.sessions.lifecycle import OVER, reason_over
from streams.processors.state import GrantStatus, SessionRow, SessionStatus


def when_frozen(
    encoder: Encoder, case: Case, row: SessionRow, reason: Reason, state: StateView, verdict_id: str
) -> Output:
    """The stop of a session that a rule has frozen, with its verdicts that have not been used yet. A person's release
    of the session ends both.

    Args:
        verdict_id: of the verdict that froze it.
    """
    until_ms = _end_ms(row, kept_row(case.session_key, row, state))
    return _stop(encoder, case.session_key, reason, until_ms, case.now_ms, ("session frozen", verdict_id))


def when_over(
    encoder: Encoder, session_key: bytes, row: SessionRow, reason: Reason, state: StateView, now_ms: int
) -> list[Output]:
    """The stop of what a session that is over can have given on; nothing where it can't."""
    grant = kept_row(session_key, row, state)
    if grant is None:
        # It may be that its grant has not come; whoever was given it may have given on parts all the same.
        until_ms = 0 if row.delegation_uid is None else _end_ms(row, None)
    else:
        until_ms = 0 if grant.depth >= grant.max_depth else grant.exp_ms
    return [_stop(encoder, session_key, reason, until_ms, now_ms, ("session over",))] if until_ms > now_ms else []


def when_narrowed(session_key: bytes, before: SessionRow, after: SessionRow, state: StateView) -> SessionRow:
    """The row of a session whose claims have been narrowed. Where it can have given on what it stands on it is over:
    that, and what it can still sign, would have the claims from before."""
    is_narrower = (after.scopes, after.expires_ms) != (before.scopes, before.expires_ms)
    if after.delegation_uid is None or after.status in OVER or not is_narrower:
        return after
    grant = kept_row(session_key, after, state)
    if grant is not None and grant.depth >= grant.max_depth:
        return after
    return msgspec.structs.replace(after, status=SessionStatus.REVOKED)


def when_late(encoder: Encoder, session_key: bytes, row: SessionRow, grant: Delegation, now_ms: int) -> list[Output]:
    """The stop of what may have been given on of a grant that holds and arrives when its session is over."""
    is_new = grant.op is DelegationOp.GRANT and row.grant_status is not GrantStatus.HELD
    if row.status not in OVER or not is_new or grant.depth >= grant.max_depth:
        return []
    return [_stop(encoder, session_key, reason_over(row), grant.exp, now_ms, ("grant late", grant.uid))]


def _end_ms(row: SessionRow, grant: AuthorityRow | None) -> int:
    """When the session would be over by itself, and all that was made of its grant."""
    return max(row.expires_ms, row.credential_ms, 0 if grant is None else grant.exp_ms)


def _stop(
    encoder: Encoder, session_key: bytes, reason: Reason, until_ms: int, now_ms: int, cause: tuple[str, ...]
) -> Output:
    tenant, _, session_id = session_key.decode().partition("|")
    target = session_target(tenant, session_id)
    record = Revocation(
        header=Header(id=derived_uuid("stop", target, *cause), source=SOURCE, time=now_ms, tenant_uid=tenant),
        kind=RevocationKind.SESSION,
        id=target,
        effective_at=now_ms,
        until=until_ms,
        reason=reason.value,
        initiating_entity=SOURCE,
    )
    key = revocation_key(record.kind, target)
    return Output(REVOCATION, key, encoder.encode(REVOCATION.name, record), record.header)
