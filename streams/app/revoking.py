"""Taking back and giving back: records of `agent.revocation.v1`."""

from __future__ import annotations

from streams.app.operator import Operator
from streams.model.errors import StoplogError
from streams.model.keys import revocation_key
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import EVERYTHING
from streams.model.topics import REVOCATION

_TENANT_SEPARATOR = "|"
_SCOPED = frozenset({RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT})


class RevocationTargetError(StoplogError):
    """What is to be taken back has no such name."""


def revocation_target(kind: RevocationKind, stated: str, tenant_uid: str) -> str:
    """The `id` of a revocation, from what a person typed.

    Args:
        stated: a session, agent or subject, with or without its tenant (`acme|s-1`); a tool as `server/name`, or
            `server/*`; a tenant; anything for all.
        tenant_uid: the tenant of what is stated without one.

    Raises:
        RevocationTargetError: it is empty, or no tool.
    """
    if kind is RevocationKind.ALL:
        return EVERYTHING
    if not stated.strip():
        raise RevocationTargetError(f"the {kind.value.lower()} to revoke has no name")
    if kind in _SCOPED:
        return stated if _TENANT_SEPARATOR in stated else f"{tenant_uid}{_TENANT_SEPARATOR}{stated}"
    if kind is RevocationKind.TOOL and not all(stated.partition("/")):
        raise RevocationTargetError(f"tool `{stated}` is not of the form `server/name` (or `server/*`)")
    return stated


def write_revocation(
    operator: Operator, kind: RevocationKind, target: str, state: RevocationState, why: str
) -> Revocation:
    """Take something back, or give it back; on the log when this returns.

    Raises:
        PublishError, LogError: it is not known to be stored.
    """
    header = operator.header()
    revocation = Revocation(
        header=header,
        kind=kind,
        id=target,
        state=state,
        effective_at=header.time,
        reason=why,
        initiating_entity=operator.name,
    )
    operator.write(REVOCATION, [(revocation_key(kind, target), revocation, header)])
    return revocation
