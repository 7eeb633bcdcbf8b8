"""Stops and releases: writes the records of `agent.revocation.v1`."""

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
    """The name of the target is invalid, or ambiguous."""


class UntilError(StoplogError):
    """The end of a stop is invalid."""


def until_instant(text: str, now_ms: int) -> int:
    """Return the instant that a person has typed: RFC 3339, or a duration from now such as `30m`.

    Raises:
        UntilError: the text is neither, or the instant is not in the future.
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
        raise UntilError(f"`{text[:40]}` is not in the future, so nothing would be stopped")
    return until_ms


def revocation_target(kind: RevocationKind, stated: str, tenant_uid: str) -> str:
    """Return the `id` of a revocation, from what a person typed.

    Args:
        stated: a session, agent or subject, with or without the tenant (`acme|s-1`); a tool as `server/name`, or
            `server/*`; a model as `provider/name`; a tenant; a grant; anything for all.
        tenant_uid: the tenant where none is stated.

    Raises:
        RevocationTargetError: the name is empty, has the wrong form, or could belong to another tenant.
    """
    if kind is RevocationKind.ALL:
        return EVERYTHING
    if not stated.strip():
        raise RevocationTargetError(f"the name of the {kind.value.lower()} is empty")
    if kind in _SCOPED:
        tenant, separator, _ = stated.partition(_TENANT_SEPARATOR)
        if separator and tenant != tenant_uid:
            # Names may contain the separator, too. A stop must not guess what is meant.
            raise RevocationTargetError(
                f"`{stated}` is ambiguous because of its `|`: if that is the name, write `{tenant_uid}|{stated}`; "
                f"to stop something of tenant `{tenant}`, set STOPLOG_TENANT={tenant}"
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
    """Stop or release something; the record is on the log when this returns.

    Raises:
        PublishError, LogError: it is not known whether the record is stored.
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
