"""Deciding one intent, and remembering what was decided."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from streams.model.catalogue import ToolCatalogEntry
from streams.model.reasons import Reason
from streams.model.types import ToolRef
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.policy.ruleset import CompiledRuleset
from streams.processors import housekeeping
from streams.processors.case import Case, Judgement, deny
from streams.processors.checks import check_all
from streams.processors.control import ControlState
from streams.processors.effects import Encoder, Output, StateView
from streams.processors.facts import FIRST_TIME, Standing, build_facts
from streams.processors.sessions import after_allow
from streams.processors.settings import GateSettings
from streams.processors.state import (
    CALLED_TOOLS_MAX,
    HeldKind,
    HeldRow,
    JudgedRow,
    SessionRow,
    SessionStatus,
    TimerKind,
    encode_intent,
    encode_row,
    held_row_key,
    judged_row_key,
    session_row_key,
    timer_payload,
)
from streams.processors.verdicts import VerdictWriter

NEEDS_CACHED_MAX = 4_096

_log = logging.getLogger(__name__)
_OTHER_TOOLS = "(other)"
replace = msgspec.structs.replace


class Judge:
    """Checks, rules, verdict, memory: in that order, for one intent at a time."""

    def __init__(self, settings: GateSettings, encoder: Encoder, control: ControlState) -> None:
        self.settings = settings
        self.writer = VerdictWriter(settings, encoder)
        self._control = control
        self._needs_of: CompiledRuleset | None = None
        self._needs_by_tool: dict[tuple[str, str], frozenset[str]] = {}

    def decide(self, case: Case, state: StateView, standing: Standing = FIRST_TIME) -> list[Output]:
        """Judge the intent on the state of now."""
        try:
            judgement = check_all(case, self._control, self.settings) or self._apply_rules(case, standing)
        except Exception:
            # Whatever went wrong, the answer is no, and the partition goes on.
            _log.exception("judging intent `%s` of session `%s` failed", case.intent.intent_id, case.intent.session_id)
            judgement = deny(Reason.INTERNAL_ERROR)
        return self.conclude(case, judgement, state, standing)

    def conclude(
        self, case: Case, judgement: Judgement, state: StateView, standing: Standing = FIRST_TIME
    ) -> list[Output]:
        """Make the judgement a verdict and remember it; an interim one holds the intent."""
        judgement = self._unless_too_many(case, judgement)
        verdict, outputs = self.writer.write(case, judgement, self._control)
        final = judgement.outcome in FINAL_OUTCOMES
        judged = JudgedRow(judged_ms=case.now_ms, final=final, verdict=outputs[0].value)
        state.put(judged_row_key(case.session_key, case.intent.intent_id), encode_row(judged))
        row = self._counted(case, judgement)
        if not final:
            held = self._waiting(case, judgement, standing, row)
            row = hold(case.session_key, case.intent.intent_id, held, row, state)
            if held.kind is HeldKind.APPROVAL:
                outputs.append(self.writer.approval_request(case, verdict, judgement, held.due_ms))
        row = housekeeping.arm(case.session_key, row, state, self.settings, case.now_ms)
        state.put(session_row_key(case.session_key), encode_row(row))
        return outputs

    def _apply_rules(self, case: Case, standing: Standing) -> Judgement:
        ruleset = self._control.ruleset
        if ruleset is None:
            return deny(Reason.NO_RULESET)
        facts = build_facts(case, self._control, standing, self._needs(ruleset, case.intent.tool))
        policy = ruleset.evaluate(facts)
        return Judgement(Outcome(policy.effect.value), Reason(policy.reason.value), policy.reason_text, policy)

    def _needs(self, ruleset: CompiledRuleset, tool: ToolRef) -> frozenset[str]:
        """The facts that the rules in force read of a tool, found once for each tool."""
        if ruleset is not self._needs_of:
            self._needs_of, self._needs_by_tool = ruleset, {}
        key = (tool.server_id, tool.name)
        found = self._needs_by_tool.get(key)
        if found is None:
            if len(self._needs_by_tool) >= NEEDS_CACHED_MAX:
                self._needs_by_tool.clear()
            found = self._needs_by_tool[key] = ruleset.needs_for(*key)
        return found

    def _unless_too_many(self, case: Case, judgement: Judgement) -> Judgement:
        if judgement.outcome in FINAL_OUTCOMES or case.session.waiting_count < self.settings.held_per_session_max:
            return judgement
        return deny(Reason.TOO_MANY_HELD)._replace(policy=judgement.policy)

    def _counted(self, case: Case, judgement: Judgement) -> SessionRow:
        """The session's row after the verdict. An intent that was not proven to be the session's leaves no trace."""
        row, outcome = case.session, judgement.outcome
        if not case.proven or outcome not in FINAL_OUTCOMES:
            return row
        if outcome is Outcome.ALLOW and case.tool is not None:
            row = after_allow(row, case.intent.intent_id, case.tool.output_label)
            return replace(
                row,
                intents_count=row.intents_count + 1,
                allowed_count=row.allowed_count + 1,
                spent_minor=row.spent_minor + _amount(case.args),
                calls=_with_call(row.calls, case.tool.entry),
            )
        row = replace(row, intents_count=row.intents_count + 1, denied_count=row.denied_count + 1)
        if outcome is Outcome.QUARANTINE:
            return replace(row, status=SessionStatus.FROZEN, frozen_ms=case.now_ms)
        return row

    def _waiting(self, case: Case, judgement: Judgement, standing: Standing, row: SessionRow) -> HeldRow:
        """What the intent waits for, and until when: never beyond its session."""
        policy = judgement.policy
        approval = None if policy is None else policy.approval
        if judgement.outcome is Outcome.REQUIRE_APPROVAL:
            kind = HeldKind.APPROVAL
            wait_ms = self.settings.approval_ttl_ms if approval is None else approval.ttl_ms
        else:
            kind = HeldKind.CANCEL_WINDOW
            stated_ms = None if policy is None else policy.defer_ms
            wait_ms = self.settings.defer_ms if stated_ms is None else stated_ms
        return HeldRow(
            kind=kind,
            intent=encode_intent(case.intent),
            received_ms=case.received_ms,
            due_ms=min(case.now_ms + wait_ms, case.session.expires_ms),
            order=row.held_serial,
            since_ms=case.now_ms,
            groups=() if approval is None else (approval.group,),
            quorum=1 if approval is None else approval.quorum,
            granted_by=dict(standing.granted_by),
        )


def hold(own_key: bytes, intent_id: str, held: HeldRow, row: SessionRow, state: StateView) -> SessionRow:
    """Keep an intent until its timer, and return the session's row with it counted."""
    state.put(held_row_key(own_key, intent_id), encode_row(held))
    state.set_timer(held.due_ms, timer_payload(TimerKind.HELD, own_key, intent_id))
    return replace(row, waiting_count=row.waiting_count + 1, held_serial=row.held_serial + 1)


def let_go(own_key: bytes, intent_id: str, held: HeldRow, row: SessionRow, state: StateView) -> SessionRow:
    """The reverse of `hold`."""
    state.delete(held_row_key(own_key, intent_id))
    state.cancel_timer(held.due_ms, timer_payload(TimerKind.HELD, own_key, intent_id))
    return replace(row, waiting_count=row.waiting_count - 1)


def _amount(args: dict[str, Any]) -> int:
    """What a call spends: its whole `amount`, in minor units; anything else spends nothing that can be summed."""
    amount = args.get("amount")
    return amount if isinstance(amount, int) and not isinstance(amount, bool) and amount > 0 else 0


def _with_call(calls: dict[str, int], entry: ToolCatalogEntry) -> dict[str, int]:
    tool = f"{entry.server_id}.{entry.name}"
    if tool not in calls and len(calls) >= CALLED_TOOLS_MAX:
        tool = _OTHER_TOOLS
    return {**calls, tool: calls.get(tool, 0) + 1}
