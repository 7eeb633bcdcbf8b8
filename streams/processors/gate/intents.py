"""Process intents: return the verdict of one that was seen before, judge it, or let it wait for its session."""

from __future__ import annotations

import logging

from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.proof import derived_uuid, has_session_proof
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.topics import VERDICT
from streams.model.types import Header, ProofAlg
from streams.model.verdict import Outcome
from streams.ports.processor import Output, SetAsideError, StateView
from streams.processors.control.state import ControlState
from streams.processors.dead_letters import LeftOutError, Reporter, unproven_flood_alert
from streams.processors.dedup import flood, unproven, verdicts
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.dedup.flood import Admission
from streams.processors.dedup.verdicts import Given
from streams.processors.gate import pending
from streams.processors.gate.case import Asked, Case
from streams.processors.gate.checks.arguments import check_arguments
from streams.processors.gate.checks.proof import check_proof
from streams.processors.gate.checks.revocations import check_revocations
from streams.processors.gate.decision import deny
from streams.processors.gate.judge import Judge
from streams.processors.gate.outcomes import outcome_outputs
from streams.processors.gate.record_checks import check_names
from streams.processors.gate.session_ends import SessionEnds
from streams.processors.headers import SOURCE, bounded_trace
from streams.processors.rows import pending_row_key
from streams.processors.session_row import SessionStatus, read_session
from streams.processors.sessions import grants
from streams.processors.sessions.grants import kept_authority
from streams.processors.settings import GateSettings

_log = logging.getLogger(__name__)
REPEATED_FREELY_BYTES_MAX = 4_096
"""A verdict up to this size is given again to any proven intent of its id: it is little more than the intent."""

_UNVERIFIABLE_DIVISOR = 2
"""Intents whose proof can't be verified yet get this part of the room for pending intents."""
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_UNKNOWN = SessionStatus.UNKNOWN


class Intents:
    """Processes intents: the first step of a decision, and the way into the others."""

    def __init__(
        self, settings: GateSettings, control: ControlState, judge: Judge, ends: SessionEnds, reporter: Reporter
    ) -> None:
        self._settings = settings
        self._control = control
        self._judge = judge
        self._ends = ends
        self._reporter = reporter
        self._alerts = AlertWindows(reporter.encoder, settings.alert_window_ms)

    def process(
        self, session_key: bytes, intent: Intent, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Return the verdict of an intent, and what follows from it; nothing if the intent is pending.

        Raises:
            RecordError: the intent is too old or too far in the future, or too large; or it was given a verdict that
                can't be repeated; or it has no proof, and too many of its session have none.
        """
        session_proof = self._session_proof(intent)
        is_signed = not session_proof and unproven.is_signed(intent)
        if session_proof is False and not is_signed:
            # Before anything is looked up: this is as little work as an intent can be.
            self._admit_unproven(intent, state, now_ms)
        case = Case(
            Asked(intent, session_key, received_ms, now_ms),
            read_session(state, session_key),
            session_proof=session_proof,
        )
        if session_proof or (is_signed and self._may_be_signed_rightly(case, state)):
            return self._process(case, state)
        if is_signed:
            self._admit_unproven(intent, state, now_ms)
        counted = state.savepoint()
        try:
            return self._process(case, state)
        except SetAsideError:
            raise
        except RecordError as error:
            # Nothing is left of it but that it counts.
            state.undo_to(counted)
            raise SetAsideError(error.reason, str(error)) from error

    def _process(self, case: Case, state: StateView) -> list[Output]:
        asked = case.asked
        intent, session_key, now_ms = asked.intent, asked.session_key, asked.now_ms
        given = verdicts.find(session_key, intent.intent_id, state)
        if given is not None:
            return self._repeated(case, given, state)
        self._check_memory(intent, now_ms)
        check_names(intent)
        session, ended = self._ends.current(session_key, case.session, state, now_ms)
        known = session.counters.has_no_unproven
        denied = None if known else unproven.find(session_key, intent.intent_id, state)
        if ended and (denied is not None or verdicts.is_given(session_key, intent.intent_id, state)):
            # The intent was pending until its session ended, and is read again: its verdict is among the outputs.
            return ended
        if denied is not None:
            raise verdicts.given_before(intent, Outcome.DENY, denied.judged_ms)
        case.session = session
        can_be_judged = session.life.status is not _UNKNOWN and not grants.is_awaited(session)
        if can_be_judged and not session.counters.waiting_count:
            return ended + self._decide(case, state)
        if state.get(pending_row_key(session_key, intent.intent_id)) is not None:
            return ended
        if can_be_judged:
            return ended + self._decide(case, state)
        return ended + self._defer_for_session(case, state)

    def _session_proof(self, intent: Intent) -> bool | None:
        """Return whether the intent carries an HMAC under its session's key; None if the check fails."""
        try:
            return has_session_proof(self._settings.root_key, intent)
        except Exception:
            # It is denied by the check of the proof, and must not be left without a verdict.
            _log.exception("the proof of intent `%s` can't be checked", intent.intent_id)
            return None

    def _may_be_signed_rightly(self, case: Case, state: StateView) -> bool:
        """Tell whether the intent is signed with the key of its session's grant, or the check fails.

        Without the grant nobody can vouch for the key, so the intent counts as one without a proof.
        """
        authority = kept_authority(case.asked.session_key, case.session, state)
        if authority is None or authority.row.cnf_jkt is None:
            return False
        try:
            return case.is_signed_by(authority.row.cnf_jkt)
        except Exception:
            _log.exception("the signature of intent `%s` can't be checked", case.asked.intent.intent_id)
            return True

    def _admit_unproven(self, intent: Intent, state: StateView, now_ms: int) -> None:
        """Let an intent without a proof go on, if not too many have come.

        Raises:
            SetAsideError: too many have come; it becomes a dead letter.
        """
        admission = flood.admit(state, self._settings, now_ms)
        if admission is Admission.JUDGED:
            return
        text = (
            f"intent `{intent.intent_id}` has no valid proof, nor had {self._settings.unproven_per_window_max} others "
            f"of its partition within {self._settings.unproven_window_ms} ms"
        )
        if admission is Admission.LEFT_OUT:
            raise LeftOutError(DeadLetterReason.TOO_MANY_UNPROVEN, text)
        alert = unproven_flood_alert(self._reporter, state.partition, text, now_ms)
        raise SetAsideError(DeadLetterReason.TOO_MANY_UNPROVEN, text, self._alerts.raised(alert, state, now_ms))

    def _decide(self, case: Case, state: StateView) -> list[Output]:
        """Decide an intent that has just been read.

        Raises:
            RecordError: the intent has no proof now, may have one later, and there is no room to remember it.
        """
        asked = case.asked
        if not unproven.is_signed(asked.intent):
            return self._judge.decide(case, state)
        has_room = unproven.has_room(asked.session_key, state, asked.received_ms)
        outputs = self._judge.decide(case, state)
        if not has_room and not case.is_proven:
            raise unproven.no_room(asked.intent)
        return outputs

    def _defer_for_session(self, case: Case, state: StateView) -> list[Output]:
        """Let an intent wait for its session, or for its session's grant.

        A proof under the session's key can be verified without either. Forged intents must not take the room of
        genuine ones.
        """
        settings, control = self._settings, self._control
        room = settings.pending_per_session_max
        case.authority = kept_authority(case.asked.session_key, case.session, state)
        # Only the grant, which has not arrived, can tell whether a key of the agent's own is the right one.
        is_unverifiable = _has_unknown_key(case)
        if is_unverifiable and not unproven.has_room(case.asked.session_key, state, case.asked.received_ms):
            raise unproven.no_room(case.asked.intent)
        # The arguments of an intent that can't be proven yet are read when it is judged.
        refused = None
        if not is_unverifiable:
            refused = check_proof(case, control, settings) or check_arguments(case, control, settings)
        refused = refused or check_revocations(case, control, settings)
        if refused is not None:
            case.is_proven = False
            return self._judge.concluder.conclude(case, refused, state)
        if case.session.counters.waiting_count >= (room // _UNVERIFIABLE_DIVISOR if is_unverifiable else room):
            return self._judge.concluder.conclude(case, deny(Reason.TOO_MANY_PENDING), state)
        pending.defer_for_session(case, state, settings)
        return []

    def _repeated(self, case: Case, given: Given, state: StateView) -> list[Output]:
        """Return the verdict that was given before, and its outcome if the intent asks for it and is proven.

        Raises:
            SetAsideError: the verdict can't be repeated, but the outcome is.
            RecordError: neither is.
        """
        outcomes: list[Output] = []
        intent = case.asked.intent
        if intent.reply_to is not None and given.outcome is not None and self._is_proven(case, state):
            outcomes = outcome_outputs(
                self._judge.encoder, case.asked.session_key, intent, given.outcome, given.reason, given.judged_ms
            )
        try:
            return [self._repeated_verdict(case, given, state), *outcomes]
        except RecordError as error:
            if not outcomes:
                raise
            raise SetAsideError(error.reason, str(error), outcomes) from error

    def _repeated_verdict(self, case: Case, given: Given, state: StateView) -> Output:
        """Return the verdict that was given before, byte for byte; only its envelope is new.

        A large one holds the arguments. Who gets it again must send them again: otherwise a short record with a known
        intent id would bring back hundreds of kilobytes, as often as it comes.

        Raises:
            RecordError: its bytes are not kept any longer, or the intent has no proof or other arguments.
        """
        intent = case.asked.intent
        is_same = self._is_proven(case, state) and (
            given.size <= REPEATED_FREELY_BYTES_MAX or check_arguments(case, self._control, self._settings) is None
        )
        value = verdicts.value_of(given, state) if is_same else None
        if value is None:
            raise verdicts.given_before(intent, given.outcome, given.judged_ms, given)
        parent = intent.header.traceparent
        header = Header(
            id=derived_uuid("verdict again", intent.header.tenant_uid, intent.intent_id),
            source=SOURCE,
            time=given.judged_ms,
            tenant_uid=intent.header.tenant_uid,
            traceparent=None if parent is None else bounded_trace(parent),
        )
        return Output(VERDICT, case.asked.session_key, value, header)

    def _is_proven(self, case: Case, state: StateView) -> bool:
        """Tell whether the intent has a proof that its session's key or its grant's vouches for."""
        if case.has_session_proof(self._settings.root_key):
            return True
        return unproven.is_signed(case.asked.intent) and self._may_be_signed_rightly(case, state)

    def _check_memory(self, intent: Intent, now_ms: int) -> None:
        """Check that an earlier verdict of the intent would still be remembered: no intent is judged twice.

        Raises:
            RecordError: the intent's own time is further away than verdicts are remembered for.
        """
        ahead_ms = intent.header.time - now_ms
        if -ahead_ms >= self._settings.dedup_retention_ms:
            text = f"intent `{intent.intent_id}` claims to be {-ahead_ms} ms old"
            raise RecordError(DeadLetterReason.INTENT_TOO_OLD, text)
        if ahead_ms > self._settings.dedup_retention_ms:
            text = f"intent `{intent.intent_id}` claims to be made {ahead_ms} ms from now"
            raise RecordError(DeadLetterReason.EVENT_FROM_FUTURE, text)


def _has_unknown_key(case: Case) -> bool:
    """Tell whether the intent is signed with a key for which only a grant that has not arrived could vouch."""
    proof = case.asked.intent.proof
    return case.authority is None and proof is not None and proof.alg is ProofAlg.ED25519
