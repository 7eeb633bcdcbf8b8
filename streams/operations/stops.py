"""Taking back and giving back: records of `agent.revocation.v1`."""

from __future__ import annotations

import re

from streams.codec.instants import parse_instant
from streams.codec.varints import MalformedError
from streams.model.errors import StoplogError
from streams.model.keys import revocation_key
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import EVERYTHING
from streams.model.topics import REVOCATION
from streams.operations.operator import Operator

_TENANT_SEPARATOR = "|"
_SCOPED = frozenset({RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT})


_DURATION = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class RevocationTargetError(StoplogError):
    """What is to be taken back has no such name."""


class UntilError(StoplogError):
    """It can't be told until when something is to be stopped."""


def until_instant(text: str, now_ms: int) -> int:
    """The instant that a person has typed: RFC 3339, or a duration from now such as `30m`.

    Raises:
        UntilError: it is neither, or does not lie ahead.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration is not None:
        until_ms = now_ms + int(duration["count"]) * _UNIT_MS[duration["unit"]]
    else:
        try:
            until_ms = parse_instant(text.strip())
        except MalformedError:
            text = f"`{text[:40]}` is neither an instant such as `2026-01-31T09:00:00Z` nor a duration such as `30m`"
            raise UntilError(text) from None
    if until_ms <= now_ms:
        raise UntilError(f"`{text[:40]}` does not lie ahead: nothing would be stopped")
    return until_ms


def revocation_target(kind: RevocationKind, stated: str, tenant_uid: str) -> str:
    """The `id` of a revocation, from what a person typed.

    Args:
        stated: a session, agent or subject, with or without the tenant (`acme|s-1`); a tool as `server/name`, or
            `server/*`; a model as `provider/name`; a tenant; a grant; anything for all.
        tenant_uid: the tenant of what is stated without one.

    Raises:
        RevocationTargetError: it is empty, neither a tool nor a model, or may be of another tenant.
    """
    if kind is RevocationKind.ALL:
        return EVERYTHING
    if not stated.strip():
        raise RevocationTargetError(f"the {kind.value.lower()} to stop has no name")
    if kind in _SCOPED:
        tenant, separator, _ = stated.partition(_TENANT_SEPARATOR)
        if separator and tenant != tenant_uid:
            # Names may hold the separator, too: what is meant must not be guessed where something is to be stopped.
            raise RevocationTargetError(
                f"`{stated}` has a `|`: write `{tenant_uid}|{stated}` if that is its name; to stop something of tenant "
                f"`{tenant}`, set STOPLOG_TENANT={tenant}"
            )
        return stated if separator else f"{tenant_uid}{_TENANT_SEPARATOR}{stated}"
    if kind is RevocationKind.MODEL and not all(stated.partition("/")):
        raise RevocationTargetError(f"model `{stated}` is not of the form `provider/name`")
    if kind is RevocationKind.TOOL and not all(stated.partition("/")):
        raise RevocationTargetError(f"tool `{stated}` is not of the form `server/name` (or `server/*`)")
    return stated


def write_revocation(
    operator: Operator, kind: RevocationKind, target: str, state: RevocationState, why: str, until_ms: int | None = None
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
        until=until_ms,
        reason=why,
        initiating_entity=operator.name,
    )
    operator.write(REVOCATION, [(revocation_key(kind, target), revocation, header)])
    return revocation
