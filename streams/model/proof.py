"""Proof of possession of a session's key, and of the writer of its events: what is proven, and with which key.

A Kafka record carries no principal. So an intent proves its writer, and an event that says what a session may do proves
that the token service wrote it. The keys derive from the deployment's root key, so a gate needs no lookup and no state
to check a proof.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from streams.model.intent import Intent
from streams.model.session import SessionEvent
from streams.model.types import Actor, Proof, ProofAlg

if TYPE_CHECKING:
    from hashlib import _Hash

ROOT_KEY_BYTES_MIN = 32
ROOT_KEY_BYTES_MAX = 4_096
_KEY_INFO = b"stoplog session key v1"
_WRITER_INFO = b"stoplog session-writer key v1"
_PROOF_DOMAIN = "stoplog intent proof v1"
_WRITER_DOMAIN = "stoplog session event proof v1"
_REPORT_DOMAIN = "stoplog report proof v1"
_REPORT_KEY_INFO = b"stoplog report key for development v1"
_SEAL_KEY_INFO = b"stoplog seal key v1"
_PROMPT_KEY_INFO = b"stoplog prompt key v1"
REPORT_DIGEST_BYTES = 16
_NOT_PROVEN = frozenset({"proof", "traceparent", "tracestate"})
"""Fields that a session event's proof does not cover: the proof itself, and headers that may change in transit."""

_HASH_BYTES = 32
_BLOCK_BYTES = 64
_INNER_PAD = bytes(value ^ 0x36 for value in range(256))
_OUTER_PAD = bytes(value ^ 0x5C for value in range(256))

SECRETS_CACHED_MAX = 8_192
"""How many session keys are cached (about 200 bytes each): those of the active sessions."""

_encode = msgspec.msgpack.Encoder().encode
# Lengths are written before the values; nearly all are short.
_LENGTHS = tuple(b"%d:" % length for length in range(256))
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_HMAC = ProofAlg.HMAC_SHA256


def session_secret(root_key: bytes, tenant_uid: str, session_id: str) -> bytes:
    """Return a session's key: HKDF-SHA-256 (RFC 5869) of the root key, bound to tenant and session. 32 bytes."""
    return derived_key(root_key, _KEY_INFO, tenant_uid, session_id)


def prompt_fingerprint(root_key: bytes, tenant_uid: str, act: Actor, digest: bytes) -> bytes:
    """Return what identifies a system prompt among those of one agent: an HMAC under a key of the agent, 32 bytes.

    The key is bound to tenant and agent, not to the session, so a prompt has the same fingerprint in all sessions of
    the agent. Without the root key, nobody can find out which prompt it is, or that two agents have the same one.

    Args:
        root_key: of the deployment.
        tenant_uid: the tenant.
        act: the agent; its instance makes no difference.
        digest: SHA-256 of the prompt.
    """
    # The length of the issuer keeps two agents apart whose names run together.
    agent = f"{len(act.iss)}:{act.iss}{act.sub}"
    return make_hmac(derived_key(root_key, _PROMPT_KEY_INFO, tenant_uid, agent), digest)


@lru_cache(maxsize=SECRETS_CACHED_MAX)
def derived_key(root_key: bytes, purpose: bytes, tenant_uid: str, owner: str) -> bytes:
    """Return a key for a purpose, bound to a tenant and an owner: HKDF-SHA-256 (RFC 5869) of the root key. 32 bytes."""
    info = _joined((purpose, tenant_uid.encode(), owner.encode()))
    return make_hmac(_extracted(root_key), info + b"\x01")


@lru_cache(maxsize=1)
def _extracted(root_key: bytes) -> bytes:
    return hmac.digest(b"\x00" * _HASH_BYTES, root_key, "sha256")


def proof_message(intent: Intent) -> bytes:
    """Return the bytes that a proof covers: every field of the intent that a decision can depend on.

    They are a msgpack array (shortest forms, as every library writes them): values carry their lengths, so no two
    different intents share a message. `args_digest` stands for the arguments; the gate computes it again after it has
    checked the proof.
    """
    header, act, tool, model, reply = intent.header, intent.act, intent.tool, intent.model, intent.reply_to
    # Only where it is stated: so a proof of an intent without it stays as it always was.
    stated = () if intent.conversation_id is None else (intent.conversation_id,)
    if intent.agent_version is not None:
        # With its name, so that it can't be read as a conversation.
        stated = (*stated, ("agent_version", intent.agent_version))
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
            *stated,
        )
    )


def has_session_proof(root_key: bytes, intent: Intent) -> bool:
    """Return whether an intent carries an HMAC under its session's key.

    The proof covers the digest of the arguments that the intent states. So it is checked without a look at them.
    """
    proof = intent.proof
    if proof is None or proof.alg is not _HMAC:
        return False
    secret = session_secret(root_key, intent.header.tenant_uid, intent.session_id)
    return verify_hmac(secret, proof_message(intent), proof.value)


def session_writer_key(root_key: bytes) -> bytes:
    """Return the key of the service that opens sessions and says what they may do: HKDF-SHA-256 of the root key. 32
    bytes."""
    return hmac.digest(_extracted(root_key), _joined((_WRITER_INFO,)) + b"\x01", "sha256")


def session_event_message(event: SessionEvent) -> bytes:
    """Return the bytes that the proof of a session event covers: all of its content.

    They are a msgpack array of the domain and the record. A record is the array of its fields, in order of their names,
    each as name and value. Fields with their schema's default are left out, so that a field that is added later changes
    no message without it.
    """
    return _encode((_WRITER_DOMAIN, _said(event)))


def proven_event(writer_key: bytes, event: SessionEvent) -> SessionEvent:
    """Return the event with its writer's proof, which replaces any other."""
    value = make_hmac(writer_key, session_event_message(event))
    return msgspec.structs.replace(event, proof=Proof(alg=_HMAC, value=value))


def is_proven_event(writer_key: bytes, event: SessionEvent) -> bool:
    """Return whether the event carries its writer's proof."""
    proof = event.proof
    if proof is None or proof.alg is not _HMAC:
        return False
    return verify_hmac(writer_key, session_event_message(event), proof.value)


def is_proven_by_server(event: SessionEvent) -> bool:
    """Return whether the proof of an event, which was found to hold, is that of a server and not of the session's agent
    or the token service."""
    return event.proof is not None and event.proof.alg is ProofAlg.ED25519


def report_message(event: SessionEvent, deployment: str) -> bytes:
    """Return the bytes that the proof of a report covers: all of its content, and the deployment that it is made in.

    So a report counts for its tenant, session, verdict and server alone, and for no other deployment in which the
    server has the same key. The form is that of `session_event_message`.
    """
    return _encode((_REPORT_DOMAIN, deployment, _said(event)))


def report_digest(event: SessionEvent) -> bytes:
    """Return `REPORT_DIGEST_BYTES` bytes that are equal for reports which say the same, whatever their headers."""
    held = ((name, getattr(event, name), default) for name, default in _fields_of(SessionEvent))
    content = [(name, _said(item)) for name, item, default in held if item != default and name != "header"]
    return hashlib.sha256(_encode(content)).digest()[:REPORT_DIGEST_BYTES]


def session_report(secret: bytes, event: SessionEvent, deployment: str) -> SessionEvent:
    """Return the report with the proof of the session's agent, which replaces any other.

    Args:
        secret: the session's key (`session_secret`).
        event: one of `REPORTS` that is not a completion.
        deployment: the name of the deployment; see `report_message`.
    """
    value = make_hmac(secret, report_message(event, deployment))
    return msgspec.structs.replace(event, proof=Proof(alg=_HMAC, value=value))


def report_key_seed(root_key: bytes, server_id: str) -> bytes:
    """Return the private key with which a server reports where nobody issues keys: in development, and in histories.

    It is HKDF-SHA-256 of the root key (32 bytes), so only whoever has the root key can make it.
    """
    return hmac.digest(_extracted(root_key), _joined((_REPORT_KEY_INFO, server_id.encode())) + b"\x01", "sha256")


def seal_key_seed(root_key: bytes) -> bytes:
    """Return the private key with which gates sign seals where nobody has made a key for that.

    It is HKDF-SHA-256 of the root key (32 bytes), so only whoever has the root key can make it.
    """
    return hmac.digest(_extracted(root_key), _joined((_SEAL_KEY_INFO,)) + b"\x01", "sha256")


def make_hmac(secret: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 (RFC 2104), 32 bytes.

    Computed by its definition, with the key's two pads hashed already: `hmac.digest` sets up its library for each
    message, which costs four times as much for a short one, and an intent needs two, and one for each of its values.
    """
    inner_pad, outer_pad = hashed_pads(secret)
    inner = inner_pad.copy()
    inner.update(message)
    outer = outer_pad.copy()
    outer.update(inner.digest())
    return outer.digest()


def verify_hmac(secret: bytes, message: bytes, value: bytes) -> bool:
    """Return whether `value` is the HMAC, in a time that does not depend on where it differs."""
    return hmac.compare_digest(make_hmac(secret, message), value)


@lru_cache(maxsize=SECRETS_CACHED_MAX)
def hashed_pads(secret: bytes) -> tuple[_Hash, _Hash]:
    """Return the two hashes of an HMAC that have read the pads of its key. Copy them: they never read more."""
    key = secret if len(secret) <= _BLOCK_BYTES else hashlib.sha256(secret).digest()
    block = key.ljust(_BLOCK_BYTES, b"\x00")
    return hashlib.sha256(block.translate(_INNER_PAD)), hashlib.sha256(block.translate(_OUTER_PAD))


def derived_uuid(domain: str, *parts: str) -> str:
    """Return a UUID (version 8, RFC 9562) that derives from its parts: always the same for the same parts."""
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
    """Return the names of a record's proven fields, in order, with their defaults."""
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
