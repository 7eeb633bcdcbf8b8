"""Scalars of the records, and the base class of all records."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar
from unicodedata import category, normalize

import msgspec

_T = TypeVar("_T")

Millis = Annotated[int, msgspec.Meta(extra={"kind": "instant_ms"})]
"""An instant: milliseconds since the epoch (Avro timestamp-millis; see ADR 0008)."""

Uuid = Annotated[str, msgspec.Meta(min_length=36, max_length=36, extra={"kind": "uuid"})]
"""A UUID in its text form."""

Sha256 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32, extra={"kind": "sha256"})]
"""A SHA-256 digest or HMAC-SHA-256 (Avro fixed(32))."""


class Recurring(tuple[_T, ...]):
    """A list that many records have in common, such as the rules that matched.

    The codec encodes it once and keeps the result. Equal to any tuple with the same items.
    """

    __slots__ = ()


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An immutable record of the wire; its schema is `schemas/avro/<record>.v1.avsc`."""


class Header(Record, frozen=True, kw_only=True):
    """The beginning of every record. `time` is the writer's claim; decisions use the broker's time."""

    id: Uuid
    source: str
    time: Millis
    tenant_uid: str
    traceparent: str | None = None
    tracestate: str | None = None


class SubProfile(StrEnum):
    """The kind of principal that an actor is."""

    UNKNOWN = "UNKNOWN"
    USER = "USER"
    SERVICE = "SERVICE"
    WORKLOAD = "WORKLOAD"
    AI_AGENT = "AI_AGENT"


class Actor(Record, frozen=True, kw_only=True):
    """The party that acts (RFC 8693 `act`), or a subject in the same form."""

    iss: str
    sub: str
    sub_profile: SubProfile = SubProfile.UNKNOWN
    instance_uid: str | None = None
    jkt: str | None = None


def same_person(name: str) -> str:
    """Return a principal's name in the form that is compared: names that look the same count as the same.

    Case, width, composition, surrounding spaces and invisible characters make no difference.
    """
    shown = "".join(char for char in normalize("NFKC", name) if category(char) not in _UNSEEN)
    return normalize("NFKC", shown.casefold()).strip()


_UNSEEN = frozenset({"Cc", "Cf"})


class Model(Record, frozen=True, kw_only=True):
    """The model that proposed the call."""

    ai_provider: str
    name: str
    version: str | None = None


class ToolRef(Record, frozen=True, kw_only=True):
    """A tool as called: `server_id` is the operator's name for the server, never the server's own."""

    server_id: str
    name: str
    definition_digest: Sha256 | None = None
    catalog_version: int | None = None


def tool_text(tool: ToolRef) -> str:
    """Return a tool as people write it: `server/tool`."""
    return f"{tool.server_id}/{tool.name}"


class Encrypted(Record, frozen=True, kw_only=True):
    """Content encrypted with a data key (AES-GCM); destroying the key `kid` erases the content."""

    kid: str
    enc: str
    iv: bytes
    ciphertext: bytes
    tag: bytes


class WrappedKey(Record, frozen=True, kw_only=True):
    """A data key, encrypted under the key `kek` in the way that `alg` names."""

    kid: str
    kek: str
    alg: str
    wrapped: bytes


class ProofAlg(StrEnum):
    """How an intent proves its writer."""

    UNKNOWN = "UNKNOWN"
    HMAC_SHA256 = "HMAC_SHA256"
    ED25519 = "ED25519"


class Proof(Record, frozen=True, kw_only=True):
    """Proof of possession over an intent's decisive fields (`streams.model.proof`)."""

    alg: ProofAlg = ProofAlg.UNKNOWN
    kid: str | None = None
    value: bytes
