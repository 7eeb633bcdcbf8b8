"""What is on the log of sessions: one in all that is known of it, or many in a line each.

A session's records lie in one partition of each topic, so that one session costs reading its partitions alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from streams.codec.avro import Codec
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import Delegation, DelegationOp
from streams.model.errors import RecordError, StoplogError
from streams.model.keys import partition_for, session_key_of
from streams.model.reasons import REASON_TEXTS, Reason, SessionChange
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import Call, RevocationSet, session_target
from streams.model.session import PROVEN_EVENTS, SessionEvent, SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.topics import AUDIT, DELEGATION, REVOCATION, SESSION, VERDICT
from streams.model.types import Actor, Header, Model, Record, ToolRef
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.operations.topics.reader import partitions_of, read_places
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log
from streams.processors.sessions.events import higher_risk

SESSIONS_MAX = 100_000
"""Sessions that are looked at together; of more, those that were opened last."""

LINES_MAX = 10_000
"""Of what a session has read, and of what it has done, that are kept to be shown; of more, the last ones."""

REFUSED_MAX = 1_000_000
"""Records that gates have refused, of which it is kept that they have."""

TOLD_MAX = 8
"""Records of gates on one session that are kept until it is clear that there is one."""

_BY_TOKEN_SERVICES = frozenset({TokenReason.TOKEN_ISSUED.value, TokenReason.TOKEN_REVOKED.value})
_OF_SESSIONS = (f"{SESSION.name}/", f"{DELEGATION.name}/")
_NO_TOOL = ToolRef(server_id="", name="")
_ANY_MODEL = Model(ai_provider="", name="")
_READS = frozenset({SessionEventType.TOOL_RESULT, SessionEventType.RETRIEVAL, SessionEventType.MEMORY_READ})
_SAID = frozenset({SessionEventType.USER_MESSAGE, *_READS})


class SessionMissingError(StoplogError):
    """There is no such session on the log."""


class LifeState(StrEnum):
    """Where a session stands (docs/explanation/sessions.md)."""

    UNKNOWN = "unknown"
    ESTABLISHED = "established"
    LIVE = "live"
    FROZEN = "frozen"
    STOPPED = "stopped"
    IDLE = "idle"
    ENDED = "ended"
    REVOKED = "revoked"


class Standing(NamedTuple):
    """A state, and why it is that."""

    state: LifeState
    why: str


class Line(NamedTuple):
    """Something that was read or done: when, what, and what there is to say of it."""

    time_ms: int
    what: str
    call: str
    text: str
    label: str = ""


@dataclass
class SessionView:
    """All that is known of a session; `scopes` are the effective ones, after what has narrowed them since."""

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
    active_ms: int = 0

    @property
    def sub(self) -> str:
        """On whose behalf."""
        return "" if self.opened is None else self.opened.sub or ""

    @property
    def act(self) -> Actor:
        """Who acts."""
        act = None if self.opened is None else self.opened.act
        return Actor(iss="", sub="") if act is None else act

    @property
    def ancestor_session_ids(self) -> tuple[str, ...]:
        """The sessions that this one descends from."""
        found = [ancestor.session_id for grant in self.grants.values() for ancestor in grant.chain]
        if self.opened is not None:
            found.append(self.opened.parent_session_id)
        return tuple(sorted({each for each in found if each is not None and each != self.session_id}))

    @property
    def ancestor_actors(self) -> tuple[str, ...]:
        """The agents that gave on what it stands on."""
        return tuple(sorted({ancestor.act.sub for grant in self.grants.values() for ancestor in grant.chain}))

    @property
    def delegation_uids(self) -> tuple[str, ...]:
        """The grants that it stands on, with their ancestors."""
        return tuple(sorted({uid for grant in self.grants.values() for uid in (*_chain_uids(grant), grant.uid)}))

    def take(self, record: Record, time_ms: int) -> None:
        """Take in one of its records, in the order of the log."""
        if isinstance(record, SessionEvent):
            self._take_event(record, time_ms)
        elif isinstance(record, Delegation):
            if record.op is DelegationOp.GRANT:
                self.grants[record.uid] = record
            elif record.uid in self.grants:
                self.over = self.over or SessionEventType.SESSION_REVOKED
        elif isinstance(record, Verdict):
            self._take_verdict(record, time_ms)
        elif isinstance(record, AuditEvent) and _is_of_a_gate(record):
            if record.reason == SessionChange.FINGERPRINT_CHANGED:
                self.changed = record.reason_text or ""
            else:
                self.ended = record

    def standing(self, revocations: RevocationSet, now_ms: int) -> Standing:
        """Where it stands now, by what the gates have put on record, and by what is stopped."""
        if self.opened is None and self.over is None:
            return Standing(LifeState.UNKNOWN, "no event has opened it")
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
            # It is stopped, too, for executors and for those that descend from it.
            return Standing(LifeState.FROZEN, REASON_TEXTS[Reason.SESSION_FROZEN])
        reason = revocations.reason_against(self._call(), now_ms)
        if reason is not None:
            return Standing(LifeState.STOPPED, REASON_TEXTS[reason])
        if not self.calls:
            return Standing(LifeState.ESTABLISHED, "nothing has been proposed in it yet")
        return Standing(LifeState.LIVE, "")

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
            call = "" if event.tool is None else _name(event.tool)
            _append(self.read, Line(time_ms, kind.value.lower(), call, "error" if event.is_error else "", label))

    def _take_verdict(self, verdict: Verdict, time_ms: int) -> None:
        self.active_ms = max(self.active_ms, time_ms)
        name = _name(verdict.tool)
        if verdict.outcome in FINAL_OUTCOMES:
            outcomes = self.calls.setdefault(name, {})
            outcomes[verdict.outcome.value] = outcomes.get(verdict.outcome.value, 0) + 1
        if verdict.outcome is Outcome.QUARANTINE:
            self.frozen_ms = time_ms
        label = _label(verdict.label.integrity.value, verdict.label.confidentiality.value)
        _append(self.did, Line(time_ms, verdict.outcome.value, name, f"{verdict.reason}: {verdict.reason_text}", label))


class Filter(NamedTuple):
    """Which sessions are asked for; None: all."""

    agent: str | None = None
    user: str | None = None
    state: LifeState | None = None

    def takes(self, view: SessionView, standing: Standing) -> bool:
        """Whether the session is asked for."""
        if self.agent is not None and self.agent != view.act.sub:
            return False
        if self.user is not None and self.user != view.sub:
            return False
        return self.state is None or self.state is standing.state


def show_session(
    log: Log, codec: Codec, tenant_uid: str, session_id: str, clock: Clock
) -> tuple[SessionView, RevocationSet]:
    """All that is on the log of one session, and what is stopped now. Blocking.

    Raises:
        SessionMissingError: nothing is.
        TopicReadError: a topic is missing, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    key = session_key_of(tenant_uid, session_id)
    view = SessionView(tenant_uid, session_id)
    own = [SESSION.name, DELEGATION.name, VERDICT.name, AUDIT.name]
    counts: dict[str, int] = {}
    for place in partitions_of(log, own):
        counts[place.topic] = counts.get(place.topic, 0) + 1
    places = [TopicPartition(topic, partition_for(key, count)) for topic, count in counts.items()]
    found = False
    refused: set[str] = set()
    for received in _records(log, places, clock):
        if received.key == key and (record := _read(codec, received)) is not None:
            found = True
            if not _is_refused(received, record, refused):
                view.take(record, received.timestamp_ms)
    if not found:
        raise SessionMissingError(f"there is nothing on the {log.name} of session `{tenant_uid}|{session_id}`")
    revocations = _revocations(log, codec, clock, {session_target(tenant_uid, session_id): view})
    return view, revocations


def list_sessions(log: Log, codec: Codec, wanted: Filter, clock: Clock) -> Iterator[tuple[SessionView, Standing]]:
    """The sessions that are asked for, those that were opened last first; of at most `SESSIONS_MAX`. Blocking.

    Raises:
        TopicReadError, LogError: see `show_session`.
    """
    views: OrderedDict[bytes, SessionView] = OrderedDict()
    told: OrderedDict[bytes, list[AuditEvent]] = OrderedDict()
    refused: set[str] = set()
    places = partitions_of(log, [SESSION.name, DELEGATION.name, VERDICT.name, AUDIT.name])
    for received in _records(log, places, clock):
        record = _read(codec, received)
        if record is None or received.key is None:
            continue
        if _is_refused(received, record, refused):
            continue
        if isinstance(record, AuditEvent):
            _keep(told, received.key, record)
            continue
        view = views.get(received.key)
        if view is None:
            if not isinstance(record, SessionEvent | Delegation):
                continue
            view = views[received.key] = SessionView(_header(record).tenant_uid, record.session_id or "")
            for audit in told.pop(received.key, ()):
                view.take(audit, received.timestamp_ms)
            if len(views) > SESSIONS_MAX:
                views.popitem(last=False)
        view.take(record, received.timestamp_ms)
        view.read.clear()
        view.did.clear()
    by_target = {session_target(view.tenant_uid, view.session_id): view for view in views.values()}
    revocations = _revocations(log, codec, clock, by_target)
    now_ms = clock.now_ms()
    for view in sorted(views.values(), key=lambda view: view.opened_ms, reverse=True):
        standing = view.standing(revocations, now_ms)
        if wanted.takes(view, standing):
            yield view, standing


def _records(log: Log, places: list[TopicPartition], clock: Clock) -> Iterable[Received]:
    """In order of time, and of several topics what gates have put on record first, then what a session is, and last
    what it does."""
    with closing(log.reader()) as reader:
        ends = {place: end for place, end in reader.end_offsets(places).items() if end > 0}
    order = (AUDIT.name, SESSION.name, DELEGATION.name, VERDICT.name)
    for topic in order:
        own = {place: end for place, end in ends.items() if place.topic == topic}
        if own:
            yield from read_places(log, own, clock)


def _keep(told: OrderedDict[bytes, list[AuditEvent]], key: bytes, record: AuditEvent) -> None:
    """Keep what a gate tells of a session that is yet to come."""
    if not _is_of_a_gate(record):
        return
    told.setdefault(key, []).append(record)
    del told[key][:-TOLD_MAX]
    if len(told) > SESSIONS_MAX:
        told.popitem(last=False)


def _is_of_a_gate(record: AuditEvent) -> bool:
    """Whether a gate reports on a session.

    In earlier versions token services wrote to the gates' topic, too: that they had opened or revoked a session.
    """
    return record.event_type is AuditEventType.SESSION and record.reason not in _BY_TOKEN_SERVICES


def _is_refused(received: Received, record: Record, refused: set[str]) -> bool:
    """Whether gates have not taken the record in: anybody who may write the topic can write that a session has ended.

    Args:
        refused: the places of such records so far; what an audit record tells of them is added.
    """
    if isinstance(record, AuditEvent) and record.event_type is AuditEventType.DEAD_LETTER:
        places = (place for place in record.inputs if place.startswith(_OF_SESSIONS))
        refused.update(place for place in places if len(refused) < REFUSED_MAX)
        return False
    if isinstance(record, SessionEvent) and record.type in PROVEN_EVENTS and record.proof is None:
        return True
    return f"{received.topic}/{received.partition}/{received.offset}" in refused


def _revocations(log: Log, codec: Codec, clock: Clock, views: Mapping[str, SessionView]) -> RevocationSet:
    """What is stopped now; sessions that were released since they were frozen are told so."""
    found = RevocationSet()
    for received in read_places(log, _ends(log), clock):
        record = _read(codec, received)
        if isinstance(record, Revocation):
            found.apply(record, received.key)
            view = views.get(record.id) if record.kind is RevocationKind.SESSION else None
            if view is not None and record.state is RevocationState.RELEASED:
                view.released_ms = received.timestamp_ms
    return found


def _ends(log: Log) -> dict[TopicPartition, int]:
    with closing(log.reader()) as reader:
        return {place: end for place, end in reader.end_offsets(partitions_of(log, [REVOCATION.name])).items() if end}


def _read(codec: Codec, received: Received) -> Record | None:
    if received.value is None:
        return None
    try:
        return codec.decode(received.topic, received.value, received.headers)
    except RecordError:
        return None


def _header(record: SessionEvent | Delegation) -> Header:
    return record.header


def _append(lines: list[Line], line: Line) -> None:
    lines.append(line)
    if len(lines) > LINES_MAX:
        del lines[0]


def _chain_uids(grant: Delegation) -> Iterator[str]:
    return (ancestor.uid for ancestor in grant.chain)


def _name(tool: ToolRef) -> str:
    return f"{tool.server_id}/{tool.name}"


def _label(integrity: str, confidentiality: str) -> str:
    return f"{integrity.lower()}, {confidentiality.lower()}"
