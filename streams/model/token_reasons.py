"""Why a request for a token came out as it did: stable codes of audit records and answers, each with its text."""

from __future__ import annotations

from enum import StrEnum


class TokenReason(StrEnum):
    """The outcome of a token request: `reason` in refusals and in audit events."""

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
    CLAIM_UNREADABLE = "claim_unreadable"


TOKEN_TEXTS: dict[TokenReason, str] = {
    TokenReason.TOKEN_ISSUED: "a session was opened",
    TokenReason.TOKEN_REVOKED: "an agent has returned its session",
    TokenReason.REQUEST_MALFORMED: "a parameter is missing, there twice, too long, or invalid",
    TokenReason.GRANT_TYPE_UNSUPPORTED: "the grant type is not token exchange",
    TokenReason.TOKEN_MALFORMED: "a token can't be read, or is too large",
    TokenReason.TOKEN_TYPE_WRONG: "a token is not of the stated type, or its type is not accepted there",
    TokenReason.ALGORITHM_NOT_ALLOWED: "a token is signed with an algorithm that its issuer or its key does not allow",
    TokenReason.HEADER_NOT_ALLOWED: "a token's header names the source of its keys, or needs extensions",
    TokenReason.KEY_UNKNOWN: "a token is signed with a key that its issuer has not published",
    TokenReason.KEYS_UNAVAILABLE: "the keys of an issuer can't be loaded",
    TokenReason.SIGNATURE_INVALID: "a signature is invalid",
    TokenReason.ISSUER_UNKNOWN: "a token is from an issuer that is not configured for this kind of token",
    TokenReason.AUDIENCE_WRONG: "a token is meant for another audience",
    TokenReason.TOKEN_EXPIRED: "a token has expired",
    TokenReason.TOKEN_NOT_YET_VALID: "a token is not valid yet",
    TokenReason.TOKEN_FROM_FUTURE: "a token was issued in the future; check the clocks",
    TokenReason.TOKEN_LIVES_TOO_LONG: "a token lives longer than is accepted from its issuer",
    TokenReason.CLAIM_MISSING: "a claim is missing or invalid",
    TokenReason.TOKEN_REPLAYED: "a token, a proof or an id that can be used only once was used before",
    TokenReason.AGENT_UNKNOWN: "the agent is not listed in the settings",
    TokenReason.ACTOR_NOT_ALLOWED: "the agent may not act for this subject, or may not receive this session",
    TokenReason.CLIENT_MISMATCH: "the token was issued to another agent",
    TokenReason.PROOF_MISSING: "the proof of the session's key, or of the agent's key, is missing",
    TokenReason.PROOF_INVALID: "the proof of a key is invalid",
    TokenReason.NOT_ATTENDED: "the token does not show that its user is present",
    TokenReason.SESSION_OVER: "the session of the token has ended, or was not opened here",
    TokenReason.REVOKED: "the subject, the agent, or the source of the session was revoked",
    TokenReason.SCOPE_TOO_WIDE: "the request asks for a scope that is not available",
    TokenReason.TARGET_TOO_WIDE: "the request asks for a server that is not available",
    TokenReason.TOOLS_TOO_WIDE: "the request asks for a tool, or bounds on its arguments, that are not available",
    TokenReason.LIFE_TOO_LONG: "the request asks for a longer life than is available, or no time is left",
    TokenReason.DEPTH_TOO_GREAT: "the session can't be delegated that deep",
    TokenReason.LIMITS_TOO_WIDE: "other limits are wider than those of the source, or the purpose differs",
    TokenReason.GRANT_INVALID: "the grant that was sent is not valid",
    TokenReason.TOO_MANY_REQUESTS: "too many requests of this agent, for this subject, or from this address",
    TokenReason.LOG_UNAVAILABLE: "it is not known whether the session is on the log; ask again with a new token",
    TokenReason.CLAIM_UNREADABLE: "a claim on used tokens can't be read: what it names may be used again",
}
