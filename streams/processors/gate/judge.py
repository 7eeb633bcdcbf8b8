"""Judge one intent: checks, rules and budgets in the order of `order.STEPS`, then the conclusion."""

from __future__ import annotations

import logging

from streams.model.errors import InvariantError
from streams.model.reasons import Reason
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.policy.runtime.memory_updates import MemoryUpdate
from streams.ports import LogError, StoreError
from streams.ports.content import ContentSealer
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, grant_use_event
from streams.processors.budgets.charges import NOTHING_TAKEN, BudgetCharges, Taken
from streams.processors.control.state import ControlState
from streams.processors.gate.approval_grants import spend, with_grants
from streams.processors.gate.budgets import charge_budgets
from streams.processors.gate.carried import Carried
from streams.processors.gate.case import FIRST_TIME, Case
from streams.processors.gate.checks.arguments import check_arguments
from streams.processors.gate.checks.tool import check_tool
from streams.processors.gate.conclusion import NO_EFFECTS, Concluder, Effects
from streams.processors.gate.contents import Contents
from streams.processors.gate.decision import REFUSALS, Decision, deny
from streams.processors.gate.order import first_denial
from streams.processors.gate.pending_rows import defer, row_for_budget
from streams.processors.gate.provenance import PROVENANCE_FACTS, ProvenanceKeeper
from streams.processors.gate.rules import NO_PLANNED_EFFECTS, Ruling, evaluate_rules, facts_for, plan_effects
from streams.processors.gate.shared_memories import SharedMemories
from streams.processors.gate.signals import SIGNAL_FACT
from streams.processors.rows import session_row_key
from streams.processors.sessions import retention
from streams.processors.sessions.grants import kept_authority
from streams.processors.settings import GateSettings
from streams.processors.state import ApprovalGrantRow, encode_row

_log = logging.getLogger(__name__)
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ALLOW = Outcome.ALLOW
_REQUIRE_APPROVAL = Outcome.REQUIRE_APPROVAL


class Judge:
    """Judges intents, one at a time, on the current state.

    Attributes:
        settings: the bounds of the gate.
        encoder: what encodes its records.
        budget_charges: the budgets.
        shared_memories: the memories that sessions share.
        provenance: what keeps what sessions have read.
        carried: what outlives sessions.
        contents: what captures content.
        concluder: what makes a decision into a verdict.
    """

    def __init__(
        self, settings: GateSettings, encoder: Encoder, control: ControlState, sealer: ContentSealer | None = None
    ) -> None:
        self.settings = settings
        self.encoder = encoder
        self.budget_charges = BudgetCharges(settings, encoder)
        self.shared_memories = SharedMemories(encoder)
        self._control = control
        self.provenance = ProvenanceKeeper(settings, control)
        self.carried = Carried(encoder, self.provenance)
        self.contents = Contents(settings, encoder, sealer)
        self.concluder = Concluder(settings, encoder, control, self.provenance, self.contents)

    def decide(self, case: Case, state: StateView) -> list[Output]:
        """Decide an intent. Returns its verdict and what follows from it, or nothing if it waits for a budget."""
        ruling: Ruling | None = None
        grants: tuple[ApprovalGrantRow, ...] = ()
        taken, planned = NOTHING_TAKEN, NO_PLANNED_EFFECTS
        try:
            case.authority = kept_authority(case.asked.session_key, case.session, state)
            decision = first_denial(case, self._control, self.settings)
            if decision is None:
                ruling = evaluate_rules(case, self._control, self.provenance, self.carried, state)
                if ruling.decision.outcome is _REQUIRE_APPROVAL:
                    ruling, grants = with_grants(case, ruling, self._control, state)
                decision = ruling.decision
                if ruling.stale or ruling.questions:
                    decision, taken = self._asked_memories(case, ruling, state)
                elif decision.outcome not in REFUSALS:
                    decision, planned = plan_effects(ruling)
                if planned.charges:
                    decision, taken = charge_budgets(
                        self.budget_charges, case, decision, planned.charges, state, self.settings
                    )
                decision = self._limited(case, decision)
        except (InvariantError, LogError, StoreError):
            # The state can't be read, so nothing can be decided: the intent is read again.
            raise
        except Exception:
            # Fail closed on any other fault: deny the intent, so that the partition goes on.
            _log.exception("intent `%s` of session `%s` could not be judged", *_ids(case))
            decision, taken = deny(Reason.INTERNAL_ERROR), NOTHING_TAKEN
        if taken.waits:
            self._wait_for_budget(case, state)
            return list(taken.outputs)
        updates = planned.memory_updates
        if decision.outcome in REFUSALS and ruling is not None:
            updates = _updates_if_denied(ruling, case, updates)
        effects = Effects(updates, taken.charges) if updates or taken.charges else NO_EFFECTS
        if grants and decision.outcome is _ALLOW:
            case.approval_grants = tuple(grant.uid for grant in grants)
            case.approved_until_ms = min((grant.until_ms for grant in grants if grant.until_ms), default=0)
            outputs = self.concluder.conclude(case, decision, state, effects)
            outputs += self._spent(case, grants, state)
        else:
            outputs = self.concluder.conclude(case, decision, state, effects)
        return [*outputs, *self.carried.after_verdict(case, decision.outcome, state), *taken.outputs]

    def _spent(self, case: Case, grants: tuple[ApprovalGrantRow, ...], state: StateView) -> list[Output]:
        """Count the use of people's grants, and return a record of each."""
        asked = case.asked
        return [
            audit_output(self.encoder, asked.session_key, grant_use_event(asked.intent, grant, asked.now_ms))
            for grant in spend(asked.session_key, grants, state)
        ]

    def refuse(self, case: Case, reason: Reason, state: StateView) -> list[Output]:
        """Deny a pending intent that the rules have judged before: it counts as a proven intent of its session."""
        effects = NO_EFFECTS
        try:
            effects = self._effects_of_refusal(case, state)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception:
            # Deny it anyway: without a verdict it would stay pending.
            _log.exception("the memories do not store intent `%s` of session `%s`", *_ids(case))
        case.is_proven = True
        return self.concluder.conclude(case, deny(reason), state, effects)

    def _effects_of_refusal(self, case: Case, state: StateView) -> Effects:
        """Return what a refusal changes in the memories. What rules read of the call is kept with the case."""
        case.authority = kept_authority(case.asked.session_key, case.session, state)
        ruleset = self._control.ruleset_for(case.asked.session_key)
        checks = (check_arguments, check_tool)
        has_passed = all(check(case, self._control, self.settings) is None for check in checks)
        if ruleset is None or not has_passed or case.tool is None:
            return NO_EFFECTS
        plan = ruleset.plan(case.tool.facts)
        reads_provenance = not PROVENANCE_FACTS.isdisjoint(plan.needs)
        if not (plan.has_updates or reads_provenance or SIGNAL_FACT in plan.needs):
            return NO_EFFECTS
        if reads_provenance:
            # What the session has read is looked up here, and the examination uses it.
            knows_conversation = self.carried.knows_conversation(case, state)
            examined = self.provenance.examine(case, plan.needs, state)
            if examined is not None and not knows_conversation:
                # Another session may have been asked for the act: nobody can say that it drifts.
                examined.drifts = False
        facts = facts_for(case, plan, FIRST_TIME, self._control, self.provenance, state)
        return Effects(plan.updates_if_denied(facts))

    def _asked_memories(self, case: Case, ruling: Ruling, state: StateView) -> tuple[Decision, Taken]:
        """Ask for memories that sessions share, and let the intent wait; deny it if it has waited long enough."""
        asked, due_ms = case.asked, case.asked.progress.budget_due_ms
        if due_ms and asked.now_ms >= due_ms:
            return ruling.decision, NOTHING_TAKEN
        if case.session.counters.waiting_count >= self.settings.pending_per_session_max:
            return deny(Reason.TOO_MANY_PENDING), NOTHING_TAKEN
        waiting = (asked.session_key, asked.intent.intent_id)
        outputs = self.shared_memories.ask(ruling.stale, waiting, state, asked.now_ms)
        asks = self.carried.ask(ruling.questions, waiting, state, asked.now_ms)
        if outputs is None or asks is None:
            return ruling.decision, NOTHING_TAKEN
        outputs += asks
        return ruling.decision, Taken(waits=True, outputs=tuple(outputs))

    def _limited(self, case: Case, decision: Decision) -> Decision:
        """Deny an intent that would become pending if too many intents of its session are pending already."""
        has_room = case.session.counters.waiting_count < self.settings.pending_per_session_max
        if has_room or decision.outcome in FINAL_OUTCOMES:
            return decision
        return decision.refused(Reason.TOO_MANY_PENDING)

    def _wait_for_budget(self, case: Case, state: StateView) -> None:
        """Make the intent pending until its lease arrives. It has no verdict in the meantime."""
        asked = case.asked
        pending_row = row_for_budget(case, state, self.settings)
        row = defer(asked.session_key, asked.intent.intent_id, pending_row, case.session, state)
        row = retention.arm(asked.session_key, row, state, self.settings, asked.now_ms)
        state.put(session_row_key(asked.session_key), encode_row(row))


def _updates_if_denied(ruling: Ruling, case: Case, otherwise: tuple[MemoryUpdate, ...]) -> tuple[MemoryUpdate, ...]:
    """Return the memory updates of a denial. The call is denied whether or not they can be determined."""
    plan = ruling.plan
    if plan is None or not plan.has_updates:
        return otherwise
    try:
        return plan.updates_if_denied(ruling.facts)
    except Exception:
        _log.exception("the memories do not store the denial of intent `%s` of session `%s`", *_ids(case))
        return ()


def _ids(case: Case) -> tuple[str, str]:
    return case.asked.intent.intent_id, case.asked.intent.session_id
