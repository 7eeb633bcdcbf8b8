"""The signature algorithms that can be allowed: asymmetric ones only (RFC 7518, RFC 8037, RFC 9864)."""

from __future__ import annotations

from typing import Literal, get_args

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]

ALGORITHMS: frozenset[str] = frozenset(get_args(Algorithm))
"""All of them, by name."""
