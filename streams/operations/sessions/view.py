"""The view of one session, built from its records one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec

from streams.delegation.authority import AuthorityRow, authority_row
from streams.delegation.digest import lineage_of
from streams.delegation.errors import GrantError
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import Delegation, DelegationOp
from streams.model.reasons import REASON_TEXTS, Reason, SessionChange
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call
from streams.model.session import COMPLETIONS, SessionEvent, SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.types import Actor, Model, Record, ToolRef, tool_text
from streams.model.verdict import FINAL_OUTCOMES, Origin, Outcome, RuleMode, Verdict
from streams.operations.approvals.given import answer_text, is_answer
from streams.processors.sessions.risk import higher_risk

LINES_MAX = 10_000
"""How many lines about a session's inputs, and about its calls, are kept: the last ones."""

_BY_TOKEN_SERVICES = frozenset({TokenReason.TOKEN_ISSUED.value, TokenReason.TOKEN_REVOKED.value})
_NO_TOOL = ToolRef(server_id="", name="")
_ANY_MODEL = Model(ai_provider="", name="")
_READS = frozenset({SessionEventType.TOOL_RESULT, SessionEventType.RETRIEVAL, SessionEventType.MEMORY_READ})
_SAID = frozenset({SessionEventType.USER_MESSAGE, *_READS})


class LifeState(StrEnum):
    """The states of a session (docs/explanation/sessions.md)."""

    UNKNOWN = "unknown"
    ESTABLISHED = "established"
    LIVE = "live"
    FROZEN = "frozen"
    STOPPED = "stopped"
    IDLE = "idle"
    ENDED = "ended"
    REVOKED = "revoked"


_OVER = frozenset({LifeState.IDLE, LifeState.ENDED, LifeState.REVOKED})
_NOTHING_TO_STOP = _OVER | {LifeState.STOPPED}

_ENDED = REASON_TEXTS[Reason.SESSION_ENDED]
_SAYS_NO_MORE = frozenset({_ENDED, REASON_TEXTS[Reason.SESSION_REVOKED]})
"""Reasons that only repeat the state."""


class Standing(NamedTuple):
    """A state, and the reason for it."""

    state: LifeState
    why: str

    @property
    def can_be_stopped(self) -> bool:
        """Return whether there is anything left to stop."""
        return self.state not in _NOTHING_TO_STOP

    @property
    def is_over(self) -> bool:
        """Return whether the session proposes no calls any more, whoever releases what."""
        return self.state in _OVER

    def text(self) -> str:
        """Return the state as the end of a sentence about the session, such as `is live`, with what explains it."""
        state = "has ended" if self.state is LifeState.ENDED else f"is {self.state.value}"
        why = "" if self.why in _SAYS_NO_MORE else self.why.removeprefix(f"{_ENDED}: ")
        return f"{state}: {why}" if why else state


class Line(NamedTuple):
    """An input or a call of the session: its time, its kind, the tool, and details."""

    time_ms: int
    what: str
    call: str
    text: str
    label: str = ""


@dataclass
class ProposedCall:
    """An intent of the session, as gates and executors have recorded it.

    Attributes:
        judged_ms: when a gate first decided, ms of broker time.
        decided_ms: when the verdict that counts was given.
        held: the outcome of the first verdict, if the call was held: then `outcome` is the final one.
        args_json: the arguments that were judged; None where this client may not read them.
        rules: the rules that matched, and those that failed.
        in_shadow: those of them that are in shadow, where they change no verdict.
        label: that of what the session has read, with this call.
        ran: what the executor did, empty if nothing is known; `ran_ms` is when it reported that.
    """

    intent_id: str
    verdict_id: str
    tool: str
    judged_ms: int
    decided_ms: int
    outcome: Outcome
    reason: str
    text: str
    rules: tuple[str, ...] = ()
    in_shadow: frozenset[str] = frozenset()
    held: Outcome | None = None
    args_json: str | None = None
    label: str = ""
    ran: str = ""
    ran_ms: int = 0


@dataclass
class Document:
    """Something that the session has read: a named source, or the result of a call with these arguments."""

    name: str
    how: str
    label: str
    intent_id: str | None
    event_id: str
    first_ms: int
    last_ms: int
    times: int = 1


@dataclass
class SessionView:
    """A session as the log shows it.

    Attributes:
        scopes: the effective ones, after all events that narrowed them.
        answers: what people have answered about a call, by its intent: `approved by ann`.
        waiting: the calls that are not decided for good, by their intents, with their outcomes so far.
    """

    tenant_uid: str
    session_id: str
    opened: SessionEvent | None = None
    opened_ms: int = 0
    scopes: tuple[str, ...] = ()
    expires_ms: int = 0
    risk_level: str | None = None
    grants: dict[str, Delegation] = field(default_factory=dict)
    ended: AuditEvent | None = None
    over: SessionEventType | None = None
    frozen_ms: int | None = None
    released_ms: int | None = None
    changed: str = ""
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    read: list[Line] = field(default_factory=list)
    did: list[Line] = field(default_factory=list)
    intents: dict[str, ProposedCall] = field(default_factory=dict)
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    waiting: dict[str, Outcome] = field(default_factory=dict)
    active_ms: int = 0
    _counted: set[str] = field(default_factory=set)
    _origins: dict[str, Origin] = field(default_factory=dict)

    @property
    def sub(self) -> str:
        """Return the user for whom the agent acts."""
        return "" if self.opened is None else self.opened.sub or ""

    @property
    def act(self) -> Actor:
        """Return the agent."""
        act = None if self.opened is None else self.opened.act
        return Actor(iss="", sub="") if act is None else act

    @property
    def ancestor_session_ids(self) -> tuple[str, ...]:
        """Return the sessions that this one descends from."""
        found = [ancestor.session_id for grant in self.grants.values() for ancestor in grant.chain]
        if self.opened is not None:
            found.append(self.opened.parent_session_id)
        return tuple(sorted({each for each in found if each is not None and each != self.session_id}))

    @property
    def ancestor_actors(self) -> tuple[str, ...]:
        """Return the agents that delegated the grants of this session."""
        return tuple(sorted({ancestor.act.sub for grant in self.grants.values() for ancestor in grant.chain}))

    @property
    def delegation_uids(self) -> tuple[str, ...]:
        """Return the grants of this session, with their ancestors."""
        return tuple(sorted({uid for grant in self.grants.values() for uid in (*_chain_uids(grant), grant.uid)}))

    @property
    def authority(self) -> AuthorityRow | None:
        """Return what the session's grant allows, with the bounds of its whole chain; None without a grant.

        Its scopes are those that the session and the grant have in common, and it ends when either does. Gates verify
        grants: one that they have rejected does not count.
        """
        uid = None if self.opened is None else self.opened.delegation_uid
        grant = self.grants.get(uid or "") or next(iter(self.grants.values()), None)
        if grant is None:
            return None
        try:
            row = authority_row(lineage_of(grant))
        except GrantError:
            return None
        scopes = tuple(scope for scope in self.scopes if scope in row.scopes)
        return msgspec.structs.replace(row, scopes=scopes, exp_ms=min(row.exp_ms, self.expires_ms or row.exp_ms))

    def take(self, record: Record, time_ms: int) -> None:
        """Apply one of its records. Call this in the order of the log."""
        if isinstance(record, SessionEvent):
            self._take_event(record, time_ms)
        elif isinstance(record, Delegation):
            if record.op is DelegationOp.GRANT:
                self.grants[record.uid] = record
            elif record.uid in self.grants:
                self.over = self.over or SessionEventType.SESSION_REVOKED
        elif isinstance(record, Verdict):
            self._take_verdict(record, time_ms)
        elif isinstance(record, AuditEvent):
            self._take_audit(record, time_ms)

    def label_of(self, document: Document) -> str:
        """Return as what a document counts: its own label, or else as what the newest verdict that names it took it."""
        origin = self._origins.get(document.event_id)
        return document.label or ("" if origin is None else origin.value.lower())

    def forget_lines(self) -> None:
        """Forget the single calls and inputs, of which only the counts are of interest."""
        for lines in (self.read, self.did, self.intents, self.answers, self.documents, self._counted, self._origins):
            lines.clear()

    def _take_audit(self, record: AuditEvent, time_ms: int) -> None:
        if is_of_a_gate(record):
            if record.reason == SessionChange.FINGERPRINT_CHANGED:
                self.changed = record.reason_text or ""
            else:
                self.ended = record
        elif record.event_type is AuditEventType.VERDICT and record.verdict_id is not None:
            self._take_decision(record, record.header.time, time_ms, None)
        elif record.event_type is AuditEventType.REFUSAL and record.intent_id in self.intents:
            call = self.intents[record.intent_id]
            call.ran, call.ran_ms = f"refused by the executor: {record.reason_text or record.reason}", time_ms
        elif is_answer(record):
            self._take_answer(record)

    def _take_answer(self, record: AuditEvent) -> None:
        """Take that a person has answered about a call, now or beforehand. It can come before the call's verdict."""
        intent_id, answer = record.intent_id or "", answer_text(record)
        self.answers[intent_id] = tuple(dict.fromkeys((*self.answers.get(intent_id, ()), answer)))
        if len(self.answers) > LINES_MAX:
            del self.answers[next(iter(self.answers))]

    def standing(self, revocations: RevocationSet, now_ms: int) -> Standing:
        """Return its state, according to the records of gates and the revocations in force."""
        if self.opened is None and self.over is None:
            return Standing(LifeState.UNKNOWN, "no event has opened the session")
        if self.over is SessionEventType.SESSION_REVOKED:
            return Standing(LifeState.REVOKED, REASON_TEXTS[Reason.SESSION_REVOKED])
        if self.ended is not None:
            is_idle = self.ended.reason == Reason.SESSION_IDLE
            return Standing(LifeState.IDLE if is_idle else LifeState.ENDED, self.ended.reason_text or "")
        if self.over is not None:
            return Standing(LifeState.ENDED, REASON_TEXTS[Reason.SESSION_ENDED])
        if self.expires_ms <= now_ms:
            return Standing(LifeState.ENDED, REASON_TEXTS[Reason.SESSION_EXPIRED])
        if self.frozen_ms is not None and (self.released_ms is None or self.released_ms < self.frozen_ms):
            # It is also revoked, for executors and for sessions that descend from it.
            return Standing(LifeState.FROZEN, REASON_TEXTS[Reason.SESSION_FROZEN])
        reason = revocations.reason_against(self._call(), now_ms)
        if reason is not None:
            return Standing(LifeState.STOPPED, REASON_TEXTS[reason])
        if not self.calls and not self.waiting:
            return Standing(LifeState.ESTABLISHED, "no gate has decided a call of it yet")
        return Standing(LifeState.LIVE, self._waits_for())

    def _waits_for(self) -> str:
        """Return what its undecided calls wait for; empty if there are none."""
        asked = sum(outcome is Outcome.REQUIRE_APPROVAL for outcome in self.waiting.values())
        held = len(self.waiting) - asked
        parts = (f"{asked} waiting for a person" if asked else "", f"{held} deferred" if held else "")
        told = ", ".join(filter(None, parts))
        return f"calls: {told}" if told else ""

    def _call(self) -> Call:
        return Call(
            tenant_uid=self.tenant_uid,
            session_id=self.session_id,
            sub=self.sub,
            act=self.act,
            delegation_uids=self.delegation_uids,
            tool=_NO_TOOL,
            model=_ANY_MODEL if self.opened is None else self.opened.model or _ANY_MODEL,
            ancestor_session_ids=self.ancestor_session_ids,
            ancestor_actors=self.ancestor_actors,
        )

    def _take_event(self, event: SessionEvent, time_ms: int) -> None:
        kind = event.type
        if kind is SessionEventType.SESSION_ESTABLISHED and self.opened is None and self.over is None:
            self.opened, self.opened_ms = event, time_ms
            self.scopes, self.expires_ms = event.scopes, event.expires or 0
            self.risk_level = None if event.risk_level is None else higher_risk(None, event)
        elif kind is SessionEventType.TOKEN_CLAIMS_CHANGE:
            self.scopes = tuple(scope for scope in self.scopes if scope in event.scopes)
            if event.expires is not None:
                self.expires_ms = min(self.expires_ms, event.expires)
        elif kind is SessionEventType.RISK_LEVEL_CHANGE:
            self.risk_level = higher_risk(self.risk_level, event)
        elif kind is SessionEventType.SESSION_REVOKED or (kind is SessionEventType.SESSION_ENDED and not self.over):
            self.over = kind
        if kind in _SAID:
            self.active_ms = max(self.active_ms, time_ms)
            label = (
                "" if event.label is None else _label(event.label.integrity.value, event.label.confidentiality.value)
            )
            call = "" if event.tool is None else tool_text(event.tool)
            _append(self.read, Line(time_ms, kind.value.lower(), call, "error" if event.is_error else "", label))
        if kind in _READS:
            self._take_documents(event, time_ms, label)
        if kind in COMPLETIONS and event.intent_id in self.intents:
            ran = self.intents[event.intent_id]
            ran.ran_ms = time_ms
            if kind is SessionEventType.TOOL_NOT_RUN:
                ran.ran = ran.ran or "not run"
            else:
                ran.ran = "failed" if event.is_error else "ran"

    def _take_documents(self, event: SessionEvent, time_ms: int, label: str) -> None:
        how = event.type.value.lower() if event.tool is None else tool_text(event.tool)
        for source in event.sources or (event.intent_id or how,):
            name = source if event.sources else ""
            known = self.documents.get((source, how))
            if known is None:
                while len(self.documents) >= LINES_MAX:
                    del self.documents[next(iter(self.documents))]
                self.documents[source, how] = Document(
                    name, how, label, event.intent_id, event.header.id, time_ms, time_ms
                )
            else:
                known.last_ms, known.times, known.label = time_ms, known.times + 1, label or known.label

    def _take_verdict(self, verdict: Verdict, time_ms: int) -> None:
        self._origins.update((each.event_id, each.origin) for each in verdict.influences)
        self._take_decision(verdict, verdict.evaluated_at, time_ms, verdict.args_json)

    def _take_decision(self, record: Verdict | AuditEvent, judged_ms: int, time_ms: int, args_json: str | None) -> None:
        """Take a verdict, or the audit record of one, whichever comes first."""
        intent_id, verdict_id, outcome = record.intent_id or "", record.verdict_id or "", record.outcome or Outcome.DENY
        known = self.intents.get(intent_id)
        if known is not None and args_json is not None:
            known.args_json = args_json
        if verdict_id in self._counted:
            return
        self._counted.add(verdict_id)
        self.active_ms = max(self.active_ms, time_ms)
        name = tool_text(record.tool or _NO_TOOL)
        if outcome in FINAL_OUTCOMES:
            self.waiting.pop(intent_id, None)
            outcomes = self.calls.setdefault(name, {})
            outcomes[outcome.value] = outcomes.get(outcome.value, 0) + 1
        else:
            self.waiting[intent_id] = outcome
        if outcome is Outcome.QUARANTINE:
            self.frozen_ms = time_ms
        label = "" if record.label is None else _label(record.label.integrity.value, record.label.confidentiality.value)
        _append(self.did, Line(time_ms, outcome.value, name, f"{record.reason}: {record.reason_text}", label))
        call = ProposedCall(
            intent_id=intent_id,
            verdict_id=verdict_id,
            tool=name,
            judged_ms=judged_ms,
            decided_ms=judged_ms,
            outcome=outcome,
            reason=record.reason or "",
            text=record.reason_text or "",
            rules=_rules_of(record),
            in_shadow=frozenset(hit.rule_id for hit in record.rules if hit.mode is RuleMode.SHADOW),
            args_json=args_json,
            label=label,
        )
        if known is not None:
            call.judged_ms, call.held = known.judged_ms, known.held or known.outcome
            call.args_json, call.ran, call.ran_ms = args_json or known.args_json, known.ran, known.ran_ms
        self.intents[intent_id] = call
        if len(self.intents) > LINES_MAX:
            del self.intents[next(iter(self.intents))]


def is_of_a_gate(record: AuditEvent) -> bool:
    """Return whether the record is a gate's report about a session.

    In earlier versions token services wrote to the gates' topic, too: that they had opened or revoked a session.
    """
    return record.event_type is AuditEventType.SESSION and record.reason not in _BY_TOKEN_SERVICES


def _append(lines: list[Line], line: Line) -> None:
    lines.append(line)
    if len(lines) > LINES_MAX:
        del lines[0]


def _rules_of(record: Verdict | AuditEvent) -> tuple[str, ...]:
    failed = tuple(fault.rule_id for fault in record.errors) if isinstance(record, Verdict) else ()
    return tuple(hit.rule_id for hit in record.rules) + failed


def _chain_uids(grant: Delegation) -> Iterator[str]:
    return (ancestor.uid for ancestor in grant.chain)


def _label(integrity: str, confidentiality: str) -> str:
    return f"{integrity.lower()}, {confidentiality.lower()}"
