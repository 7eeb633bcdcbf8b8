"""The set of revocations. Gates and executors keep the same set from the same topic."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from streams.model.keys import revocation_key
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.types import Actor, Model, Record, ToolRef

EVERYTHING = "*"
STOPS_KEPT_MAX = 256
"""The order of this many last stops is kept."""

PAST_KEPT_MS = 86_400_000
"""How long an entry is kept after its end: gates use the time of their partitions, some of which may lag."""

TIDIED_MIN = 10_000
"""With fewer entries, expired ones are not searched for."""

_KIND_NAME = re.compile("[A-Z][A-Z0-9_]{0,63}")

_Key = tuple[RevocationKind, str]
FOR_GOOD = 2**63
"""The end of a revocation without an end."""

_NEVER = -(2**63)

_REASONS: dict[RevocationKind, Reason] = {
    RevocationKind.SESSION: Reason.SESSION_REVOKED,
    RevocationKind.DELEGATION: Reason.REVOKED_DELEGATION,
    RevocationKind.AGENT: Reason.REVOKED_AGENT,
    RevocationKind.SUBJECT: Reason.REVOKED_SUBJECT,
    RevocationKind.TOOL: Reason.REVOKED_TOOL,
    RevocationKind.MODEL: Reason.REVOKED_MODEL,
    RevocationKind.TENANT: Reason.REVOKED_TENANT,
    RevocationKind.ALL: Reason.REVOKED_ALL,
    # A kind that this version does not know may mean anything, so it stops everything.
    RevocationKind.UNKNOWN: Reason.REVOKED_ALL,
}


class Call(Record, frozen=True, kw_only=True):
    """What a revocation can name of a call.

    Attributes:
        ancestor_session_ids: the sessions that its session descends from.
        ancestor_actors: the agents that delegated the grants of its session.
    """

    tenant_uid: str
    session_id: str
    sub: str
    act: Actor
    delegation_uids: tuple[str, ...] = ()
    tool: ToolRef
    model: Model | None = None
    ancestor_session_ids: tuple[str, ...] = ()
    ancestor_actors: tuple[str, ...] = ()


class RevocationSet:
    """The newest entry of each key. Only the end of an entry is kept, since a set may have millions of entries.

    Attributes:
        next_offset: every record of the topic below this offset is in the set.
    """

    def __init__(self) -> None:
        self._released: dict[_Key, int] = {}
        self._until: dict[RevocationKind, dict[str, int]] = {kind: {} for kind in RevocationKind}
        self._length = 0
        self._tidied_at = TIDIED_MIN
        self._stops: deque[tuple[int, _Key]] = deque()
        self._stops_from = 0
        self.next_offset = 0

    def __len__(self) -> int:
        return self._length

    def apply(self, revocation: Revocation, record_key: bytes | None = None) -> None:
        """Apply a record of the topic; it replaces earlier records of the same key.

        Args:
            record_key: the record's key. It distinguishes entries of kinds that this version does not know, which are
                all read as the same kind.
        """
        key = _key_of(revocation.kind, revocation.id)
        if record_key is not None and revocation.kind is RevocationKind.UNKNOWN and is_key_of(record_key, revocation):
            key = named_by(record_key) or key
        if revocation.state is RevocationState.RELEASED:
            self._drop(key)
            self._released[key] = self.next_offset - 1
            return
        self._put(key, FOR_GOOD if revocation.until is None else revocation.until)

    def stop(self, record_key: bytes) -> None:
        """Apply a record that can't be read: it may stop whatever its key names, so it does."""
        key = named_by(record_key)
        if key is not None:
            self._put(key, FOR_GOOD)

    def forget(self, record_key: bytes) -> None:
        """Apply a tombstone: the topic has dropped the key, so the entry is removed."""
        key = named_by(record_key)
        if key is not None:
            self._released.pop(key, None)
            self._drop(key)

    def forget_past(self, now_ms: int) -> None:
        """Remove entries that ended more than `PAST_KEPT_MS` ago.

        It searches for them only when the set has twice as many entries as after the last search.
        """
        if self._length < self._tidied_at:
            return
        horizon_ms = now_ms - PAST_KEPT_MS
        for entries in self._until.values():
            past = [target for target, until_ms in entries.items() if until_ms < horizon_ms]
            for target in past:
                del entries[target]
            self._length -= len(past)
        self._tidied_at = max(TIDIED_MIN, 2 * self._length)

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        """Return why the call may not run now, or None. A few lookups; the widest stop is named first.

        A revocation counts as soon as it is read, even if its time is in the future: revoking early is the safe side.
        """
        if not self._length:
            return None
        for kind, names_of in _NAMES:
            entries = self._until[kind]
            if entries:
                for name in names_of(call):
                    if now_ms < entries.get(name, _NEVER):
                        return _REASONS[kind]
        sessions = self._until[RevocationKind.SESSION]
        if sessions:
            for ancestor in call.ancestor_session_ids:
                if now_ms < sessions.get(session_target(call.tenant_uid, ancestor), _NEVER):
                    return Reason.SESSION_PARENT_ENDED
        if _any_in_force(self._until[RevocationKind.UNKNOWN], now_ms):
            return Reason.REVOKED_ALL
        if call.model is None and _any_in_force(self._until[RevocationKind.MODEL], now_ms):
            # It may be this model: a call must not escape a revocation by not naming its model.
            return Reason.REVOKED_MODEL
        return None

    def stopped_until(self, kind: RevocationKind, target: str) -> int | None:
        """Return until when a key's newest entry stops what it names; None if there is none, or it is a release."""
        key = _key_of(kind, target)
        return self._until[key[0]].get(key[1])

    def stops_since(self, offset: int) -> list[_Key] | None:
        """Return what was stopped by records from an offset on, oldest first; None if that is too long ago to be known.

        The caller sets `next_offset` before a record is applied.
        """
        if offset < self._stops_from:
            return None
        return [key for stopped_at, key in self._stops if stopped_at >= offset]

    def _put(self, key: _Key, until_ms: int) -> None:
        self._stops.append((self.next_offset - 1, key))
        if len(self._stops) > STOPS_KEPT_MAX:
            self._stops_from = self._stops.popleft()[0] + 1
        self._released.pop(key, None)
        kind, target = key
        entries = self._until[kind]
        self._length += target not in entries
        entries[target] = until_ms

    def _drop(self, key: _Key) -> None:
        kind, target = key
        self._length -= self._until[kind].pop(target, None) is not None

    def released_since(self, kind: RevocationKind, target: str, offset: int) -> bool:
        """Return whether the newest entry of the key is a release that was read at `offset` or later."""
        released_at = self._released.get(_key_of(kind, target))
        return released_at is not None and released_at >= offset


def named_by(record_key: bytes) -> tuple[RevocationKind, str] | None:
    """Return kind and target of a record's key; None if it is not the key of a revocation.

    For a kind that this version does not know, the target is the whole key, so that two such kinds don't interfere.
    """
    text = record_key.decode("utf-8", "backslashreplace")
    name, colon, target = text.partition(":")
    if not colon or _KIND_NAME.fullmatch(name) is None:
        return None
    if name in RevocationKind.__members__:
        return _key_of(RevocationKind(name), target)
    return RevocationKind.UNKNOWN, text


def is_key_of(record_key: bytes, revocation: Revocation) -> bool:
    """Return whether a record has the key that belongs to it.

    A record of a kind that this version does not know was read as UNKNOWN; its key still has the kind's name.
    """
    own = revocation_key(revocation.kind, revocation.id)
    if record_key == own:
        return True
    entry = named_by(record_key) if revocation.kind is RevocationKind.UNKNOWN else None
    is_unknown = entry is not None and entry[0] is RevocationKind.UNKNOWN
    return is_unknown and record_key.partition(b":")[2] == own.partition(b":")[2]


def session_target(tenant_uid: str, session_id: str) -> str:
    """Return the `id` of a session's revocation."""
    return f"{tenant_uid}|{session_id}"


def principal_target(tenant_uid: str, sub: str) -> str:
    """Return the `id` of an agent's or subject's revocation."""
    return f"{tenant_uid}|{sub}"


def tool_target(tool: ToolRef) -> str:
    """Return the `id` of a tool's revocation."""
    return f"{tool.server_id}/{tool.name}"


def model_target(model: Model) -> str:
    """Return the `id` of a model's revocation."""
    return f"{model.ai_provider}/{model.name}"


def _key_of(kind: RevocationKind, target: str) -> _Key:
    """Return the model's name in one case: agents may write it in any."""
    if kind is RevocationKind.ALL:
        return kind, EVERYTHING
    if kind is RevocationKind.UNKNOWN:
        return kind, f"{kind.value}:{target}"
    return kind, target.casefold() if kind is RevocationKind.MODEL else target


def _any_in_force(entries: dict[str, int], now_ms: int) -> bool:
    return bool(entries) and any(now_ms < until for until in entries.values())


def _agents(call: Call) -> tuple[str, ...]:
    """Return the agent that acts and those that delegated to it: if one was taken over, so is what it delegated."""
    own = principal_target(call.tenant_uid, call.act.sub)
    if not call.ancestor_actors:
        return (own,)
    return (own, *[principal_target(call.tenant_uid, actor) for actor in call.ancestor_actors])


def _models(call: Call) -> tuple[str, ...]:
    return () if call.model is None else (model_target(call.model).casefold(),)


_NAMES: tuple[tuple[RevocationKind, Callable[[Call], tuple[str, ...]]], ...] = (
    (RevocationKind.ALL, lambda _call: (EVERYTHING,)),
    (RevocationKind.TENANT, lambda call: (call.tenant_uid,)),
    (RevocationKind.SESSION, lambda call: (session_target(call.tenant_uid, call.session_id),)),
    (RevocationKind.AGENT, _agents),
    (RevocationKind.SUBJECT, lambda call: (principal_target(call.tenant_uid, call.sub),)),
    (RevocationKind.TOOL, lambda call: (tool_target(call.tool), f"{call.tool.server_id}/{EVERYTHING}")),
    (RevocationKind.MODEL, _models),
    (RevocationKind.DELEGATION, lambda call: call.delegation_uids),
)
"""The names by which an entry of each kind stops a call, the widest kind first."""
