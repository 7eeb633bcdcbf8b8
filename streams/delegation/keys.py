"""The keys of grants: who signs with which key, and how a signature is checked.

There are two kinds. `ed25519`: the proof's `kid` holds the public key in base64url, and a parent is bound to the RFC
7638 thumbprint of that key (`cnf_jkt`). `hmac`, inside one trust domain: keys that derive from the deployment's root
key, one for each issuer of roots and one for each session. They differ from the keys that prove intents, so a proof of
an intent is never a signature of a grant.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from streams.model.base64url import base64url
from streams.model.types import Proof, ProofAlg

PUBLIC_BYTES = 32
PUBLIC_KEYS_CACHED_MAX = 4_096
"""How many parsed public keys are cached (about 300 bytes each)."""

_ROOT_INFO = b"stoplog grant root key v1"
_HOP_INFO = b"stoplog grant hop key v1"
_KEY_BYTES = 32
_KID_CHARS = 43


class GrantKey(Protocol):
    """A key that signs grants, or (Ed25519 only) intents."""

    def prove(self, message: bytes) -> Proof:
        """Return the proof of a message."""


class HmacGrantKey:
    """Signs within one trust domain. Never shows its secret."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Use `root_grant_key` or `hop_grant_key`."""
        self._secret = secret

    def prove(self, message: bytes) -> Proof:
        """Return the HMAC-SHA-256 of the message."""
        return Proof(alg=ProofAlg.HMAC_SHA256, value=hmac.digest(self._secret, message, "sha256"))

    def verifies(self, message: bytes, value: bytes) -> bool:
        """Return whether `value` is this key's HMAC of the message, in a time that does not depend on where it
        differs."""
        return hmac.compare_digest(hmac.digest(self._secret, message, "sha256"), value)


_P = (1 << 255) - 19
_Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_SMALL_ORDER = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
"""The y of all points whose order divides eight; the sign of x does not matter."""


class Ed25519Key:
    """Signs for the actor that a grant is bound to (`cnf_jkt`), or for an issuer of roots.

    Attributes:
        public: the public key, 32 bytes.
        jkt: its thumbprint.
    """

    __slots__ = ("_sign", "jkt", "public")

    def __init__(self, sign: Callable[[bytes], bytes], public: bytes) -> None:
        """Create a key from a signing function and its public key: `SigningKey.sign` and `.public.raw`."""
        self._sign = sign
        self.public = public
        self.jkt = thumbprint(public)

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> Ed25519Key:
        """Return the key for a private key of `cryptography`."""
        return cls(private.sign, private.public_key().public_bytes_raw())

    def prove(self, message: bytes) -> Proof:
        """Return an Ed25519 signature (RFC 8032); `kid` holds the public key."""
        return Proof(alg=ProofAlg.ED25519, kid=base64url(self.public), value=self._sign(message))

    def __repr__(self) -> str:
        return f"Ed25519Key({self.jkt})"


def root_grant_key(root_key: bytes, tenant_uid: str, issuer_uid: str) -> HmacGrantKey:
    """Return the key with which an issuer signs root grants of a tenant: HKDF-SHA-256 of the deployment's root key."""
    return HmacGrantKey(_root_secret(root_key, tenant_uid, issuer_uid))


def hop_grant_key(session_secret: bytes) -> HmacGrantKey:
    """Return the key with which a session signs grants that it delegates: HKDF-Expand of the session's secret.

    Only the holder of the session's secret can do that.
    """
    return HmacGrantKey(_hop_secret(session_secret))


def thumbprint(public_key: bytes) -> str:
    """Return the RFC 7638 thumbprint of an Ed25519 public key (32 bytes) in the form of RFC 8037: 43 characters."""
    return _thumbprint(public_key)


def is_of_nobody(public_key: bytes) -> bool:
    """Return whether an Ed25519 public key (32 bytes) is a point of small order, or not a valid encoding of a point.

    For such keys there are valid signatures that nobody needs a secret for.
    """
    y = int.from_bytes(public_key, "little") & ((1 << 255) - 1)
    return y >= _P or y in _SMALL_ORDER


def verified_jkt(proof: Proof, message: bytes) -> str | None:
    """Return the thumbprint of the Ed25519 key that has signed the message; None if the proof is of another kind or
    invalid."""
    # The length first: keys that anybody may write must not fill the cache.
    if proof.alg is not ProofAlg.ED25519 or proof.kid is None or len(proof.kid) != _KID_CHARS:
        return None
    known = _public_key(proof.kid)
    if known is None:
        return None
    key, jkt = known
    try:
        key.verify(proof.value, message)
    except InvalidSignature:
        return None
    return jkt


@lru_cache(maxsize=PUBLIC_KEYS_CACHED_MAX)
def _public_key(kid: str) -> tuple[Ed25519PublicKey, str] | None:
    try:
        raw = base64.b64decode(kid + "=" * (-len(kid) % 4), altchars=b"-_", validate=True)
        # Written again it must be the same: base64 has several texts for one key.
        if len(raw) != PUBLIC_BYTES or base64url(raw) != kid or is_of_nobody(raw):
            return None
        return Ed25519PublicKey.from_public_bytes(raw), thumbprint(raw)
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=PUBLIC_KEYS_CACHED_MAX)
def _thumbprint(public_key: bytes) -> str:
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{base64url(public_key)}"}}'
    return base64url(hashlib.sha256(jwk.encode()).digest())


@lru_cache(maxsize=PUBLIC_KEYS_CACHED_MAX)
def _root_secret(root_key: bytes, tenant_uid: str, issuer_uid: str) -> bytes:
    names = b"".join(b"%d:%s" % (len(name), name) for name in (tenant_uid.encode(), issuer_uid.encode()))
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_ROOT_INFO + names).derive(root_key)


@lru_cache(maxsize=PUBLIC_KEYS_CACHED_MAX)
def _hop_secret(session_secret: bytes) -> bytes:
    return HKDFExpand(SHA256(), _KEY_BYTES, info=_HOP_INFO).derive(session_secret)
