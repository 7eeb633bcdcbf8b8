"""Every kind of alert: when it is raised, how severe it is, and what to do about it.

Makers of alerts take severity, tags and techniques from here, and docs/reference/alerts.md is made from here. The uid
of an analytic is the reason's code, or, where a rule decided, the id of the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.model.alert import (
    ACTION_DENIED,
    ACTION_OBSERVED,
    CONFIDENCE_HIGH,
    CONFIDENCE_MEDIUM,
    DESC_CHARS_MAX,
    DISPOSITION_BLOCKED,
    DISPOSITION_LOGGED,
    STATUS_NEW,
    Alert,
    Attack,
    Severity,
)
from streams.model.atlas import CONFIGURATION_CHANGE, RESOURCE_CONSUMPTION, RUG_PULL, TOOL_POISONING
from streams.model.reasons import ControlReason, DeadLetterReason, InputLoss, Reason, TimeCorrection
from streams.model.types import Header


class Analytic(NamedTuple):
    """A kind of alert.

    Attributes:
        title: the beginning of its alerts' titles.
        when: when it is raised.
        advice: what to do about it.
        severity_id, confidence_id: of OCSF.
        is_blocked: whether what it is about was prevented, rather than only seen.
        types: the ids of the OWASP Top 10 for Agentic Applications.
        attacks: the techniques of MITRE ATLAS.
        key: what follows the reason and the tenant in the dedup key of an alert about a verdict: occurrences that have
            these in common are one finding. The tool is left out where the intent may be forged, because whoever forges
            an intent chooses its tool.
    """

    title: str
    when: str
    advice: str
    severity_id: int = Severity.HIGH
    confidence_id: int = CONFIDENCE_HIGH
    is_blocked: bool = True
    types: tuple[str, ...] = ()
    attacks: tuple[Attack, ...] = ()
    key: tuple[str, ...] = ("session",)


VERSION = "1"
"""The version of every analytic that is not a rule; a rule has its own."""

AUDIT_GAP = "audit_gap"
UNREADABLE = "records_unreadable"
TRANSACTION_STUCK = "transaction_stuck"
BUDGET_NEARLY_EXHAUSTED = "budget_nearly_exhausted"
QUESTIONS_OVER_BUDGET = "questions_over_budget"
DEFINITION_CHANGED = "tool_definition_changed"
SAME_NAME = "tool_same_name"
LOOKS_ALIKE = "tool_looks_alike"
TEXT_SUSPICIOUS = "tool_text_suspicious"

_SUPPLY_CHAIN = ("ASI04",)
_IDENTITY = ("ASI03",)
_FORGERY = ("ASI03", "ASI07")
_TAMPERING = ("ASI03", "ASI04")
_SESSION = "See what the session did. If nobody can explain it, stop the session or its agent."


def _forged(when: str) -> Analytic:
    return Analytic("grant forged or altered", when, _GRANT_ADVICE, types=_FORGERY)


def _widened(what: str) -> Analytic:
    return Analytic(
        "grant wider than its parent",
        f"a grant has {what} that its parent does not have",
        _GRANT_ADVICE,
        types=_IDENTITY,
    )


def _rejected(when: str) -> Analytic:
    return Analytic("grant rejected", when, _GRANT_ADVICE, Severity.MEDIUM, types=_IDENTITY)


def _beyond(what: str) -> Analytic:
    return Analytic(
        "call beyond its grant",
        f"a call is for {what} that its grant does not cover",
        _SESSION,
        Severity.MEDIUM,
        types=_IDENTITY,
        key=("session", "tool"),
    )


def _tampering(title: str, when: str, advice: str) -> Analytic:
    return Analytic(title, when, advice, Severity.CRITICAL, types=_TAMPERING, attacks=(CONFIGURATION_CHANGE,))


def _mistake(title: str, when: str, advice: str, types: tuple[str, ...] = ()) -> Analytic:
    return Analytic(title, when, advice, Severity.MEDIUM, types=types)


_GRANT_ADVICE = "Find out who signed the grant. If an agent did that nobody expects to delegate, stop the agent."
_RULES_ADVICE = "Compare what is in force with what was meant to be. Find out who can write the topic of rules."
_CATALOG_ADVICE = "Compare the catalog with what was approved. Find out who can write its topic."
_STOP_ADVICE = "The stop stays in force. Find out who wrote the record, and why."
_LETTER_ADVICE = "Look at the dead letters, and find out who writes them."

VERDICTS: dict[Reason, Analytic] = {
    Reason.RULE_DENIED: Analytic(
        "tool call denied by a rule",
        "a rule denies a call; the analytic is the rule",
        _SESSION,
        Severity.MEDIUM,
        key=("session", "tool", "rule"),
    ),
    Reason.QUARANTINED_BY_RULE: Analytic(
        "session quarantined",
        "a rule denies a call and freezes its session; the analytic is the rule",
        _SESSION,
        key=("session", "tool", "rule"),
    ),
    Reason.RULE_ERROR: Analytic(
        "rule can't be evaluated",
        "a rule's condition has no value for a call. If the rule could have denied the call, the call is denied",
        "Correct the rule: until then, it denies calls that it should permit, or does not permit any.",
        Severity.MEDIUM,
        key=("rule",),
    ),
    Reason.PROOF_INVALID: Analytic(
        "intent forged or altered",
        "the proof of an intent does not verify under its session's key",
        _SESSION,
        types=_FORGERY,
    ),
    Reason.ACTOR_MISMATCH: Analytic(
        "intent in somebody else's session", "an intent names another agent than its session", _SESSION, types=_IDENTITY
    ),
    Reason.SUBJECT_MISMATCH: Analytic(
        "intent for another user",
        "an intent names another user than its session",
        _SESSION,
        types=_IDENTITY,
    ),
    Reason.REPLY_TOPIC_FOREIGN: Analytic(
        "outcome asked for on another tenant's topic",
        "an intent asks for its outcome on a topic of another tenant",
        _SESSION,
        types=("ASI07",),
    ),
    Reason.TOOL_DEFINITION_CHANGED: Analytic(
        "tool definition changed after its approval",
        "a server lists, or an agent was shown, another definition of a tool than the approved one",
        "Review the tool as it is now. Until somebody approves it, it can't be called.",
        types=_SUPPLY_CHAIN,
        attacks=(RUG_PULL,),
        key=("tool",),
    ),
    Reason.BUDGET_EXHAUSTED: Analytic(
        "budget exhausted",
        "a call needs more than is left of a budget",
        _SESSION,
        Severity.MEDIUM,
        types=("ASI08",),
        attacks=(RESOURCE_CONSUMPTION,),
        key=("budget",),
    ),
    Reason.BUDGET_KEYS_EXHAUSTED: Analytic(
        "budget has too many keys",
        "a budget with a key has as many keys in its window as it may have, and a call has another one",
        _SESSION,
        Severity.MEDIUM,
        types=("ASI08",),
        attacks=(RESOURCE_CONSUMPTION,),
        key=("budget",),
    ),
    Reason.BUDGET_UNAVAILABLE: Analytic(
        "no answer about a budget",
        "the budget allocator did not answer in time, so a call was denied",
        "Check that the budget allocators run: each gate runs one.",
        Severity.LOW,
        key=(),
    ),
    Reason.CONTROL_STATE_STALE: Analytic(
        "the gate does not know the newest rules and stops",
        "a gate can't tell that it has read all rules, tools and stops, so it denies every call",
        "Check that the brokers answer the gate: `stoplog doctor` says which topic it can't read.",
        types=("ASI08",),
        key=(),
    ),
    Reason.TOO_MANY_PENDING: Analytic(
        "too many calls of a session wait",
        "a session has as many pending calls as it may have, and asks for another",
        _SESSION,
        Severity.MEDIUM,
        types=("ASI08",),
        attacks=(RESOURCE_CONSUMPTION,),
    ),
    Reason.INTERNAL_ERROR: Analytic(
        "the gate could not judge a call",
        "judging a call failed for a reason that nobody has foreseen; it was denied",
        "Look at the log of the gate, and report the error.",
        key=(),
    ),
    Reason.DELEGATION_SIGNATURE_INVALID: _forged("a grant of the chain is not signed with the required key"),
    Reason.DELEGATION_CHAIN_BROKEN: _forged("the grants of a chain do not link to each other"),
    Reason.DELEGATION_UNTRUSTED_ROOT: _forged("the root of a chain was not issued by a trust anchor"),
    Reason.DELEGATION_UID_REUSED: _forged("two different grants have the same id, as when a grant is replaced"),
    Reason.DELEGATION_SUBJECT_CHANGED: _forged("the subject, tenant or transaction changes along a chain"),
    Reason.DELEGATION_ACTOR_MISMATCH: _forged("a grant is delegated or used by an agent that does not hold it"),
    Reason.DELEGATION_WIDENED_SCOPES: _widened("scopes"),
    Reason.DELEGATION_WIDENED_AUDIENCE: _widened("servers"),
    Reason.DELEGATION_WIDENED_TOOLS: _widened("tools"),
    Reason.DELEGATION_WIDENED_ARGUMENTS: _widened("arguments"),
    Reason.DELEGATION_WIDENED_LIMITS: _widened("limits"),
    Reason.DELEGATION_SESSION_MISMATCH: _rejected("a grant is for another session, as when it is replayed"),
    Reason.DELEGATION_MALFORMED: _rejected("a grant is malformed, ambiguous or too large"),
    Reason.DELEGATION_TOO_DEEP: _rejected("a chain is longer than accepted"),
    Reason.DELEGATION_OUTLIVES_PARENT: _rejected("a grant is valid at a time when its parent is not"),
    Reason.DELEGATION_LIVES_TOO_LONG: _rejected("the root of a chain lives longer than any grant may"),
    Reason.DELEGATION_CONSTRAINT_UNKNOWN: _rejected("a constraint of a grant has an unknown type"),
    Reason.DELEGATION_TOOL_NOT_GRANTED: _beyond("a tool"),
    Reason.DELEGATION_AUDIENCE_MISMATCH: _beyond("a server"),
    Reason.DELEGATION_ARGUMENTS_NOT_GRANTED: _beyond("arguments"),
}
"""The reasons of verdicts that raise an alert. Those of grants raise one when the grant arrives, too."""

DEAD_LETTERS: dict[DeadLetterReason, Analytic] = {
    DeadLetterReason.WRITER_UNPROVEN: Analytic(
        "session event without a proof",
        "an event that only the token service may write lacks its proof",
        _LETTER_ADVICE,
        types=_FORGERY,
    ),
    DeadLetterReason.REPORT_UNPROVEN: Analytic(
        "report without a proof",
        "a report lacks a proof by the call's server or the session's agent",
        _LETTER_ADVICE,
        types=_FORGERY,
    ),
    DeadLetterReason.REPORT_CONTRADICTS: Analytic(
        "contradicting report",
        "a second report of a call differs from the first, which counts",
        _LETTER_ADVICE,
        Severity.MEDIUM,
        types=("ASI07",),
    ),
    DeadLetterReason.SEQUENCE_REPLAYED: Analytic(
        "session event replayed",
        "a session event comes again that was processed before",
        _LETTER_ADVICE,
        Severity.MEDIUM,
        types=("ASI07",),
    ),
    DeadLetterReason.APPROVAL_NOT_VALID: Analytic(
        "approval that does not count",
        "a decision is about other arguments, or its author may not decide",
        _LETTER_ADVICE,
        Severity.MEDIUM,
        types=("ASI09",),
    ),
    DeadLetterReason.ALERT_STATUS_UNPROVEN: Analytic(
        "alert closed without a proof",
        "a record says that an alert was handled, but nobody who may handle it has signed that",
        _LETTER_ADVICE,
        types=_FORGERY,
    ),
    DeadLetterReason.KEY_MISMATCH: Analytic(
        "record under another session's key",
        "a record's key is not the one of its tenant and session",
        _LETTER_ADVICE,
        Severity.MEDIUM,
        types=("ASI07",),
    ),
    DeadLetterReason.PARTITION_MISMATCH: Analytic(
        "record on another session's partition",
        "a record lies on a partition that its key does not belong to",
        _LETTER_ADVICE,
        Severity.MEDIUM,
        types=("ASI07",),
    ),
    DeadLetterReason.PROCESSING_FAILED: Analytic(
        "a record could not be processed",
        "processing a record failed for a reason that nobody has foreseen",
        "Look at the log of the gate, and report the error.",
    ),
}
"""The reasons of dead letters that raise an alert: one for each reason and topic, with a count."""

_FLOOD = Analytic(
    "Many intents without a proof",
    "so many intents without a proof come to a partition that each further one becomes a dead letter",
    "Find out who writes them, and set a quota for that writer. Honest sessions are still judged.",
    types=_IDENTITY,
)

CONTROLS: dict[DeadLetterReason | ControlReason, Analytic] = {
    DeadLetterReason.BUNDLE_INVALID: _mistake(
        "rules rejected", "published rules do not compile; the last good ones stay in force", "Correct the rules."
    ),
    DeadLetterReason.BUNDLE_ROLLED_BACK: _tampering(
        "rules rejected", "rules are published whose serial is not higher than every earlier one", _RULES_ADVICE
    ),
    DeadLetterReason.BUNDLE_UNSIGNED: _tampering(
        "rules rejected", "rules are published without the required signatures", _RULES_ADVICE
    ),
    DeadLetterReason.BUNDLE_SIGNATURE_INVALID: _tampering(
        "rules rejected", "published rules are not what their publisher has signed", _RULES_ADVICE
    ),
    ControlReason.RULES_TOPIC_BEHIND: _tampering(
        "rules are not the latest", "the newest rules on the topic are older than those in force before", _RULES_ADVICE
    ),
    DeadLetterReason.CATALOG_INVALID: _mistake(
        "catalog entry rejected",
        "a catalog entry is not usable; the tool is blocked",
        "Correct the entry.",
        _SUPPLY_CHAIN,
    ),
    DeadLetterReason.CATALOG_UNSIGNED: _tampering(
        "catalog entry rejected", "the approval of a tool lacks the required signatures", _CATALOG_ADVICE
    ),
    DeadLetterReason.CATALOG_SIGNATURE_INVALID: _tampering(
        "catalog entry rejected", "a catalog entry is not what its reviewer has signed", _CATALOG_ADVICE
    ),
    DeadLetterReason.CATALOG_SELF_APPROVED: _tampering(
        "catalog entry rejected", "a tool was approved only by who proposed it", _CATALOG_ADVICE
    ),
    DeadLetterReason.CATALOG_ROLLED_BACK: _tampering(
        "catalog entry rejected", "the version of an entry is not higher than every earlier signed one", _CATALOG_ADVICE
    ),
    ControlReason.CATALOG_TOPIC_BEHIND: _tampering(
        "the catalog is not the latest",
        "the newest entry of a tool is older than the one in force before",
        _CATALOG_ADVICE,
    ),
    ControlReason.TOOL_REMOVED: _tampering(
        "catalog entry removed", "the entry of a tool in force was removed from the topic", _CATALOG_ADVICE
    ),
    DeadLetterReason.RELEASE_UNPROVEN: _tampering(
        "a stop stays in force", "a release lacks the signature of somebody who may release", _STOP_ADVICE
    ),
    DeadLetterReason.RELEASE_OUTDATED: _mistake(
        "a stop stays in force", "a release is older than the stop that it would lift", "Release the stop again."
    ),
    DeadLetterReason.STOP_DELETED: _tampering(
        "a stop stays in force", "the record of a stop in force is deleted by a tombstone", _STOP_ADVICE
    ),
    ControlReason.STOP_RESTORED: _tampering(
        "a stop stays in force",
        "the record of a stop in force is missing from its topic, and was written again",
        _STOP_ADVICE,
    ),
}
"""What can go wrong with rules, tools and stops."""

REJECTED = _tampering("record rejected", "a record about rules, tools or stops is rejected", _LETTER_ADVICE)
"""Any other reason for which one of these is rejected."""

OTHERS: dict[str, Analytic] = {
    DeadLetterReason.TOO_MANY_UNPROVEN.value: _FLOOD,
    InputLoss.INPUT_DELETED.value: Analytic(
        "Input was deleted before it was processed",
        "records of an input topic are gone that the gate has not read",
        "Check the retention of the topic, and who may delete its records.",
        is_blocked=False,
    ),
    TimeCorrection.STREAM_TIME_RESET.value: Analytic(
        "Stream time was set back",
        "an operator has set the time of a partition back, which was far ahead",
        "Check that this was meant, and correct the clock of the broker.",
        is_blocked=False,
    ),
    UNREADABLE: Analytic(
        "many records that can't be read",
        "ten records of a topic within a window, on one partition, are dead letters because they can't be read",
        _LETTER_ADVICE,
        Severity.LOW,
        types=("ASI07",),
    ),
    AUDIT_GAP: Analytic(
        "the audit log has a gap",
        "a verdict has no audit record, or a seal of the log does not go on from the one before it; watches see that",
        "Run `stoplog audit verify`. Find out who can write or delete records of the topics of verdicts and of the "
        "audit log, and whether a broker has lost data.",
        Severity.CRITICAL,
        is_blocked=False,
        types=_TAMPERING,
    ),
    TRANSACTION_STUCK: Analytic(
        "an open transaction holds up input",
        "a transaction stays open, and a gate can't read its input past it",
        "End the transaction; the alert names its producer.",
        is_blocked=False,
    ),
    QUESTIONS_OVER_BUDGET: Analytic(
        "people are asked too often",
        "a session has raised more questions to people than `gate.questions_per_session_budget`",
        "People who are asked too often stop reading. See what the session asks for: approve further calls within "
        "bounds (`stoplog approvals approve QUESTION --for session`), change the rule, or stop the session.",
        Severity.MEDIUM,
        is_blocked=False,
    ),
    SAME_NAME: Analytic(
        "tool name on two servers",
        "a proposed tool has the same name as a tool of another server",
        "Compare both tools before one is approved.",
        Severity.MEDIUM,
        is_blocked=False,
        types=_SUPPLY_CHAIN,
        attacks=(TOOL_POISONING,),
    ),
    LOOKS_ALIKE: Analytic(
        "tool name that looks like another",
        "the name of a proposed tool looks like the name of another one",
        "Compare both tools before one is approved.",
        is_blocked=False,
        types=_SUPPLY_CHAIN,
        attacks=(TOOL_POISONING,),
    ),
    TEXT_SUSPICIOUS: Analytic(
        "tool text that speaks to the model",
        "the texts of a tool address the model, or hide something",
        "Read the texts before the tool is approved.",
        confidence_id=CONFIDENCE_MEDIUM,
        is_blocked=False,
        types=_SUPPLY_CHAIN,
        attacks=(TOOL_POISONING,),
    ),
    BUDGET_NEARLY_EXHAUSTED: Analytic(
        "budget nearly exhausted",
        "as much of a budget is spent, or leased to gates, as its `warn_percent` says; once in a window",
        "See who uses it up. If that is expected, raise the limit before calls are denied.",
        Severity.LOW,
        is_blocked=False,
        types=("ASI08",),
        attacks=(RESOURCE_CONSUMPTION,),
    ),
}
"""All others."""

ANALYTICS: dict[str, Analytic] = {
    **{reason.value: analytic for reason, analytic in VERDICTS.items()},
    **{reason.value: analytic for reason, analytic in DEAD_LETTERS.items()},
    **{reason.value: analytic for reason, analytic in CONTROLS.items()},
    **OTHERS,
}
"""All of them, by reason."""


def made_alert(
    reason: str,
    header: Header,
    *,
    title: str,
    desc: str,
    dedup_key: str,
    response: Sequence[str],
    analytic: Analytic | None = None,
    count: int = 1,
    related: tuple[str, ...] = (),
) -> Alert:
    """Return the alert of a reason; who acted, in which session and on what is added by the caller.

    Args:
        reason: the reason's code; a key of `ANALYTICS` unless `analytic` is given.
        header: the alert's header; its id is the id of the finding, and its time is when it was seen.
        title: a line for people.
        desc: a sentence of explanation, which quotes no argument; cut to `DESC_CHARS_MAX`.
        dedup_key: what identifies the finding when it recurs.
        response: commands that show more, or stop it.
        analytic: what kind of alert it is; the one of the reason if it is not given.
        count: how many occurrences it stands for.
        related: the ids of records that it is about.
    """
    kind = ANALYTICS[reason] if analytic is None else analytic
    return Alert(
        header=header,
        finding_uid=header.id,
        severity_id=kind.severity_id,
        confidence_id=kind.confidence_id,
        status_id=STATUS_NEW,
        title=title,
        desc=desc[:DESC_CHARS_MAX],
        analytic_uid=reason,
        analytic_version=VERSION,
        attacks=kind.attacks,
        types=kind.types,
        action_id=ACTION_DENIED if kind.is_blocked else ACTION_OBSERVED,
        disposition_id=DISPOSITION_BLOCKED if kind.is_blocked else DISPOSITION_LOGGED,
        first_seen_time=header.time,
        last_seen_time=header.time,
        count=count,
        related_event_ids=related,
        dedup_key=dedup_key,
        suggested_response=tuple(response),
    )
