"""The canonical form of a grant, what is signed of it, and its digest.

The form is RFC 8785 (JCS) over the grant's JSON form (docs/reference/history-files.md): digests in hex, other bytes in
base64, instants as integer milliseconds, enums by symbol; what is null or an empty array is left out, so that a field
that is added to the record one day changes no digest of a grant without it.
"""

from __future__ import annotations

import base64
from enum import Enum

import msgspec

from streams.delegation.errors import GrantError
from streams.model.canonical import CanonicalError, canonical, sha256
from streams.model.delegation import Delegation, GrantBody
from streams.model.reasons import Reason
from streams.model.types import Header

_DOMAIN = "stoplog grant v1"
_PROOF = frozenset({"proof"})
_NONE: frozenset[str] = frozenset()

_encode = msgspec.msgpack.Encoder().encode


def grant_digest(grant: GrantBody) -> bytes:
    """SHA-256 of the canonical form of the complete body, its proof included: what a child has as `parent_digest`.

    Of a `Delegation` it is the digest of its body: header and chain are not part of it.

    Raises:
        GrantError: the grant has no canonical form.
    """
    return sha256(_canonical(grant, _NONE))


def grant_message(grant: GrantBody) -> bytes:
    """The bytes that a grant's proof covers: a domain of their own, and the digest of the body without its proof.

    Raises:
        GrantError: the grant has no canonical form.
    """
    return _encode((_DOMAIN, sha256(_canonical(grant, _PROOF))))


def body_of(grant: GrantBody) -> GrantBody:
    """The grant without header and chain: as it stands in the chains of its descendants."""
    if type(grant) is GrantBody:
        return grant
    return GrantBody(**{name: getattr(grant, name) for name in GrantBody.__struct_fields__})


def lineage_of(grant: Delegation) -> tuple[GrantBody, ...]:
    """The complete path, root first, the grant itself last."""
    return (*grant.chain, body_of(grant))


def travelling(lineage: tuple[GrantBody, ...], header: Header) -> Delegation:
    """The record that conveys the last grant of a path (root first).

    Raises:
        ValueError: the path is empty.
    """
    if not lineage:
        raise ValueError("a path without a grant conveys nothing")
    *chain, last = lineage
    fields = {name: getattr(last, name) for name in GrantBody.__struct_fields__}
    return Delegation(header=header, chain=tuple(chain), **fields)


def _canonical(grant: GrantBody, without: frozenset[str]) -> bytes:
    try:
        return canonical(_object(grant, GrantBody.__struct_fields__, without))
    except CanonicalError as error:
        raise GrantError(Reason.DELEGATION_MALFORMED, f"grant `{grant.uid[:80]!r}`: {error}") from None


def _object(record: msgspec.Struct, names: tuple[str, ...], without: frozenset[str] = _NONE) -> dict[str, object]:
    fields = ((name, getattr(record, name)) for name in names if name not in without)
    return {name: _value(name, value) for name, value in fields if value is not None and value != ()}


def _value(name: str, value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex() if name == "parent_digest" else base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [_value(name, item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _object(value, value.__struct_fields__)
    return value
