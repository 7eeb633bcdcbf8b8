"""Proof of possession of a session's key, and of its writer's: what is proven, and by which key.

A Kafka record carries no principal, so an intent proves who made it, and an event that says what a session may do
proves that the token service wrote it. The keys are derived from the deployment's root key, so a gate needs no look-up
and no state to check a proof.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum
from functools import lru_cache

import msgspec

from streams.model.intent import Intent
from streams.model.session import SessionEvent
from streams.model.types import Proof, ProofAlg

_KEY_INFO = b"stoplog session key v1"
_WRITER_INFO = b"stoplog session-writer key v1"
_PROOF_DOMAIN = "stoplog intent proof v1"
_WRITER_DOMAIN = "stoplog session event proof v1"
_NOT_PROVEN = frozenset({"proof", "traceparent", "tracestate"})
"""Fields outside of a session event's proof: itself, and what whoever passes the record on may change."""

_HASH_BYTES = 32
_BLOCK_BYTES = 64
_INNER_PAD = bytes(value ^ 0x36 for value in range(256))
_OUTER_PAD = bytes(value ^ 0x5C for value in range(256))

SECRETS_CACHED_MAX = 16_384
"""Session keys that are kept ready (some 200 bytes each): those of the sessions that are at work."""

_encode = msgspec.msgpack.Encoder().encode
# Lengths are written before what they measure; nearly all are short.
_LENGTHS = tuple(b"%d:" % length for length in range(256))
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def session_secret(root_key: bytes, tenant_uid: str, session_id: str) -> bytes:
    """A session's key: HKDF-SHA-256 (RFC 5869) of the root key, bound to tenant and session. 32 bytes."""
    return _expanded(root_key, tenant_uid, session_id)


@lru_cache(maxsize=SECRETS_CACHED_MAX)
def _expanded(root_key: bytes, tenant_uid: str, session_id: str) -> bytes:
    info = _joined((_KEY_INFO, tenant_uid.encode(), session_id.encode()))
    return make_hmac(_extracted(root_key), info + b"\x01")


@lru_cache(maxsize=1)
def _extracted(root_key: bytes) -> bytes:
    return hmac.digest(b"\x00" * _HASH_BYTES, root_key, "sha256")


def proof_message(intent: Intent) -> bytes:
    """The bytes that a proof covers: every field of the intent that a decision can depend on.

    A msgpack array (shortest forms, as every library writes them): values carry their lengths, so that no two
    different intents share a message. `args_digest` stands for the arguments; the gate recomputes it before it checks
    the proof.
    """
    header, act, tool, model, reply = intent.header, intent.act, intent.tool, intent.model, intent.reply_to
    return _encode(
        (
            _PROOF_DOMAIN,
            header.tenant_uid,
            intent.session_id,
            intent.intent_id,
            intent.sub,
            act.iss,
            act.sub,
            act.instance_uid or "",
            tool.server_id,
            tool.name,
            tool.definition_digest,
            intent.args_digest,
            header.time,
            intent.tool_call_id,
            intent.turn,
            intent.delegation_uid or "",
            intent.txn or "",
            intent.approval_id,
            intent.deadline,
            None if model is None else (model.ai_provider, model.name, model.version or ""),
            intent.user_request_digest,
            intent.system_prompt_digest,
            intent.toolset_digest,
            None if reply is None else (reply.topic, reply.partition),
            intent.claimed_sources,
        )
    )


def session_writer_key(root_key: bytes) -> bytes:
    """The key of whoever opens sessions and says what they may do: HKDF-SHA-256 of the root key. 32 bytes."""
    return hmac.digest(_extracted(root_key), _joined((_WRITER_INFO,)) + b"\x01", "sha256")


def session_event_message(event: SessionEvent) -> bytes:
    """The bytes that the proof of a session event covers: all that it says.

    A msgpack array of the domain and the record; a record is the array of its fields, in order of their names, each as
    name and value. Fields that have their schema's default are left out, so that a field which is added one day
    changes no message without it.
    """
    return _encode((_WRITER_DOMAIN, _said(event)))


def proven_event(writer_key: bytes, event: SessionEvent) -> SessionEvent:
    """The event with its writer's proof, in place of any that it had."""
    value = make_hmac(writer_key, session_event_message(event))
    return msgspec.structs.replace(event, proof=Proof(alg=ProofAlg.HMAC_SHA256, value=value))


def is_proven_event(writer_key: bytes, event: SessionEvent) -> bool:
    """Whether the event carries its writer's proof."""
    proof = event.proof
    if proof is None or proof.alg is not ProofAlg.HMAC_SHA256:
        return False
    return verify_hmac(writer_key, session_event_message(event), proof.value)


def make_hmac(secret: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104), 32 bytes.

    By its definition, with the key's two pads kept ready: `hmac.digest` sets its library up anew for each message,
    which costs three times as much for a short one, and an intent needs two.
    """
    inner, outer = _pads(secret)
    return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).digest()


def verify_hmac(secret: bytes, message: bytes, value: bytes) -> bool:
    """Whether `value` is the HMAC; takes the same time wherever it differs."""
    return hmac.compare_digest(make_hmac(secret, message), value)


@lru_cache(maxsize=SECRETS_CACHED_MAX)
def _pads(secret: bytes) -> tuple[bytes, bytes]:
    key = secret if len(secret) <= _BLOCK_BYTES else hashlib.sha256(secret).digest()
    block = key.ljust(_BLOCK_BYTES, b"\x00")
    return block.translate(_INNER_PAD), block.translate(_OUTER_PAD)


def derived_uuid(domain: str, *parts: str) -> str:
    """A UUID (version 8, RFC 9562) that follows from its parts: the same wherever and however often it is made."""
    text = hashlib.sha256(_joined((domain.encode(), *[part.encode() for part in parts]))).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:32]}"


def _said(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        held = ((name, getattr(value, name), default) for name, default in _fields_of(type(value)))
        return [(name, _said(item)) for name, item, default in held if item != default]
    if isinstance(value, tuple):
        return [_said(item) for item in value]
    return value.value if isinstance(value, Enum) else value


@lru_cache(maxsize=32)
def _fields_of(kind: type[msgspec.Struct]) -> tuple[tuple[str, object], ...]:
    """The names of a record's fields that are proven, in order, with their defaults."""
    fields = ((field.name, field.default) for field in msgspec.structs.fields(kind))
    return tuple(sorted(((name, default) for name, default in fields if name not in _NOT_PROVEN), key=lambda f: f[0]))


def _joined(parts: tuple[bytes, ...]) -> bytes:
    flat: list[bytes] = []
    append = flat.append
    for part in parts:
        length = len(part)
        append(_LENGTHS[length] if length < len(_LENGTHS) else b"%d:" % length)
        append(part)
    return b"".join(flat)
