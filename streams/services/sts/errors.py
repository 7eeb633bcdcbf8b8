"""The refusals of the token service, with stable codes: those of OAuth for clients, its own for people and records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from streams.identity.errors import TokenError, TokenFault
from streams.model.errors import StoplogError
from streams.model.token_reasons import TokenReason


class StsError(StoplogError):
    """The token service can't start, or can't continue."""


_CODES: dict[TokenReason, str] = {
    TokenReason.GRANT_TYPE_UNSUPPORTED: "unsupported_grant_type",
    TokenReason.AGENT_UNKNOWN: "unauthorized_client",
    TokenReason.CLIENT_MISMATCH: "unauthorized_client",
    TokenReason.SCOPE_TOO_WIDE: "invalid_scope",
    TokenReason.TARGET_TOO_WIDE: "invalid_target",
    TokenReason.TOOLS_TOO_WIDE: "invalid_authorization_details",
    TokenReason.TOO_MANY_REQUESTS: "temporarily_unavailable",
    TokenReason.LOG_UNAVAILABLE: "temporarily_unavailable",
    TokenReason.KEYS_UNAVAILABLE: "temporarily_unavailable",
}
_STATUS: dict[TokenReason, int] = {
    TokenReason.TOO_MANY_REQUESTS: 429,
    TokenReason.LOG_UNAVAILABLE: 503,
    TokenReason.KEYS_UNAVAILABLE: 503,
}
_REASONS: Mapping[TokenFault, TokenReason] = {
    TokenFault.MALFORMED: TokenReason.TOKEN_MALFORMED,
    TokenFault.HEADER_NOT_ALLOWED: TokenReason.HEADER_NOT_ALLOWED,
    TokenFault.ALGORITHM_NOT_ALLOWED: TokenReason.ALGORITHM_NOT_ALLOWED,
    TokenFault.KEY_UNKNOWN: TokenReason.KEY_UNKNOWN,
    TokenFault.KEYS_UNAVAILABLE: TokenReason.KEYS_UNAVAILABLE,
    TokenFault.SIGNATURE_INVALID: TokenReason.SIGNATURE_INVALID,
    TokenFault.CLAIM_MISSING: TokenReason.CLAIM_MISSING,
    TokenFault.PROOF_INVALID: TokenReason.PROOF_INVALID,
}
_TEXT_CHARS_MAX = 300


class RefusedError(StoplogError):
    """A request is refused.

    Attributes:
        reason: the code.
        retry_after_ms: after which time a retry makes sense; None if it never does.
        is_on_record: whether an audit record of it was written.
    """

    def __init__(self, reason: TokenReason, text: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.retry_after_ms = retry_after_ms
        self.is_on_record = False

    @property
    def code(self) -> str:
        """Return the code of OAuth: RFC 6749 5.2, RFC 8693 2.2.2 (`invalid_request` for all token errors), RFC 9396."""
        return _CODES.get(self.reason, "invalid_request")

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return _STATUS.get(self.reason, 400)

    @property
    def description(self) -> str:
        """Return the text for people, in the characters that RFC 6749 allows."""
        return plain(str(self)[:_TEXT_CHARS_MAX])


def plain(text: str) -> str:
    """Return a text, which can have parts from others, in the characters that RFC 6749 allows."""
    text = text.replace('"', "'").replace("\\", "/")
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def refuse(reason: TokenReason, text: str) -> RefusedError:
    """Return a refusal to raise."""
    return RefusedError(reason, text)


@contextmanager
def token_errors_refused() -> Iterator[None]:
    """Refuse a request that has an invalid token. Also a decorator of methods that read tokens.

    Raises:
        RefusedError: instead of a `TokenError`, with the same text.
    """
    try:
        yield
    except TokenError as error:
        raise RefusedError(_REASONS[error.fault], str(error), retry_after_ms=error.retry_after_ms) from None
