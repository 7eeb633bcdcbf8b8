"""Finds out which session and which intent an id belongs to, whatever kind of id a screen or an alert has shown.

The topics are read from their beginning, but only records that contain the id are decoded.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from streams.model.alert import Alert
from streams.model.approval import ApprovalRequest
from streams.model.audit import AuditEvent
from streams.model.delegation import Delegation
from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.session import SessionEvent
from streams.model.topics import (
    ALERT,
    APPROVAL_REQUEST,
    AUDIT,
    AUDIT_REPORTED,
    DELEGATION,
    INTENT,
    REPORT,
    SESSION,
    VERDICT,
)
from streams.model.types import Header, Record
from streams.model.verdict import Verdict
from streams.operations.topics.decoded import Decoder, decoded
from streams.operations.topics.reader import hidden_topics, read_to_end
from streams.ports import Clock
from streams.ports.open_log import Log

PREFIX_CHARS_MIN = 8
"""The shortest beginning of an id that stands for the id, as in git."""

LISTED_MAX = 20

_SEPARATOR = "|"
_TOPICS = (SESSION, AUDIT, AUDIT_REPORTED, VERDICT, DELEGATION, REPORT, INTENT, APPROVAL_REQUEST, ALERT)


class IdError(StoplogError):
    """The id is not on the log, or it is ambiguous what it means."""


class IdKind(StrEnum):
    """What an id names."""

    SESSION = "session"
    INTENT = "intent"
    VERDICT = "verdict"
    GRANT = "grant"
    QUESTION = "question"
    ALERT = "alert"
    EVENT = "event"


class Owner(NamedTuple):
    """What an id names, and whose it is.

    Attributes:
        intent_id: the intent that it is about, if it is about one.
        related: of an alert, the ids of the records that it is about.
    """

    kind: IdKind
    id: str
    tenant_uid: str
    session_id: str
    intent_id: str | None = None
    related: tuple[str, ...] = ()


def tenant_and_name(stated: str, tenant_uid: str) -> tuple[str, str]:
    """Return the tenant and the name that are meant by `name` or `tenant|name`.

    Args:
        stated: the name of a session or an agent, with or without its tenant.
        tenant_uid: the tenant of a name without one.
    """
    tenant, separator, name = stated.partition(_SEPARATOR)
    return (tenant, name) if separator else (tenant_uid, stated)


def find_session(log: Log, codec: Decoder, clock: Clock, stated: str, tenant_uid: str) -> Owner:
    """Return the session that an id belongs to. Blocking.

    Args:
        stated: a complete id, or the beginning of one with at least `PREFIX_CHARS_MIN` characters; of a session with or
            without its tenant.
        tenant_uid: whose session is meant if several tenants have one of the name.

    Raises:
        IdError: nothing on the log has the id, or it is ambiguous.
        TopicReadError, LogError: the log can't be read.
    """
    owners = [owner._replace(intent_id=None) for owner in _owners(log, codec, clock, stated)]
    found = _chosen(log, owners, stated, tenant_uid)
    if found is None:
        name = stated if _SEPARATOR in stated else f"{tenant_uid}{_SEPARATOR}{stated}"
        raise IdError(f"session `{name}` is not on the {log.name}{_too_short(stated)}; see `stoplog session list`")
    return found


def meant_session(log: Log, clock: Clock, stated: str) -> str:
    """Return the session that a stated one is the beginning of, as `tenant|id`, or what was stated. Blocking.

    Only the keys of sessions are read. A name that no session on the log begins with is taken as it is: its session may
    be opened later.

    Args:
        stated: see `find_session`.

    Raises:
        IdError: it is the beginning of several sessions.
        TopicReadError, LogError: the log can't be read.
    """
    if len(stated) < PREFIX_CHARS_MIN or hidden_topics(log, (SESSION.name,)):
        return stated
    begun: dict[str, None] = {}
    for received in read_to_end(log, (SESSION.name,), clock):
        key = (received.key or b"").decode("utf-8", "replace")
        names = (key, key.partition(_SEPARATOR)[2])
        if stated in names:
            return stated
        if any(name.startswith(stated) for name in names):
            begun[key] = None
    if len(begun) > 1:
        raise _ambiguous(log, stated, sorted(f"  session {key}" for key in begun))
    return next(iter(begun), stated)


def find_intent(log: Log, codec: Decoder, clock: Clock, stated: str, tenant_uid: str) -> Owner:
    """Return the intent that an id belongs to: its own, or that of its verdict, an event, a question, an alert.

    Blocking.

    Args:
        stated, tenant_uid: see `find_session`.

    Raises:
        IdError: nothing on the log has the id, several intents have it, or it belongs to no intent.
        TopicReadError, LogError: the log can't be read.
    """
    found = _chosen(log, _owners(log, codec, clock, stated), stated, tenant_uid)
    if found is None:
        raise IdError(
            f"the {log.name} has no intent `{stated}`{_too_short(stated)}; "
            "see `stoplog session list`, then `stoplog session show SESSION` for the intents of a session"
        )
    for related in found.related if found.intent_id is None else ():
        owner = _chosen(log, _owners(log, codec, clock, related), related, tenant_uid)
        if owner is not None and owner.intent_id is not None:
            return owner
    if found.intent_id is None:
        session = f"{found.tenant_uid}{_SEPARATOR}{found.session_id}"
        raise IdError(
            f"`{stated}` is not an intent but a {found.kind.value}; choose an intent of its session with "
            f"`stoplog session show {shlex.quote(session)}`"
        )
    return found


def _chosen(log: Log, owners: Iterable[Owner], stated: str, tenant_uid: str) -> Owner | None:
    complete: dict[tuple[str, str, str | None], Owner] = {}
    begun: dict[tuple[str, str, str | None], Owner] = {}
    for owner in owners:
        # Two ids of one intent mean the same.
        found = complete if stated in _names(owner) else begun
        found.setdefault((owner.tenant_uid, owner.session_id, owner.intent_id), owner)
    found = complete or begun
    own = [owner for owner in complete.values() if owner.tenant_uid == tenant_uid]
    if len(own) == 1:
        return own[0]
    if len(found) <= 1:
        return next(iter(found.values()), None)
    raise _ambiguous(log, stated, sorted(_listed(owner) for owner in found.values()))


def _ambiguous(log: Log, stated: str, meanings: Sequence[str]) -> IdError:
    listed = first_lines(meanings)
    return IdError(f"`{stated}` stands for {len(meanings)} things on the {log.name}; give more of the id:\n{listed}")


def first_lines(lines: Sequence[str]) -> str:
    """Return the first lines of a list in an error, and how many there are besides."""
    shown = list(lines[:LISTED_MAX])
    if len(lines) > len(shown):
        shown.append(f"  and {len(lines) - len(shown)} more")
    return "\n".join(shown)


def _names(owner: Owner) -> tuple[str, str]:
    return owner.id, f"{owner.tenant_uid}{_SEPARATOR}{owner.id}"


def _owners(log: Log, codec: Decoder, clock: Clock, stated: str) -> Iterator[Owner]:
    needle = stated.encode("utf-8", "replace")
    name = needle.rpartition(_SEPARATOR.encode())[2]
    names = [topic.name for topic in _TOPICS]
    hidden = hidden_topics(log, names)
    for received in read_to_end(log, [each for each in names if each not in hidden], clock):
        value, key = received.value, received.key or b""
        if value is None or not (needle in key or needle in value or (name and (name in value or name in key))):
            continue
        record = decoded(codec, received)
        if record is not None:
            yield from (owner for owner in _ids_of(record, key) if _is_meant(owner, stated))


def _is_meant(owner: Owner, stated: str) -> bool:
    names = _names(owner)
    return stated in names or (len(stated) >= PREFIX_CHARS_MIN and any(name.startswith(stated) for name in names))


def _ids_of(record: Record, key: bytes) -> Iterator[Owner]:
    """Yield everything that the record names, each with its session."""
    header = getattr(record, "header", None)
    session_id = getattr(record, "session_id", None)
    if not isinstance(header, Header) or not isinstance(session_id, str) or not session_id:
        return
    tenant, intent_id = header.tenant_uid, getattr(record, "intent_id", None)

    def owner(kind: IdKind, named: str) -> Owner:
        return Owner(kind, named, tenant, session_id, intent_id)

    if isinstance(record, SessionEvent | AuditEvent | Verdict | Intent | Delegation) and key == (
        f"{tenant}{_SEPARATOR}{session_id}".encode()
    ):
        yield Owner(IdKind.SESSION, session_id, tenant, session_id)
    if intent_id is not None:
        yield owner(IdKind.INTENT, intent_id)
    verdict_id = getattr(record, "verdict_id", None)
    if verdict_id is not None:
        yield owner(IdKind.VERDICT, verdict_id)
    if isinstance(record, Delegation):
        yield owner(IdKind.GRANT, record.uid)
    elif isinstance(record, ApprovalRequest):
        yield owner(IdKind.QUESTION, record.task_id)
    elif isinstance(record, Alert):
        yield owner(IdKind.ALERT, record.finding_uid)._replace(related=record.related_event_ids)
    yield owner(IdKind.EVENT, header.id)


def _too_short(stated: str) -> str:
    return f" (the beginning of an id needs {PREFIX_CHARS_MIN} characters)" if len(stated) < PREFIX_CHARS_MIN else ""


def _listed(owner: Owner) -> str:
    session = f"{owner.tenant_uid}{_SEPARATOR}{owner.session_id}"
    of = "" if owner.kind is IdKind.SESSION else f" of session {session}"
    return f"  {owner.kind.value} {session if owner.kind is IdKind.SESSION else owner.id}{of}"
