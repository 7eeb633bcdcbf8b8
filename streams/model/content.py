"""Sealed content: the fields that can be captured, the keys that open them, and the orders of those who erase.

What a key opens, and what an erasure means, is in `docs/adr/0075-sealed-content.md`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from streams.model.audit import RetentionClass
from streams.model.keys import session_key_of
from streams.model.session import SessionEventType
from streams.model.types import Header, Proof, Record, WrappedKey

CONTENT_ENC = "A256GCM"
"""How content is encrypted, in the name that JOSE has for it (RFC 7518)."""

WRAP_ALG = "RSA-OAEP-256"
"""How keys of sessions are wrapped, likewise."""

CONTENT_BYTES_MAX = 262_144
"""The longest content that is sealed; the end of a longer one is left out, and that is said in its place."""

KEYS_PER_SESSION_MAX = 256
"""How many keys a session can have: each writer takes a new one after `KEY_LIFE_MS`. Beyond, nothing is captured."""

REPORTED_KEYS_MAX = KEYS_PER_SESSION_MAX // 2
"""From how many keys of a session on no further key of a report is taken over: the rest are the gates'."""

KIDS_PER_ORDER_MAX = 1_000
"""How many keys one order of erasure names; a larger erasure has several orders."""

REASON_CHARS_MAX = 1_000

CONTENT_READ = "content_read"
CONTENT_ERASED = "content_erased"
HOLD_SET = "hold_set"
HOLD_LIFTED = "hold_lifted"
KEYS_REWRAPPED = "content_keys_rewrapped"
USES_OF_CONTENT = frozenset({CONTENT_READ, CONTENT_ERASED, HOLD_SET, HOLD_LIFTED, KEYS_REWRAPPED})
"""What people do with captured content, as their audit records name it. That it was captured, only gates say."""

_AAD_DOMAIN = "stoplog content v1"
_ORDER_DOMAIN = "stoplog content order v1"
_encode = msgspec.msgpack.Encoder().encode


class ContentField(StrEnum):
    """What of a session can be captured."""

    ARGUMENTS = "arguments"
    REQUEST = "request"
    PROMPT = "prompt"
    RESULTS = "results"
    MODEL_OUTPUT = "model_output"


FIELD_OF_EVENT = {
    SessionEventType.USER_MESSAGE: ContentField.REQUEST,
    SessionEventType.SYSTEM_PROMPT: ContentField.PROMPT,
    SessionEventType.MODEL_OUTPUT: ContentField.MODEL_OUTPUT,
    SessionEventType.TOOL_RESULT: ContentField.RESULTS,
    SessionEventType.RETRIEVAL: ContentField.RESULTS,
    SessionEventType.MEMORY_READ: ContentField.RESULTS,
}
"""The field that the content of a session event belongs to. Other events have no content."""


class ContentKey(Record, frozen=True, kw_only=True):
    """The wrapped key of some content of a session. Its tombstone erases that content.

    `header.time` is when the session got the key. `sub` is the subject of the session, as far as it was known then.
    """

    header: Header
    session_id: str
    sub: str | None = None
    key: WrappedKey
    retention_class: RetentionClass = RetentionClass.LEGAL_HOLD


class OrderKind(StrEnum):
    """What is ordered. An order of an unknown kind keeps everything, as a hold does."""

    UNKNOWN = "UNKNOWN"
    HOLD = "HOLD"
    LIFT = "LIFT"
    ERASURE = "ERASURE"


class ContentScope(StrEnum):
    """Whose content an order is about. An unknown scope is everybody's."""

    UNKNOWN = "UNKNOWN"
    SESSION = "SESSION"
    SUBJECT = "SUBJECT"
    TENANT = "TENANT"


class ContentOrder(Record, frozen=True, kw_only=True):
    """An order about sealed content: a legal hold, the end of one, or an erasure.

    `header.time` is when it was given, and `header.tenant_uid` whose content it is about. `id` is the session or the
    subject; of a whole tenant, the tenant. `kids` are the keys that an erasure destroys, as `key_name` names them.
    `proof` is the signature of the person.
    """

    header: Header
    kind: OrderKind = OrderKind.UNKNOWN
    scope: ContentScope = ContentScope.UNKNOWN
    id: str
    reason: str
    ordered_by: str
    kids: tuple[str, ...] = ()
    proof: Proof | None = None


def content_aad(tenant_uid: str, session_id: str, event_id: str, field: str, kid: str) -> bytes:
    """Return the associated data of some content: the only place where it decrypts.

    Args:
        event_id: the session event that holds the content; of arguments, the intent.
        field: a `ContentField`.
        kid: the key that it is encrypted with.
    """
    return _encode((_AAD_DOMAIN, tenant_uid, session_id, event_id, field, kid))


def content_key_key(session_key: bytes, kid: str) -> bytes:
    """Return the record key of a session's key: `tenant|session/kid`."""
    return session_key + b"/" + kid.encode()


def key_name(tenant_uid: str, session_id: str, kid: str) -> str:
    """Return how an order names a key: as its topic does. An id alone is not unique: writers of reports choose it.

    Raises:
        ValueError: there is no such tenant.
    """
    return content_key_key(session_key_of(tenant_uid, session_id), kid).decode()


def order_key(order: ContentOrder) -> bytes:
    """Return the record key of an order: an erasure has one of its own, a hold and its end share that of their target.

    The topic is not compacted, so no order takes the place of another on the log.
    """
    if order.kind is OrderKind.ERASURE:
        return f"erasure|{order.header.id}".encode()
    return f"hold|{order.header.tenant_uid}|{order.scope.value}|{order.id}".encode()


def order_message(order: ContentOrder, deployment: str) -> bytes:
    """Return the bytes that the signature of an order covers: everything but trace context and the signature itself.

    Args:
        deployment: the name of the deployment (the setting `content.deployment`).
    """
    header = order.header
    said = (order.kind.value, order.scope.value, order.id, order.reason, order.ordered_by, order.kids)
    return _encode((_ORDER_DOMAIN, deployment, header.tenant_uid, header.id, header.time, *said))
