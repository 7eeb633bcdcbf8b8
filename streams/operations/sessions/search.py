"""Reads sessions from the log: one session in full, or many in brief.

All records of a session are in one partition of each topic, so reading one session costs reading those partitions only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from streams.audit.content_officers import ContentOfficers
from streams.audit.releasers import Releasers
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import Delegation
from streams.model.errors import RecordError, StoplogError
from streams.model.keys import session_key_of
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import session_target
from streams.model.session import PROVEN_EVENTS, REPORTS, SessionEvent
from streams.model.topics import AUDIT, AUDIT_REPORTED, DELEGATION, REPORT, REVOCATION, SESSION, VERDICT
from streams.model.types import Header, Record
from streams.operations.contents.erased import SessionErasure, read_erasure
from streams.operations.operator import Operator
from streams.operations.sessions.view import LifeState, SessionView, Standing, is_of_a_gate
from streams.operations.short_ids import short_ids
from streams.operations.topics.decoded import Decoder, decoded
from streams.operations.topics.reader import (
    hidden_topics,
    partitions_of,
    places_of_key,
    read_places,
    read_places_in_order,
)
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

SESSIONS_MAX = 100_000
"""How many sessions are listed at most: those that were opened last."""

SHORT_CHARS_MIN = 12
"""The shortest beginning of an id that is shown. It is longer than what commands accept, so that it stays the beginning
of one id for a while."""

REFUSED_MAX = 1_000_000
"""How many places of rejected records are remembered."""

REPORTS_MAX = 8
"""How many records of gates about one session are kept until its opening is read."""

_OF_SESSIONS = (f"{SESSION.name}/", f"{REPORT.name}/", f"{DELEGATION.name}/")
_PROVEN = PROVEN_EVENTS | REPORTS


class SessionMissingError(StoplogError):
    """The session is not on the log."""


class Filter(NamedTuple):
    """Which sessions to list; None: all."""

    agent: str | None = None
    user: str | None = None
    state: LifeState | None = None

    def takes(self, view: SessionView, standing: Standing) -> bool:
        """Return whether the session matches."""
        if self.agent is not None and self.agent != view.act.sub:
            return False
        if self.user is not None and self.user != view.sub:
            return False
        return self.state is None or self.state is standing.state


class Listed(NamedTuple):
    """One session of a list.

    Attributes:
        short_id: the beginning of its id that no other session on the log has, or all of it; commands that show a
            session take it for the session. Where another tenant has a session of this id: the id with its tenant.
    """

    view: SessionView
    standing: Standing
    short_id: str


class Shown(NamedTuple):
    """One session as the log shows it.

    Attributes:
        view: the session.
        revocations: the revocations in force.
        hidden: topics that access control hides from this client, so that what they say is missing from the view.
        erasure: what was erased of it. The view has no arguments of these calls.
    """

    view: SessionView
    revocations: RevocationSet
    hidden: frozenset[str]
    erasure: SessionErasure | None = None


def show_session(
    log: Log,
    codec: Decoder,
    tenant_uid: str,
    session_id: str,
    clock: Clock,
    releasers: Releasers,
    *,
    officers: ContentOfficers,
) -> Shown:
    """Return one session as the log shows it. Blocking.

    Args:
        releasers: whose releases count.
        officers: whose orders to erase content count.

    Raises:
        SessionMissingError: the log has no record of the session.
        TopicReadError: a topic is missing, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    hidden = hidden_topics(log, [*_SHOWN, REVOCATION.name])
    view = _view(log, codec, clock, (tenant_uid, session_id), _SHOWN, hidden)
    erasure = read_erasure(log, codec, clock, officers, tenant_uid, session_id)
    for call in () if erasure is None else view.intents.values():
        if erasure is not None and erasure.of_call(call.intent_id, call.judged_ms) is not None:
            call.args_json = None
    return Shown(view, _revocations_of(log, codec, clock, releasers, view, hidden), hidden, erasure)


def read_session_standing(operator: Operator, tenant_uid: str, session_id: str) -> Standing | None:
    """Return the state of a session now; None if this client can't tell it. Blocking.

    It can't if it finds no such session, or if access control hides records: they may say that gates have rejected the
    end of the session.

    Raises:
        TopicReadError, LogError: see `show_session`.
    """
    log, codec, clock = operator.log, operator.codec, operator.clock
    hidden = hidden_topics(log, [*_TELLING, REVOCATION.name])
    if hidden & {AUDIT.name, SESSION.name}:
        return None
    try:
        view = _view(log, codec, clock, (tenant_uid, session_id), _TELLING, hidden)
    except SessionMissingError:
        return None
    trusted = operator.deployment.release.trusted()
    return view.standing(_revocations_of(log, codec, clock, trusted, view, hidden), clock.now_ms())


_SHOWN = tuple(topic.name for topic in (AUDIT, VERDICT, SESSION, DELEGATION, AUDIT_REPORTED, REPORT))
"""The topics that a session's view is built from, in the order in which they are read."""
_TELLING = tuple(topic.name for topic in (AUDIT, SESSION, DELEGATION))
"""Those of them from which its state follows. The arguments and results of its calls, which are most of it, are not
needed for that."""


def _view(
    log: Log, codec: Decoder, clock: Clock, session: tuple[str, str], own: Sequence[str], hidden: frozenset[str]
) -> SessionView:
    """Return what topics say about a session, which is named by its tenant and its id.

    Args:
        own: the names of the topics, in the order of `_records`.
        hidden: those that this client may not read.

    Raises:
        SessionMissingError: they say nothing.
        TopicReadError, LogError: see `show_session`.
    """
    tenant_uid, session_id = session
    key, view = session_key_of(tenant_uid, session_id), SessionView(tenant_uid, session_id)
    places = places_of_key(log, [name for name in own if name not in hidden], key)
    found = False
    refused: set[str] = set()
    for received in _records(log, places, clock, own):
        if received.key == key and (record := decoded(codec, received)) is not None:
            found = True
            is_reported = received.topic == AUDIT_REPORTED.name
            if (not is_reported or _is_of_an_executor(record)) and not _is_refused(received, record, refused):
                view.take(record, received.timestamp_ms)
    if not found:
        raise SessionMissingError(
            f"session `{tenant_uid}|{session_id}` is not on the {log.name}; see `stoplog session list`"
        )
    return view


def _revocations_of(
    log: Log, codec: Decoder, clock: Clock, releasers: Releasers, view: SessionView, hidden: frozenset[str]
) -> RevocationSet:
    """Return the stops in force that concern a session; none if this client may not read them."""
    if REVOCATION.name in hidden:
        return RevocationSet(releasers)
    return _revocations(log, codec, clock, releasers, {session_target(view.tenant_uid, view.session_id): view})


def _is_of_an_executor(record: Record) -> bool:
    """Return whether the record says that an executor did not run a call: nothing else is believed of such reports."""
    return isinstance(record, AuditEvent) and record.event_type is AuditEventType.REFUSAL


def list_sessions(log: Log, codec: Decoder, wanted: Filter, clock: Clock, releasers: Releasers) -> Iterator[Listed]:
    """Yield the sessions that match, the newest first, from the last `SESSIONS_MAX`. Blocking.

    Raises:
        TopicReadError, LogError: see `show_session`.
    """
    views: OrderedDict[bytes, SessionView] = OrderedDict()
    reports: OrderedDict[bytes, list[AuditEvent]] = OrderedDict()
    refused: set[str] = set()
    order = [topic.name for topic in (AUDIT, SESSION, REPORT, DELEGATION, VERDICT)]
    hidden = hidden_topics(log, order)
    if VERDICT.name in hidden:
        # Audit records say the same of each verdict, but for the arguments.
        order.append(AUDIT.name)
    places = partitions_of(log, [name for name in dict.fromkeys(order) if name not in hidden])
    for received in _records(log, places, clock, order):
        record = decoded(codec, received)
        if record is None or received.key is None:
            continue
        if _is_refused(received, record, refused):
            continue
        view = views.get(received.key)
        if isinstance(record, AuditEvent) and (view is None or record.event_type is not AuditEventType.VERDICT):
            _keep(reports, received.key, record)
            continue
        if view is None:
            if not isinstance(record, SessionEvent | Delegation):
                continue
            view = views[received.key] = SessionView(_header(record).tenant_uid, record.session_id or "")
            for audit in reports.pop(received.key, ()):
                view.take(audit, received.timestamp_ms)
            if len(views) > SESSIONS_MAX:
                views.popitem(last=False)
        view.take(record, received.timestamp_ms)
        view.forget_lines()
    by_target = {session_target(view.tenant_uid, view.session_id): view for view in views.values()}
    revocations = _revocations(log, codec, clock, releasers, by_target)
    now_ms = clock.now_ms()
    short = short_ids((view.session_id for view in views.values()), SHORT_CHARS_MIN)
    for view in sorted(views.values(), key=lambda view: view.opened_ms, reverse=True):
        standing = view.standing(revocations, now_ms)
        if wanted.takes(view, standing):
            yield Listed(view, standing, short[view.session_id] or f"{view.tenant_uid}|{view.session_id}")


def _records(log: Log, places: list[TopicPartition], clock: Clock, order: Sequence[str]) -> Iterable[Received]:
    """Yield the records of some partitions: topic by topic, in order of time within each.

    Args:
        order: the topics. What gates recorded comes before what opens and describes sessions, and calls come before
            what executors say of them.
    """
    with closing(log.reader()) as reader:
        ends = {place: end for place, end in reader.end_offsets(places).items() if end > 0}
    for topic in order:
        own = [place for place in ends if place.topic == topic]
        if own:
            yield from read_places_in_order(log, own, clock)


def _keep(reports: OrderedDict[bytes, list[AuditEvent]], key: bytes, record: AuditEvent) -> None:
    """Keep a gate's record about a session whose opening has not been read yet."""
    if not is_of_a_gate(record):
        return
    reports.setdefault(key, []).append(record)
    del reports[key][:-REPORTS_MAX]
    if len(reports) > SESSIONS_MAX:
        reports.popitem(last=False)


def _is_refused(received: Received, record: Record, refused: set[str]) -> bool:
    """Return whether gates have rejected the record: whoever may write the topic can claim that a session has ended.

    Args:
        refused: the places of rejected records so far; those that an audit record reports are added.
    """
    if isinstance(record, AuditEvent) and record.event_type is AuditEventType.DEAD_LETTER:
        places = (place for place in record.inputs if place.startswith(_OF_SESSIONS))
        refused.update(place for place in places if len(refused) < REFUSED_MAX)
        return False
    if isinstance(record, SessionEvent) and record.type in _PROVEN and record.proof is None:
        return True
    return f"{received.topic}/{received.partition}/{received.offset}" in refused


def _revocations(
    log: Log, codec: Decoder, clock: Clock, releasers: Releasers, views: Mapping[str, SessionView]
) -> RevocationSet:
    """Return the revocations in force, and note in `views` when a session was released."""
    found = RevocationSet(releasers)
    for received in read_places(log, _ends(log), clock):
        record = decoded(codec, received)
        if isinstance(record, Revocation):
            found.next_offset = received.offset + 1
            try:
                found.apply(record, received.key, received.timestamp_ms)
            except RecordError:
                continue
            view = views.get(record.id) if record.kind is RevocationKind.SESSION else None
            if view is not None and record.state is RevocationState.RELEASED:
                view.released_ms = received.timestamp_ms
    return found


def _ends(log: Log) -> dict[TopicPartition, int]:
    with closing(log.reader()) as reader:
        return {place: end for place, end in reader.end_offsets(partitions_of(log, [REVOCATION.name])).items() if end}


def _header(record: SessionEvent | Delegation) -> Header:
    return record.header
