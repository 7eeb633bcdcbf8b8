"""Checks what gates revoke by themselves: every session that was frozen or has ended, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from simulation.auditor import Evidence
from simulation.auditor_grants import own_path
from streams.history.recording import place_of
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import Delegation, DelegationOp
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, SESSION
from streams.model.verdict import Outcome

_GATE = "stoplog/gate"
_QUARANTINED = "quarantined_by_rule"
_RESTORED = "stop_restored"
_EXPIRED = "session_expired"
_ENDS = (SessionEventType.SESSION_ENDED, SessionEventType.SESSION_REVOKED)


def check_stops(evidence: Evidence) -> Iterator[str]:
    """Check that each quarantine is revoked once, each end of a session that could delegate its grant as well, nothing
    that lives, and that what is over stays over."""
    told = _told(evidence)
    frozen = _frozen(evidence)
    for target in sorted(frozen.keys() | told.keys()):
        count = sum(stop.reason == _QUARANTINED for stop in told.get(target, []))
        if count != frozen[target]:
            yield f"session {target!r} was frozen {frozen[target]} times, and that is told {count} times"
    yield from _missing(evidence, told)
    yield from _reopened(evidence)
    over = _over(evidence)
    for target, stops in told.items():
        for stop in stops:
            if stop.reason == _RESTORED:
                if not _was_stopped(evidence, stop):
                    yield f"a gate has written a stop of {target!r} again that nobody had written"
                continue
            if stop.kind is not RevocationKind.SESSION or stop.state is not RevocationState.REVOKED:
                yield f"a gate has written {stop.kind.value} {target!r} {stop.state.value}"
            if stop.reason != _QUARANTINED and target not in over:
                yield f"session {target!r} was stopped ({stop.reason}), and nothing has ended it"


def _was_stopped(evidence: Evidence, again: Revocation) -> bool:
    """Return whether somebody has stopped it, or a record under its key can't be read and so counts as a stop."""
    key = f"{again.kind.value}:{again.id}".encode()
    records = evidence.decoded.get(REVOCATION.name, [])
    is_told = any(
        record.kind is again.kind and record.id == again.id and record.state is RevocationState.REVOKED
        for _, record in records
        if isinstance(record, Revocation) and record.reason != _RESTORED
    )
    return is_told or any(each.topic == REVOCATION.name and each.key == key for each in evidence.unreadable)


def _told(evidence: Evidence) -> dict[str, list[Revocation]]:
    found: dict[str, list[Revocation]] = {}
    for _, record in evidence.decoded.get(REVOCATION.name, []):
        if isinstance(record, Revocation) and record.initiating_entity == _GATE:
            found.setdefault(record.id, []).append(record)
    return found


def _frozen(evidence: Evidence) -> Counter[str]:
    """Return how often each session was frozen. A repeated verdict freezes nothing again."""
    ids = {
        (name[0].decode(), one.verdict.verdict_id)
        for name, judged in evidence.verdicts.items()
        for one in judged
        if one.verdict.outcome is Outcome.QUARANTINE
    }
    return Counter(target for target, _ in ids)


def _missing(evidence: Evidence, told: dict[str, list[Revocation]]) -> Iterator[str]:
    """Yield the sessions that have ended and were not revoked, by the grants that their verdicts name."""
    held = {
        (name[0].decode(), own_path(one.verdict)[-1])
        for name, judged in evidence.verdicts.items()
        for one in judged
        if own_path(one.verdict) and one.verdict.outcome is Outcome.ALLOW
    }
    # Of several grants with one id, the auditor does not know which one the gate has accepted.
    grants: dict[tuple[str, str], list[Delegation]] = {}
    for received, record in evidence.decoded.get(DELEGATION.name, []):
        if isinstance(record, Delegation) and record.op is DelegationOp.GRANT:
            grants.setdefault(((received.key or b"").decode(), record.uid), []).append(record)
    ends = _ends(evidence)
    for target, uid in sorted(held):
        end, given = ends[target][0] if target in ends else None, grants.get((target, uid), [])
        if end is None or any(g.depth >= g.max_depth or g.exp <= end.header.time for g in given):
            continue
        if not any(stop.reason == end.reason for stop in told.get(target, [])):
            yield f"session {target!r} has ended ({end.reason}), and what it has delegated was not revoked"


def _ends(evidence: Evidence) -> dict[str, list[AuditEvent]]:
    """Return the ends of each session, in the order of the log; the first one is what has ended it."""
    found: dict[str, list[AuditEvent]] = {}
    for audit in evidence.audits:
        if audit.event_type is AuditEventType.SESSION and audit.reason != "fingerprint_changed":
            found.setdefault(f"{audit.header.tenant_uid}|{audit.session_id}", []).append(audit)
    return found


def _reopened(evidence: Evidence) -> Iterator[str]:
    """Yield the sessions that were over and opened again.

    A second end is legitimate in one case only. A gate forgets a session `dedup_retention_ms` after its expiry
    (`streams.processors.sessions.retention`). If the record that opened it is delivered once more after that, nothing
    is known of it; but its expiry has passed, so the session ends as expired before anything can be allowed in it.
    """
    ends = _ends(evidence)
    expiries: dict[str, int] = {}
    for received, record in evidence.decoded.get(SESSION.name, []):
        is_accepted = place_of(received) not in evidence.letters
        if is_accepted and isinstance(record, SessionEvent) and record.type is SessionEventType.SESSION_ESTABLISHED:
            target = (received.key or b"").decode()
            expiries[target] = max(expiries.get(target, 0), record.expires or 0)
    for target, (_, *later) in ends.items():
        for audit in later:
            if audit.reason != _EXPIRED or audit.header.time < expiries.get(target, audit.header.time + 1):
                yield f"session {target!r} has ended again ({audit.reason}), and its credential had not expired before"
    for name, judged in evidence.verdicts.items():
        target = name[0].decode()
        for one in judged:
            end = ends[target][0] if target in ends else None
            if one.verdict.outcome is Outcome.ALLOW and end is not None and one.verdict.evaluated_at > end.header.time:
                yield f"ALLOW of intent {name[1]} of {target!r}: its session had ended before ({end.reason})"


def _over(evidence: Evidence) -> set[str]:
    """Return the sessions that something has ended, by the audit or by an event of their own."""
    ended = set(_ends(evidence))
    for received, record in evidence.decoded.get(SESSION.name, []):
        if isinstance(record, SessionEvent) and record.type in _ENDS:
            ended.add((received.key or b"").decode())
    for received, record in evidence.decoded.get(DELEGATION.name, []):
        if isinstance(record, Delegation) and record.op is DelegationOp.REVOKE:
            ended.add((received.key or b"").decode())
    return ended
