"""Deciding one intent, and remembering what was decided."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from streams.model.catalog import ToolCatalogEntry
from streams.model.errors import InvariantError
from streams.model.reasons import Reason
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.policy.language.bundle import Occasion
from streams.policy.runtime.memory_updates import MemoryUpdate, MemoryUpdateError, ToolPlan
from streams.ports import LogError, StoreError
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.budgets.charges import NOTHING_TAKEN, BudgetCharges, Taken
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case, Judgement, amount_of, deny
from streams.processors.gate.checks import check_all, check_args, check_tool
from streams.processors.gate.completion_effects import leave
from streams.processors.gate.facts import FIRST_TIME, ApprovalProgress, build_facts
from streams.processors.gate.settings import GateSettings
from streams.processors.gate.verdicts import VerdictWriter
from streams.processors.sessions import lifecycle, retention
from streams.processors.sessions.audit import changed_record
from streams.processors.sessions.events import after_allow
from streams.processors.sessions.grants import attach
from streams.processors.sessions.memory import Happened, apply_updates, recall, update_row
from streams.processors.sessions.revocation_cascade import when_frozen
from streams.processors.state import (
    CALLED_TOOLS_MAX,
    EffectsRow,
    PendingKind,
    PendingRow,
    SessionRow,
    SessionStatus,
    TimerKind,
    VerdictRow,
    descendant_row_key,
    encode_intent,
    encode_row,
    pending_row_key,
    session_row_key,
    timer_payload,
    verdict_row_key,
)

_log = logging.getLogger(__name__)
_OTHER_TOOLS = "(other)"
_AFTER_DESCENDANTS = b"e"
_REFUSED = frozenset({Outcome.DENY, Outcome.QUARANTINE})
_OCCASIONS = {
    Outcome.ALLOW: (Occasion.JUDGED, Occasion.ALLOWED),
    Outcome.DENY: (Occasion.JUDGED, Occasion.DENIED),
    Outcome.QUARANTINE: (Occasion.JUDGED, Occasion.DENIED),
}
replace = msgspec.structs.replace


class Judge:
    """Checks, rules, verdict, memory: in that order, for one intent at a time."""

    def __init__(self, settings: GateSettings, encoder: Encoder, control: ControlState) -> None:
        self.settings = settings
        self.writer = VerdictWriter(settings, encoder)
        self.budget_charges = BudgetCharges(settings, encoder)
        self._encoder = encoder
        self._control = control

    def decide(self, case: Case, state: StateView, progress: ApprovalProgress = FIRST_TIME) -> list[Output]:
        """Judge the intent on the state of now."""
        taken = NOTHING_TAKEN
        try:
            attach(case, state)
            judgement = check_all(case, self._control, self.settings) or self._apply_rules(case, progress, state)
            if case.charges and judgement.outcome not in _REFUSED:
                judgement, taken = self._within_budgets(case, judgement, state)
            judgement = self._unless_too_many(case, judgement)
        except (InvariantError, LogError, StoreError):
            # The state can't be read: nothing can be said of the intent, it comes again.
            raise
        except Exception:
            # Whatever went wrong, the answer is no, and the partition goes on.
            _log.exception("judging intent `%s` of session `%s` failed", case.intent.intent_id, case.intent.session_id)
            judgement, taken = deny(Reason.INTERNAL_ERROR), NOTHING_TAKEN
        if judgement.outcome in _REFUSED and case.if_denied is not None:
            case.memory_updates = _updates_of_denial(case.if_denied, case)
        if taken.waits:
            return [*taken.outputs, *self._wait_for_budget(case, progress, state)]
        case.charged = taken.charges
        return [*self.conclude(case, judgement, state, progress), *taken.outputs]

    def _within_budgets(self, case: Case, judgement: Judgement, state: StateView) -> tuple[Judgement, Taken]:
        """Take what an allowed call takes of budgets; what they don't allow is denied, or waits shortly for more."""
        if judgement.outcome is not Outcome.ALLOW:
            # Nobody is asked about a call that its budgets would not allow.
            text = self.budget_charges.exhausted(case, state)
            refused = None if text is None else deny(Reason.BUDGET_EXHAUSTED, text)
            return (judgement if refused is None else refused._replace(policy=judgement.policy)), NOTHING_TAKEN
        taken = self.budget_charges.take(case, state)
        if taken.waits and case.budget_due_ms and case.now_ms >= case.budget_due_ms:
            taken = taken._replace(waits=False, refused=Reason.BUDGET_UNAVAILABLE)
        if taken.waits and case.session.waiting_count >= self.settings.pending_per_session_max:
            taken = taken._replace(waits=False, refused=Reason.TOO_MANY_PENDING)
        if taken.refused is not None:
            judgement = deny(taken.refused, taken.text)._replace(policy=judgement.policy)
        return judgement, taken

    def _wait_for_budget(self, case: Case, progress: ApprovalProgress, state: StateView) -> list[Output]:
        """Hold the intent until its slice has come, or for as long as it may wait. It has no verdict meanwhile."""
        wait_until_ms = case.budget_due_ms or case.now_ms + self.settings.budget_wait_ms
        pending_row = PendingRow(
            kind=PendingKind.BUDGET,
            intent=encode_intent(case.intent),
            received_ms=case.received_ms,
            due_ms=min(wait_until_ms, case.session.expires_ms),
            order=case.session.pending_serial,
            since_ms=case.now_ms,
            groups=progress.approved_now or (),
            granted_by=dict(progress.granted_by),
            waited_ms=progress.waited_ms,
            asked_count=case.asked_count,
            decision_ids=case.decision_ids,
        )
        row = defer(case.session_key, case.intent.intent_id, pending_row, case.session, state)
        row = retention.arm(case.session_key, row, state, self.settings, case.now_ms)
        state.put(session_row_key(case.session_key), encode_row(row))
        return []

    def conclude(
        self, case: Case, judgement: Judgement, state: StateView, progress: ApprovalProgress = FIRST_TIME
    ) -> list[Output]:
        """Make the judgement a verdict and remember it; an interim one holds the intent."""
        verdict, outputs = self.writer.write(case, judgement, self._control)
        final = judgement.outcome in FINAL_OUTCOMES
        claimed_ms = case.intent.header.time
        judged = VerdictRow(judged_ms=case.now_ms, final=final, verdict=outputs[0].value, claimed_ms=claimed_ms)
        state.put(verdict_row_key(case.session_key, case.intent.intent_id), encode_row(judged))
        row = self._remembered(case, judgement, progress, self._counted(case, judgement), state)
        if case.proven and row.opened_with is not None:
            row = self._note_changes(case, row, outputs)
        if judgement.outcome is Outcome.QUARANTINE and row.status is SessionStatus.FROZEN:
            outputs.append(when_frozen(self._encoder, case, row, judgement.reason, state, verdict.verdict_id))
        if not final:
            pending_row = self._waiting(case, judgement, progress, row)
            row = defer(case.session_key, case.intent.intent_id, pending_row, row, state)
            if pending_row.kind is PendingKind.APPROVAL:
                outputs.append(self.writer.approval_request(case, verdict, judgement, pending_row.due_ms))
        row = retention.arm(case.session_key, row, state, self.settings, case.now_ms)
        state.put(session_row_key(case.session_key), encode_row(row))
        return outputs

    def refuse(
        self, case: Case, reason: Reason, state: StateView, progress: ApprovalProgress = FIRST_TIME
    ) -> list[Output]:
        """Deny an intent that the rules had before them already, and that was held since."""
        case.proven = True
        try:
            self._note_denial(case, state)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception:
            # It is denied all the same, and once: what can't be remembered of it must not leave it without a verdict.
            _log.exception(
                "intent `%s` of session `%s` is not remembered", case.intent.intent_id, case.intent.session_id
            )
        return self.conclude(case, deny(reason), state, progress)

    def _note_denial(self, case: Case, state: StateView) -> None:
        attach(case, state)
        ruleset = self._control.ruleset_for(case.session_key)
        readable = check_args(case, self.settings) is None and check_tool(case, self._control) is None
        if ruleset is not None and readable and case.tool is not None:
            plan = ruleset.plan(case.tool.facts)
            if plan.has_updates:
                case.memory_updates = plan.updates_if_denied(self._facts(case, plan, FIRST_TIME, state))

    def _apply_rules(self, case: Case, progress: ApprovalProgress, state: StateView) -> Judgement:
        ruleset, tool = self._control.ruleset_for(case.session_key), case.tool
        if ruleset is None or tool is None:
            return deny(Reason.NO_RULESET)
        plan = ruleset.plan(tool.facts)
        facts = self._facts(case, plan, progress, state)
        policy = ruleset.evaluate(facts, planned=True)
        judgement = Judgement(Outcome(policy.effect.value), Reason(policy.reason.value), policy.reason_text, policy)
        if plan.has_updates:
            case.if_denied = partial(plan.updates_if_denied, facts)
        if plan.has_effects and judgement.outcome not in _REFUSED:
            return self._with_notes(case, plan, facts, judgement)
        return judgement

    def _facts(self, case: Case, plan: ToolPlan, progress: ApprovalProgress, state: StateView) -> dict[str, Any]:
        facts = build_facts(case, self._control, progress, plan.needs)
        if plan.recalls:
            kept = state if case.session.keeps_count else None
            facts["history"] = recall(plan, facts, case.session_key, kept, case.now_ms)
        return facts

    def _with_notes(self, case: Case, plan: ToolPlan, facts: dict[str, Any], judgement: Judgement) -> Judgement:
        """MemoryUpdate what there is to remember; a call of which that can't be told is not allowed."""
        try:
            case.memory_updates, case.charges = plan.updates(facts), plan.charges(facts)
        except MemoryUpdateError as error:
            return Judgement(Outcome.DENY, Reason.RULE_ERROR, str(error), judgement.policy)
        return judgement

    def _remembered(
        self, case: Case, judgement: Judgement, progress: ApprovalProgress, row: SessionRow, state: StateView
    ) -> SessionRow:
        """The session's row once the memories know of the verdict."""
        if not case.proven or not (case.memory_updates or case.charged):
            return row
        occasions = set(_OCCASIONS.get(judgement.outcome, ()))
        if progress.approved_now is not None:
            occasions.add(Occasion.APPROVED)
        updates = tuple(update_row(update) for update in case.memory_updates)
        happened = Happened(frozenset(occasions), groups=progress.approved_now or ())
        if (
            apply_updates(updates, happened, case.session_key, state, case.now_ms) or case.charged
        ) and not row.keeps_count:
            row = replace(row, keeps_count=True)
        if judgement.outcome is Outcome.ALLOW:
            effects = EffectsRow(updates, case.charged, None if case.tool is None else case.tool.full_name)
            row = leave(effects, case.session_key, case.intent.intent_id, row, state)
        return row

    def _note_changes(self, case: Case, row: SessionRow, outputs: list[Output]) -> SessionRow:
        """The row once it is known what of the intent's origin is not what the session was opened with."""
        changed = lifecycle.changes(row, case.intent)
        if changed == row.changed:
            return row
        outputs.append(
            changed_record(self._encoder, case.session_key, row, changed, case.intent.intent_id, case.now_ms)
        )
        return replace(row, changed=changed)

    def _unless_too_many(self, case: Case, judgement: Judgement) -> Judgement:
        if judgement.outcome in FINAL_OUTCOMES or case.session.waiting_count < self.settings.pending_per_session_max:
            return judgement
        return deny(Reason.TOO_MANY_PENDING)._replace(policy=judgement.policy)

    def _counted(self, case: Case, judgement: Judgement) -> SessionRow:
        """The session's row after the verdict. An intent that was not proven to be the session's leaves no trace."""
        row, outcome = case.session, judgement.outcome
        if not case.proven or outcome not in FINAL_OUTCOMES:
            return row
        if outcome is Outcome.ALLOW and case.tool is not None:
            row = after_allow(row, case.intent.intent_id, case.tool.output_label, case.tool.full_name)
            return replace(
                row,
                active_ms=case.now_ms,
                intents_count=row.intents_count + 1,
                allowed_count=row.allowed_count + 1,
                spent_minor=row.spent_minor + amount_of(case.args),
                calls=_with_call(row.calls, case.tool.entry),
            )
        row = replace(
            row, active_ms=case.now_ms, intents_count=row.intents_count + 1, denied_count=row.denied_count + 1
        )
        if outcome is Outcome.QUARANTINE:
            return replace(row, status=SessionStatus.FROZEN, frozen_offset=self._control.revocations.next_offset)
        return row

    def _waiting(self, case: Case, judgement: Judgement, progress: ApprovalProgress, row: SessionRow) -> PendingRow:
        """What the intent waits for, and until when: never beyond its session."""
        policy = judgement.policy
        approval = None if policy is None else policy.approval
        if judgement.outcome is Outcome.REQUIRE_APPROVAL:
            kind = PendingKind.APPROVAL
            wait_ms = self.settings.approval_ttl_ms if approval is None else approval.ttl_ms
        else:
            kind = PendingKind.CANCEL_WINDOW
            stated_ms = None if policy is None else policy.defer_ms
            wait_ms = self.settings.defer_ms if stated_ms is None else stated_ms
        return PendingRow(
            kind=kind,
            intent=encode_intent(case.intent),
            received_ms=case.received_ms,
            due_ms=min(case.now_ms + wait_ms, case.session.expires_ms),
            order=row.pending_serial,
            since_ms=case.now_ms,
            groups=() if approval is None else (approval.group,),
            quorum=1 if approval is None else approval.quorum,
            granted_by=dict(progress.granted_by),
            asked_count=case.asked_count,
            decision_ids=case.decision_ids,
        )


def _updates_of_denial(updates: Callable[[], tuple[MemoryUpdate, ...]], case: Case) -> tuple[MemoryUpdate, ...]:
    """What a denial leaves. The call is denied whether or not that can be told."""
    try:
        return updates()
    except Exception:
        _log.exception(
            "the denial of intent `%s` of session `%s` is not remembered", case.intent.intent_id, case.intent.session_id
        )
        return ()


def defer(session_key: bytes, intent_id: str, pending_row: PendingRow, row: SessionRow, state: StateView) -> SessionRow:
    """Keep an intent until its timer, and return the session's row with it counted."""
    state.put(pending_row_key(session_key, intent_id), encode_row(pending_row))
    state.set_timer(pending_row.due_ms, timer_payload(TimerKind.PENDING, session_key, intent_id))
    if row.ancestor_session_ids:
        state.put(descendant_row_key(session_key), b"")
    return replace(row, waiting_count=row.waiting_count + 1, pending_serial=row.pending_serial + 1)


def release(
    session_key: bytes, intent_id: str, pending_row: PendingRow, row: SessionRow, state: StateView
) -> SessionRow:
    """The reverse of `hold`."""
    state.delete(pending_row_key(session_key, intent_id))
    state.cancel_timer(pending_row.due_ms, timer_payload(TimerKind.PENDING, session_key, intent_id))
    if row.waiting_count == 1 and state.get(descendant_row_key(session_key)) is not None:
        state.delete(descendant_row_key(session_key))
    return replace(row, waiting_count=row.waiting_count - 1)


def has_pending_descendants(state: StateView) -> bool:
    """Whether something waits in a session that descends from another. One that was found to only while it waited is
    not told here: its stop comes when it is judged."""
    return next(state.scan(descendant_row_key(b""), _AFTER_DESCENDANTS), None) is not None


def _with_call(calls: dict[str, int], entry: ToolCatalogEntry) -> dict[str, int]:
    tool = f"{entry.server_id}.{entry.name}"
    if tool not in calls and len(calls) >= CALLED_TOOLS_MAX:
        tool = _OTHER_TOOLS
    return {**calls, tool: calls.get(tool, 0) + 1}
