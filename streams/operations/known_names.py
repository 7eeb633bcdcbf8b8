"""Finds out whether the log knows what a person wants to stop, and what else may be meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import Delegation
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEvent
from streams.model.topics import CATALOG, DELEGATION, SESSION, Topic
from streams.model.types import Header
from streams.operations.operator import Operator
from streams.operations.topics.lookup import PREFIX_CHARS_MIN
from streams.operations.topics.reader import hidden_topics, read_to_end

NEAR_MAX = 3
NAMES_MAX = 200_000
"""How many names are compared at most."""
NEARNESS_MIN = 0.6
"""How much a name must look like another one to be taken for what was meant; 1 for the same."""
_SEPARATOR = "|"
_WHOLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

_TOPICS: dict[RevocationKind, Topic] = {
    RevocationKind.SESSION: SESSION,
    RevocationKind.AGENT: SESSION,
    RevocationKind.SUBJECT: SESSION,
    RevocationKind.TENANT: SESSION,
    RevocationKind.TOOL: CATALOG,
    RevocationKind.DELEGATION: DELEGATION,
}
"""Where the names of each kind are. Nothing lists all models."""


class Unknown(NamedTuple):
    """A name that is not on the log.

    Attributes:
        near: names that are on the log and begin with it, if it may be a short one; otherwise those that look like it,
            the nearest first.
        begun: how many sessions of its tenant a name that lists have shortened may mean; 0 for a whole one, and
            for names of all other kinds.
    """

    near: tuple[str, ...]
    begun: int


def look_up(operator: Operator, kind: RevocationKind, target: str) -> Unknown | None:
    """Return what the log has instead of a name that it does not know; None if it knows the name. Blocking.

    It also returns None if this client can't tell: nothing lists the names of this kind, or access control hides them.

    Args:
        target: the `id` of a revocation, see `streams.operations.stops.revocation_target`.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    if not can_tell(operator, kind):
        return None
    known: dict[str, None] = {}
    for name in _names(operator, kind):
        if name == target:
            return None
        if len(known) < NAMES_MAX:
            known[name] = None
    own = target.partition(_SEPARATOR)[2]
    # The same name in another tenant is what is most likely meant.
    same = [name for name in known if own and name.partition(_SEPARATOR)[2] == own]
    # A stop takes names as they are, so that it stops nothing else; but lists show the beginnings of ids.
    is_long = len(own) >= PREFIX_CHARS_MIN
    begun = [name for name in known if is_long and name.partition(_SEPARATOR)[2].startswith(own)]
    meant = [name for name in begun if name.startswith(target)] if may_be_short(kind, target) else []
    if meant:
        # Ids that were made at about the same time look alike: one that does not begin like this is not meant.
        return Unknown(tuple(meant[:NEAR_MAX]), len(meant))
    near = difflib.get_close_matches(target, known, NEAR_MAX, NEARNESS_MIN)
    return Unknown(tuple(dict.fromkeys((*same, *begun, *near)))[:NEAR_MAX], 0)


def unknown_among(
    operator: Operator, kind: RevocationKind, targets: Iterable[str], spelled: Callable[[str], str] = str
) -> dict[str, tuple[str, ...]]:
    """Return those of several names that the log does not know, each with the nearest that it has. Blocking.

    It returns none of which this client can't tell, see `look_up`.

    Args:
        operator: reads the log.
        kind: of what the names are.
        targets: the names.
        spelled: returns how the targets spell a name of the log.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    if not can_tell(operator, kind):
        return {}
    missing, known = dict.fromkeys(targets), dict[str, None]()
    for name in map(spelled, _names(operator, kind)):
        missing.pop(name, None)
        if len(known) < NAMES_MAX:
            known[name] = None
    return {each: tuple(difflib.get_close_matches(each, known, NEAR_MAX, NEARNESS_MIN)) for each in missing}


def can_tell(operator: Operator, kind: RevocationKind) -> bool:
    """Return whether this client can list the names of a kind: something does, and access control does not hide it."""
    topic = _TOPICS.get(kind)
    return topic is not None and not hidden_topics(operator.log, (topic.name,))


def may_be_short(kind: RevocationKind, target: str) -> bool:
    """Return whether a name may be the beginning of a session's id, as lists show it.

    Ids that stoplog makes end with a UUID, and one that does is whole.

    Args:
        target: the `id` of a revocation.
    """
    own = target.partition(_SEPARATOR)[2]
    return kind is RevocationKind.SESSION and len(own) >= PREFIX_CHARS_MIN and _WHOLE.search(own) is None


def is_known(operator: Operator, kind: RevocationKind, target: str) -> bool:
    """Return whether the log has the name. Blocking.

    Raises:
        TopicReadError, LogError: see `look_up`.
    """
    return can_tell(operator, kind) and any(name == target for name in _names(operator, kind))


def _names(operator: Operator, kind: RevocationKind) -> Iterator[str]:
    if kind is RevocationKind.SESSION:
        for received in read_to_end(operator.log, (SESSION.name,), operator.clock):
            yield (received.key or b"").decode("utf-8", "replace")
        return
    for _, record in operator.find(_TOPICS[kind]):
        header = getattr(record, "header", None)
        if not isinstance(header, Header):
            continue
        if isinstance(record, ToolCatalogEntry) and record.name != REPORT_KEYS_NAME:
            yield f"{record.server_id}/{record.name}"
            yield f"{record.server_id}/*"
        elif isinstance(record, Delegation):
            yield from (record.uid, *(body.uid for body in record.chain))
        elif isinstance(record, SessionEvent):
            if kind is RevocationKind.TENANT:
                yield header.tenant_uid
            elif kind is RevocationKind.AGENT and record.act is not None:
                yield f"{header.tenant_uid}{_SEPARATOR}{record.act.sub}"
            elif kind is RevocationKind.SUBJECT and record.sub is not None:
                yield f"{header.tenant_uid}{_SEPARATOR}{record.sub}"
