"""Evaluate the rules for an intent that has passed all checks."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.model.reasons import Reason
from streams.model.verdict import Outcome
from streams.policy import results
from streams.policy.language.schema import READS_BASELINE
from streams.policy.runtime.budget_meters import Charge
from streams.policy.runtime.memory_updates import MemoryUpdate, ToolPlan
from streams.policy.runtime.memory_values import MemoryUpdateError
from streams.ports.processor import StateView
from streams.processors.control.state import ControlState
from streams.processors.gate.carried import Carried, Question
from streams.processors.gate.case import Case, Progress
from streams.processors.gate.decision import Decision, deny
from streams.processors.gate.entities import entity_facts
from streams.processors.gate.facts import build_facts
from streams.processors.gate.provenance import PROVENANCE_FACTS, ProvenanceKeeper
from streams.processors.gate.shared_memories import Tally, recall_shared
from streams.processors.gate.signals import SIGNAL_FACT, observe
from streams.processors.provenance.facts import PROVENANCE_MAKERS
from streams.processors.sessions.memory import recall


class Ruling(msgspec.Struct, frozen=True):
    """Holds what the rules decided, and what is needed to determine the effects of the decision.

    Attributes:
        decision: what the rules decided.
        plan: the memory updates and budget charges of the tool; None if no rules were evaluated.
        facts: the facts that the rules have read.
        stale: memories that sessions share, and that must be asked for before the rules can be evaluated.
        questions: what outlives sessions and must be asked for as well.
    """

    decision: Decision
    plan: ToolPlan | None
    facts: dict[str, Any]
    stale: tuple[Tally, ...] = ()
    questions: tuple[Question, ...] = ()


class PlannedEffects(msgspec.Struct, frozen=True):
    """Holds what a call that is not denied changes in memories and takes from budgets."""

    memory_updates: tuple[MemoryUpdate, ...] = ()
    charges: tuple[Charge, ...] = ()


NO_PLANNED_EFFECTS = PlannedEffects()

# Dictionaries, because to look up a member of an enum by its value takes ten times as long.
_OUTCOMES = {effect: Outcome(effect.value) for effect in results.Effect}
_REASONS = {reason: Reason(reason.value) for reason in results.Reason}


def evaluate_rules(
    case: Case, control: ControlState, keeper: ProvenanceKeeper, carried: Carried, state: StateView
) -> Ruling:
    """Return what the rules in force decide about a case that has passed all checks."""
    ruleset, tool = control.ruleset_for(case.asked.session_key), case.tool
    if ruleset is None or tool is None:
        return Ruling(deny(Reason.NO_RULESET), None, {})
    if control.revocations.stops_rules(ruleset.digest, case.asked.now_ms):
        return Ruling(deny(Reason.REVOKED_RULESET), None, {})
    plan = ruleset.plan(tool.facts)
    if keeper.asks(case):
        # Also where no rule of this tool asks: the verdict says whether others had a say, and a rule may ask for the
        # session as a whole.
        questions = carried.questions(case, state)
        if questions:
            return Ruling(deny(Reason.BUDGET_UNAVAILABLE), None, {}, questions=questions)
    facts = facts_for(case, plan, case.asked.progress, control, keeper, state)
    if plan.shared:
        stale = _add_shared(case, plan, facts, state)
        if stale:
            return Ruling(deny(Reason.BUDGET_UNAVAILABLE), plan, facts, stale)
    policy = ruleset.evaluate(facts, planned=True)
    return Ruling(decision_of(policy), plan, facts)


def decision_of(policy: results.PolicyResult) -> Decision:
    """Return the result of the rules as a decision."""
    return Decision(_OUTCOMES[policy.effect], _REASONS[policy.reason], policy.reason_text, policy)


def facts_for(
    case: Case, plan: ToolPlan, progress: Progress, control: ControlState, keeper: ProvenanceKeeper, state: StateView
) -> dict[str, Any]:
    """Return the facts that the rules, memories and budgets of a tool read."""
    facts = build_facts(case, control, progress, plan.needs)
    if not PROVENANCE_FACTS.isdisjoint(plan.needs):
        examined = keeper.examine(case, plan.needs, state)
        if examined is not None:
            facts |= {name: make(examined) for name, make in PROVENANCE_MAKERS.items() if name in plan.needs}
            if examined.owners.is_unclear:
                # A rule that reads it is then in error, which denies.
                facts.pop("owner", None)
    if SIGNAL_FACT in plan.needs:
        facts[SIGNAL_FACT] = observe(case, state, control.attributes, control if READS_BASELINE in plan.needs else None)
    if plan.lookups:
        entities = entity_facts(plan.lookups, facts, case, control.attributes)
        if entities is None:
            # A rule that reads any of them is then in error, which denies.
            del facts["entities"]
        else:
            facts["entities"] = entities
    if plan.recalls:
        kept = state if case.session.counters.keeps_count else None
        facts["history"] = recall(plan, facts, case.asked.session_key, kept, case.asked.now_ms)
    return facts


def _add_shared(case: Case, plan: ToolPlan, facts: dict[str, Any], state: StateView) -> tuple[Tally, ...]:
    """Add the memories that sessions share to the facts, and return those that must be asked for first."""
    recalled = recall_shared(plan, facts, case.asked.intent, state, case.asked.now_ms)
    facts["history"] = {**facts.get("history", {}), **recalled.history}
    return recalled.stale


def plan_effects(ruling: Ruling) -> tuple[Decision, PlannedEffects]:
    """Return the effects of a ruling that does not deny, and its decision: a denial if they can't be determined."""
    decision, plan, facts = ruling.decision, ruling.plan, ruling.facts
    if plan is None or not plan.has_effects:
        return decision, NO_PLANNED_EFFECTS
    try:
        return decision, PlannedEffects(plan.updates(facts), plan.charges(facts))
    except MemoryUpdateError as error:
        return Decision(Outcome.DENY, _REASONS[error.reason], str(error), decision.policy), NO_PLANNED_EFFECTS
