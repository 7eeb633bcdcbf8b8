"""Decide how long a session lives, what ends it, and what it was opened with (docs/explanation/sessions.md).

All by broker time. Nothing here gives a session anything: what is over stays over.
"""

from __future__ import annotations

from streams.model.delegation import Delegation
from streams.model.intent import Intent
from streams.model.proof import is_proven_by_server
from streams.model.reasons import Reason
from streams.model.session import COMPLETIONS, SessionEvent, SessionEventType
from streams.model.types import Model
from streams.processors.session_row import OpenedWith, SessionRow, SessionStatus, evolve
from streams.processors.settings import GateSettings

ANCESTORS_MAX = 64
"""Sessions that one session can descend from; a session with more of them counts as ended."""

OVER = frozenset({SessionStatus.ENDED, SessionStatus.REVOKED})

ACTIVITY = frozenset(
    {
        SessionEventType.USER_MESSAGE,
        SessionEventType.MODEL_OUTPUT,
        SessionEventType.TOOL_RESULT,
        SessionEventType.TOOL_NOT_RUN,
        SessionEventType.RETRIEVAL,
        SessionEventType.MEMORY_READ,
    }
)
"""Events that show that a session is active. Other events do not keep it alive."""


def opened(row: SessionRow, event: SessionEvent, settings: GateSettings, received_ms: int) -> SessionRow:
    """Return the row of a session that has just been established, with its bounds, its parent and its origin.

    Args:
        received_ms: when its event was appended. A gate may take it in later, which makes the session no younger.
    """
    age_max_ms = settings.session_age_max_ms if event.attended else settings.unattended_age_max_ms
    too_old_ms = received_ms + age_max_ms
    row = evolve(
        row,
        expires_ms=min(row.life.expires_ms, too_old_ms),
        too_old_ms=too_old_ms,
        credential_ms=row.life.expires_ms,
        active_ms=row.life.established_ms,
        attended=event.attended,
        opened_with=_opened_with(event),
    )
    parent = event.parent_session_id
    return row if parent is None else _descending(row, {parent}, row.life.established_ms)


def with_ancestors(row: SessionRow, grant: Delegation, now_ms: int) -> SessionRow:
    """Return the row with the sessions and agents that the grant has come from."""
    row = evolve(row, ancestor_actors=tuple(sorted({ancestor.act.sub for ancestor in grant.chain})))
    found = {ancestor.session_id for ancestor in grant.chain if ancestor.session_id not in (None, grant.session_id)}
    return _descending(row, {session_id for session_id in found if session_id is not None}, now_ms)


def _descending(row: SessionRow, session_ids: set[str], now_ms: int) -> SessionRow:
    if session_ids <= set(row.grant.ancestor_session_ids):
        return row
    known = tuple(sorted(session_ids | set(row.grant.ancestor_session_ids)))
    if len(known) > ANCESTORS_MAX:
        # A revocation of an ancestor that isn't stored would go unnoticed.
        row = evolve(row, ancestor_session_ids=known[:ANCESTORS_MAX], established_ms=row.life.established_ms or now_ms)
        return ended(row, Reason.SESSION_PARENT_ENDED)
    return evolve(row, ancestor_session_ids=known)


def active(row: SessionRow, event: SessionEvent, settings: GateSettings, now_ms: int) -> SessionRow:
    """Return the row after an event that may show that the session is active.

    An old event shows what was, and a copy of it shows no more than it did: it counts for the time at which it was
    made, as far behind as the clocks of those who may call can be. The gate takes only one report of a call.
    Other reports of servers show nothing: each server could keep each session alive.
    """
    if event.type not in ACTIVITY or row.life.status is not SessionStatus.LIVE:
        return row
    if event.type not in COMPLETIONS:
        if is_proven_by_server(event):
            return row
        now_ms = min(now_ms, event.header.time + settings.intent_age_max_ms)
    return evolve(row, active_ms=max(row.life.active_ms, now_ms))


def expiry_of(row: SessionRow, settings: GateSettings, now_ms: int) -> Reason | None:
    """Return why the session's time is over, or None. This runs for every intent, so it compares two numbers.

    A session is not idle while an intent of it is pending, and a frozen session, which can do nothing, is never idle.
    """
    life = row.life
    if life.expires_ms <= now_ms and life.status in _LIVING:
        return reason_expired(row)
    if (
        now_ms - life.active_ms < settings.session_idle_ms
        or life.status is not SessionStatus.LIVE
        or row.counters.waiting_count
    ):
        return None
    return Reason.SESSION_IDLE


def ended(row: SessionRow, reason: Reason) -> SessionRow:
    """Return the row of a session that ends now; a row of one that was over before is unchanged."""
    if row.life.status in OVER:
        return row
    return evolve(row, status=SessionStatus.ENDED, ended_by=reason.value)


def end_due_ms(row: SessionRow, settings: GateSettings) -> int | None:
    """Return when the session ends if nothing more happens in it; None if it does not live."""
    if row.life.status not in _LIVING:
        return None
    if row.life.status is SessionStatus.FROZEN or row.counters.waiting_count:
        return row.life.expires_ms
    return min(row.life.expires_ms, row.life.active_ms + settings.session_idle_ms)


def reason_over(row: SessionRow) -> Reason:
    """Return why a session is over."""
    if row.life.status is SessionStatus.REVOKED:
        return Reason.SESSION_REVOKED
    return Reason(row.life.ended_by) if row.life.ended_by else Reason.SESSION_ENDED


def reason_expired(row: SessionRow) -> Reason:
    """Return which bound an expired session has reached: that of its credential, or that of its age."""
    return Reason.SESSION_TOO_OLD if 0 < row.life.too_old_ms <= row.life.expires_ms else Reason.SESSION_EXPIRED


def changes(row: SessionRow, intent: Intent) -> tuple[str, ...]:
    """Return what of the origin of this or an earlier intent differs from what the session was opened with, by name.

    What the session was opened with must be stated by its intents, too: not to say it is no way past it.
    """
    opened_with = row.identity.opened_with
    if opened_with is None:
        return row.identity.changed
    found = set(row.identity.changed)
    if opened_with.model is not None and opened_with.model != _named(intent.model):
        found.add("model")
    if opened_with.system_prompt_digest not in (None, intent.system_prompt_digest):
        found.add("system_prompt")
    if opened_with.toolset_digest not in (None, intent.toolset_digest):
        found.add("toolset")
    return row.identity.changed if len(found) == len(row.identity.changed) else tuple(sorted(found))


def _opened_with(event: SessionEvent) -> OpenedWith | None:
    if event.model is None and event.system_prompt_digest is None and event.toolset_digest is None:
        return None
    return OpenedWith(_named(event.model), event.system_prompt_digest, event.toolset_digest)


def _named(model: Model | None) -> tuple[str, str, str] | None:
    return None if model is None else (model.ai_provider, model.name, model.version or "")


_LIVING = frozenset({SessionStatus.LIVE, SessionStatus.FROZEN})
