"""The part of one session in a workload: its life, what it does, honestly or not, and how others react."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec

from simulation.records import ROOT_KEY, TRUSTED, UNTRUSTED, SessionMaker, agent, report_keys, revocation, tool_entry
from simulation.workload_grants import made_for, uid_of
from simulation.world import World, pick
from streams.audit.report_keys import ReportKey
from streams.model.approval import AnsweredCall, ApprovalGrant, ApprovalRequest, ApprovalStatus, GrantScope
from streams.model.canonical import sha256
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import DelegationOp, ToolGrant
from streams.model.intent import Intent, ReplyTo
from streams.model.proof import session_report
from streams.model.revocation import RevocationKind
from streams.model.session import COMPLETIONS, PROVEN_EVENTS, REPORTS, SessionEvent, SessionEventType
from streams.model.topics import (
    APPROVAL_DECISION,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    SESSION,
    outcome_topic_name,
)
from streams.model.types import Proof, ProofAlg, Record
from streams.model.verdict import Verdict

replace = msgspec.structs.replace

STEPS = (
    ("honest", 34), ("ask", 8), ("later", 5), ("attack", 4), ("exfiltrate", 2), ("unproven", 3), ("forged", 4),
    ("other subject", 2), ("stale", 2), ("future", 3), ("unknown tool", 2), ("other definition", 2), ("invalid", 2),
    ("not canonical", 2), ("large", 2), ("foreign key", 2), ("foreign session", 2), ("message", 6), ("retrieval", 5),
    ("risk", 2), ("claims", 2), ("grant", 4), ("grant back", 1), ("garbage", 5), ("event from future", 1),
    ("forged event", 3),
)  # fmt: skip
ENDS = (("none", 4), ("ended", 3), ("revoked", 2), ("kill switch", 2))

INPUT_TOPICS = (SESSION.name, REPORT.name, DELEGATION.name, APPROVAL_DECISION.name, INTENT.name)

TOOLS = (
    tool_entry("files", "read", schema={"type": "object", "properties": {"path": {"type": "string"}}}, read_only=True),
    tool_entry("web", "fetch", output_label=UNTRUSTED),
    tool_entry("mail", "send"),
)
UNLISTED = tool_entry("nobody", "knows")
REPORT_KEYS = tuple(report_keys(entry.server_id) for entry in TOOLS)


@dataclass(frozen=True, kw_only=True)
class WorkloadSize:
    """How much happens in a workload, and within which time."""

    sessions: int = 10
    steps_per_session_max: int = 9
    control_acts: int = 8
    span_ms: int = 30_000
    session_life_ms: int = 25_000


class Diary(Protocol):
    """What a session needs from the workload that it is part of."""

    def write(self, topic: str, key: bytes | None, record: Record) -> bytes:
        """Write a record and return its bytes."""

    def repeat(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Perhaps deliver a record again."""

    def garbage(self, topics: Sequence[str]) -> None:
        """Write something that cannot be read."""

    def other_session(self, maker: SessionMaker) -> SessionMaker:
        """Return another session than this one, if there is one."""

    def oldest_session(self, maker: SessionMaker) -> str | None:
        """Return the first session of the same tenant; None if it is this one."""


class SessionLife:
    """The part of one session in the workload."""

    def __init__(self, diary: Diary, world: World, maker: SessionMaker) -> None:
        """Create it with nothing planned. The workload does that."""
        self.maker = maker
        self._diary = diary
        self._world = world
        self._rng = world.rng
        self._sequence = 0
        self._proposed = 0
        self._stated_uid: str | None = None
        self._run_ids: set[str] = set()
        self._intents: dict[str, Intent] = {}

    def plan(self, start_ms: int, size: WorkloadSize) -> None:
        """Plan the session's life. Some of its records come late, or not at all."""
        rng, world = self._rng, self._world
        expires_ms = start_ms + rng.randint(size.session_life_ms // 5, size.session_life_ms)
        fate = rng.random()
        if rng.random() < 0.4:
            self._stand_on_grant(start_ms)
        if fate < 0.94:
            delay_ms = 0 if fate < 0.55 else rng.randint(0, 1_800) if fate < 0.85 else rng.randint(1_800, 6_000)
            world.plan(start_ms + delay_ms, partial(self._establish, expires_ms))
        due_ms = start_ms
        for _ in range(rng.randint(1, size.steps_per_session_max)):
            due_ms += int(rng.random() ** 2 * 4_000)
            step = pick(rng, STEPS)
            world.plan(due_ms, partial(self._step, step))
        end = pick(rng, ENDS)
        if end != "none":
            world.plan(due_ms + rng.randint(-2_000, 3_000), partial(self._end, end))

    def run(self, verdict: Verdict) -> None:
        """Let an executor run the call once and report its result; sometimes it never does, and others do it."""
        if verdict.intent_id in self._run_ids:
            return
        self._run_ids.add(verdict.intent_id)
        if self._rng.random() < 0.3:
            due_ms = self._world.now_ms + int(self._rng.random() ** 2 * 4_000)
            self._world.plan(due_ms, partial(self._forge_report, verdict))
        if self._rng.random() < 0.85:
            due_ms = self._world.now_ms + int(self._rng.random() ** 2 * 3_000)
            label = self._rng.choice((None, None, TRUSTED, UNTRUSTED))
            report = partial(self._event, SessionEventType.TOOL_RESULT, intent_id=verdict.intent_id)
            self._world.plan(due_ms, partial(report, tool=verdict.tool, label=label))
            if self._rng.random() < 0.2:  # an executor with another account of it
                again = partial(self._event, SessionEventType.TOOL_NOT_RUN, intent_id=verdict.intent_id)
                self._world.plan(due_ms + self._rng.randint(0, 2_000), partial(again, tool=verdict.tool))

    def answer(self, request: ApprovalRequest) -> None:
        """Let people decide: enough of them, too few, the wrong ones, twice, or too late."""
        rng = self._rng
        intent = self._intents.get(request.intent_id)
        if intent is None:
            return
        for number in range(rng.randint(0, request.quorum + 2)):
            due_ms = self._world.now_ms + int(rng.random() ** 2 * 12_000)
            approver = f"lead-{number}" if rng.random() < 0.8 else rng.choice((self.maker.sub, "lead-0", "stranger"))
            status = ApprovalStatus.APPROVED if rng.random() < 0.85 else ApprovalStatus.DENIED
            groups = request.eligible_approvers if rng.random() < 0.9 else ("others",)
            changes: dict[str, Any] = {"args_digest": bytes(32)} if rng.random() < 0.1 else {}
            changes["task_id"] = request.task_id
            if status is ApprovalStatus.APPROVED:
                changes |= _wider(request, number, due_ms)
            self._world.plan(due_ms, partial(self._decide, intent, approver, status, groups, changes))

    def _decide(
        self, intent: Intent, approver: str, status: ApprovalStatus, groups: tuple[str, ...], changes: dict[str, Any]
    ) -> None:
        decision = self.maker.decision(intent, approver, self._world.now_ms, status=status, groups=groups, **changes)
        value = self._diary.write(APPROVAL_DECISION.name, self.maker.key, decision)
        self._diary.repeat(APPROVAL_DECISION.name, self.maker.key, value)

    def _establish(self, expires_ms: int) -> None:
        made = self.maker.established(
            self._world.now_ms, expires_ms=expires_ms, scopes=("read", "write"), delegation_uid=self._stated_uid
        )
        # Derived from the session's name and not drawn, so that nothing else in a seed depends on it.
        number = sha256(self.maker.key)[0]
        self._write_event(replace(made, attended=number % 2 == 0, parent_session_id=self._parent_id()))

    def _parent_id(self) -> str | None:
        """Return the session that this one was opened from; only some that stand on a grant have one."""
        is_opened = self._stated_uid is not None and sha256(self.maker.key)[0] % 3 == 0
        return self._diary.oldest_session(self.maker) if is_opened else None

    def _stand_on_grant(self, start_ms: int) -> None:
        """Let the session's first event name a grant, which comes before it, after it, or never."""
        self._stated_uid = self.maker.delegation_uid = uid_of(self.maker)
        if self._rng.random() < 0.9:
            self._world.plan(start_ms + self._rng.randint(0, 2_500), self._give)

    def _give(self) -> None:
        grant = made_for(self.maker, self._world.now_ms, self._rng, self._parent_id())
        value = self._diary.write(DELEGATION.name, self.maker.key, grant)
        self._diary.repeat(DELEGATION.name, self.maker.key, value)

    def _event(self, kind: SessionEventType, **fields: Any) -> None:
        self._write_event(self.maker.event(kind, self._world.now_ms, **fields))

    def _write_event(self, event: SessionEvent) -> None:
        self._sequence += 1
        proven = self.maker.proven(replace(event, sequence=self._sequence))
        topic = REPORT.name if event.type in REPORTS else SESSION.name
        value = self._diary.write(topic, self.maker.key, proven)
        self._diary.repeat(topic, self.maker.key, value)

    def _end(self, end: str) -> None:
        if end == "kill switch":
            target = f"{self.maker.tenant}|{self.maker.session_id}"
            made = revocation(RevocationKind.SESSION, target, time_ms=self._world.now_ms)
            self._diary.write(REVOCATION.name, *made)
            return
        kind = SessionEventType.SESSION_ENDED if end == "ended" else SessionEventType.SESSION_REVOKED
        self._event(kind)

    def _step(self, step: str) -> None:
        match step:
            case "message":
                self._event(SessionEventType.USER_MESSAGE)
            case "retrieval":
                self._event(SessionEventType.RETRIEVAL, label=self._rng.choice((None, TRUSTED, UNTRUSTED)))
            case "risk":
                self._event(SessionEventType.RISK_LEVEL_CHANGE, risk_level=self._rng.choice(("LOW", "HIGH", None)))
            case "claims":
                self._event(SessionEventType.TOKEN_CLAIMS_CHANGE, scopes=("read",))
            case "event from future":
                self._write_event(self.maker.event(SessionEventType.PURPOSE_SET, self._world.now_ms + 600_000))
            case "forged event":
                self._forge()
            case "grant" | "grant back":
                self._grant(back=step == "grant back")
            case "garbage":
                self._diary.garbage(INPUT_TOPICS)
            case _:
                self._propose(step)

    def _forge(self) -> None:
        """Write an event of the token service as somebody who may write to the topic, but does not have its key."""
        rng, other = self._rng, self._diary.other_session(self.maker)
        made = self.maker.event(
            rng.choice(sorted(PROVEN_EVENTS)),
            self._world.now_ms,
            sub=self.maker.sub,
            act=self.maker.act,
            scopes=("read", "write", "admin"),
            expires=self._world.now_ms + 3_600_000,
            risk_level="CRITICAL",
            purpose="work",
        )
        self._sequence += 1
        made = replace(made, sequence=self._sequence, purpose="anything")
        stolen = other.event(made.type, self._world.now_ms).proof
        for proof in rng.sample([None, Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32)), stolen, made.proof], 2):
            self._diary.write(SESSION.name, self.maker.key, replace(made, proof=proof))

    def _forge_report(self, verdict: Verdict) -> None:
        """Report the end of a call as somebody who may write the topic, but does not have the key of its server."""
        rng, other = self._rng, self._diary.other_session(self.maker)
        self._sequence += 1
        made = self.maker.event(
            rng.choice(sorted(COMPLETIONS)),
            self._world.now_ms,
            intent_id=verdict.intent_id,
            verdict_id=verdict.verdict_id,
            tool=verdict.tool,
        )
        forged = replace(made, sequence=self._sequence)
        how = rng.choice(("no proof", "another report's", "another server", "another session", "the session's key"))
        key = self.maker.key
        match how:
            case "no proof":
                forged = replace(forged, proof=None)
            case "another server":
                forged = ReportKey.derived(ROOT_KEY, "nobody").proven(forged)
            case "another session":
                forged, key = replace(made, session_id=other.session_id), other.key
            case "the session's key":
                forged = session_report(self.maker.secret, forged, "")
        self._diary.write(REPORT.name, key, forged)

    def _grant(self, *, back: bool) -> None:
        now_ms, uid = self._world.now_ms, uid_of(self.maker)
        grant = self.maker.grant(uid, now_ms, op=DelegationOp.REVOKE if back else DelegationOp.GRANT)
        if not back and self._rng.random() < 0.5:
            grant = made_for(self.maker, now_ms, self._rng, self._parent_id())
        self._diary.write(DELEGATION.name, self.maker.key, grant)

    def _propose(self, step: str) -> None:
        intent, key = self._make(step)
        self._intents[intent.intent_id] = intent
        value = self._diary.write(INTENT.name, key, intent)
        self._diary.repeat(INTENT.name, key, value)
        if self._rng.random() < 0.04:  # the same id for another call
            other = replace(intent, args_json="{}", args_digest=bytes(32))
            self._diary.write(INTENT.name, key, other)

    def _reply_to(self) -> ReplyTo | None:
        """Return where the next intent asks for its outcome: on its tenant's topic, nowhere, or rarely on another's."""
        # Counted and not drawn, so that nothing else in a seed depends on it.
        self._proposed += 1
        if self._proposed % 3 == 0:
            return None
        tenant = "globex" if self._proposed % 23 == 0 else self.maker.tenant
        return ReplyTo(topic=outcome_topic_name(tenant), partition=0)

    def _make(self, step: str) -> tuple[Intent, bytes]:
        now_ms, maker = self._world.now_ms, self.maker
        entry, args = self._call(step)
        make: dict[str, Any] = {"reply_to": self._reply_to()}
        match step:
            case "unproven":
                make["unproven"] = {"proof": None}
            case "forged":
                make["unproven"] = {"proof": Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32))}
            case "other subject":
                make |= self._rng.choice(({"sub": "mallory"}, {"act": agent("mallory")}, {"delegation_uid": "stolen"}))
            case "stale":
                now_ms -= 60_000
            case "future":
                now_ms += self._rng.choice((3_000, 10_000, 70_000))
            case "other definition":
                entry = replace(entry, definition_digest=bytes(32))
            case "honest" if self._rng.random() < 0.2:
                make |= {"deadline": now_ms + self._rng.randint(-100, 3_000)}
        intent = maker.intent(entry, args, now_ms, **make)
        other = self._diary.other_session(self.maker)
        if step == "foreign session":  # in somebody else's name, without their key
            named = replace(intent, session_id=other.session_id, header=replace(intent.header, tenant_uid=other.tenant))
            return named, other.key
        return intent, other.key if step == "foreign key" else maker.key

    def _call(self, step: str) -> tuple[ToolCatalogEntry, dict[str, Any] | str]:
        files, web, mail = TOOLS
        match step:
            case "ask":
                return mail, {"to": "bob@example.com", "ask": self._rng.choice(("one", "leads", "both"))}
            case "later":
                return mail, {"to": "bob@example.com", "later": True}
            case "attack":
                return mail, {"to": "attacker@evil.example"}
            case "exfiltrate":
                return mail, {"to": "exfil@evil.example"}
            case "unknown tool":
                return UNLISTED, {}
            case "invalid":
                return files, {"path": 7}
            case "not canonical":
                return files, self._rng.choice(('{"path": NaN}', "[1]", '{"a":9223372036854775808}', "[" * 200, "\x00"))
            case "large":
                return files, json.dumps({"path": "x" * 10_000})
            case _:
                calls = ((files, {"path": "a.txt"}), (web, {"url": "u"}), (mail, {"to": "bob@example.com"}))
                return self._rng.choice(calls)


def _wider(request: ApprovalRequest, number: int, due_ms: int) -> dict[str, Any]:
    """Return what an approval is about beyond one call: all that the question shows, and further calls.

    Derived from the question and not drawn, so that nothing else in a seed depends on it.
    """
    kind = sha256(request.task_id.encode())[0]
    if kind % 2 == 0:
        return {}
    calls = tuple(
        AnsweredCall(intent_id=call.intent_id, tool=call.tool, args_digest=call.args_digest) for call in request.calls
    )
    if kind % 4 == 1:
        return {"calls": calls}
    # Sometimes the members of a group don't grant the same.
    uses_max = 1 + kind % 3 + (number == 2)
    until = due_ms + 8_000 if kind % 5 == 0 else None
    tools = tuple(ToolGrant(server_id=call.tool.server_id, name=call.tool.name) for call in request.calls[:1])
    scope = GrantScope.TASK if kind % 7 == 0 else GrantScope.SESSION
    return {"calls": calls, "grant": ApprovalGrant(scope=scope, tools=tools, uses_max=uses_max, until=until)}
