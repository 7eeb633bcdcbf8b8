"""Process intents: return the verdict of one that was seen before, judge it, or let it wait for its session."""

from __future__ import annotations

from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.topics import VERDICT
from streams.model.types import Header, ProofAlg
from streams.model.verdict import Outcome
from streams.ports.processor import Output, StateView
from streams.processors.control.state import ControlState
from streams.processors.dedup import unproven, verdicts
from streams.processors.dedup.verdicts import Given
from streams.processors.gate import pending
from streams.processors.gate.case import Asked, Case
from streams.processors.gate.checks.arguments import check_arguments
from streams.processors.gate.checks.proof import check_proof
from streams.processors.gate.checks.revocations import check_revocations
from streams.processors.gate.decision import deny
from streams.processors.gate.judge import Judge
from streams.processors.gate.record_checks import check_names
from streams.processors.gate.session_ends import SessionEnds
from streams.processors.headers import SOURCE, bounded_trace
from streams.processors.rows import pending_row_key
from streams.processors.session_row import SessionStatus, read_session
from streams.processors.sessions import grants
from streams.processors.settings import GateSettings

_UNVERIFIABLE_DIVISOR = 2
"""Intents whose proof can't be verified yet get this part of the room for pending intents."""


class Intents:
    """Processes intents: the first step of a decision, and the way into the others."""

    def __init__(self, settings: GateSettings, control: ControlState, judge: Judge, ends: SessionEnds) -> None:
        self._settings = settings
        self._control = control
        self._judge = judge
        self._ends = ends

    def process(
        self, session_key: bytes, intent: Intent, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Return the verdict of an intent, and what follows from it; nothing if the intent is pending.

        Raises:
            RecordError: the intent is too old or too far in the future, or too large; or it was given a verdict that
                can't be repeated; or it has no proof, and too many of its session have none.
        """
        given = verdicts.find(session_key, intent.intent_id, state)
        if given is not None:
            return [_repeated_verdict(session_key, intent, given)]
        self._check_memory(intent, now_ms)
        check_names(intent)
        session, ended = self._ends.current(session_key, read_session(state, session_key), state, now_ms)
        known = session.counters.has_no_unproven
        denied = None if known else unproven.find(session_key, intent.intent_id, state)
        if ended and (denied is not None or verdicts.is_given(session_key, intent.intent_id, state)):
            # The intent was pending until its session ended, and is read again: its verdict is among the outputs.
            return ended
        if denied is not None:
            raise verdicts.given_before(intent, Outcome.DENY, denied.judged_ms)
        case = Case(Asked(intent, session_key, received_ms, now_ms), session)
        can_be_judged = session.life.status is not SessionStatus.UNKNOWN and not grants.is_awaited(session)
        if can_be_judged and not session.counters.waiting_count:
            return ended + self._decide(case, state)
        if state.get(pending_row_key(session_key, intent.intent_id)) is not None:
            return ended
        if can_be_judged:
            return ended + self._decide(case, state)
        return ended + self._defer_for_session(case, state)

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
        case.authority = grants.kept_authority(case.asked.session_key, case.session, state)
        # Only the grant, which has not arrived, can tell whether a key of the agent's own is the right one.
        is_unverifiable = _has_unknown_key(case)
        if is_unverifiable and not unproven.has_room(case.asked.session_key, state, case.asked.received_ms):
            raise unproven.no_room(case.asked.intent)
        refused = check_arguments(case, control, settings)
        if refused is None and not is_unverifiable:
            refused = check_proof(case, control, settings)
        refused = refused or check_revocations(case, control, settings)
        if refused is not None:
            case.is_proven = False
            return self._judge.concluder.conclude(case, refused, state)
        if case.session.counters.waiting_count >= (room // _UNVERIFIABLE_DIVISOR if is_unverifiable else room):
            return self._judge.concluder.conclude(case, deny(Reason.TOO_MANY_PENDING), state)
        pending.defer_for_session(case, state, settings)
        return []

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


def _repeated_verdict(session_key: bytes, intent: Intent, given: Given) -> Output:
    """Return the verdict that was given before, byte for byte; only its envelope is new.

    Raises:
        RecordError: its bytes are not kept any longer.
    """
    if given.value is None:
        raise verdicts.given_before(intent, given.outcome, given.judged_ms, given)
    parent = intent.header.traceparent
    header = Header(
        id=derived_uuid("verdict again", intent.header.tenant_uid, intent.intent_id),
        source=SOURCE,
        time=given.judged_ms,
        tenant_uid=intent.header.tenant_uid,
        traceparent=None if parent is None else bounded_trace(parent),
    )
    return Output(VERDICT, session_key, given.value, header)
