"""The set of what has been taken back. Gates and executors keep the same one from the same topic."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.types import Actor, Model, Record, ToolRef

EVERYTHING = "*"

_Key = tuple[RevocationKind, str]

_REASONS: dict[RevocationKind, Reason] = {
    RevocationKind.SESSION: Reason.SESSION_REVOKED,
    RevocationKind.DELEGATION: Reason.REVOKED_DELEGATION,
    RevocationKind.AGENT: Reason.REVOKED_AGENT,
    RevocationKind.SUBJECT: Reason.REVOKED_SUBJECT,
    RevocationKind.TOOL: Reason.REVOKED_TOOL,
    RevocationKind.MODEL: Reason.REVOKED_MODEL,
    RevocationKind.TENANT: Reason.REVOKED_TENANT,
    RevocationKind.ALL: Reason.REVOKED_ALL,
    # Of a kind that this version does not know: it may mean anything, so it stops everything.
    RevocationKind.UNKNOWN: Reason.REVOKED_ALL,
}


class Call(Record, frozen=True, kw_only=True):
    """What a revocation can name of a call; `ancestor_session_ids` are the sessions that its session descends from."""

    tenant_uid: str
    session_id: str
    sub: str
    act: Actor
    delegation_uids: tuple[str, ...] = ()
    tool: ToolRef
    model: Model | None = None
    ancestor_session_ids: tuple[str, ...] = ()


class RevocationSet:
    """The newest entry of each key.

    Attributes:
        next_offset: every record of the topic below this offset is in the set.
    """

    def __init__(self) -> None:
        self._released: dict[_Key, int] = {}
        self._revoked: dict[_Key, Revocation] = {}
        self._unknown: dict[str, Revocation] = {}
        self._models: dict[str, Revocation] = {}
        self.next_offset = 0

    def __len__(self) -> int:
        return len(self._revoked)

    def apply(self, revocation: Revocation) -> None:
        """Take in a record of the topic; later ones of a key replace earlier ones."""
        key = _key_of(revocation.kind, revocation.id)
        if revocation.state is RevocationState.RELEASED:
            self._drop(key)
            self._released[key] = self.next_offset - 1
            return
        self._released.pop(key, None)
        self._revoked[key] = revocation
        if revocation.kind is RevocationKind.UNKNOWN:
            self._unknown[key[1]] = revocation
        elif revocation.kind is RevocationKind.MODEL:
            self._models[key[1]] = revocation

    def remove(self, kind: RevocationKind, target: str) -> None:
        """Take in a tombstone: the topic has forgotten the key, so the entry is gone."""
        key = _key_of(kind, target)
        self._released.pop(key, None)
        self._drop(key)

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        """Why the call may not run now, or None. A few look-ups; the widest stop is named first."""
        if not self._revoked:
            return None
        for key in _keys_of(call):
            entry = self._revoked.get(key)
            if entry is not None and _in_force(entry, now_ms):
                return _REASONS[entry.kind]
        for ancestor in call.ancestor_session_ids:
            entry = self._revoked.get((RevocationKind.SESSION, session_target(call.tenant_uid, ancestor)))
            if entry is not None and _in_force(entry, now_ms):
                return Reason.SESSION_PARENT_ENDED
        if _any_in_force(self._unknown, now_ms):
            return Reason.REVOKED_ALL
        if call.model is None and _any_in_force(self._models, now_ms):
            # It may be the one: not to name a model must not be a way past its revocation.
            return Reason.REVOKED_MODEL
        return None

    def _drop(self, key: _Key) -> None:
        self._revoked.pop(key, None)
        if key[0] is RevocationKind.UNKNOWN:
            self._unknown.pop(key[1], None)
        elif key[0] is RevocationKind.MODEL:
            self._models.pop(key[1], None)

    def released_since(self, kind: RevocationKind, target: str, offset: int) -> bool:
        """Whether the newest entry of the key is a release that was read at `offset` or later."""
        released_at = self._released.get(_key_of(kind, target))
        return released_at is not None and released_at >= offset


def session_target(tenant_uid: str, session_id: str) -> str:
    """The `id` of a session's revocation."""
    return f"{tenant_uid}|{session_id}"


def principal_target(tenant_uid: str, sub: str) -> str:
    """The `id` of an agent's or subject's revocation."""
    return f"{tenant_uid}|{sub}"


def tool_target(tool: ToolRef) -> str:
    """The `id` of a tool's revocation."""
    return f"{tool.server_id}/{tool.name}"


def model_target(model: Model) -> str:
    """The `id` of a model's revocation."""
    return f"{model.ai_provider}/{model.name}"


def _key_of(kind: RevocationKind, target: str) -> _Key:
    """Models are named by agents, in whatever case."""
    if kind is RevocationKind.ALL:
        return kind, EVERYTHING
    return kind, target.casefold() if kind is RevocationKind.MODEL else target


def _keys_of(call: Call) -> list[_Key]:
    tenant = call.tenant_uid
    keys = [
        (RevocationKind.ALL, EVERYTHING),
        (RevocationKind.TENANT, tenant),
        (RevocationKind.SESSION, session_target(tenant, call.session_id)),
        (RevocationKind.AGENT, principal_target(tenant, call.act.sub)),
        (RevocationKind.SUBJECT, principal_target(tenant, call.sub)),
        (RevocationKind.TOOL, tool_target(call.tool)),
        (RevocationKind.TOOL, f"{call.tool.server_id}/{EVERYTHING}"),
    ]
    if call.model is not None:
        keys.append(_key_of(RevocationKind.MODEL, model_target(call.model)))
    keys.extend((RevocationKind.DELEGATION, uid) for uid in call.delegation_uids)
    return keys


def _any_in_force(entries: dict[str, Revocation], now_ms: int) -> bool:
    return bool(entries) and any(_in_force(entry, now_ms) for entry in entries.values())


def _in_force(entry: Revocation, now_ms: int) -> bool:
    """A revocation counts from when it is read, even if its time lies ahead: taking back early is the safe side."""
    return entry.until is None or now_ms < entry.until
