"""The gate: an intent in, exactly one final verdict out.

Pure: the state view, control state and broker time come in, outputs and state changes go out. The same class runs
on Kafka, on the embedded log, in the simulator and over history files.
"""

from __future__ import annotations

from functools import partial

import msgspec

from streams.delegation.errors import GrantError
from streams.model.approval import ApprovalDecision
from streams.model.budget import BudgetAnswer, BudgetGrant
from streams.model.delegation import Delegation
from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.proof import derived_uuid, is_proven_event, session_writer_key
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import PROVEN_EVENTS, SessionEvent, SessionEventType
from streams.model.topics import AUDIT, VERDICT
from streams.model.types import Header, Record
from streams.ports import Received
from streams.ports.processor import Broadcast, BroadcastEvent, Output, Processor, SetAsideError, StateView
from streams.ports.wire import Encoder
from streams.processors.control.audit import event_outputs
from streams.processors.control.state import ControlState
from streams.processors.dead_letters import Reporter, dead_letter_record, timer_failure_record
from streams.processors.gate import completion_effects, pending, revoked_pending
from streams.processors.gate.case import Case, deny
from streams.processors.gate.checks import check_args, check_proof, check_revoked
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge
from streams.processors.gate.settings import GateSettings
from streams.processors.gate.verdicts import SOURCE, passed_on
from streams.processors.sessions import grants, lifecycle, retention, revocation_cascade
from streams.processors.sessions.audit import ended_record
from streams.processors.sessions.events import (
    after_event,
    after_unknown,
    gives_authority,
    is_known,
    result_label,
    tool_of,
    without_room,
)
from streams.processors.state import (
    GrantStatus,
    SessionRow,
    SessionStatus,
    TimerKind,
    VerdictRow,
    decode_verdict_row,
    encode_row,
    parse_timer,
    pending_row_key,
    read_session,
    session_row_key,
    verdict_row_key,
)

SESSION_KEY_BYTES_MAX = 512
NAME_CHARS_MAX = 1_024
_OPEN_DIVISOR = 2
_ENDS = frozenset({SessionEventType.TOOL_RESULT, SessionEventType.TOOL_NOT_RUN})
replace = msgspec.structs.replace


class Gate(Processor):
    """Decides intents of any number of partitions; all memory of them is in the state views it is given."""

    def __init__(self, settings: GateSettings, encoder: Encoder, control: ControlState) -> None:
        self._settings = settings
        self._encoder = encoder
        self._reporter = Reporter(encoder, AUDIT, SOURCE)
        self._control = control
        self._broadcast = Broadcast(control, self)
        self._judge = Judge(settings, encoder, control)
        self._grant_standard = grants.standard_of(settings)
        self._writer_key = session_writer_key(settings.root_key)

    def process(
        self, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Take in one input record.

        Args:
            key: the record's key as it came.
            record: an intent, session event, grant or approval decision.
            state: the partition's state.
            received_ms: the broker's append time of the record.
            now_ms: stream time, at least `received_ms` of every earlier record of the partition.

        Returns:
            What is to be emitted, in order.

        Raises:
            RecordError: the record belongs on the dead-letter topic; the state is as it was.
            SetAsideError: it belongs there, too, but the state has changed, and this is to be emitted for it.
        """
        if isinstance(record, BudgetGrant):
            return self._on_budget_grant(record, state, now_ms)
        session_key = _checked_key(key, record)
        if isinstance(record, Intent):
            return self._on_intent(session_key, record, state, received_ms, now_ms)
        if isinstance(record, SessionEvent):
            return self._on_session_event(session_key, record, state, received_ms, now_ms)
        if isinstance(record, Delegation):
            return self._on_grant(session_key, record, state, now_ms)
        if isinstance(record, ApprovalDecision):
            return pending.on_decision(self._judge, session_key, record, state, now_ms)
        raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` is no input of the gate")

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """A timer that was set in `state` has come due."""
        kind, session_key, intent_id = parse_timer(payload)
        if kind is TimerKind.HOUSEKEEPING:
            _, outputs = self._settled(session_key, read_session(state, session_key), state, now_ms)
            retention.keep_house(session_key, intent_id, state, self._settings, now_ms)
            return outputs
        if kind is TimerKind.LEASE:
            return self._judge.budget_charges.leases.on_due(session_key.decode(), state, now_ms)
        return pending.on_due(self._judge, session_key, intent_id, state, now_ms)

    @property
    def broadcast(self) -> Broadcast:
        """The control state, and how partitions follow it."""
        return self._broadcast

    @property
    def broadcast_mark(self) -> int:
        """A number that changes with everything that is revoked; see `follow_broadcast`."""
        return self._control.revocations.next_offset

    def follow_broadcast(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """End what waits for something revoked, a bounded step. Return its outputs, and whether that was all."""
        self._control.revocations.forget_past(now_ms)
        return revoked_pending.follow(self._judge, self._control.revocations, state, now_ms)

    def on_broadcast_event(self, event: BroadcastEvent, place: str, time_ms: int) -> list[Output]:
        """Return the audit record of a publication or catalog entry, and the alert where it is one."""
        return event_outputs(self._encoder, event, place, time_ms)

    def on_dead_letter(self, record: Received, error: RecordError) -> list[Output]:
        """Return the audit record of a record that can't be processed."""
        return [dead_letter_record(self._reporter, record, error)]

    def on_timer_failed(self, partition: int, due_ms: int, payload: bytes, error: Exception) -> list[Output]:
        """Return the audit record of a timer that could not be processed."""
        return [timer_failure_record(self._reporter, partition, due_ms, payload, error)]

    def _settled(
        self, session_key: bytes, row: SessionRow, state: StateView, now_ms: int
    ) -> tuple[SessionRow, list[Output]]:
        """The session's row on the state of now: one whose time is over is ended, and what waits in it."""
        reason = lifecycle.expiry_of(row, self._settings, now_ms)
        if reason is None:
            return row, []
        return self._end(session_key, lifecycle.ended(row, reason), state, now_ms)

    def _end(
        self, session_key: bytes, row: SessionRow, state: StateView, now_ms: int, event_id: str | None = None
    ) -> tuple[SessionRow, list[Output]]:
        """A session that lived is over: put it on record, and end what waits in it."""
        reason = lifecycle.reason_over(row)
        state.put(session_row_key(session_key), encode_row(row))
        outputs = [ended_record(self._encoder, session_key, row, reason, now_ms, event_id)]
        outputs += revocation_cascade.when_over(self._encoder, session_key, row, reason, state, now_ms)
        if row.waiting_count:
            outputs += pending.end_pending(self._judge, session_key, reason, state, now_ms)
            row = read_session(state, session_key)
        return row, outputs

    def _on_intent(
        self, session_key: bytes, intent: Intent, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        judged = state.get(verdict_row_key(session_key, intent.intent_id))
        if judged is not None:
            return [_again(session_key, intent, decode_verdict_row(judged))]
        self._check_memory(intent, now_ms)
        _check_names(intent)
        session, ended = self._settled(session_key, read_session(state, session_key), state, now_ms)
        if ended and state.get(verdict_row_key(session_key, intent.intent_id)) is not None:
            # It has waited until the session ended, and comes again just now: its verdict is among them.
            return ended
        case = Case(intent, session_key, now_ms, received_ms, session)
        can_be_judged = session.status is not SessionStatus.UNKNOWN and not grants.is_awaited(session)
        if can_be_judged and not session.waiting_count:
            return ended + self._judge.decide(case, state)
        if state.get(pending_row_key(session_key, intent.intent_id)) is not None:
            return ended
        if can_be_judged:
            return ended + self._judge.decide(case, state)
        return ended + self._defer_for_session(case, state)

    def _defer_for_session(self, case: Case, state: StateView) -> list[Output]:
        """Let an intent wait for its session, or for its session's grant. A proof under the session's key needs
        neither: what is forged must not take up room, nor the places of what is genuine."""
        settings = self._settings
        grants.attach(case, state)
        room = settings.pending_per_session_max
        # Whether a key of its own is the grant's can't be told before that has come: such intents get half of the room.
        is_open = grants.has_unknown_key(case)
        refused = check_args(case, settings) or (None if is_open else check_proof(case, settings))
        refused = refused or check_revoked(case, self._control)
        if refused is not None:
            case.proven = False
            return self._judge.conclude(case, refused, state)
        if case.session.waiting_count >= (room // _OPEN_DIVISOR if is_open else room):
            return self._judge.conclude(case, deny(Reason.TOO_MANY_PENDING), state)
        pending.defer_for_session(case, state, settings)
        return []

    def _check_memory(self, intent: Intent, now_ms: int) -> None:
        """Only what would be remembered if it had been judged before may be judged.

        Raises:
            RecordError: its own time is further away than verdicts are remembered for.
        """
        ahead_ms = intent.header.time - now_ms
        if -ahead_ms >= self._settings.dedup_retention_ms:
            text = f"intent `{intent.intent_id}` claims to be {-ahead_ms} ms old"
            raise RecordError(DeadLetterReason.INTENT_TOO_OLD, text)
        if ahead_ms > self._settings.dedup_retention_ms:
            text = f"intent `{intent.intent_id}` claims to be made {ahead_ms} ms from now"
            raise RecordError(DeadLetterReason.EVENT_FROM_FUTURE, text)

    def _on_session_event(
        self, session_key: bytes, event: SessionEvent, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        if event.type in PROVEN_EVENTS and not is_proven_event(self._writer_key, event):
            # Executors may write this topic, too: they must neither open sessions nor end those of others.
            text = (
                f"{event.type.value} of session `{event.session_id[:80]}` has no proof that the token service wrote it"
            )
            raise RecordError(DeadLetterReason.WRITER_UNPROVEN, text)
        ahead_ms = event.header.time - received_ms
        if ahead_ms > self._settings.skew_ms and gives_authority(event):
            text = f"event `{event.header.id}` of session `{event.session_id}` is {ahead_ms} ms ahead"
            raise RecordError(DeadLetterReason.EVENT_FROM_FUTURE, text)
        before, outputs = self._settled(session_key, read_session(state, session_key), state, now_ms)
        if not is_known(event):
            after = retention.arm(session_key, after_unknown(before, event), state, self._settings, now_ms)
            _keep(session_key, after, after, state)
            text = f"session event type `{event.type.value}` has no meaning here; the session has lost all trust"
            raise SetAsideError(DeadLetterReason.RECORD_INVALID, text, outputs)
        after = after_event(before, event, self._control, now_ms)
        if before.effects_count and event.type in _ENDS and event.intent_id is not None:
            after = self._on_end(session_key, event.intent_id, event, (before, after), state, now_ms)
        after = lifecycle.active(after, event, now_ms)
        if event.type is SessionEventType.SESSION_ESTABLISHED:
            after = lifecycle.opened(
                grants.opened(session_key, after, event, state), event, self._settings, received_ms
            )
        if event.type is SessionEventType.TOKEN_CLAIMS_CHANGE:
            after = revocation_cascade.when_narrowed(session_key, before, after, state)
        if before.status is SessionStatus.UNKNOWN or event.type is SessionEventType.TOKEN_CLAIMS_CHANGE:
            after = retention.arm_for_end(session_key, after, state, self._settings, now_ms)
        after, fault = _keep(session_key, after, before if gives_authority(event) else after, state)
        has_begun = before.status is SessionStatus.UNKNOWN and after.status is not before.status
        if has_begun and fault is None and lifecycle.expiry_of(after, self._settings, now_ms) is not None:
            # It is over before this gate has seen it begin: so is what has waited for it.
            outputs += self._settled(session_key, after, state, now_ms)[1]
        elif before.waiting_count and has_begun and not grants.is_awaited(after):
            outputs += pending.release_for_session(self._judge, session_key, state, now_ms)
        else:
            outputs += self._if_over(session_key, before, after, state, now_ms, event.header.id)
        if fault is not None:
            raise SetAsideError(fault.reason, str(fault), outputs)
        return outputs

    def _if_over(
        self,
        session_key: bytes,
        before: SessionRow,
        after: SessionRow,
        state: StateView,
        now_ms: int,
        event_id: str,
    ) -> list[Output]:
        """A record may have ended the session."""
        if after.status not in lifecycle.OVER or before.status in lifecycle.OVER:
            return []
        if before.status is SessionStatus.UNKNOWN:
            return revocation_cascade.when_over(
                self._encoder, session_key, after, lifecycle.reason_over(after), state, now_ms
            )
        return self._end(session_key, after, state, now_ms, event_id)[1]

    def _on_end(
        self,
        session_key: bytes,
        intent_id: str,
        event: SessionEvent,
        rows: tuple[SessionRow, SessionRow],
        state: StateView,
        now_ms: int,
    ) -> SessionRow:
        """A call that left something to be done at its end has ended; `rows` are before and after the event."""
        before, after = rows
        after, effects = completion_effects.take_ended(session_key, intent_id, tool_of(event), after, state)
        if effects is None:
            return after
        if event.type is SessionEventType.TOOL_NOT_RUN:
            self._judge.budget_charges.give_back(effects.charges, state, now_ms)
        elif completion_effects.remember_end(
            effects, event.is_error, result_label(before, event, self._control), session_key, state, now_ms
        ):
            after = replace(after, keeps_count=True)
        return after

    def _on_budget_grant(self, grant: BudgetGrant, state: StateView, now_ms: int) -> list[Output]:
        leases = self._judge.budget_charges.leases
        if grant.answer is BudgetAnswer.RECALL:
            return [leases.on_recall(grant, state, now_ms)]
        waiting = leases.on_grant(grant, state, now_ms)
        outputs: list[Output] = []
        for session_key, intent_id in waiting:
            judged = partial(pending.on_budget, self._judge, session_key, intent_id, state, now_ms)
            outputs += isolated(judged, state, f"judging intent `{intent_id}`, which waited for a budget,")
        return outputs

    def _on_grant(self, session_key: bytes, grant: Delegation, state: StateView, now_ms: int) -> list[Output]:
        before, outputs = self._settled(session_key, read_session(state, session_key), state, now_ms)
        try:
            row = grants.after_grant(session_key, grant, before, state, self._grant_standard, now_ms)
        except GrantError as error:
            row, cause = grants.refused(before, grant, error, outputs)
            row = retention.arm(session_key, row, state, self._settings, now_ms)
            state.put(session_row_key(session_key), encode_row(row))
            raise cause from None
        # Its session may never appear: the row must not stay for good.
        row = retention.arm(session_key, row, state, self._settings, now_ms)
        state.put(session_row_key(session_key), encode_row(row))
        if row.waiting_count and before.grant_status is GrantStatus.AWAITED and row.status is SessionStatus.LIVE:
            outputs += pending.release_for_session(self._judge, session_key, state, now_ms)
        outputs += revocation_cascade.when_late(self._encoder, session_key, before, grant, now_ms)
        return outputs + self._if_over(session_key, before, row, state, now_ms, grant.header.id)


def _checked_key(key: bytes | None, record: Record) -> bytes:
    """The session key of the record, which must be the key it came under.

    Raises:
        RecordError: it is not, or there is none.
    """
    if key is None:
        raise RecordError(DeadLetterReason.KEY_MISSING, "the record has no key")
    header: Header = record.header  # type: ignore[attr-defined]
    session_id: str | None = record.session_id  # type: ignore[attr-defined]
    if session_id is None or not header.tenant_uid:
        raise RecordError(DeadLetterReason.RECORD_INVALID, "the record names no session or no tenant")
    if "|" in header.tenant_uid or "\x00" in header.tenant_uid or "\x00" in session_id:
        raise RecordError(DeadLetterReason.RECORD_INVALID, "a tenant with `|` or NUL, or a session id with NUL")
    if len(key) > SESSION_KEY_BYTES_MAX:
        text = f"the session key has {len(key)} bytes, at most {SESSION_KEY_BYTES_MAX} are accepted"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    if key != session_key_of(header.tenant_uid, session_id):
        text = f"key `{key[:80].decode('utf-8', 'replace')}` is not that of session `{session_id[:80]}`"
        raise RecordError(DeadLetterReason.KEY_MISMATCH, text)
    return key


def _check_names(intent: Intent) -> None:
    """What a verdict repeats of an intent must not make it too large to be written.

    Raises:
        RecordError: a name is longer than `NAME_CHARS_MAX`.
    """
    act, tool, model, reply_to = intent.act, intent.tool, intent.model, intent.reply_to
    names = [intent.sub, act.iss, act.sub, act.instance_uid, act.jkt, tool.server_id, tool.name]
    names += [intent.tool_call_id, intent.conversation_id, intent.delegation_uid, intent.txn]
    if model is not None:
        names += [model.ai_provider, model.name, model.version]
    if reply_to is not None:
        names.append(reply_to.topic)
    longest = max(map(len, filter(None, names)), default=0)
    if longest > NAME_CHARS_MAX:
        text = f"a name in intent `{intent.intent_id}` has {longest} characters, at most {NAME_CHARS_MAX} are accepted"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)


def _keep(
    session_key: bytes, row: SessionRow, otherwise: SessionRow, state: StateView
) -> tuple[SessionRow, RecordError | None]:
    """Keep a session's row; where it has no room, `otherwise` without trust instead. What was kept, and the fault."""
    try:
        state.put(session_row_key(session_key), encode_row(row))
    except RecordError as error:
        slim = replace(without_room(otherwise), housekeeping_ms=row.housekeeping_ms)
        state.put(session_row_key(session_key), encode_row(slim))
        return slim, error
    return row, None


def _again(session_key: bytes, intent: Intent, judged: VerdictRow) -> Output:
    """The verdict that was given before, byte for byte; only its envelope is new."""
    header = Header(
        id=derived_uuid("verdict again", intent.header.tenant_uid, intent.intent_id),
        source=SOURCE,
        time=judged.judged_ms,
        tenant_uid=intent.header.tenant_uid,
        traceparent=passed_on(intent.header.traceparent),
    )
    return Output(VERDICT, session_key, judged.verdict, header)
