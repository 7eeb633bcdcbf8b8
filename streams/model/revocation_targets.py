"""What a revocation names: sessions, agents, tools and others, as ids and as keys of records."""

from __future__ import annotations

import re
from collections.abc import Callable

from streams.model.keys import revocation_key
from streams.model.revocation import Revocation, RevocationKind
from streams.model.types import Actor, Model, Record, ToolRef, same_person

EVERYTHING = "*"

RULES_NAME = re.compile("[0-9a-f]{64}")
"""What a stop of rules names: the digest of their files. Anything else may mean any rules."""

_KIND_NAME = re.compile("[A-Z][A-Z0-9_]{0,63}")

StopKey = tuple[RevocationKind, str]
"""Kind and target of what is stopped."""


class Call(Record, frozen=True, kw_only=True):
    """What a revocation can name of a call.

    Attributes:
        ancestor_session_ids: the sessions that its session descends from.
        ancestor_actors: the agents that delegated the grants of its session.
        ruleset_digest: the rules that have decided about it; None if none have yet.
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
    ruleset_digest: bytes | None = None


def named_by(record_key: bytes) -> tuple[RevocationKind, str] | None:
    """Return kind and target of a record's key; None if it is not the key of a revocation.

    For a kind that this version does not know, the target is the whole key, so that two such kinds don't interfere.
    """
    text = record_key.decode("utf-8", "backslashreplace")
    name, colon, target = text.partition(":")
    if not colon or _KIND_NAME.fullmatch(name) is None:
        return None
    if name in RevocationKind.__members__:
        return key_of(RevocationKind(name), target)
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


def person_target(target: str) -> str:
    """Return the `id` of a subject's revocation in the form in which names of people are compared."""
    tenant_uid, separator, sub = target.partition("|")
    return f"{tenant_uid}{separator}{same_person(sub)}"


def tool_target(tool: ToolRef) -> str:
    """Return the `id` of a tool's revocation."""
    return f"{tool.server_id}/{tool.name}"


def model_target(model: Model) -> str:
    """Return the `id` of a model's revocation."""
    return f"{model.ai_provider}/{model.name}"


def key_of(kind: RevocationKind, target: str) -> StopKey:
    """Return the key of what is stopped, with a model's name in one case: agents may write it in any."""
    if kind is RevocationKind.ALL:
        return kind, EVERYTHING
    if kind is RevocationKind.UNKNOWN:
        return kind, f"{kind.value}:{target}"
    return kind, target.casefold() if kind is RevocationKind.MODEL else target


def topic_key(key: tuple[RevocationKind, str]) -> bytes:
    """Return the record key of an entry. For a kind that this version does not know, the target is the whole key."""
    kind, target = key
    return target.encode() if kind is RevocationKind.UNKNOWN else revocation_key(kind, target)


def _agents(call: Call) -> tuple[str, ...]:
    """Return the agent that acts and those that delegated to it: if one was taken over, so is what it delegated."""
    own = principal_target(call.tenant_uid, call.act.sub)
    if not call.ancestor_actors:
        return (own,)
    return (own, *[principal_target(call.tenant_uid, actor) for actor in call.ancestor_actors])


def _rules(call: Call) -> tuple[str, ...]:
    return () if call.ruleset_digest is None else (call.ruleset_digest.hex(),)


def _models(call: Call) -> tuple[str, ...]:
    return () if call.model is None else (model_target(call.model).casefold(),)


NAMES_OF_CALLS: tuple[tuple[RevocationKind, Callable[[Call], tuple[str, ...]]], ...] = (
    (RevocationKind.ALL, lambda _call: (EVERYTHING,)),
    (RevocationKind.TENANT, lambda call: (call.tenant_uid,)),
    (RevocationKind.SESSION, lambda call: (session_target(call.tenant_uid, call.session_id),)),
    (RevocationKind.AGENT, _agents),
    (RevocationKind.SUBJECT, lambda call: (principal_target(call.tenant_uid, call.sub),)),
    (RevocationKind.TOOL, lambda call: (tool_target(call.tool), f"{call.tool.server_id}/{EVERYTHING}")),
    (RevocationKind.MODEL, _models),
    (RevocationKind.DELEGATION, lambda call: call.delegation_uids),
    (RevocationKind.RULESET, _rules),
)
"""The names by which an entry of each kind stops a call, the widest kind first."""
