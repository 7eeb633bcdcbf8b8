"""Why a security event was not accepted, with the codes of RFC 8935 2.4."""

from __future__ import annotations

from enum import StrEnum

from streams.identity.errors import TokenError, TokenFault
from streams.model.errors import StoplogError


class SsfError(StoplogError):
    """The service can't start, or can't continue."""


class SetError(StrEnum):
    """The codes of RFC 8935."""

    INVALID_REQUEST = "invalid_request"
    INVALID_KEY = "invalid_key"
    INVALID_ISSUER = "invalid_issuer"
    INVALID_AUDIENCE = "invalid_audience"
    AUTHENTICATION_FAILED = "authentication_failed"


class RefusedSetError(StoplogError):
    """An event was rejected; it would be rejected again.

    Attributes:
        code: the code for the transmitter.
    """

    def __init__(self, code: SetError, text: str) -> None:
        super().__init__(text)
        self.code = code


class UnavailableError(StoplogError):
    """An event could not be processed now; the transmitter must retry."""


_KEYS = frozenset({TokenFault.KEY_UNKNOWN, TokenFault.SIGNATURE_INVALID, TokenFault.ALGORITHM_NOT_ALLOWED})


def as_set_error(error: TokenError) -> StoplogError:
    """Return the error for a transmitter that corresponds to an error of a token."""
    if error.fault is TokenFault.KEYS_UNAVAILABLE:
        return UnavailableError(str(error))
    return RefusedSetError(SetError.INVALID_KEY if error.fault in _KEYS else SetError.INVALID_REQUEST, str(error))
