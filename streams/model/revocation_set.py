"""The set of what has been taken back. Gates and executors keep the same one from the same topic."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.types import Actor, Model, Record, ToolRef

EVERYTHING = "*"

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
    """What a revocation can name of a call."""

    tenant_uid: str
    session_id: str
    sub: str
    act: Actor
    delegation_uids: tuple[str, ...] = ()
    tool: ToolRef
    model: Model | None = None


class RevocationSet:
    """The newest entry of each key.

    Attributes:
        next_offset: every record of the topic below this offset is in the set.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[RevocationKind, str], Revocation] = {}
        self._revoked: dict[tuple[RevocationKind, str], Revocation] = {}
        self._unknown: dict[str, Revocation] = {}
        self.next_offset = 0

    def __len__(self) -> int:
        return len(self._revoked)

    def apply(self, revocation: Revocation) -> None:
        """Take in a record of the topic; later ones of a key replace earlier ones."""
        key = (revocation.kind, EVERYTHING if revocation.kind is RevocationKind.ALL else revocation.id)
        self._entries[key] = revocation
        if revocation.state is RevocationState.RELEASED:
            self._drop(key)
            return
        self._revoked[key] = revocation
        if revocation.kind is RevocationKind.UNKNOWN:
            self._unknown[revocation.id] = revocation

    def remove(self, kind: RevocationKind, target: str) -> None:
        """Take in a tombstone: the topic has forgotten the key, so the entry is gone."""
        self._entries.pop((kind, target), None)
        self._drop((kind, target))

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        """Why the call may not run now, or None. A few look-ups; the widest stop is named first."""
        if not self._revoked:
            return None
        for key in _keys_of(call):
            entry = self._revoked.get(key)
            if entry is not None and _in_force(entry, now_ms):
                return _REASONS[entry.kind]
        if self._unknown and any(_in_force(entry, now_ms) for entry in self._unknown.values()):
            return Reason.REVOKED_ALL
        return None

    def _drop(self, key: tuple[RevocationKind, str]) -> None:
        self._revoked.pop(key, None)
        if key[0] is RevocationKind.UNKNOWN:
            self._unknown.pop(key[1], None)

    def released_at(self, kind: RevocationKind, target: str) -> int | None:
        """When the newest entry of the key was released (broker-independent `effective_at`, ms); else None."""
        entry = self._entries.get((kind, target))
        if entry is None or entry.state is not RevocationState.RELEASED:
            return None
        return entry.effective_at


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


def _keys_of(call: Call) -> list[tuple[RevocationKind, str]]:
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
        keys.append((RevocationKind.MODEL, model_target(call.model)))
    keys.extend((RevocationKind.DELEGATION, uid) for uid in call.delegation_uids)
    return keys


def _in_force(entry: Revocation, now_ms: int) -> bool:
    """A revocation counts from when it is read, even if its time lies ahead: taking back early is the safe side."""
    return entry.until is None or now_ms < entry.until
