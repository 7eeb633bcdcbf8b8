"""Errors of tokens, key sets and signing keys. Services translate them into the codes of their protocols."""

from __future__ import annotations

from enum import StrEnum

from streams.model.errors import StoplogError


class TokenFault(StrEnum):
    """Why a signed token is invalid, whatever its purpose."""

    MALFORMED = "malformed"
    HEADER_NOT_ALLOWED = "header_not_allowed"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    KEY_UNKNOWN = "key_unknown"
    KEYS_UNAVAILABLE = "keys_unavailable"
    SIGNATURE_INVALID = "signature_invalid"
    CLAIM_MISSING = "claim_missing"
    PROOF_INVALID = "proof_invalid"


class IdentityError(StoplogError):
    """A token, a key set or a signing key can't be used."""


class TokenError(IdentityError):
    """A token is invalid, or can't be checked now.

    Attributes:
        fault: the code.
        retry_after_ms: after which time a retry makes sense; None if it never does.
    """

    def __init__(self, fault: TokenFault, text: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.fault = fault
        self.retry_after_ms = retry_after_ms


class KeySetError(IdentityError):
    """The key set of an issuer is invalid, or can't be fetched."""


class KeyRingError(IdentityError):
    """The signing keys of a service can't be read, written or changed."""
