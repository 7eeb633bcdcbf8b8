"""What made a session untrusted: something that it has read itself, or that has reached it through another session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from streams.model.keys import session_key_of
from streams.model.session import SessionEvent
from streams.model.topics import REPORT, SESSION
from streams.model.types import ToolRef, tool_text
from streams.model.verdict import Origin, Verdict
from streams.operations.operator import Operator
from streams.operations.sessions.search import SessionMissingError, show_session
from streams.operations.sessions.view import SessionView
from streams.operations.topics.decoded import records_of_key


class Source(NamedTuple):
    """What made the session untrusted: the event, its time, what was read, and by which call.

    Attributes:
        session_id: the session that has read it, or has written it into a store, if that is another one: of the same
            conversation, or one that has written what was read.
        args_json: the arguments of the call of that other session; None if they were erased, or there is none.
    """

    event_id: str
    time_ms: int
    what: str
    documents: tuple[str, ...]
    intent_id: str | None
    session_id: str | None = None
    args_json: str | None = None


def find_source(
    operator: Operator,
    view: SessionView,
    first: Verdict,
    returns_untrusted: Callable[[ToolRef], bool],
    tainted_ms: int,
) -> Source | None:
    """Return what made a session untrusted; None if that is not on the log.

    Args:
        view: the session.
        first: its first verdict under an untrusted label.
        returns_untrusted: returns whether others may write anything that a tool returns.
        tainted_ms: when a call of the session was first judged as untrusted. Gates go by the time of the log.
    """
    own = _own_source(operator, view, first, returns_untrusted, tainted_ms)
    return _source_elsewhere(operator, first) if own is None else own


def _own_source(
    operator: Operator,
    view: SessionView,
    first: Verdict,
    returns_untrusted: Callable[[ToolRef], bool],
    tainted_ms: int,
) -> Source | None:
    """Return the first thing that the session has read and that made it untrusted.

    If nothing was reported of it, that is the call that was allowed to read it. If the verdict names nothing that is
    untrusted as a whole, it is the first result with a field that others may write, if its call had been allowed by
    then: otherwise its conversation, or a note, has made the session untrusted, and nothing is returned.
    """
    untrusted = [each for each in first.influences if each.origin is Origin.UNTRUSTED]
    ids = [each.event_id for each in untrusted if each.session_id is None]
    if not ids and untrusted:
        return None
    for timestamp_ms, event in _events_of(operator, view):
        # An allowed call counts as read before its result is reported; then its intent is named.
        is_named = event.header.id in ids or event.intent_id in ids
        call = view.intents.get(event.intent_id or "")
        is_by_then = timestamp_ms <= tainted_ms or (call is not None and call.decided_ms < tainted_ms)
        may_be_it = not ids and is_by_then and event.tool is not None and returns_untrusted(event.tool)
        if is_named or may_be_it:
            return Source(event.header.id, timestamp_ms, _read_by(event), event.sources, event.intent_id)
    read = next((view.intents[each] for each in ids if each in view.intents), None)
    return None if read is None else Source(read.intent_id, read.judged_ms, read.tool, (), read.intent_id)


def _source_elsewhere(operator: Operator, first: Verdict) -> Source | None:
    """Return what another session has read, or written into a store, and a session knew at its first such verdict."""
    deployment = operator.deployment
    for influence in first.influences:
        tenant_uid, session_id = first.header.tenant_uid, influence.session_id
        if session_id is None:
            continue
        try:
            view = show_session(
                *(operator.log, operator.codec, tenant_uid, session_id, operator.clock, deployment.release.trusted()),
                officers=deployment.content.trusted(),
            ).view
        except SessionMissingError:
            continue
        sought = influence.event_id
        for timestamp_ms, event in _events_of(operator, view):
            if event.header.id == sought:
                call = view.intents.get(event.intent_id or "")
                args = None if call is None else call.args_json
                return Source(sought, timestamp_ms, _read_by(event), event.sources, event.intent_id, session_id, args)
        call = view.intents.get(sought)
        if call is not None:
            return Source(sought, call.judged_ms, call.tool, (), sought, session_id, call.args_json)
    return None


def _events_of(operator: Operator, view: SessionView) -> Iterator[tuple[int, SessionEvent]]:
    """Yield the events of a session, in the order of the log, each with the time at which it was logged."""
    key = session_key_of(view.tenant_uid, view.session_id)
    for received, event in records_of_key(operator.log, operator.codec, operator.clock, (SESSION, REPORT), key):
        if isinstance(event, SessionEvent):
            yield received.timestamp_ms, event


def _read_by(event: SessionEvent) -> str:
    """Return how a content was read: the tool, or else the type of the event."""
    return event.type.value.lower() if event.tool is None else tool_text(event.tool)
