"""Reading signed tokens (RFC 7515, 7519), strictly: what is looked at is only what configured keys have signed.

A token's own header never says where keys come from, and its algorithm counts only if it was allowed beforehand and
fits the key.
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
"""The key of an id."""

TOKEN_CHARS_MAX = 16_384
HEADER_CHARS_MAX = 2_048
NAME_CHARS_MAX = 1_024
_PARTS = 3
_SIGNATURE_BYTES_MAX = 1_024

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
"""Nothing but base64url: libraries differ in what else they read past."""

_UNUSABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What no name has in it: controls, line ends, turns of the direction of writing, halves of characters."""

_POISON = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk"})
"""What says where keys come from, or that a token is to be read otherwise."""

_ED25519 = frozenset({"EdDSA", "Ed25519"})
"""One algorithm by its old name and its new one."""

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


def is_plain(text: str) -> bool:
    """Whether nothing is in it that would be read otherwise than it is seen."""
    return _UNUSABLE.search(text) is None


class Unverified(NamedTuple):
    """A token that was taken apart. Nothing in it has been checked."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]

    def __repr__(self) -> str:
        """Without the token."""
        return f"Unverified({self.claims.get('jti')!r})"


def take_apart(token: str, what: str) -> Unverified:
    """Take a compact token apart.

    Args:
        what: what errors call it.

    Raises:
        TokenError: it is none, is too large, or its header says more than it may.
    """
    parts = read_parts(token, what)
    poison = sorted(_POISON & parts.header.keys())
    if poison:
        raise TokenError(
            TokenFault.HEADER_NOT_ALLOWED, f"{what} has the header {poison[0]}; keys come from settings alone"
        )
    return parts


def read_parts(token: str, what: str) -> Unverified:
    """Take a compact token apart, whatever its header says.

    Raises:
        TokenError: it is none, or is too large.
    """
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenError(TokenFault.MALFORMED, f"{what} has {len(token)} characters, at most {TOKEN_CHARS_MAX}")
    parts = token.split(".")
    if len(parts) != _PARTS or not _COMPACT.fullmatch(token) or len(parts[0]) > HEADER_CHARS_MAX:
        raise TokenError(TokenFault.MALFORMED, f"{what} is no signed token in compact form")
    header, claims = (_object(part, what) for part in parts[:2])
    return Unverified(token, header, claims)


def verified(unverified: Unverified, find: Find, algorithms: Collection[str], what: str) -> dict[str, Any]:
    """The claims of a token that one of the keys has signed.

    Raises:
        TokenError: the algorithm is not allowed, there is no such key, or it has not signed the token.
    """
    header = unverified.header
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHMS:
        raise TokenError(TokenFault.ALGORITHM_NOT_ALLOWED, f"{what} is signed with an algorithm that is not allowed")
    if not isinstance(kid, str) or not kid or len(kid) > NAME_CHARS_MAX:
        raise TokenError(TokenFault.KEY_UNKNOWN, f"{what} names no key")
    key = find(kid)
    if key is None:
        raise TokenError(TokenFault.KEY_UNKNOWN, f"{what} is signed with a key that its issuer does not have")
    verify_signature(unverified.token, key, algorithm, what)
    return unverified.claims


def verify_signature(token: str, key: PublicKey, algorithm: str, what: str) -> None:
    """Check a signature under one key and one algorithm, whatever the token says.

    Raises:
        TokenError: it does not hold, or the key is of another kind.
    """
    stated = key.get("alg")
    same = _ED25519 if algorithm in _ED25519 else {algorithm}
    if not _fits(key, algorithm) or (stated is not None and stated not in same):
        raise TokenError(
            TokenFault.ALGORITHM_NOT_ALLOWED, f"{what} is signed with an algorithm that its key is not for"
        )
    try:
        deserialize_compact(token, key, algorithms=[algorithm], registry=_OneAlgorithm(algorithm))
    except (JoseError, ValueError) as error:
        text = f"the signature of {what} does not hold ({type(error).__name__})"
        raise TokenError(TokenFault.SIGNATURE_INVALID, text) from None


class _OneAlgorithm(JWSRegistry):
    """What the library may do for one token: one algorithm, which was allowed beforehand, and bounded sizes.

    It would warn of `EdDSA`, a name that RFC 9864 deprecates and issuers go on to use; only Ed25519 keys fit it here.
    """

    max_header_length = HEADER_CHARS_MAX
    max_payload_length = TOKEN_CHARS_MAX
    max_signature_length = _SIGNATURE_BYTES_MAX

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self._algorithm = algorithm

    def get_alg(self, name: str) -> Any:
        """The one algorithm."""
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
        raise TokenError(TokenFault.MALFORMED, f"{what} is no signed token: a part of it is no JSON object")
    return value


def text_claim(claims: dict[str, Any], name: str, what: str) -> str:
    """A claim that must be a text.

    Raises:
        TokenError: it is none, is empty, or too long.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX or _UNUSABLE.search(value):
        raise TokenError(TokenFault.CLAIM_MISSING, f"{what} has no usable claim {name}")
    return value


def instant_claim(claims: dict[str, Any], name: str, what: str) -> int | None:
    """A NumericDate as ms; None where there is none.

    Raises:
        TokenError: it is no number, or out of all reason.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FAR_S:
        raise TokenError(TokenFault.CLAIM_MISSING, f"{what} has a claim {name} that is no instant")
    return int(value * 1_000)


_FAR_S = 1 << 40


def compact_json(value: object) -> bytes:
    """JSON without spaces, for tokens."""
    return json.dumps(value, separators=(",", ":")).encode()
