"""The canonical form of a grant, the bytes that are signed, and its digest.

The form is RFC 8785 (JCS) over the grant's JSON form (docs/reference/history-files.md): digests in hex, other bytes in
base64, instants as integer milliseconds, enums by symbol. Fields that are null or an empty array are left out, so that
a field that is added to the record later changes no digest of a grant without it.
"""

from __future__ import annotations

import base64
from enum import Enum

import msgspec

from streams.delegation.errors import GrantError
from streams.model.canonical import sha256
from streams.model.delegation import Delegation, GrantBody
from streams.model.reasons import Reason
from streams.model.types import Header

_DOMAIN = "stoplog grant v1"

_INT_MAX = 2**53 - 1

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder(order="sorted").encode


def grant_digest(grant: GrantBody) -> bytes:
    """Return the SHA-256 of the canonical form of the complete body with its proof; children have it as
    `parent_digest`.

    Of a `Delegation` it is the digest of its body: header and chain are not part of it.

    Raises:
        GrantError: the grant has no canonical form.
    """
    return sha256(_encoded(grant, _form(grant)))


def grant_message(grant: GrantBody) -> bytes:
    """Return the bytes that a grant's proof covers: a domain prefix, and the digest of the body without its proof.

    Raises:
        GrantError: the grant has no canonical form.
    """
    return message_and_digest(grant)[0]


def message_and_digest(grant: GrantBody) -> tuple[bytes, bytes]:
    """Return `grant_message` and `grant_digest`, computed together.

    Raises:
        GrantError: the grant has no canonical form.
    """
    form = _form(grant)
    digest = sha256(_encoded(grant, form))
    form.pop("proof", None)
    return _encode((_DOMAIN, sha256(_encoded(grant, form)))), digest


def body_of(grant: GrantBody) -> GrantBody:
    """Return the grant without header and chain, as it is in the chains of its descendants."""
    if type(grant) is GrantBody:
        return grant
    return GrantBody(**{name: getattr(grant, name) for name in GrantBody.__struct_fields__})


def lineage_of(grant: Delegation) -> tuple[GrantBody, ...]:
    """Return the complete path, root first, the grant itself last."""
    return (*grant.chain, body_of(grant))


def travelling(lineage: tuple[GrantBody, ...], header: Header) -> Delegation:
    """Return the record that conveys the last grant of a path (root first).

    Raises:
        ValueError: the path is empty.
    """
    if not lineage:
        raise ValueError("a path without a grant conveys nothing")
    *chain, last = lineage
    fields = {name: getattr(last, name) for name in GrantBody.__struct_fields__}
    return Delegation(header=header, chain=tuple(chain), **fields)


def _form(grant: GrantBody) -> dict[str, object]:
    try:
        return _object(grant, GrantBody.__struct_fields__)
    except OverflowError as error:
        raise _malformed(grant, str(error)) from None


def _encoded(grant: GrantBody, form: dict[str, object]) -> bytes:
    """Return the sorted, compact JSON, which is JCS already.

    Names are ASCII, texts have a UTF-8 form, and numbers are integers below 2^53, which `_form` has checked. JCS writes
    nothing of these in another way.
    """
    try:
        return _encode_json(form)
    except UnicodeError:
        raise _malformed(grant, "a text that is not valid Unicode") from None


def _malformed(grant: GrantBody, detail: str) -> GrantError:
    return GrantError(Reason.DELEGATION_MALFORMED, f"grant {grant.uid[:80]!r}, {detail}")


def _object(record: msgspec.Struct, names: tuple[str, ...]) -> dict[str, object]:
    made: dict[str, object] = {}
    for name in names:
        value = getattr(record, name)
        if value is not None and value != ():
            made[name] = value if type(value) is str else _value(name, value)
    return made


def _value(name: str, value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex() if name == "parent_digest" else base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [item if type(item) is str else _value(name, item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _object(value, value.__struct_fields__)
    if isinstance(value, int) and abs(value) > _INT_MAX:
        raise OverflowError(f"`{name}` is beyond 2^53 and would change in other parsers")
    return value
