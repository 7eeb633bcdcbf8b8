"""What the token service refuses, by stable codes: those of OAuth for clients, its own for people and records."""

from __future__ import annotations

from enum import StrEnum

from streams.model.errors import StoplogError


class StsError(StoplogError):
    """The token service can't start, or can't go on."""


class TokenReason(StrEnum):
    """What became of a request for a token. In refusals as `reason`, and in the audit."""

    TOKEN_ISSUED = "token_issued"  # noqa: S105 - a code
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a code
    REQUEST_MALFORMED = "request_malformed"
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported"
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a code
    TOKEN_TYPE_WRONG = "token_type_wrong"  # noqa: S105 - a code
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    HEADER_NOT_ALLOWED = "header_not_allowed"
    KEY_UNKNOWN = "key_unknown"
    KEYS_UNAVAILABLE = "keys_unavailable"
    SIGNATURE_INVALID = "signature_invalid"
    ISSUER_UNKNOWN = "issuer_unknown"
    AUDIENCE_WRONG = "audience_wrong"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"  # noqa: S105 - a code
    TOKEN_FROM_FUTURE = "token_from_future"  # noqa: S105 - a code
    TOKEN_LIVES_TOO_LONG = "token_lives_too_long"  # noqa: S105 - a code
    CLAIM_MISSING = "claim_missing"
    TOKEN_REPLAYED = "token_replayed"  # noqa: S105 - a code
    AGENT_UNKNOWN = "agent_unknown"
    ACTOR_NOT_ALLOWED = "actor_not_allowed"
    CLIENT_MISMATCH = "client_mismatch"
    PROOF_MISSING = "proof_missing"
    PROOF_INVALID = "proof_invalid"
    NOT_ATTENDED = "not_attended"
    SESSION_OVER = "session_over"
    REVOKED = "revoked"
    SCOPE_TOO_WIDE = "scope_too_wide"
    TARGET_TOO_WIDE = "target_too_wide"
    TOOLS_TOO_WIDE = "tools_too_wide"
    LIFE_TOO_LONG = "life_too_long"
    DEPTH_TOO_GREAT = "depth_too_great"
    LIMITS_TOO_WIDE = "limits_too_wide"
    GRANT_INVALID = "grant_invalid"
    TOO_MANY_REQUESTS = "too_many_requests"
    LOG_UNAVAILABLE = "log_unavailable"


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
_TEXT_CHARS_MAX = 300


class RefusedError(StoplogError):
    """A request is refused.

    Attributes:
        reason: why, by code.
        retry_after_ms: when another try makes sense, if one does.
    """

    def __init__(self, reason: TokenReason, text: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.retry_after_ms = retry_after_ms

    @property
    def code(self) -> str:
        """OAuth's: RFC 6749 5.2, RFC 8693 2.2.2 (whatever is wrong with a token is `invalid_request`), RFC 9396."""
        return _CODES.get(self.reason, "invalid_request")

    @property
    def status(self) -> int:
        """Of HTTP."""
        return _STATUS.get(self.reason, 400)

    @property
    def description(self) -> str:
        """For people, in the characters that RFC 6749 allows."""
        return plain(str(self)[:_TEXT_CHARS_MAX])


def plain(text: str) -> str:
    """In the characters of RFC 6749: what somebody else has written may be among it."""
    text = text.replace('"', "'").replace("\\", "/")
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def refuse(reason: TokenReason, text: str) -> RefusedError:
    """A refusal, to be raised."""
    return RefusedError(reason, text)
