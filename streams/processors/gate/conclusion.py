"""Conclude a decision: write its verdict and the records beside it, and store what follows from it."""

from __future__ import annotations

import logging

import msgspec

from streams.model.analytics import VERDICTS
from streams.model.canonical import sha256
from streams.model.proof import derived_uuid
from streams.model.topics import VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.policy.language.bundle import Occasion
from streams.policy.runtime.memory_updates import MemoryUpdate
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, verdict_event
from streams.processors.control.state import ControlState
from streams.processors.dedup import unproven, verdicts
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.dedup.unproven import Provability
from streams.processors.gate import signals
from streams.processors.gate.alerts import questions_alert, verdict_alerts
from streams.processors.gate.case import Case
from streams.processors.gate.contents import Contents
from streams.processors.gate.counters import counted_row
from streams.processors.gate.decision import Decision
from streams.processors.gate.judged import Judged, Questioned
from streams.processors.gate.outcomes import outcome_outputs
from streams.processors.gate.pending_rows import defer, row_for_decision
from streams.processors.gate.provenance import ProvenanceKeeper
from streams.processors.gate.questions import question_of, request_output
from streams.processors.gate.shared_memories import SharedMemories, shared_update_row
from streams.processors.gate.verdicts import VerdictBuilder
from streams.processors.headers import reply_header
from streams.processors.rows import session_row_key
from streams.processors.session_row import SessionRow, SessionStatus, evolve
from streams.processors.sessions import lifecycle, retention
from streams.processors.sessions.audit import changed_record
from streams.processors.sessions.completion_effects import store_effects
from streams.processors.sessions.memory import Happened, apply_updates
from streams.processors.sessions.revocation_cascade import revocation_of_frozen
from streams.processors.settings import GateSettings
from streams.processors.state import ChargeRow, EffectsRow, PendingKind, PendingRow, encode_row

_log = logging.getLogger(__name__)
_OCCASIONS = {
    Outcome.ALLOW: (Occasion.JUDGED, Occasion.ALLOWED),
    Outcome.DENY: (Occasion.JUDGED, Occasion.DENIED),
    Outcome.QUARANTINE: (Occasion.JUDGED, Occasion.DENIED),
}

_QUARANTINE = Outcome.QUARANTINE
"""Each look at a member of an enumeration costs as much as a call (ADR 0094)."""


class Effects(msgspec.Struct, frozen=True):
    """Holds what a decision changes: the updates of memories, and what was taken from budgets."""

    memory_updates: tuple[MemoryUpdate, ...] = ()
    charges: tuple[ChargeRow, ...] = ()


NO_EFFECTS = Effects()


class Concluder:
    """Makes decisions into verdicts, and stores what follows from them. All memory is in the state views."""

    def __init__(
        self,
        settings: GateSettings,
        encoder: Encoder,
        control: ControlState,
        provenance: ProvenanceKeeper,
        contents: Contents,
    ) -> None:
        self._provenance = provenance
        self._contents = contents if contents.takes_arguments else None
        self._settings = settings
        self._encoder = encoder
        self._control = control
        self._verdicts = VerdictBuilder(settings, provenance)
        self._alerts = AlertWindows(encoder, settings.alert_window_ms)
        self._shared = SharedMemories(encoder)

    def conclude(self, case: Case, decision: Decision, state: StateView, effects: Effects = NO_EFFECTS) -> list[Output]:
        """Write and store the verdict of a decision; an interim verdict makes the intent pending.

        Returns:
            The verdict, its audit record, an alert if one is due, and what else follows from the decision.
        """
        asked = case.asked
        session_key, intent_id = asked.session_key, asked.intent.intent_id
        if case.is_proven and case.tool is not None and self._provenance.asks(case):
            # The verdict records whether anything of others was read, also where no rule of the tool asks.
            self._provenance.row_of(case, state)
        verdict, digest, outputs = self.write(case, decision, state)
        is_final = decision.outcome in FINAL_OUTCOMES
        self._remember(case, verdict, outputs[0].value or b"", digest, state)
        row = counted_row(case, decision, self._control.revocations.next_offset)
        if row.counters.has_no_unproven is not case.is_proven:
            row = _with_unproven_known(session_key, row, state)
        row = self._with_effects(case, decision, effects, row, state, outputs)
        if case.observed is not None:
            row = signals.after_verdict(case, decision.outcome, row, state)
        if case.examined is not None or case.seen is not None:
            self._provenance.after_verdict(case, decision.outcome, state)
        if case.is_proven and row.identity.opened_with is not None:
            row = self._with_changes(case, row, outputs)
        if decision.outcome is _QUARANTINE and row.life.status is SessionStatus.FROZEN:
            revocation = revocation_of_frozen(
                self._encoder,
                session_key,
                row,
                decision.reason,
                state,
                now_ms=asked.now_ms,
                verdict_id=verdict.verdict_id,
            )
            outputs.append(revocation)
        if not is_final:
            pending_row = row_for_decision(case, decision, row.counters.pending_serial, self._settings)
            if pending_row.kind is PendingKind.APPROVAL:
                pending_row, row = self._ask(case, decision, verdict, (pending_row, row), state, outputs)
            row = defer(session_key, intent_id, pending_row, row, state)
        row = retention.arm(session_key, row, state, self._settings, asked.now_ms)
        if row is not case.session:
            state.put(session_row_key(session_key), encode_row(row))
        return outputs

    def _ask(
        self,
        case: Case,
        decision: Decision,
        verdict: Verdict,
        rows: tuple[PendingRow, SessionRow],
        state: StateView,
        outputs: list[Output],
    ) -> tuple[PendingRow, SessionRow]:
        """Ask people about a pending intent. Return its row with the question, and the session's with that counted."""
        asked, settings, (pending_row, row) = case.asked, self._settings, rows
        question, joined = question_of(case, decision, verdict, pending_row.due_ms, state)
        pending_row = msgspec.structs.replace(pending_row, question=question)
        round_no = asked.progress.asked_count
        later = (str(round_no),) if round_no else ()
        header = reply_header(derived_uuid("approval request", verdict.verdict_id, *later), asked.intent, asked.now_ms)
        number = 0
        if not joined:
            number = row.counters.questions_count + 1
            row = evolve(row, questions_count=number)
        covered, note = [*joined, pending_row], Questioned(number)
        request = request_output(self._encoder, header, asked.session_key, pending_row, covered, row, note=note)
        outputs.append(request)
        if number > settings.questions_per_session_budget:
            alert = questions_alert(case, header.id, number, settings.questions_per_session_budget)
            outputs += self._alerts.raised(alert, state, asked.now_ms, is_proven=case.is_proven)
        return pending_row, row

    def _remember(self, case: Case, verdict: Verdict, value: bytes, digest: bytes, state: StateView) -> None:
        """Keep which verdict the intent was given."""
        asked, settings = case.asked, self._settings
        proof = None if case.is_proven else self._provability(case)
        if proof is None or proof is Provability.PROVEN:
            claimed_ms = asked.intent.header.time
            verdicts.remember(asked.session_key, verdict, (value, digest), claimed_ms, state, settings)
            return
        unproven.remember(
            asked.session_key,
            asked.intent,
            state,
            settings,
            received_ms=asked.received_ms,
            now_ms=asked.now_ms,
            may_be_proven=proof is Provability.PERHAPS,
        )

    def _provability(self, case: Case) -> Provability:
        """Return whether an intent that was denied before its proof was asked for has one, or could have one later."""
        try:
            has_session_proof = case.has_session_proof(self._settings.root_key)
        except Exception:
            # It is denied whatever this comes to, and must not be left without a verdict.
            _log.exception("the proof of intent `%s` can't be checked", case.asked.intent.intent_id)
            return Provability.PERHAPS
        if has_session_proof:
            return Provability.PROVEN
        return Provability.PERHAPS if unproven.is_signed(case.asked.intent) else Provability.NEVER

    def write(self, case: Case, decision: Decision, state: StateView) -> tuple[Verdict, bytes, list[Output]]:
        """Return the verdict, the digest of its bytes, and the outputs: verdict, audit record, and what else is due."""
        asked, rendered = case.asked, self._verdicts.rendered(decision.policy)
        verdict = self._verdicts.build(case, decision, rendered, self._control)
        value = self._encoder.encode(VERDICT.name, verdict)
        digest = sha256(value)
        event = verdict_event(
            asked.intent,
            verdict,
            digest,
            secret=case.secret(self._settings.root_key),
            prompt=case.prompt_fingerprint(self._settings.root_key),
            sources=case.session.trust.sources,
            approvals=asked.progress.decision_ids,
            tags=rendered.tags,
        )
        keys: list[Output] = []
        if self._contents is not None:
            event, keys = self._contents.with_arguments(case, event, state)
        outputs = [
            Output(VERDICT, asked.session_key, value, verdict.header, None, Judged(asked, verdict)),
            audit_output(self._encoder, asked.session_key, event),
            *keys,
        ]
        if decision.reason in VERDICTS or verdict.errors:
            for alert in verdict_alerts(case, decision, verdict, event.header.id):
                outputs += self._alerts.raised(alert, state, asked.now_ms, is_proven=case.is_proven)
        if asked.intent.reply_to is not None:
            outputs += outcome_outputs(
                self._encoder, asked.session_key, asked.intent, verdict.outcome, verdict.reason, verdict.evaluated_at
            )
        return verdict, digest, outputs

    def _with_effects(
        self,
        case: Case,
        decision: Decision,
        effects: Effects,
        row: SessionRow,
        state: StateView,
        outputs: list[Output],
    ) -> SessionRow:
        """Apply the effects of a decision to the memories, and return the session's row after that.

        An allowed call leaves effects that apply when its end is reported.
        """
        memory_updates, charges = effects.memory_updates, effects.charges
        if not case.is_proven or not (memory_updates or charges):
            return row
        asked = case.asked
        approved_now = asked.progress.approved_now
        occasions = set(_OCCASIONS.get(decision.outcome, ()))
        if approved_now is not None:
            occasions.add(Occasion.APPROVED)
        updates = tuple(shared_update_row(update, asked.intent) for update in memory_updates)
        happened = Happened(frozenset(occasions), groups=approved_now or ())
        if (
            apply_updates(updates, happened, asked.session_key, state, asked.now_ms) or charges
        ) and not row.counters.keeps_count:
            row = evolve(row, keeps_count=True)
        if any(update.tally for update in updates):
            outputs += self._shared.note(updates, happened, asked.intent.header.tenant_uid, state, asked.now_ms)
        if decision.outcome is Outcome.ALLOW:
            stored = EffectsRow(updates, charges, None if case.tool is None else case.tool.full_name)
            row = store_effects(stored, asked.session_key, asked.intent.intent_id, row, state)
        return row

    def _with_changes(self, case: Case, row: SessionRow, outputs: list[Output]) -> SessionRow:
        """Return the row with everything of the intent's origin that differs from what the session was opened with."""
        asked = case.asked
        changed = lifecycle.changes(row, asked.intent)
        if changed == row.identity.changed:
            return row
        outputs.append(
            changed_record(self._encoder, asked.session_key, row, changed, asked.intent.intent_id, asked.now_ms)
        )
        return evolve(row, changed=changed)


def _with_unproven_known(session_key: bytes, row: SessionRow, state: StateView) -> SessionRow:
    """Return the row with what is known of the session's intents without a proof.

    INVARIANT: the row never says that there are none while there are some: their lookup would be left out.
    """
    has_none = row.life.status is not SessionStatus.UNKNOWN and not unproven.has_any(session_key, state)
    return row if has_none is row.counters.has_no_unproven else evolve(row, has_no_unproven=has_none)
