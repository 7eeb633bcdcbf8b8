"""Reading sessions from the log: one with all that is known of it, or many in a line each.

A session's records lie in one partition of each topic, so that one session costs reading its partitions alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

from streams.codec.avro import Codec
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import Delegation
from streams.model.errors import RecordError, StoplogError
from streams.model.keys import partition_for, session_key_of
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet, session_target
from streams.model.session import PROVEN_EVENTS, SessionEvent
from streams.model.topics import AUDIT, DELEGATION, REVOCATION, SESSION, VERDICT
from streams.model.types import Header, Record
from streams.operations.sessions.view import LifeState, SessionView, Standing, is_of_a_gate
from streams.operations.topics.reader import partitions_of, read_places
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

SESSIONS_MAX = 100_000
"""Sessions that are looked at together; of more, those that were opened last."""

REFUSED_MAX = 1_000_000
"""Records that gates have refused, of which it is kept that they have."""

TOLD_MAX = 8
"""Records of gates on one session that are kept until it is clear that there is one."""

TOLD_MAX = 8
"""Records of gates on one session that are kept until it is clear that there is one."""

_OF_SESSIONS = (f"{SESSION.name}/", f"{DELEGATION.name}/")


class SessionMissingError(StoplogError):
    """There is no such session on the log."""


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
    if not is_of_a_gate(record):
        return
    told.setdefault(key, []).append(record)
    del told[key][:-TOLD_MAX]
    if len(told) > SESSIONS_MAX:
        told.popitem(last=False)


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
