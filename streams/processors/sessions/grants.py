"""Verify the grant that a session stands on, store it beside the session's row, and look it up for every call.

A session stands on one grant for its life: on the one that its first event names, or on the first that arrives for it.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from streams.delegation.authority import Authority, AuthorityRow, authority_row
from streams.delegation.digest import grant_digest
from streams.delegation.errors import GrantError
from streams.delegation.verification import Standard, shown, verify
from streams.model.delegation import Delegation, DelegationOp
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import SessionEvent
from streams.ports.processor import Output, SetAsideError, StateView
from streams.processors.rows import grant_row_key
from streams.processors.session_row import GrantStatus, SessionRow, SessionStatus, evolve
from streams.processors.sessions.events import after_hop
from streams.processors.sessions.lifecycle import OVER, with_ancestors
from streams.processors.settings import GateSettings
from streams.processors.state import encode_row

AUTHORITIES_CACHED_MAX = 2_048
"""Decoded grants that are cached (about 5 kilobytes each): those of active sessions."""

TAKEN_BACK_MAX = 16
"""Revoked grants that are remembered before they arrive; a session with more of them ends."""

CACHED_ROW_BYTES_MAX = 16_384
"""Larger grants are decoded for every call, so that a few of them do not fill the memory."""

_decode = msgspec.msgpack.Decoder(AuthorityRow).decode


def standard_of(settings: GateSettings) -> Standard:
    """Return what grants are verified against."""
    return Standard(
        anchors=settings.trust_anchors,
        root_key=settings.root_key,
        skew_ms=settings.skew_ms,
        depth_max=settings.delegation_depth_max,
    )


def after_grant(
    session_key: bytes, grant: Delegation, row: SessionRow, state: StateView, standard: Standard, now_ms: int
) -> SessionRow:
    """Return the session's row after a grant was given to it or revoked. A valid grant is stored beside the row.

    Raises:
        GrantError: it does not hold, or not for this session. Nothing was changed.
    """
    if grant.op is not DelegationOp.GRANT:
        return _after_revocation(row, grant.uid, now_ms)
    if row.grant.grant_status is GrantStatus.HELD and row.grant.delegation_uid == grant.uid:
        kept = _kept(session_key, state)
        if kept is not None and kept.row.digest == grant_digest(grant):
            return row  # it comes again
        text = f"grant `{shown(grant.uid)}`, which session `{shown(grant.session_id)}` holds, was another one"
        raise GrantError(Reason.DELEGATION_UID_REUSED, text)
    if row.grant.delegation_uid not in (None, grant.uid):
        text = f"session `{shown(grant.session_id)}` stands on grant `{shown(row.grant.delegation_uid)}`, not on this"
        raise GrantError(Reason.DELEGATION_SESSION_MISMATCH, text)
    made = authority_row(verify(grant, grant.header.tenant_uid, grant.session_id or "", standard, now_ms))
    if not set(row.grant.taken_back).isdisjoint(made.lineage):
        raise GrantError(Reason.REVOKED_DELEGATION, f"grant `{shown(grant.uid)}` was revoked before it arrived")
    if row.life.status in OVER:
        return row  # it comes too late to be of use
    if row.life.status is not SessionStatus.UNKNOWN:
        _check_parties(made, row)
        _check_parents(made, row.grant.ancestor_session_ids)
        row = after_hop(row, grant.header.id) if made.depth else row
    state.put(grant_row_key(session_key), encode_row(made))
    row = evolve(row, delegation_uid=made.uid, delegation_uids=made.lineage, grant_status=GrantStatus.HELD)
    return with_ancestors(evolve(row, grant_fault=""), grant, now_ms)


def _after_revocation(row: SessionRow, uid: str, now_ms: int) -> SessionRow:
    """Return the row after a grant was revoked: the session ends if it stands on it, or rejects the grant later.

    A revocation needs no proof.
    """
    if row.life.status in OVER or uid in row.grant.taken_back:
        return row
    if uid in row.grant.delegation_uids or len(row.grant.taken_back) >= TAKEN_BACK_MAX:
        return evolve(row, status=SessionStatus.REVOKED, established_ms=row.life.established_ms or now_ms)
    return evolve(row, taken_back=(*row.grant.taken_back, uid))


def refused(
    row: SessionRow, grant: Delegation, error: GrantError, outputs: list[Output]
) -> tuple[SessionRow, SetAsideError]:
    """Return the row after a grant was rejected, which gives denials their reason, and the cause of the dead letter.

    Args:
        outputs: the outputs of its arrival so far.
    """
    if row.grant.grant_status is not GrantStatus.HELD and row.grant.delegation_uid in (None, grant.uid):
        row = evolve(row, grant_fault=error.reason.value)
    return row, SetAsideError(DeadLetterReason.GRANT_INVALID, f"{error.reason.value}: {error}", outputs)


def opened(session_key: bytes, row: SessionRow, event: SessionEvent, state: StateView) -> SessionRow:
    """Return the row of a session that has just been established.

    It stands on the grant that its event names, which may have arrived already, or else on the one that has arrived.

    Raises:
        RecordError: it was opened from another session, and nothing shows from whom else it descends.
    """
    parent = event.parent_session_id
    if parent is not None and event.delegation_uid is None and row.grant.grant_status is not GrantStatus.HELD:
        text = f"session `{shown(event.session_id)}` was opened from `{shown(parent)}`, but stands on no grant of it"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    row = _standing(session_key, row, event, state)
    kept = _kept(session_key, state) if row.grant.grant_status is GrantStatus.HELD else None
    is_hop = parent is not None or (kept is not None and kept.row.depth > 0)
    return after_hop(row, event.header.id) if is_hop else row


def _standing(session_key: bytes, row: SessionRow, event: SessionEvent, state: StateView) -> SessionRow:
    if event.delegation_uid is not None and event.delegation_uid != row.grant.delegation_uid:
        row = _without_grant(session_key, row, state)
        return evolve(row, delegation_uid=event.delegation_uid, delegation_uids=(event.delegation_uid,))
    if row.grant.grant_status is not GrantStatus.HELD:
        return row
    kept = _kept(session_key, state)
    try:
        if kept is not None:
            _check_parties(kept.row, row)
            _check_parents(kept.row, () if event.parent_session_id is None else (event.parent_session_id,))
            return row
        fault = ""
    except GrantError as error:
        fault = error.reason.value
    uid = row.grant.delegation_uid
    return evolve(_without_grant(session_key, row, state), delegation_uid=uid, grant_fault=fault)


# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_HELD = GrantStatus.HELD
_AWAITED = GrantStatus.AWAITED


def kept_authority(session_key: bytes, row: SessionRow, state: StateView) -> Authority | None:
    """Return what the grant of a session permits; None if the session holds no grant."""
    return _kept(session_key, state) if row.grant.grant_status is _HELD else None


def kept_row(session_key: bytes, row: SessionRow, state: StateView) -> AuthorityRow | None:
    """Return the stored row of the grant that the session holds; None if the session holds no grant."""
    kept = kept_authority(session_key, row, state)
    return None if kept is None else kept.row


def is_awaited(row: SessionRow) -> bool:
    """Return whether the session lives and its grant has not arrived yet."""
    return row.grant.grant_status is _AWAITED and not row.grant.grant_fault and row.life.status is SessionStatus.LIVE


def _without_grant(session_key: bytes, row: SessionRow, state: StateView) -> SessionRow:
    state.delete(grant_row_key(session_key))
    return evolve(
        row,
        delegation_uid=None,
        delegation_uids=(),
        grant_status=_AWAITED,
        ancestor_session_ids=(),
        ancestor_actors=(),
    )


def _check_parties(made: AuthorityRow, row: SessionRow) -> None:
    if made.sub != row.identity.sub:
        raise GrantError(Reason.DELEGATION_SUBJECT_CHANGED, f"the session is of `{shown(row.identity.sub)}`")
    if (made.act_iss, made.act_sub) != (row.identity.act_iss, row.identity.act_sub):
        raise GrantError(Reason.DELEGATION_ACTOR_MISMATCH, f"the session is of agent `{shown(row.identity.act_sub)}`")


def _check_parents(made: AuthorityRow, session_ids: tuple[str, ...]) -> None:
    """Check that the session was opened from one in its grant's chain, as the end of those ends this session, too."""
    for session_id in session_ids:
        if session_id not in made.session_ids:
            text = f"the session was opened from `{shown(session_id)}`, which has no part in it"
            raise GrantError(Reason.DELEGATION_SESSION_MISMATCH, text)


def _kept(session_key: bytes, state: StateView) -> Authority | None:
    row = state.get(grant_row_key(session_key))
    if row is None:
        return None
    return _authority(row) if len(row) <= CACHED_ROW_BYTES_MAX else Authority(_decode(row))


@lru_cache(maxsize=AUTHORITIES_CACHED_MAX)
def _authority(row: bytes) -> Authority:
    return Authority(_decode(row))
