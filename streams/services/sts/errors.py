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


TOKEN_TEXTS: dict[TokenReason, str] = {
    TokenReason.TOKEN_ISSUED: "a session was opened",
    TokenReason.TOKEN_REVOKED: "an agent has given its session back",
    TokenReason.REQUEST_MALFORMED: "a parameter is missing, there twice, too long, or not what it must be",
    TokenReason.GRANT_TYPE_UNSUPPORTED: "only tokens are exchanged",
    TokenReason.TOKEN_MALFORMED: "what was sent as a token is none, or too large",
    TokenReason.TOKEN_TYPE_WRONG: "a token is of another type than was said, or than counts there",
    TokenReason.ALGORITHM_NOT_ALLOWED: "a token is signed with an algorithm that its issuer, or its key, is not for",
    TokenReason.HEADER_NOT_ALLOWED: "a token says where its keys come from, or that it is to be read otherwise",
    TokenReason.KEY_UNKNOWN: "a token is signed with a key that its issuer does not have",
    TokenReason.KEYS_UNAVAILABLE: "the keys of an issuer can't be had",
    TokenReason.SIGNATURE_INVALID: "a signature does not hold",
    TokenReason.ISSUER_UNKNOWN: "a token is of an issuer that gives nothing of the kind here",
    TokenReason.AUDIENCE_WRONG: "a token is for somebody else",
    TokenReason.TOKEN_EXPIRED: "a token has expired",
    TokenReason.TOKEN_NOT_YET_VALID: "a token is not valid yet",
    TokenReason.TOKEN_FROM_FUTURE: "a token was issued in the future; check the clocks",
    TokenReason.TOKEN_LIVES_TOO_LONG: "a token was made to live longer than is taken of its issuer",
    TokenReason.CLAIM_MISSING: "a claim is missing, or not what it must be",
    TokenReason.TOKEN_REPLAYED: "a token, a proof or an id that counts once was used before",
    TokenReason.AGENT_UNKNOWN: "the agent is not listed in the settings",
    TokenReason.ACTOR_NOT_ALLOWED: "the agent may not act for this subject, or may not be handed this session",
    TokenReason.CLIENT_MISMATCH: "the token was made for, or given to, another agent",
    TokenReason.PROOF_MISSING: "the key of the session, or the agent's own, was not shown",
    TokenReason.PROOF_INVALID: "what should show a key does not",
    TokenReason.NOT_ATTENDED: "the token does not show that its user is there",
    TokenReason.SESSION_OVER: "the session of the token has ended, or was never opened here",
    TokenReason.REVOKED: "the subject, the agent, or what the session would be made of has been revoked",
    TokenReason.SCOPE_TOO_WIDE: "a scope was asked for that is not to be had",
    TokenReason.TARGET_TOO_WIDE: "a server was asked for that is not to be had",
    TokenReason.TOOLS_TOO_WIDE: "a tool, or wider bounds on its arguments, were asked for than are to be had",
    TokenReason.LIFE_TOO_LONG: "a longer life was asked for than is to be had, or nothing of it is left",
    TokenReason.DEPTH_TOO_GREAT: "the session can't be handed on so often",
    TokenReason.LIMITS_TOO_WIDE: "other limits are wider than those that it is made of, or the purpose is another",
    TokenReason.GRANT_INVALID: "the grant that was sent does not hold",
    TokenReason.TOO_MANY_REQUESTS: "too many requests of this agent, for this subject, or from this address",
    TokenReason.LOG_UNAVAILABLE: "it is not known whether the session is on the log; ask again with a new token",
}

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
        is_on_record: whether there is an audit record of it.
    """

    def __init__(self, reason: TokenReason, text: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.retry_after_ms = retry_after_ms
        self.is_on_record = False

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
