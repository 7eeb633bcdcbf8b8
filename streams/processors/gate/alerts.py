"""Make the alerts about verdicts and grants that a security team must see at once.

Nothing here quotes an argument: whoever reads alerts need not be allowed to read arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from shlex import quote

import msgspec

from streams.delegation.errors import GrantError
from streams.model.alert import DOCUMENTS_MAX, Alert, ReadDocument, clipped
from streams.model.analytics import ANALYTICS, QUESTIONS_OVER_BUDGET, VERDICTS, made_alert
from streams.model.atlas import techniques_in
from streams.model.delegation import Delegation
from streams.model.proof import derived_uuid
from streams.model.reasons import Reason
from streams.model.types import Actor, ToolRef, tool_text
from streams.model.verdict import Influence, Origin, RuleHit, RuleMode, Verdict
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.headers import gate_header, reply_header
from streams.processors.session_row import Trust

replace = msgspec.structs.replace
FAULTS_MAX = 4
"""Rules of one call that raise an alert because they can't be evaluated: arguments can make many rules fail at once."""

_RULED = frozenset({Reason.RULE_DENIED, Reason.QUARANTINED_BY_RULE})


def verdict_alerts(case: Case, decision: Decision, verdict: Verdict, audit_id: str) -> Iterator[Alert]:
    """Yield the alerts about a verdict: about its reason, and about each rule that could not be evaluated.

    Args:
        case: the intent that was decided.
        decision: what was decided.
        verdict: its record.
        audit_id: the id of the verdict's audit record.
    """
    for fault in verdict.errors[:FAULTS_MAX]:
        text = f"rule `{fault.rule_id}` can't be evaluated: {fault.text}"
        parts = {"rule": fault.rule_id}
        yield _about_call(Reason.RULE_ERROR, case, verdict, audit_id, parts, (f"rule {fault.rule_id}", text))
    reason = decision.reason
    if reason not in VERDICTS or reason is Reason.RULE_ERROR:
        return
    tool = clipped(tool_text(verdict.tool))
    rule = _deciding_rule(verdict) if reason in _RULED else None
    parts = {
        "session": verdict.session_id,
        "tool": tool,
        "rule": "" if rule is None else rule.rule_id,
        "budget": decision.about,
    }
    alert = _about_call(reason, case, verdict, audit_id, parts, (tool, decision.text))
    if rule is not None:
        tags = () if decision.policy is None else decision.policy.decided_tags
        alert = replace(
            alert,
            analytic_uid=rule.rule_id,
            analytic_version=rule.rule_version,
            attacks=techniques_in(tags),
            types=tuple(tag for tag in tags if tag.startswith("ASI")),
        )
    yield alert


def questions_alert(case: Case, request_id: str, count: int, budget: int) -> Alert:
    """Return the alert about a session that raises more questions to people than it may.

    Args:
        case: the intent that people are asked about.
        request_id: the id of the request.
        count: how many questions the session has raised.
        budget: how many it may raise.
    """
    intent, now_ms = case.asked.intent, case.asked.now_ms
    key = case.asked.session_key.decode("utf-8", "replace")
    reason = QUESTIONS_OVER_BUDGET
    alert = made_alert(
        reason,
        reply_header(derived_uuid("questions alert", request_id), intent, now_ms),
        title=f"{ANALYTICS[reason].title}: session {clipped(intent.session_id)}",
        desc=f"{count} questions to people, {budget} are budgeted (agent {clipped(intent.act.sub)}, "
        f"user {clipped(intent.sub)}, session {clipped(intent.session_id)})",
        dedup_key=json.dumps([reason, intent.header.tenant_uid, intent.session_id]),
        response=("stoplog approvals list", f"stoplog session show {_named(key)}"),
        related=(request_id,),
    )
    return replace(alert, session_id=intent.session_id, sub=intent.sub, act=intent.act, intent_id=intent.intent_id)


def grant_alert(grant: Delegation, error: GrantError, session_key: bytes, now_ms: int) -> Alert | None:
    """Return the alert about a grant that is rejected when it arrives; None if its reason raises none.

    Args:
        grant: the grant.
        error: why it is rejected.
        session_key: the key of the session that it is for.
        now_ms: stream time.
    """
    analytic = VERDICTS.get(error.reason)
    if analytic is None:
        return None
    uid, reason = clipped(grant.uid), error.reason.value
    # A grant that is rejected may have names of any length.
    actor = Actor(iss=clipped(grant.act.iss), sub=clipped(grant.act.sub), sub_profile=grant.act.sub_profile)
    session_id, key = grant.session_id or "", session_key.decode("utf-8", "replace")
    alert = made_alert(
        reason,
        gate_header(derived_uuid("grant alert", grant.header.id, session_key.hex()), grant.header.tenant_uid, now_ms),
        title=f"{analytic.title}: grant {uid}",
        desc=f"{error} (grant {uid}, agent {actor.sub}, user {clipped(grant.sub)})",
        dedup_key=json.dumps([reason, grant.header.tenant_uid, session_id, "grant", uid]),
        response=(
            f"stoplog session show {_named(key)}",
            f"stoplog tail audit --no-follow --session {quote(key)}",
        ),
        related=(grant.header.id,),
    )
    return replace(alert, session_id=session_id, sub=clipped(grant.sub), act=actor)


def _about_call(
    reason: Reason,
    case: Case,
    verdict: Verdict,
    audit_id: str,
    parts: Mapping[str, str],
    said: tuple[str, str],
) -> Alert:
    """Return the alert about a call.

    Args:
        parts: what can identify the finding, by name.
        said: the end of the title, and the explanation.
    """
    what, text = said
    intent, now_ms = case.asked.intent, case.asked.now_ms
    analytic, key = VERDICTS[reason], case.asked.session_key.decode("utf-8", "replace")
    agent, user = clipped(intent.act.sub), clipped(intent.sub)
    alert_id = derived_uuid("alert", verdict.verdict_id, *([parts["rule"]] if reason is Reason.RULE_ERROR else []))
    alert = made_alert(
        reason.value,
        reply_header(alert_id, intent, now_ms),
        title=f"{analytic.title}: {what}",
        desc=f"{text} (agent {agent}, user {user}, session {intent.session_id})",
        dedup_key=json.dumps([reason.value, intent.header.tenant_uid, *(parts[name] for name in analytic.key)]),
        response=(
            f"stoplog explain {intent.intent_id}",
            f"stoplog session show {_named(key)}",
            *((f"stoplog kill --session {quote(key)} --why 'alert {alert_id}'",) if "session" in analytic.key else ()),
            # What is about no session, tool or rule is about the gate itself.
            *(() if analytic.key else ("stoplog doctor",)),
        ),
        related=(audit_id, verdict.verdict_id),
    )
    tool = verdict.tool
    return replace(
        alert,
        session_id=intent.session_id,
        sub=intent.sub,
        act=intent.act,
        intent_id=intent.intent_id,
        tool=ToolRef(
            server_id=clipped(tool.server_id),
            name=clipped(tool.name),
            definition_digest=tool.definition_digest,
            catalog_version=tool.catalog_version,
        ),
        documents=_documents(verdict.influences, case.session.trust),
    )


def _named(session_key: str) -> str:
    """Return a session as an argument. Quoted for a shell, which would take the separator for a pipe."""
    return f"{'-- ' if session_key.startswith('-') else ''}{quote(session_key)}"


def _documents(influences: tuple[Influence, ...], trust: Trust) -> tuple[ReadDocument, ...]:
    """Return the last things that the session has read and that nobody vouches for.

    They have a name only if their reader has stated one and anybody may see them. What a call has read is named by its
    arguments, which are shown with the session to those who may read arguments.
    """
    untrusted = [influence.event_id for influence in influences if influence.origin is Origin.UNTRUSTED]
    names = {source.event_id: source.name for source in trust.sources if source.name}
    return tuple(ReadDocument(uid=uid, name=names.get(uid)) for uid in untrusted[-DOCUMENTS_MAX:])


def _deciding_rule(verdict: Verdict) -> RuleHit | None:
    """Return the first enforced rule that asks for the verdict's outcome."""
    wanted = verdict.outcome.value
    return next((hit for hit in verdict.rules if hit.effect.value == wanted and hit.mode is RuleMode.ENFORCE), None)
