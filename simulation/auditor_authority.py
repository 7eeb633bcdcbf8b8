"""Checks what was allowed: whether it had the authority it needed, at that time."""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterator, Mapping
from functools import cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from simulation.auditor import Evidence, IntentName, Judged
from simulation.auditor_grants import OF_PEOPLE
from simulation.records import RELEASER
from streams.history.recording import place_of
from streams.model.approval import ApprovalDecision, ApprovalRequest, ApprovalStatus
from streams.model.intent import Intent
from streams.model.proof import derived_uuid, session_event_message
from streams.model.release_signature import release_message
from streams.model.revocation import Revocation, RevocationState
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import APPROVAL_DECISION, REPORT, REVOCATION, SESSION
from streams.model.types import SubProfile
from streams.model.verdict import Outcome, Verdict, VerdictMode
from streams.ports import Received

_ENDS = (SessionEventType.SESSION_ENDED, SessionEventType.SESSION_REVOKED)
_OF_THE_TOKEN_SERVICE = (
    *_ENDS,
    SessionEventType.SESSION_ESTABLISHED,
    SessionEventType.PURPOSE_SET,
    SessionEventType.RISK_LEVEL_CHANGE,
    SessionEventType.TOKEN_CLAIMS_CHANGE,
)


def check_writers(evidence: Evidence, root_key: bytes) -> Iterator[str]:
    """Check that only the token service has opened or ended sessions, or decided what they may do."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"29:stoplog session-writer key v1")
    key = derivation.derive(root_key)
    for events in _sessions(evidence).values():
        for received, event in events:
            if event.type not in _OF_THE_TOKEN_SERVICE:
                continue
            wanted = hmac.digest(key, session_event_message(event), "sha256")
            if event.proof is None or event.proof.value != wanted:
                yield f"{event.type.value} at {place_of(received)} was accepted, and is not from the token service"


def check_allowed(
    evidence: Evidence, revocations: list[Received], requests: dict[IntentName, list[ApprovalRequest]], lag_ms_max: int
) -> Iterator[str]:
    """Check that every ALLOW had a live session, nothing revoked, and the approvals that it needed.

    Args:
        evidence: what is committed.
        revocations: all records of the revocation topic, tombstones included.
        requests: what people were asked, by intent.
        lag_ms_max: how old the revocations may be that a gate does not know yet.
    """
    sessions = _sessions(evidence)
    known = {(r.topic, r.offset): record for r, record in evidence.decoded.get(REVOCATION.name, [])}
    for name, judged in evidence.verdicts.items():
        for one in judged:
            verdict = one.verdict
            if verdict.outcome is not Outcome.ALLOW:
                continue
            intent = _intent_of(evidence, name, verdict)
            events = sessions.get(name[0], [])
            faults = [*_session_faults(verdict, events)]
            faults += _revocation_faults(verdict, intent, revocations, known, lag_ms_max, _parent_of(events))
            faults += _approval_faults(evidence, one, requests.get(name, []), intent)
            if verdict.mode is not VerdictMode.ENFORCE:
                faults.append(f"its mode is {verdict.mode}")
            for fault in faults:
                yield f"ALLOW of intent {name[1]} of {name[0].decode()!r} at {verdict.evaluated_at}: {fault}"


def _sessions(evidence: Evidence) -> dict[bytes, list[tuple[Received, SessionEvent]]]:
    """Return the accepted events of each session, in the order in which the topics are joined."""
    found: dict[bytes, list[tuple[Received, SessionEvent]]] = {}
    both = [*evidence.decoded.get(SESSION.name, []), *evidence.decoded.get(REPORT.name, [])]
    for received, record in sorted(both, key=lambda each: each[0].timestamp_ms):
        if isinstance(record, SessionEvent) and place_of(received) not in evidence.letters:
            found.setdefault(received.key or b"", []).append((received, record))
    return found


def _was_read(received: Received, last: Received, verdict: Verdict) -> bool:
    """Tell whether a record was read before a verdict that is based on `last`.

    A record that was stamped far ahead comes last in the order of time, but was read in the order of its topic. Nothing
    of another topic that was read is later than the verdict.
    """
    if received.topic == last.topic:
        return received.offset <= last.offset
    return received.timestamp_ms <= verdict.evaluated_at


def _session_faults(verdict: Verdict, events: list[tuple[Received, SessionEvent]]) -> Iterator[str]:
    """Check the session up to the last event that the verdict says it is based on."""
    # By their numbers: a broker whose clock is wrong stamps events, too, so their times don't tell which came first.
    seen = [each for each in events if each[1].sequence <= verdict.session_sequence]
    opened = [(r, e) for r, e in seen if e.type is SessionEventType.SESSION_ESTABLISHED]
    if not opened:
        yield "its session was not established"
        return
    received, event = opened[0]
    if received.timestamp_ms > verdict.evaluated_at:
        yield f"its session was established later, at {received.timestamp_ms}"
    if event.expires is None or event.expires <= verdict.evaluated_at:
        yield f"its session had expired at {event.expires}"
    if event.expires is not None and verdict.expires_at > event.expires:
        yield f"it may be used until {verdict.expires_at}, its session only until {event.expires}"
    if event.sub != verdict.sub or event.act is None or event.act.sub != verdict.act.sub:
        yield f"its session is of {event.sub} and {event.act}, it is of {verdict.sub} and {verdict.act.sub}"
    if any(e.type in _ENDS and _was_read(r, seen[-1][0], verdict) for r, e in seen):
        yield "its session had ended"


def _revocation_faults(
    verdict: Verdict,
    intent: Intent | None,
    revocations: list[Received],
    known: Mapping[tuple[str, int], object],
    lag_ms_max: int,
    parent: str | None,
) -> Iterator[str]:
    stops = Stops()
    for received in revocations:
        if received.offset >= verdict.revocation_offset:
            if received.timestamp_ms < verdict.evaluated_at - lag_ms_max:
                yield f"it knew revocations to {verdict.revocation_offset}, {place_of(received)} was old already"
            continue
        stops.take(received, known.get((received.topic, received.offset)))
    for name in _names(verdict, intent, parent):
        until_ms = stops.until_ms.get(name)
        if until_ms is not None and verdict.evaluated_at < until_ms:
            yield f"{name[0]} `{name[1]}` had been revoked, and nobody who may release it had done so"


class Stops:
    """What is stopped and not released by who may, as the auditor reads the topic.

    Attributes:
        until_ms: the end of each stop, by kind and target.
    """

    def __init__(self) -> None:
        self.until_ms: dict[tuple[str, str], float] = {}
        self._stopped_at: dict[tuple[str, str], int] = {}

    def take(self, received: Received, record: object) -> None:
        """Read on: one record of the topic; `record` is not a `Revocation` if it can't be read or has no value."""
        if isinstance(record, Revocation):
            name = (record.kind.value, record.id)
            if record.state is RevocationState.REVOKED:
                self._stop(name, math.inf if record.until is None else record.until, received.offset)
            elif _is_entitled(record) and self._stopped_at.get(name, -1) < min(
                record.lifts_before or 0, received.offset
            ):
                self.until_ms.pop(name, None)
                self._stopped_at.pop(name, None)
        elif received.key is not None:
            kind, _, target = received.key.decode("utf-8", "replace").partition(":")
            if received.value is not None:  # not readable: it must count as a revocation
                self._stop((kind, target), math.inf, received.offset)
            elif self.until_ms.get((kind, target), math.inf) <= received.timestamp_ms:
                self.until_ms.pop((kind, target), None)

    def _stop(self, name: tuple[str, str], until_ms: float, offset: int) -> None:
        self.until_ms[name] = max(until_ms, self.until_ms.get(name, 0))
        self._stopped_at[name] = offset


@cache
def _is_entitled(release: Revocation) -> bool:
    """Return whether a release is signed by who may release. The auditor has the key, and asks nobody else."""
    proof = release.proof
    return proof is not None and RELEASER.public.verifies(release_message(release, ""), proof.value)


def _parent_of(events: list[tuple[Received, SessionEvent]]) -> str | None:
    return next((e.parent_session_id for _, e in events if e.type is SessionEventType.SESSION_ESTABLISHED), None)


def check_ages(evidence: Evidence, *, attended_ms: int, unattended_ms: int) -> Iterator[str]:
    """Check that no call was allowed in a session that had reached its maximum age."""
    sessions = _sessions(evidence)
    for name, judged in evidence.verdicts.items():
        opened = [(r, e) for r, e in sessions.get(name[0], []) if e.type is SessionEventType.SESSION_ESTABLISHED]
        if not opened:
            continue
        received, event = opened[0]
        end_ms = received.timestamp_ms + (attended_ms if event.attended else unattended_ms)
        for one in judged:
            if one.verdict.outcome is Outcome.ALLOW and one.verdict.evaluated_at >= end_ms:
                yield f"ALLOW of intent {name[1]} of {name[0].decode()!r}: its session was too old since {end_ms}"


def _names(verdict: Verdict, intent: Intent | None, parent: str | None) -> Iterator[tuple[str, str]]:
    """Return everything of the call that can be revoked."""
    tenant = verdict.header.tenant_uid
    if parent is not None:
        yield "SESSION", f"{tenant}|{parent}"
    yield "ALL", "*"
    yield "TENANT", tenant
    yield "SESSION", f"{tenant}|{verdict.session_id}"
    yield "AGENT", f"{tenant}|{verdict.act.sub}"
    yield "SUBJECT", f"{tenant}|{verdict.sub}"
    yield "TOOL", f"{verdict.tool.server_id}/{verdict.tool.name}"
    yield "TOOL", f"{verdict.tool.server_id}/*"
    for uid in verdict.delegation_path:
        yield "DELEGATION", uid
    if intent is not None and intent.model is not None:
        yield "MODEL", f"{intent.model.ai_provider}/{intent.model.name}"


def _approval_faults(
    evidence: Evidence, one: Judged, requests: list[ApprovalRequest], intent: Intent | None
) -> Iterator[str]:
    """Check that each group that was asked has approved exactly this call, with its quorum of people, or a grant."""
    verdict = one.verdict
    approvers: dict[tuple[str, str], set[str]] = {}
    for received, record in evidence.decoded.get(APPROVAL_DECISION.name, []):
        if (
            isinstance(record, ApprovalDecision)
            and received.key == one.received.key
            and (verdict.intent_id, verdict.args_digest) in _decided_calls(record)
            and record.status is ApprovalStatus.APPROVED
            and record.approver.sub_profile is SubProfile.USER
            and record.approver.sub not in (verdict.sub, verdict.act.sub)
            and received.timestamp_ms <= verdict.evaluated_at
        ):
            for group in record.approver_groups:
                approvers.setdefault((record.task_id, group), set()).add(record.approver.sub.strip().casefold())
    granted, faults = _granted_groups(evidence, one)
    yield from faults
    for request in requests:
        for group in set(request.eligible_approvers) - granted:
            count = len(approvers.get((request.task_id, group), ()))
            if count < request.quorum:
                yield f"{count} of {group} had approved it, {request.quorum} were needed"
    if intent is not None and intent.args_digest != verdict.args_digest:
        yield "it is about other arguments"


def _decided_calls(decision: ApprovalDecision) -> set[tuple[str, bytes]]:
    """Return the calls that a decision is about, by intent and arguments."""
    calls = {(call.intent_id, call.args_digest) for call in decision.calls}
    return calls or {(decision.intent_id, decision.args_digest)}


def _granted_groups(evidence: Evidence, one: Judged) -> tuple[set[str], list[str]]:
    """Return the groups whose members have granted the call before it was judged, and what is wrong with that."""
    verdict, groups, faults = one.verdict, set[str](), list[str]()
    for uid in verdict.delegation_path:
        if not uid.startswith(OF_PEOPLE):
            continue
        found = [
            record
            for received, record in evidence.decoded.get(APPROVAL_DECISION.name, [])
            if isinstance(record, ApprovalDecision)
            and received.key == one.received.key
            and received.timestamp_ms <= verdict.evaluated_at
            and uid == OF_PEOPLE + _grant_id(verdict.header.tenant_uid, record)
        ]
        if not found or (grant := found[0].grant) is None:
            faults.append(f"nobody has granted {uid}")
            continue
        groups.update(found[0].approver_groups)
        if (verdict.tool.server_id, verdict.tool.name) not in {(tool.server_id, tool.name) for tool in grant.tools}:
            faults.append(f"{uid} is not for this tool")
        if grant.until is not None and grant.until <= verdict.evaluated_at:
            faults.append(f"{uid} had ended at {grant.until}")
        users = {
            (name, each.verdict.intent_id)
            for name, judged in evidence.verdicts.items()
            for each in judged
            if uid in each.verdict.delegation_path and each.verdict.outcome is Outcome.ALLOW
        }
        if grant.uses_max is not None and len(users) > grant.uses_max:
            faults.append(f"{uid} has approved {len(users)} calls, {grant.uses_max} were granted")
    return groups, faults


def _grant_id(tenant_uid: str, decision: ApprovalDecision) -> str:
    return derived_uuid("approval grant", tenant_uid, decision.session_id, decision.header.id)


def _intent_of(evidence: Evidence, name: IntentName, verdict: Verdict) -> Intent | None:
    intents = [intent for _, intent in evidence.intents.get(name, [])]
    return next((intent for intent in intents if intent.args_digest == verdict.args_digest), None)
