"""Checks proofs of possession of a key (DPoP, RFC 9449): only these tokens state the key that signed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from streams.delegation.keys import is_of_nobody
from streams.identity.errors import TokenError, TokenFault
from streams.identity.jose import instant_claim, read_parts, text_claim, verify_signature
from streams.identity.single_use import Once

PROOF = "the DPoP proof"
AGE_MAX_MS = 60_000
_ALGORITHMS = frozenset({"EdDSA", "Ed25519"})
_MEMBERS = frozenset({"kty", "crv", "x"})


class ShownKey(NamedTuple):
    """A key whose possession was proven, by its thumbprint (RFC 7638)."""

    jkt: str
    once: Once


def shown_key(token: str, *, method: str, url: str, now_ms: int, skew_ms: int) -> ShownKey:
    """Check a proof for one request.

    Raises:
        TokenError: the proof is invalid, is for another request, or is too old.
    """
    parts = read_parts(token, PROOF)
    header, claims = parts.header, parts.claims
    algorithm, jwk = header.get("alg"), _public(header.get("jwk"))
    if header.get("typ") != "dpop+jwt" or header.keys() - {"typ", "alg", "jwk", "kid"}:
        raise TokenError(
            TokenFault.PROOF_INVALID, f"{PROOF} has a typ other than dpop+jwt, or an unexpected member in its header"
        )
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS or jwk is None:
        raise TokenError(TokenFault.PROOF_INVALID, f"{PROOF} is not signed with an Ed25519 key in its header")
    try:
        key = OKPKey.import_key(jwk)
    except (JoseError, ValueError):
        raise TokenError(TokenFault.PROOF_INVALID, f"{PROOF} has an invalid key") from None
    if is_of_nobody(key.public_key.public_bytes_raw()):
        raise TokenError(TokenFault.PROOF_INVALID, f"{PROOF} has a weak key, for which anybody can sign")
    verify_signature(token, key, algorithm, PROOF)
    if claims.get("htm") != method or claims.get("htu") != url:
        raise TokenError(TokenFault.PROOF_INVALID, f"{PROOF} is for another request than {method} {url}")
    made_ms = instant_claim(claims, "iat", PROOF)
    if made_ms is None or not -skew_ms <= now_ms - made_ms <= AGE_MAX_MS + skew_ms:
        raise TokenError(TokenFault.PROOF_INVALID, f"{PROOF} is too old, or from the future")
    jkt = key.thumbprint()
    name = hashlib.sha256(f"dpop {jkt} {text_claim(claims, 'jti', PROOF)}".encode()).digest()
    return ShownKey(jkt, Once(name, made_ms + AGE_MAX_MS + 2 * skew_ms))


def _public(jwk: object) -> dict[str, str | list[str]] | None:
    """Return the members of a public Ed25519 key; None if it is another kind of key, or has other members."""
    if not isinstance(jwk, Mapping) or jwk.keys() != _MEMBERS or (jwk["kty"], jwk["crv"]) != ("OKP", "Ed25519"):
        return None
    return {"kty": "OKP", "crv": "Ed25519", "x": jwk["x"]} if isinstance(jwk["x"], str) else None
