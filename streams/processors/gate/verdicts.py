"""Make the verdict record of a decision."""

from __future__ import annotations

import json
from typing import NamedTuple

from streams.model.approval import GRANT_PREFIX
from streams.model.budget import CarriedSource
from streams.model.ids import verdict_id_of
from streams.model.labels import Integrity
from streams.model.types import Recurring, ToolRef
from streams.model.verdict import (
    ArgumentOrigin,
    Influence,
    Obligation,
    Origin,
    Outcome,
    RuleEffect,
    RuleFault,
    RuleHit,
    RuleMode,
    ValueOrigin,
    Verdict,
    VerdictMode,
)
from streams.policy.results import PolicyResult
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.gate.provenance import ProvenanceKeeper
from streams.processors.headers import reply_header
from streams.processors.provenance.drift import drift_signals
from streams.processors.provenance.examined import Examined, argument_origins
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.session_row import SessionRow
from streams.processors.settings import GateSettings

RENDERED_RESULTS_MAX = 1_024
"""Results of rules that are cached in the form that verdicts have them in."""
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ALLOW = Outcome.ALLOW
_ENFORCE = VerdictMode.ENFORCE
_TRUSTED = Integrity.TRUSTED
_FROM_TRUSTED = Origin.TRUSTED
_FROM_UNTRUSTED = Origin.UNTRUSTED
_BY_OTHERS = frozenset((ValueOrigin.FIELD, ValueOrigin.TEXT))


class RenderedResult(NamedTuple):
    """Holds a result of the rules in the form that verdicts and audit records have it in."""

    policy: PolicyResult | None
    hits: tuple[RuleHit, ...]
    obligations: tuple[Obligation, ...]
    tags: tuple[str, ...]

    def recurring(self) -> RenderedResult:
        """Return the same result, marked so that the codec caches its encoded form."""
        return RenderedResult(self.policy, Recurring(self.hits), Recurring(self.obligations), Recurring(self.tags))


_NO_RESULT = RenderedResult(None, (), (), ())


class VerdictBuilder:
    """Builds verdict records. It caches the form of results, because most results of the rules recur."""

    def __init__(self, settings: GateSettings, provenance: ProvenanceKeeper) -> None:
        self._provenance = provenance
        self._verdict_ttl_ms = settings.verdict_ttl_ms
        self._rendered: dict[int, RenderedResult] = {}

    def rendered(self, policy: PolicyResult | None) -> RenderedResult:
        """Return the rendered form of a result. A result that is seen for the second time counts as recurring."""
        if policy is None:
            return _NO_RESULT
        rendered = self._rendered.get(id(policy))
        if rendered is None or rendered.policy is not policy:
            if len(self._rendered) >= RENDERED_RESULTS_MAX:
                self._rendered.clear()
            rendered = RenderedResult(policy, _rule_hits(policy), _obligations(policy), policy.tags)
            self._rendered[id(policy)] = rendered
        elif rendered.hits.__class__ is tuple:
            rendered = self._rendered[id(policy)] = rendered.recurring()
        return rendered

    def build(self, case: Case, decision: Decision, rendered: RenderedResult, control: ControlState) -> Verdict:
        """Return the verdict record of a decision."""
        asked, session, tool, policy = case.asked, case.session, case.tool, decision.policy
        intent, arguments = asked.intent, case.arguments
        rules = control.rules.in_force(asked.session_key)
        is_allowed = decision.outcome is _ALLOW
        examined = case.examined
        origins = () if examined is None else argument_origins(examined)
        verdict_id = verdict_id_of(intent.header.tenant_uid, intent.session_id, intent.intent_id, decision.outcome)
        return Verdict(
            header=reply_header(verdict_id, intent, asked.now_ms),
            verdict_id=verdict_id,
            intent_id=intent.intent_id,
            session_id=intent.session_id,
            outcome=decision.outcome,
            reason=str(decision.reason),
            reason_text=decision.text,
            rules=rendered.hits,
            errors=() if policy is None or not policy.errors else _rule_faults(policy),
            obligations=rendered.obligations if is_allowed else (),
            sub=intent.sub,
            act=intent.act,
            delegation_path=session.grant.delegation_uids + case.approval_grants,
            ancestor_session_ids=session.grant.ancestor_session_ids,
            ancestor_actors=session.grant.ancestor_actors,
            model=intent.model,
            tool=_judged_tool(case),
            # Of arguments that are not proven to be the session's, only the digest is kept.
            args_json=arguments.canonical_json if case.is_proven and arguments is not None else "",
            args_digest=intent.args_digest,
            label=case.recorded_label(),
            influences=_influences(session, origins, case.seen, examined),
            signals=(() if case.observed is None else case.observed.signals) + drift_signals(examined),
            ruleset_digest=None if rules is None or rules.ruleset is None else rules.digest,
            ruleset_offset=-1 if rules is None else rules.offset,
            session_sequence=session.counters.sequence,
            revocation_offset=control.revocations.next_offset,
            baseline_version=case.baseline_version,
            approval_id=_approval_id(case),
            compensating_tool=None if tool is None else tool.entry.compensating_tool,
            evaluated_at=asked.now_ms,
            expires_at=self._expires_ms(case, is_allowed=is_allowed),
            audience=intent.tool.server_id,
            reply_to=intent.reply_to,
            mode=_ENFORCE,
            attributes_offset=case.attributes_offset,
            compensating_args_json=_undoing_args(case, decision),
            origins=origins,
            atom_key=self._provenance.key_for_result(case) if is_allowed else None,
            content_type=None if tool is None or not is_allowed else tool.entry.content_type,
        )

    def _expires_ms(self, case: Case, *, is_allowed: bool) -> int:
        """Return when the verdict expires: never later than its session, its grant or the agent's deadline.

        What is allowed can't be used either once the tool's approval has ended, or a grant of people that it needed.
        """
        asked = case.asked
        expires_ms = asked.now_ms + self._verdict_ttl_ms
        if case.session.life.expires_ms:
            expires_ms = min(expires_ms, case.session.life.expires_ms)
        if case.authority is not None:
            expires_ms = min(expires_ms, case.authority.row.exp_ms)
        if asked.intent.deadline is not None:
            expires_ms = min(expires_ms, asked.intent.deadline)
        if not is_allowed:
            return expires_ms
        if case.approved_until_ms:
            expires_ms = min(expires_ms, case.approved_until_ms)
        if case.tool is not None and case.tool.entry.review_expires is not None:
            expires_ms = min(expires_ms, case.tool.entry.review_expires)
        return expires_ms


def _undoing_args(case: Case, decision: Decision) -> str | None:
    """Return the arguments of the call that undoes an allowed call, as far as its own arguments tell."""
    tool = case.tool
    if tool is None or not tool.entry.compensating_args or decision.outcome is not _ALLOW:
        return None
    return tool.uses.undoing_args(case.known_arguments().values)


def _approval_id(case: Case) -> str | None:
    """Return the grant of people that approves the call, or what the agent states."""
    grants = case.approval_grants
    return grants[-1].removeprefix(GRANT_PREFIX) if grants else case.asked.intent.approval_id


def _judged_tool(case: Case) -> ToolRef:
    """Return the tool as the catalog has it, so that the executor can compare its live definition with that."""
    if case.tool is None:
        return case.asked.intent.tool
    return case.tool.ref


def _rule_hits(policy: PolicyResult) -> tuple[RuleHit, ...]:
    return tuple(
        RuleHit(
            rule_id=rule.rule_id,
            rule_version=rule.rule_version,
            effect=RuleEffect[rule.effect.name],
            mode=RuleMode[rule.mode.name],
            reason=rule.reason,
        )
        for rule in policy.rules
    )


def _rule_faults(policy: PolicyResult) -> tuple[RuleFault, ...]:
    return tuple(RuleFault(rule_id=error.rule_id, text=error.text) for error in policy.errors)


def _obligations(policy: PolicyResult) -> tuple[Obligation, ...]:
    return tuple(
        Obligation(id=item.id, type=item.type, properties_json=json.dumps(dict(item.properties), sort_keys=True))
        for item in policy.obligations
    )


def _influences(
    session: SessionRow, origins: tuple[ArgumentOrigin, ...], seen: ProvenanceRow | None, examined: Examined | None
) -> tuple[Influence, ...]:
    """Return everything that the session has read, or may have read, and that could have led to this call."""
    of_others = () if seen is None or not seen.carried else _influences_of_others(seen.carried, examined)
    read = [(source.event_id, source.label) for source in session.trust.sources]
    read += [(pending.intent_id, pending.label) for pending in session.trust.pending_reads]
    if not read:
        return of_others
    pointers: dict[str, list[str]] = {}
    others: set[str] = set()
    for each in origins:
        for event_id in each.event_ids:
            pointers.setdefault(event_id, []).append(each.pointer)
        if each.origin in _BY_OTHERS:
            # The result as a whole may be trusted, and this field of it not.
            others.update(each.event_ids)
    # From a list, which takes half as long as from a generator.
    return (
        tuple(
            [
                Influence(
                    event_id=event_id,
                    arg_pointers=tuple(pointers[event_id]) if event_id in pointers else (),
                    origin=_FROM_TRUSTED if label.integrity is _TRUSTED and event_id not in others else _FROM_UNTRUSTED,
                )
                for event_id, label in read
            ]
        )
        + of_others
    )


def _influences_of_others(carried: tuple[CarriedSource, ...], examined: Examined | None) -> tuple[Influence, ...]:
    """Return what other sessions have read or written that this one knows something from."""
    return tuple(
        Influence(
            event_id=source.event_id,
            arg_pointers=() if examined is None else examined.pointers_of(source),
            origin=_FROM_UNTRUSTED,
            session_id=source.session_id,
        )
        for source in carried
    )
