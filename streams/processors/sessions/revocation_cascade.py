"""Revoke a session that is over or frozen, and with it everything that it has delegated.

A sub-session lies on a partition of its own, which this gate may never see. So the gate writes the same record as a
person who revokes a session: every gate, executor and token service applies it to whatever descends from the session
(ADR 0022). The record is written in the transaction that ends the session.
"""

from __future__ import annotations

from streams.delegation.authority import AuthorityRow
from streams.model.delegation import Delegation, DelegationOp
from streams.model.keys import revocation_key
from streams.model.proof import derived_uuid
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind
from streams.model.revocation_targets import session_target
from streams.model.topics import REVOCATION
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.headers import SOURCE, gate_header
from streams.processors.session_row import GrantStatus, SessionRow, SessionStatus, evolve
from streams.processors.sessions.grants import kept_row
from streams.processors.sessions.lifecycle import OVER, reason_over


def revocation_of_frozen(
    encoder: Encoder,
    session_key: bytes,
    row: SessionRow,
    reason: Reason,
    state: StateView,
    *,
    now_ms: int,
    verdict_id: str,
) -> Output:
    """Return the revocation of a session that a rule has frozen; it covers verdicts that have not been used yet.

    A person's release of the session ends both.

    Args:
        verdict_id: the verdict that froze the session.
    """
    until_ms = _end_ms(row, kept_row(session_key, row, state))
    return _revocation(encoder, session_key, reason, until_ms, now_ms, ("session frozen", verdict_id))


def revocations_of_ended(
    encoder: Encoder, session_key: bytes, row: SessionRow, reason: Reason, state: StateView, now_ms: int
) -> list[Output]:
    """Return the revocation of a session that is over; none if the session can't have delegated anything."""
    grant = kept_row(session_key, row, state)
    if grant is None:
        # Its grant may not have arrived yet; whoever received it may have delegated parts of it anyway.
        until_ms = 0 if row.grant.delegation_uid is None else _end_ms(row, None)
    else:
        until_ms = 0 if grant.depth >= grant.max_depth else grant.exp_ms
    return [_revocation(encoder, session_key, reason, until_ms, now_ms, ("session over",))] if until_ms > now_ms else []


def row_after_narrowing(session_key: bytes, before: SessionRow, after: SessionRow, state: StateView) -> SessionRow:
    """Return the row of a session after its claims were narrowed; it is revoked if it can have delegated its grant.

    What it has delegated, and what it can still sign, would have the wider claims.
    """
    is_narrower = (after.identity.scopes, after.life.expires_ms) != (before.identity.scopes, before.life.expires_ms)
    if after.grant.delegation_uid is None or after.life.status in OVER or not is_narrower:
        return after
    grant = kept_row(session_key, after, state)
    if grant is not None and grant.depth >= grant.max_depth:
        return after
    return evolve(after, status=SessionStatus.REVOKED)


def revocations_of_late_grant(
    encoder: Encoder, session_key: bytes, row: SessionRow, grant: Delegation, now_ms: int
) -> list[Output]:
    """Return the revocation of what may have been delegated of a valid grant that arrives after its session's end."""
    is_new = grant.op is DelegationOp.GRANT and row.grant.grant_status is not GrantStatus.HELD
    if row.life.status not in OVER or not is_new or grant.depth >= grant.max_depth:
        return []
    return [_revocation(encoder, session_key, reason_over(row), grant.exp, now_ms, ("grant late", grant.uid))]


def _end_ms(row: SessionRow, grant: AuthorityRow | None) -> int:
    """Return when the session, and everything that was derived from its grant, would expire by itself."""
    return max(row.life.expires_ms, row.life.credential_ms, 0 if grant is None else grant.exp_ms)


def _revocation(
    encoder: Encoder, session_key: bytes, reason: Reason, until_ms: int, now_ms: int, cause: tuple[str, ...]
) -> Output:
    tenant, _, session_id = session_key.decode().partition("|")
    target = session_target(tenant, session_id)
    record = Revocation(
        header=gate_header(derived_uuid("stop", target, *cause), tenant, now_ms),
        kind=RevocationKind.SESSION,
        id=target,
        effective_at=now_ms,
        until=until_ms,
        reason=reason.value,
        initiating_entity=SOURCE,
    )
    key = revocation_key(record.kind, target)
    return Output(REVOCATION, key, encoder.encode(REVOCATION.name, record), record.header)
