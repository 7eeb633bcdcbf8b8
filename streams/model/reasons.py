"""Define the reason codes of verdicts, dead letters, audit records and refusals, with their texts.

Codes are stable: agents and dashboards act on them.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """States why a verdict has its outcome."""

    PERMITTED = "permitted"
    SESSION_UNKNOWN = "session_unknown"
    SESSION_EXPIRED = "session_expired"
    SESSION_ENDED = "session_ended"
    SESSION_REVOKED = "session_revoked"
    SESSION_FROZEN = "session_frozen"
    SESSION_IDLE = "session_idle"
    SESSION_TOO_OLD = "session_too_old"
    SESSION_PARENT_ENDED = "session_parent_ended"
    SUBJECT_MISMATCH = "subject_mismatch"
    ACTOR_MISMATCH = "actor_mismatch"
    DELEGATION_UNKNOWN = "delegation_unknown"
    DELEGATION_MISSING = "delegation_missing"
    DELEGATION_UNSTATED = "delegation_unstated"
    DELEGATION_MALFORMED = "delegation_malformed"
    DELEGATION_TOO_DEEP = "delegation_too_deep"
    DELEGATION_UID_REUSED = "delegation_uid_reused"
    DELEGATION_CHAIN_BROKEN = "delegation_chain_broken"
    DELEGATION_UNTRUSTED_ROOT = "delegation_untrusted_root"
    DELEGATION_SIGNATURE_INVALID = "delegation_signature_invalid"
    DELEGATION_FROM_FUTURE = "delegation_from_future"
    DELEGATION_EXPIRED = "delegation_expired"
    DELEGATION_NOT_YET_VALID = "delegation_not_yet_valid"
    DELEGATION_OUTLIVES_PARENT = "delegation_outlives_parent"
    DELEGATION_LIVES_TOO_LONG = "delegation_lives_too_long"
    DELEGATION_SUBJECT_CHANGED = "delegation_subject_changed"
    DELEGATION_ACTOR_MISMATCH = "delegation_actor_mismatch"
    DELEGATION_SESSION_MISMATCH = "delegation_session_mismatch"
    DELEGATION_WIDENED_SCOPES = "delegation_widened_scopes"
    DELEGATION_WIDENED_AUDIENCE = "delegation_widened_audience"
    DELEGATION_WIDENED_TOOLS = "delegation_widened_tools"
    DELEGATION_WIDENED_ARGUMENTS = "delegation_widened_arguments"
    DELEGATION_WIDENED_LIMITS = "delegation_widened_limits"
    DELEGATION_CONSTRAINT_UNKNOWN = "delegation_constraint_unknown"
    DELEGATION_AUDIENCE_MISMATCH = "delegation_audience_mismatch"
    DELEGATION_TOOL_NOT_GRANTED = "delegation_tool_not_granted"
    DELEGATION_ARGUMENTS_NOT_GRANTED = "delegation_arguments_not_granted"
    INTENT_STALE = "intent_stale"
    INTENT_FROM_FUTURE = "intent_from_future"
    DEADLINE_PASSED = "deadline_passed"
    REVOKED_DELEGATION = "revoked_delegation"
    REVOKED_AGENT = "revoked_agent"
    REVOKED_SUBJECT = "revoked_subject"
    REVOKED_TOOL = "revoked_tool"
    REVOKED_MODEL = "revoked_model"
    REVOKED_TENANT = "revoked_tenant"
    REVOKED_RULESET = "revoked_ruleset"
    REVOKED_ALL = "revoked_all"
    PROOF_MISSING = "proof_missing"
    PROOF_UNSUPPORTED = "proof_unsupported"
    PROOF_INVALID = "proof_invalid"
    REPLY_TOPIC_FOREIGN = "reply_topic_foreign"
    ARGS_NOT_CANONICALIZABLE = "args_not_canonicalizable"
    ARGS_DIGEST_MISMATCH = "args_digest_mismatch"
    ARGS_TOO_LARGE = "args_too_large"
    ARGS_INVALID = "args_invalid"
    TOOL_UNKNOWN = "tool_unknown"
    TOOL_NOT_APPROVED = "tool_not_approved"
    TOOL_REVIEW_EXPIRED = "tool_review_expired"
    TOOL_DEFINITION_UNSTATED = "tool_definition_unstated"
    TOOL_DEFINITION_CHANGED = "tool_definition_changed"
    CONTROL_STATE_STALE = "control_state_stale"
    NO_RULESET = "no_ruleset"
    NO_PERMIT = "no_permit"
    RULE_DENIED = "rule_denied"
    RULE_ERROR = "rule_error"
    QUARANTINED_BY_RULE = "quarantined_by_rule"
    APPROVAL_REQUIRED = "approval_required"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_EXPIRED = "approval_expired"
    DEFERRED_BY_RULE = "deferred_by_rule"
    DEFERRAL_CANCELLED = "deferral_cancelled"
    TOO_MANY_PENDING = "too_many_pending"
    BUDGET_EXHAUSTED = "budget_exhausted"
    BUDGET_UNAVAILABLE = "budget_unavailable"
    BUDGET_KEY_INVALID = "budget_key_invalid"
    BUDGET_KEYS_EXHAUSTED = "budget_keys_exhausted"
    INTERNAL_ERROR = "internal_error"


REASON_TEXTS: dict[Reason, str] = {
    Reason.PERMITTED: "a rule permits the call and no rule forbids it",
    Reason.SESSION_UNKNOWN: "no such session was opened within the join grace",
    Reason.SESSION_EXPIRED: "the session's credential has expired",
    Reason.SESSION_ENDED: "the session has ended",
    Reason.SESSION_REVOKED: "the session has been revoked",
    Reason.SESSION_FROZEN: "the session is quarantined until a person releases it",
    Reason.SESSION_IDLE: "the session has ended: nothing happened in it for too long",
    Reason.SESSION_TOO_OLD: "the session has ended: it has reached the maximum age of a session",
    Reason.SESSION_PARENT_ENDED: "a session from which this one descends has ended or was revoked",
    Reason.SUBJECT_MISMATCH: "the intent names another user than its session",
    Reason.ACTOR_MISMATCH: "the intent names another actor than its session",
    Reason.DELEGATION_UNKNOWN: "the intent names another grant than its session",
    Reason.DELEGATION_MISSING: "the session needs a valid grant and has none",
    Reason.DELEGATION_UNSTATED: "the intent does not name its session's grant",
    Reason.DELEGATION_MALFORMED: "the grant is malformed or ambiguous, or is larger than accepted",
    Reason.DELEGATION_TOO_DEEP: "the chain of the grant is longer than accepted",
    Reason.DELEGATION_UID_REUSED: "two different grants have the same id",
    Reason.DELEGATION_CHAIN_BROKEN: "the grants of the chain do not link to each other",
    Reason.DELEGATION_UNTRUSTED_ROOT: "the root of the chain was not issued by a trust anchor",
    Reason.DELEGATION_SIGNATURE_INVALID: "a grant of the chain is not signed with the required key",
    Reason.DELEGATION_FROM_FUTURE: "a grant of the chain was issued in the future; check the issuer's clock",
    Reason.DELEGATION_EXPIRED: "the grant has expired",
    Reason.DELEGATION_NOT_YET_VALID: "the grant is not valid yet",
    Reason.DELEGATION_OUTLIVES_PARENT: "a grant of the chain is valid at a time when its parent is not",
    Reason.DELEGATION_LIVES_TOO_LONG: "the root of the chain lives longer than any grant may",
    Reason.DELEGATION_SUBJECT_CHANGED: "the subject, the tenant or the transaction changes along the chain",
    Reason.DELEGATION_ACTOR_MISMATCH: "a grant of the chain is delegated or used by an actor that does not hold it",
    Reason.DELEGATION_SESSION_MISMATCH: "the grant is for another session, or the session has another grant",
    Reason.DELEGATION_WIDENED_SCOPES: "a grant of the chain has scopes that its parent lacks",
    Reason.DELEGATION_WIDENED_AUDIENCE: "a grant of the chain covers servers that its parent does not cover",
    Reason.DELEGATION_WIDENED_TOOLS: "a grant of the chain covers tools that its parent does not cover",
    Reason.DELEGATION_WIDENED_ARGUMENTS: "a grant of the chain may permit arguments that its parent forbids",
    Reason.DELEGATION_WIDENED_LIMITS: "a grant of the chain has a larger budget or depth than its parent",
    Reason.DELEGATION_CONSTRAINT_UNKNOWN: "a constraint on an argument has an unknown type, or lacks a parameter",
    Reason.DELEGATION_AUDIENCE_MISMATCH: "the grant does not cover the tool's server",
    Reason.DELEGATION_TOOL_NOT_GRANTED: "the grant does not cover the tool",
    Reason.DELEGATION_ARGUMENTS_NOT_GRANTED: "the grant covers the tool, but not these arguments",
    Reason.INTENT_STALE: "the intent was made too long ago; make a new one",
    Reason.INTENT_FROM_FUTURE: "the intent's time is ahead of the broker's; check the agent's clock",
    Reason.DEADLINE_PASSED: "the agent's own deadline for the call has passed",
    Reason.REVOKED_DELEGATION: "a grant in the session's chain has been revoked",
    Reason.REVOKED_AGENT: "the agent has been revoked",
    Reason.REVOKED_SUBJECT: "the subject has been revoked",
    Reason.REVOKED_TOOL: "the tool has been revoked",
    Reason.REVOKED_MODEL: "the model has been revoked",
    Reason.REVOKED_TENANT: "the tenant has been revoked",
    Reason.REVOKED_RULESET: "the version of the rules that judges the session has been revoked",
    Reason.REVOKED_ALL: "everything has been revoked",
    Reason.PROOF_MISSING: "the intent carries no proof of who made it",
    Reason.PROOF_UNSUPPORTED: "the kind of the intent's proof is not accepted for this session",
    Reason.PROOF_INVALID: "the intent's proof does not verify under its session's key",
    Reason.REPLY_TOPIC_FOREIGN: "the intent asks for its outcome on a topic that is not its tenant's",
    Reason.ARGS_NOT_CANONICALIZABLE: "the arguments have no canonical JSON form (RFC 8785)",
    Reason.ARGS_DIGEST_MISMATCH: "the digest of the arguments is not the one that the intent states",
    Reason.ARGS_TOO_LARGE: "the arguments are larger than accepted",
    Reason.ARGS_INVALID: "the arguments do not fit the tool's schema",
    Reason.TOOL_UNKNOWN: "the tool is not in the catalog",
    Reason.TOOL_NOT_APPROVED: "the tool has not been approved",
    Reason.TOOL_REVIEW_EXPIRED: "the tool's review has expired; it must be reviewed again",
    Reason.TOOL_DEFINITION_UNSTATED: "the intent does not state which definition of the tool the model was shown",
    Reason.TOOL_DEFINITION_CHANGED: "the tool's definition is not the one that was approved",
    Reason.CONTROL_STATE_STALE: "the gate cannot tell whether its revocations and rules are current",
    Reason.NO_RULESET: "no rule bundle is in force",
    Reason.NO_PERMIT: "no rule permits the call",
    Reason.RULE_DENIED: "a rule denies the call",
    Reason.RULE_ERROR: "a rule that could have denied the call could not be evaluated",
    Reason.QUARANTINED_BY_RULE: "a rule denies the call and freezes the session",
    Reason.APPROVAL_REQUIRED: "a person must approve the call; a final verdict follows",
    Reason.APPROVAL_DENIED: "a person rejected the call",
    Reason.APPROVAL_EXPIRED: "nobody approved the call in time",
    Reason.DEFERRED_BY_RULE: "the call waits in a cancel window; a final verdict follows",
    Reason.DEFERRAL_CANCELLED: "a person cancelled the call within its cancel window",
    Reason.TOO_MANY_PENDING: "too many intents of this session are pending already",
    Reason.BUDGET_EXHAUSTED: "the call exceeds a budget",
    Reason.BUDGET_UNAVAILABLE: "no answer about a shared budget or memory arrived in time; try again",
    Reason.BUDGET_KEY_INVALID: "the call has no usable value for the key of a budget",
    Reason.BUDGET_KEYS_EXHAUSTED: "a budget has as many keys in this window as it may have; a new one gets none",
    Reason.INTERNAL_ERROR: "the gate could not judge the intent; see the gate's log",
}


class DeadLetterReason(StrEnum):
    """States why a record went to a dead-letter topic."""

    KEY_MISSING = "key_missing"
    KEY_MISMATCH = "key_mismatch"
    PARTITION_MISMATCH = "partition_mismatch"
    VALUE_MISSING = "value_missing"
    FRAMING_INVALID = "framing_invalid"
    SCHEMA_UNKNOWN = "schema_unknown"
    SCHEMA_MISMATCH = "schema_mismatch"
    RECORD_TRUNCATED = "record_truncated"
    RECORD_INVALID = "record_invalid"
    RECORD_TOO_LARGE = "record_too_large"
    BROKER_TIME_AHEAD = "broker_time_ahead"
    EVENT_FROM_FUTURE = "event_from_future"
    SEQUENCE_REPLAYED = "sequence_replayed"
    WRITER_UNPROVEN = "writer_unproven"
    REPORT_UNPROVEN = "report_unproven"
    REPORT_OF_NO_CALL = "report_of_no_call"
    REPORT_CONTRADICTS = "report_contradicts"
    GRANT_INVALID = "grant_invalid"
    INTENT_TOO_OLD = "intent_too_old"
    VERDICT_GIVEN_BEFORE = "verdict_given_before"
    TOO_MANY_UNPROVEN = "too_many_unproven"
    CATALOG_INVALID = "catalog_invalid"
    CATALOG_UNSIGNED = "catalog_unsigned"
    CATALOG_SIGNATURE_INVALID = "catalog_signature_invalid"
    CATALOG_SELF_APPROVED = "catalog_self_approved"
    CATALOG_ROLLED_BACK = "catalog_rolled_back"
    BUNDLE_INVALID = "bundle_invalid"
    BUNDLE_ROLLED_BACK = "bundle_rolled_back"
    BUNDLE_UNSIGNED = "bundle_unsigned"
    BUNDLE_SIGNATURE_INVALID = "bundle_signature_invalid"
    RELEASE_UNPROVEN = "release_unproven"
    RELEASE_OUTDATED = "release_outdated"
    STOP_DELETED = "stop_deleted"
    APPROVAL_NOT_AWAITED = "approval_not_awaited"
    APPROVAL_NOT_VALID = "approval_not_valid"
    ATTRIBUTES_INVALID = "attributes_invalid"
    ATTRIBUTES_UNPROVEN = "attributes_unproven"
    ATTRIBUTES_OUTDATED = "attributes_outdated"
    ATTRIBUTES_FULL = "attributes_full"
    ALERT_STATUS_UNPROVEN = "alert_status_unproven"
    PROCESSING_FAILED = "processing_failed"


DEAD_LETTER_TEXTS: dict[DeadLetterReason, str] = {
    DeadLetterReason.KEY_MISSING: "the record has no key",
    DeadLetterReason.KEY_MISMATCH: "the record's key is not the one of its tenant and session",
    DeadLetterReason.PARTITION_MISMATCH: "the record is on a partition that its key does not belong to",
    DeadLetterReason.VALUE_MISSING: "the record has no value",
    DeadLetterReason.FRAMING_INVALID: "the value does not begin with a Confluent schema id",
    DeadLetterReason.SCHEMA_UNKNOWN: "the schema id is unknown",
    DeadLetterReason.SCHEMA_MISMATCH: "the schema id belongs to another record than the topic's",
    DeadLetterReason.RECORD_TRUNCATED: "the value is shorter or longer than its record",
    DeadLetterReason.RECORD_INVALID: "the value is not a valid record of its schema",
    DeadLetterReason.RECORD_TOO_LARGE: "the value is larger than accepted",
    DeadLetterReason.BROKER_TIME_AHEAD: "the record's broker time is later than any broker's clock can show",
    DeadLetterReason.EVENT_FROM_FUTURE: "the event's time is ahead of the broker's by more than the accepted skew",
    DeadLetterReason.SEQUENCE_REPLAYED: "the event, or a later one of its kind, was processed before",
    DeadLetterReason.WRITER_UNPROVEN: "the event needs the token service's proof, and has none",
    DeadLetterReason.REPORT_UNPROVEN: "the report lacks a proof by the call's server, or by the session's agent",
    DeadLetterReason.REPORT_OF_NO_CALL: "the report is not about a call that was allowed in its session",
    DeadLetterReason.REPORT_CONTRADICTS: "another report of the same verdict came first; the first one counts",
    DeadLetterReason.GRANT_INVALID: "the grant was rejected; the text begins with the reason's code",
    DeadLetterReason.INTENT_TOO_OLD: "the intent is older than the verdicts that the gate remembers",
    DeadLetterReason.VERDICT_GIVEN_BEFORE: "the intent was given its verdict before; the text says which, and when",
    DeadLetterReason.TOO_MANY_UNPROVEN: "the intent has no verifiable proof, and too many such came before it",
    DeadLetterReason.CATALOG_INVALID: "the catalog entry is not usable; the tool is blocked",
    DeadLetterReason.CATALOG_UNSIGNED: "the approval lacks signatures by configured reviewers; the tool is blocked",
    DeadLetterReason.CATALOG_SIGNATURE_INVALID: "the entry is not what its reviewer signed; the tool is blocked",
    DeadLetterReason.CATALOG_SELF_APPROVED: "the tool was approved only by its proposer; the tool is blocked",
    DeadLetterReason.CATALOG_ROLLED_BACK: "the entry's version is not higher than every earlier signed version",
    DeadLetterReason.BUNDLE_INVALID: "the rule bundle does not compile; the last good one stays in force",
    DeadLetterReason.BUNDLE_ROLLED_BACK: "the rule bundle's serial is not higher than every earlier serial",
    DeadLetterReason.BUNDLE_UNSIGNED: "the rule bundle lacks signatures by configured publishers",
    DeadLetterReason.BUNDLE_SIGNATURE_INVALID: "the rule bundle is not what its publisher signed",
    DeadLetterReason.RELEASE_UNPROVEN: "nobody who may release the stop has signed this; the stop stays in force",
    DeadLetterReason.RELEASE_OUTDATED: "the release is older than the stop, which stays in force",
    DeadLetterReason.STOP_DELETED: "the record is a tombstone for a stop in force; the stop stays in force",
    DeadLetterReason.APPROVAL_NOT_AWAITED: "no decision about the intent is awaited, or it was decided before",
    DeadLetterReason.APPROVAL_NOT_VALID: "the decision does not count: other arguments, or its author may not decide",
    DeadLetterReason.ATTRIBUTES_INVALID: "the attributes can't be used; rules that ask for the entity deny",
    DeadLetterReason.ATTRIBUTES_UNPROVEN: "nobody who may speak about the entity has signed this; rules that ask for "
    "it deny",
    DeadLetterReason.ATTRIBUTES_OUTDATED: "a later record of the entity was read before; rules that ask for it deny",
    DeadLetterReason.ATTRIBUTES_FULL: "a gate has no room for the entity; rules that ask for it deny",
    DeadLetterReason.ALERT_STATUS_UNPROVEN: "nobody who may handle the alert has signed this; its status stays",
    DeadLetterReason.PROCESSING_FAILED: "the record could not be processed; see the gate's log",
}


class ControlReason(StrEnum):
    """States the effect of a publication of rules, a catalog entry, a release, or a status of an alert, or how far a
    sink of the desk is behind, in its audit record.

    The audit record of one that was rejected has the reason of its dead letter instead.
    """

    RULES_PUBLISHED = "rules_published"
    RULES_CANARY_STARTED = "rules_canary_started"
    RULES_PROMOTED = "rules_promoted"
    RULES_ROLLED_BACK = "rules_rolled_back"
    RULES_WITHDRAWN = "rules_withdrawn"
    RULES_SUPERSEDED = "rules_superseded"
    RULES_REPEATED = "rules_repeated"
    RULES_TOPIC_BEHIND = "rules_topic_behind"
    TOOL_APPROVED = "tool_approved"
    TOOL_DEPRECATED = "tool_deprecated"
    TOOL_BLOCKED = "tool_blocked"
    TOOL_REMOVED = "tool_removed"
    REPORT_KEYS_APPROVED = "report_keys_approved"
    CATALOG_TOPIC_BEHIND = "catalog_topic_behind"
    STOP_RELEASED = "stop_released"
    STOP_RESTORED = "stop_restored"
    STOP_NOT_SHORTENED = "stop_not_shortened"
    ATTRIBUTES_SET = "attributes_set"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERT_RESOLVED = "alert_resolved"
    ALERT_FALSE_POSITIVE = "alert_false_positive"
    ALERTS_LOWERED = "alerts_lowered"
    WORK_ANNOUNCED = "work_announced"
    ANNOUNCEMENT_WITHDRAWN = "announcement_withdrawn"
    SINK_FULL = "sink_full"
    SINK_CAUGHT_UP = "sink_caught_up"


CONTROL_TEXTS: dict[ControlReason, str] = {
    ControlReason.RULES_PUBLISHED: "the rules are in force",
    ControlReason.RULES_CANARY_STARTED: "the rules are in force for a share of the sessions",
    ControlReason.RULES_PROMOTED: "the rules, which were in force for a share of the sessions, are in force for all",
    ControlReason.RULES_ROLLED_BACK: "the rules of an earlier publication are in force again",
    ControlReason.RULES_WITHDRAWN: "no rules are in force; every call is denied",
    ControlReason.RULES_SUPERSEDED: "a later publication came into force before this one",
    ControlReason.RULES_REPEATED: "the publication was repeated: its writer could not tell whether it had been stored",
    ControlReason.RULES_TOPIC_BEHIND: "the topic's newest rules are older than those in force before; all is denied",
    ControlReason.TOOL_APPROVED: "the tool may be called as it was reviewed",
    ControlReason.TOOL_DEPRECATED: "the tool may still be called, but is deprecated",
    ControlReason.TOOL_BLOCKED: "the tool can't be called until a higher version is approved",
    ControlReason.TOOL_REMOVED: "the entry in force was removed from the topic; the tool can't be called",
    ControlReason.REPORT_KEYS_APPROVED: "reports of the server's calls count if one of these keys has signed them",
    ControlReason.CATALOG_TOPIC_BEHIND: "the newest entry of the tool on the topic is older than the one that was in "
    "force; the tool can't be called",
    ControlReason.STOP_RELEASED: "what was stopped is released",
    ControlReason.STOP_RESTORED: "a stop that is in force was missing from its topic; it is written again",
    ControlReason.STOP_NOT_SHORTENED: "a stop ends before another one of the same name; the later end counts",
    ControlReason.ATTRIBUTES_SET: "a person has set attributes of an entity",
    ControlReason.ALERT_ACKNOWLEDGED: "a person has acknowledged an alert",
    ControlReason.ALERT_RESOLVED: "a person has resolved an alert",
    ControlReason.ALERT_FALSE_POSITIVE: "a person has closed an alert as a false positive",
    ControlReason.ALERTS_LOWERED: "similar behaviour of this agent alerts only if its score is higher, until a time",
    ControlReason.WORK_ANNOUNCED: "a person has announced work of an agent, about which the watch raises no alert",
    ControlReason.ANNOUNCEMENT_WITHDRAWN: "a person has withdrawn what was announced of an agent",
    ControlReason.SINK_FULL: "so many messages wait for a sink of the desk that of further ones only the incidents are "
    "noted; the sink gets a message for each once it has taken some",
    ControlReason.SINK_CAUGHT_UP: "a sink of the desk has a message for each incident whose messages were left out",
}


class SessionChange(StrEnum):
    """States what has changed in a session, in its audit record.

    The audit record of a session that has ended has the reason of the session's denials instead.
    """

    FINGERPRINT_CHANGED = "fingerprint_changed"


SESSION_CHANGE_TEXTS: dict[SessionChange, str] = {
    SessionChange.FINGERPRINT_CHANGED: "the session's calls no longer come from what it was opened with",
}


class InputLoss(StrEnum):
    """States how input was lost, in an audit record of type DEAD_LETTER that has no dead letter."""

    INPUT_DELETED = "input_deleted"


INPUT_LOSS_TEXTS: dict[InputLoss, str] = {
    InputLoss.INPUT_DELETED: "records were deleted from the log before they were processed",
}


class TimeCorrection(StrEnum):
    """States how a partition's stream time was corrected, in an audit record of type DEAD_LETTER without a letter."""

    STREAM_TIME_RESET = "stream_time_reset"


TIME_CORRECTION_TEXTS: dict[TimeCorrection, str] = {
    TimeCorrection.STREAM_TIME_RESET: "an operator has set a partition's stream time, which was far ahead, back to now",
}


class Refusal(StrEnum):
    """States why an executor did not run an allowed call."""

    NOT_ALLOWED = "not_allowed"
    NOT_ENFORCED = "not_enforced"
    NOT_MINE = "not_mine"
    VERDICT_EXPIRED = "verdict_expired"
    ARGS_DIGEST_MISMATCH = "args_digest_mismatch"
    REVOKED = "revoked"
    REVOCATIONS_STALE = "revocations_stale"
    ALREADY_USED = "already_used"
    UNKNOWN_OBLIGATION = "unknown_obligation"
    UNKNOWN_TOOL = "unknown_tool"
    DEFINITION_CHANGED = "definition_changed"
    KEY_MISMATCH = "key_mismatch"
    UNREADABLE = "unreadable"
    UNPROVEN = "unproven"


REFUSAL_TEXTS: dict[Refusal, str] = {
    Refusal.NOT_ALLOWED: "the verdict's outcome is not ALLOW",
    Refusal.NOT_ENFORCED: "the verdict comes from a shadow run or a replay",
    Refusal.NOT_MINE: "the verdict is for another executor",
    Refusal.VERDICT_EXPIRED: "the verdict has expired",
    Refusal.ARGS_DIGEST_MISMATCH: "the arguments are not those that were judged",
    Refusal.REVOKED: "the call's session, agent, user, tool, model or tenant, or its rules, have been revoked since",
    Refusal.REVOCATIONS_STALE: "the executor cannot tell whether the call has been revoked",
    Refusal.ALREADY_USED: "the verdict has been used before",
    Refusal.UNKNOWN_OBLIGATION: "the verdict has an obligation that this executor cannot meet",
    Refusal.UNKNOWN_TOOL: "this executor has no such tool",
    Refusal.DEFINITION_CHANGED: "the tool is not the one whose definition was approved",
    Refusal.KEY_MISMATCH: "the verdict's key is not the one of its tenant and session",
    Refusal.UNREADABLE: "the verdict cannot be read",
    Refusal.UNPROVEN: "nothing proves that a gate has given the verdict and recorded it",
}
