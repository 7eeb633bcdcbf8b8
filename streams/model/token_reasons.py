"""Why a request for a token came out as it did: stable codes of audit records and answers, each with its text."""

from __future__ import annotations

from enum import StrEnum


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
