"""What can be wrong with tokens, key sets and signing keys. Services translate it into the codes of their protocols."""

from __future__ import annotations

from enum import StrEnum

from streams.model.errors import StoplogError


class TokenFault(StrEnum):
    """Why a signed token does not count, as far as it can be told without knowing what it is for."""

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
    """A token does not count.

    Attributes:
        fault: why, by code.
        retry_after_ms: when another try makes sense; None where none does.
    """

    def __init__(self, fault: TokenFault, text: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.fault = fault
        self.retry_after_ms = retry_after_ms


class KeySetError(IdentityError):
    """What should be an issuer's key set is none, or can't be had."""


class KeyRingError(IdentityError):
    """The signing keys of a service can't be read, written or changed."""
