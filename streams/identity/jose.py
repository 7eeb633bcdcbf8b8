"""Reads signed tokens (RFC 7515, 7519), strictly: only content that configured keys have signed is used.

The header of a token never says where keys come from, and its algorithm must be one that is allowed and fits the key.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from streams.identity.algorithms import ALGORITHMS
from streams.identity.errors import TokenError, TokenFault
from streams.model.canonical import CanonicalError, parse_strict

PublicKey = RSAKey | ECKey | OKPKey
Find = Callable[[str], PublicKey | None]
"""Returns the key of an id; None if there is no such key."""

TOKEN_CHARS_MAX = 16_384
HEADER_CHARS_MAX = 2_048
NAME_CHARS_MAX = 1_024
_PARTS = 3
_SIGNATURE_BYTES_MAX = 1_024

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
"""Base64url only: libraries differ in the other characters that they ignore."""

_UNUSABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that names must not contain: controls, line ends, changes of writing direction, lone surrogates."""

_POISON = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk"})
"""Header members that state the source of keys, or change how a token is read."""

_ED25519 = frozenset({"EdDSA", "Ed25519"})
"""The old and the new name of one algorithm."""

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


def is_plain(text: str) -> bool:
    """Return whether a text has no characters that names must not contain."""
    return _UNUSABLE.search(text) is None


def plain_text(text: str) -> str:
    """Return a text for a record, with question marks in place of the characters that names must not contain."""
    return _UNUSABLE.sub("?", text)


class Unverified(NamedTuple):
    """The parts of a token. Nothing in it has been verified."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]

    def __repr__(self) -> str:
        """Without the token."""
        return f"Unverified({self.claims.get('jti')!r})"


def take_apart(token: str, what: str) -> Unverified:
    """Parse a compact token.

    Args:
        what: the name of the token in errors.

    Raises:
        TokenError: it is malformed or too large, or its header has a member that is not allowed.
    """
    parts = read_parts(token, what)
    poison = sorted(_POISON & parts.header.keys())
    if poison:
        raise TokenError(
            TokenFault.HEADER_NOT_ALLOWED,
            f"{what} has the header member {poison[0]}, which is not allowed; keys come from the settings only",
        )
    return parts


def read_parts(token: str, what: str) -> Unverified:
    """Parse a compact token with any header.

    Raises:
        TokenError: it is malformed or too large.
    """
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenError(TokenFault.MALFORMED, f"{what} has {len(token)} characters, more than {TOKEN_CHARS_MAX}")
    parts = token.split(".")
    if len(parts) != _PARTS or not _COMPACT.fullmatch(token) or len(parts[0]) > HEADER_CHARS_MAX:
        raise TokenError(TokenFault.MALFORMED, f"{what} is not a signed token in compact form")
    header, claims = (_object(part, what) for part in parts[:2])
    return Unverified(token, header, claims)


def verified(unverified: Unverified, find: Find, algorithms: Collection[str], what: str) -> dict[str, Any]:
    """Verify a token's signature, and return its claims.

    Raises:
        TokenError: the algorithm is not allowed, the key is unknown, or the signature is invalid.
    """
    header = unverified.header
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHMS:
        raise TokenError(TokenFault.ALGORITHM_NOT_ALLOWED, f"{what} is signed with an algorithm that is not allowed")
    if not isinstance(kid, str) or not kid or len(kid) > NAME_CHARS_MAX:
        raise TokenError(TokenFault.KEY_UNKNOWN, f"{what} has no key id (kid)")
    key = find(kid)
    if key is None:
        raise TokenError(TokenFault.KEY_UNKNOWN, f"{what} is signed with a key that its issuer does not have")
    verify_signature(unverified.token, key, algorithm, what)
    return unverified.claims


def verify_signature(token: str, key: PublicKey, algorithm: str, what: str) -> None:
    """Check a signature with one key and one algorithm, whatever the token states.

    Raises:
        TokenError: the signature is invalid, or the key does not fit the algorithm.
    """
    stated = key.get("alg")
    same = _ED25519 if algorithm in _ED25519 else {algorithm}
    if not _fits(key, algorithm) or (stated is not None and stated not in same):
        raise TokenError(
            TokenFault.ALGORITHM_NOT_ALLOWED, f"{what} is signed with an algorithm that does not fit its key"
        )
    try:
        deserialize_compact(token, key, algorithms=[algorithm], registry=_OneAlgorithm(algorithm))
    except (JoseError, ValueError) as error:
        text = f"the signature of {what} is invalid ({type(error).__name__})"
        raise TokenError(TokenFault.SIGNATURE_INVALID, text) from None


class _OneAlgorithm(JWSRegistry):
    """Restricts the library to one allowed algorithm and to bounded sizes.

    It also avoids the library's warning about `EdDSA`: RFC 9864 deprecates this name, but issuers still use it. Only
    Ed25519 keys fit it here.
    """

    max_header_length = HEADER_CHARS_MAX
    max_payload_length = TOKEN_CHARS_MAX
    max_signature_length = _SIGNATURE_BYTES_MAX

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self._algorithm = algorithm

    def get_alg(self, name: str) -> Any:
        """Return the one algorithm."""
        if name != self._algorithm:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


def _fits(key: PublicKey, algorithm: str) -> bool:
    if isinstance(key, RSAKey):
        return algorithm[:2] in ("RS", "PS")
    return _CURVES.get(algorithm) == key.curve_name


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = parse_strict(raw.decode())
    except (binascii.Error, UnicodeDecodeError, CanonicalError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise TokenError(TokenFault.MALFORMED, f"{what} is not a signed token: a part of it is not a JSON object")
    return value


def text_claim(claims: dict[str, Any], name: str, what: str) -> str:
    """Return a claim that must be a text.

    Raises:
        TokenError: the claim is missing, not a text, empty, or too long.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX or _UNUSABLE.search(value):
        raise TokenError(TokenFault.CLAIM_MISSING, f"{what} has no usable claim {name}")
    return value


def instant_claim(claims: dict[str, Any], name: str, what: str) -> int | None:
    """Return a NumericDate in ms; None if the claim is missing.

    Raises:
        TokenError: the claim is not a number, or out of range.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FAR_S:
        raise TokenError(TokenFault.CLAIM_MISSING, f"{what} has a claim {name} that is not an instant")
    return int(value * 1_000)


_FAR_S = 1 << 40


def compact_json(value: object) -> bytes:
    """Return JSON without spaces, for tokens."""
    return json.dumps(value, separators=(",", ":")).encode()
