"""Attributes of entities from outside: the owner, region or tier of a customer, a document, an account.

A rule that trusts an argument trusts the agent that chose it. What an operator's systems say about the thing that the
argument names does not come from the agent, so rules can rely on it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from streams.model.canonical import CanonicalError, parse_strict
from streams.model.keys import is_tenant_name
from streams.model.types import Header, Millis, Proof, Record

KIND_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
ID_CHARS_MAX = 256
ATTRIBUTES_BYTES_MAX = 8_192
"""The longest `attributes_json`, in bytes."""
ATTRIBUTES_MAX = 64
NAME_CHARS_MAX = 100
LIST_ITEMS_MAX = 100

BYTES_MAX = 268_435_456
"""Bytes of entities that a gate holds by default."""

TENANT_BYTES_MAX = 134_217_728
"""Bytes of one tenant's entities that a gate holds by default: some 400,000 with five attributes."""

OWNER_SUB = "owner_sub"
"""The attribute that says whose an entity is: the `sub` of its owner, or a list of them if it has several."""

Value = str | int | bool | list[str]
"""An attribute: text, a whole number, true or false, or a list of texts."""

_DOMAIN = "stoplog attributes v1"
_encode = msgspec.msgpack.Encoder().encode


class EntityAttributes(Record, frozen=True, kw_only=True):
    """Everything that is known of one entity; it replaces the record before it. A tombstone removes the entity.

    `attributes_json` is an object of text, whole numbers, bools and lists of texts. `observed_at` is when the source
    last knew it, if that is not when the record was written. `set_by` names the person who wrote the record, `reason`
    says why. `proof` is the signature of its writer.
    """

    header: Header
    kind: str
    id: str
    attributes_json: str
    observed_at: Millis | None = None
    set_by: str | None = None
    reason: str | None = None
    proof: Proof | None = None


class Room(NamedTuple):
    """How many bytes of keys and attributes are held.

    Attributes:
        bytes_max: of all tenants.
        tenant_bytes_max: of one tenant, so that no tenant takes the room of all others.
    """

    bytes_max: int = BYTES_MAX
    tenant_bytes_max: int = TENANT_BYTES_MAX


USUAL_ROOM = Room()
"""The room that a gate has by default."""


class AttributesError(ValueError):
    """The attributes, or the name of their entity, can't be used; the message says why."""


def tenant_in(key: bytes) -> bytes:
    """Return the part of an entity's key that names its tenant; of malformed keys, it may be any text."""
    return key.partition(b"|")[0]


def entity_key(tenant_uid: str, kind: str, entity_id: str) -> bytes:
    """Return `tenant|kind/id`, the key of an entity."""
    return f"{tenant_uid}|{kind}/{entity_id}".encode()


def attributes_message(record: EntityAttributes, deployment: str) -> bytes:
    """Return the bytes that the signature of a record covers: everything in it that is about the entity.

    Args:
        record: the record.
        deployment: the name of the deployment (the setting `attributes.deployment`), which keeps a record of one
            deployment from counting in another where both know the writer's key.
    """
    return _encode(
        (
            _DOMAIN,
            deployment,
            record.header.tenant_uid,
            record.header.id,
            record.header.time,
            record.kind,
            record.id,
            record.attributes_json,
            record.observed_at,
            record.set_by,
            record.reason,
        )
    )


def check_entity(tenant_uid: str, kind: str, entity_id: str) -> None:
    """Check the name of an entity.

    Raises:
        AttributesError: it can't be a name.
    """
    if not is_tenant_name(tenant_uid):
        raise AttributesError(f"tenant `{tenant_uid[:80]}` is empty, or contains `|` or NUL")
    if not KIND_PATTERN.match(kind):
        raise AttributesError(f"kind `{kind[:80]}` is not a name of up to 40 lower-case letters, digits and `_`")
    if not 0 < len(entity_id) <= ID_CHARS_MAX:
        raise AttributesError(f"an id must have 1 to {ID_CHARS_MAX} characters, found {len(entity_id)}")


def read_attributes(text: str) -> dict[str, Value]:
    """Parse `attributes_json`. A null stands for an attribute that is not known, and is left out.

    Raises:
        AttributesError: it is too long, not an object, or has a value of another kind.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > ATTRIBUTES_BYTES_MAX:
        raise AttributesError(f"the attributes have {size} bytes, at most {ATTRIBUTES_BYTES_MAX} are accepted")
    try:
        parsed = parse_strict(text)
    except CanonicalError as error:
        raise AttributesError(f"the attributes can't be read: {error}") from None
    if not isinstance(parsed, dict):
        raise AttributesError("the attributes must be an object")
    if len(parsed) > ATTRIBUTES_MAX:
        raise AttributesError(f"there are {len(parsed)} attributes, at most {ATTRIBUTES_MAX} are accepted")
    return {name: _value(name, value) for name, value in parsed.items() if value is not None}


def entity_id_of(value: object) -> str | None:
    """Return the entity id that a value states; None if it states none. The number 7 and the text `7` are one id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and 0 < len(value) <= ID_CHARS_MAX else None


def _value(name: str, value: object) -> Value:
    if not 0 < len(name) <= NAME_CHARS_MAX:
        raise AttributesError(f"the name of an attribute must have 1 to {NAME_CHARS_MAX} characters")
    if isinstance(value, str | int):
        return value
    if isinstance(value, list) and len(value) <= LIST_ITEMS_MAX and all(isinstance(item, str) for item in value):
        return value
    text = f"attribute `{name}` must be text, a whole number, true or false, or a list of at most {LIST_ITEMS_MAX}"
    raise AttributesError(f"{text} texts")
