"""Route the input records and timers of the gate to what processes them.

The gate is pure: the state view, control state and broker time come in, outputs and state changes go out. The same
class runs on Kafka, on the embedded log, in the simulator and over history files.
"""

from __future__ import annotations

from functools import partial

from streams.model.approval import ApprovalDecision
from streams.model.budget import BudgetAnswer, BudgetGrant, is_carried, is_memory
from streams.model.delegation import Delegation
from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason
from streams.model.revocation_set import PAST_KEPT_MS
from streams.model.session import SessionEvent
from streams.model.topics import AUDIT
from streams.model.types import Record
from streams.ports.content import ContentSealer
from streams.ports.processor import Broadcast, BroadcastEvent, CommitHook, Output, StateView
from streams.ports.wire import Encoder
from streams.processors import layout
from streams.processors.budgets.leases import move_from_layout_1
from streams.processors.control.audit import event_outputs
from streams.processors.control.state import ControlState
from streams.processors.control.stop_table import StopTable
from streams.processors.dead_letters import Reporter, ReportingProcessor, left_out_record
from streams.processors.dedup import flood, segments
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.gate import pending, revoked_pending
from streams.processors.gate.approvals import Approvals
from streams.processors.gate.intents import Intents
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge
from streams.processors.gate.record_checks import checked_key
from streams.processors.gate.session_ends import SessionEnds
from streams.processors.gate.session_events import SessionEvents
from streams.processors.gate.session_grants import SessionGrants
from streams.processors.headers import SOURCE
from streams.processors.rows import TimerKind, parse_timer
from streams.processors.session_row import read_session
from streams.processors.sessions import retention
from streams.processors.sessions.events import gives_authority
from streams.processors.settings import GateSettings


class Gate(ReportingProcessor):
    """Gives every intent exactly one final verdict, for any number of partitions. All memory is in the state views."""

    def __init__(
        self,
        settings: GateSettings,
        encoder: Encoder,
        control: ControlState,
        seals: CommitHook | None = None,
        sealer: ContentSealer | None = None,
    ) -> None:
        """Create the gate.

        Args:
            settings: its bounds.
            encoder: makes the bytes of what it writes.
            control: rules, tools, stops and attributes.
            seals: seals what it writes. Without, no executor runs what it allows: for histories and tests.
            sealer: encrypts the content that it captures. Without, it captures no arguments.
        """
        self._alerts = AlertWindows(encoder, settings.alert_window_ms)
        super().__init__(Reporter(encoder, AUDIT, SOURCE), self._alerts)
        self._seals = seals
        self._settings = settings
        self._encoder = encoder
        self._control = control
        self._broadcast = Broadcast(control, self)
        self._stops_kept_ms = max(PAST_KEPT_MS, settings.session_age_max_ms)
        self._stop_table = StopTable(control.revocations, encoder, self._alerts, self._stops_kept_ms)
        self._judge = Judge(settings, encoder, control, sealer)
        self._approvals = Approvals(self._judge, control)
        self._ends = SessionEnds(settings, encoder, self._judge)
        self._intents = Intents(settings, control, self._judge, self._ends, self._reporter)
        self._session_events = SessionEvents(settings, control, self._judge, self._ends)
        self._session_grants = SessionGrants(settings, encoder, self._judge, self._ends)

    @property
    def commit_hook(self) -> CommitHook | None:
        """What seals verdicts and audit records; None for a gate that seals nothing."""
        return self._seals

    def prepare(self, state: StateView) -> None:
        """Bring the partition's rows to the layout that this version knows."""
        layout.bring_up(state, move_from_layout_1)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Process one input record.

        Args:
            topic: the name of the record's topic.
            key: the record's key as it came.
            record: an intent, session event, grant, approval decision or answer about a budget.
            state: the partition's state.
            received_ms: the broker's append time of the record.
            now_ms: stream time, at least `received_ms` of every earlier record of the partition.

        Returns:
            The outputs, in the order in which they are to be emitted.

        Raises:
            RecordError: the record belongs on the dead-letter topic; the state is as it was.
            SetAsideError: the record belongs there, but the state has changed, and its outputs are to be emitted.
        """
        if isinstance(record, BudgetGrant):
            return self._process_budget_grant(record, state, now_ms)
        session_key = checked_key(key, record)
        if isinstance(record, Intent):
            return self._intents.process(session_key, record, state, received_ms, now_ms)
        if isinstance(record, SessionEvent):
            return self._session_events.process(topic, session_key, record, state, received_ms, now_ms)
        if isinstance(record, Delegation):
            return self._session_grants.process(session_key, record, state, now_ms)
        if isinstance(record, ApprovalDecision):
            return self._approvals.process(session_key, record, state, now_ms)
        raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` is not an input of the gate")

    def takes_effect_ahead(self, record: Record) -> bool:
        """Return whether it is a session event that gives nothing: it must not be missed, whatever its time."""
        return isinstance(record, SessionEvent) and not gives_authority(record)

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Process a timer that was set in `state` and is due."""
        kind, session_key, intent_id = parse_timer(payload)
        if kind is TimerKind.HOUSEKEEPING:
            _, outputs = self._ends.current(session_key, read_session(state, session_key), state, now_ms)
            retention.keep_house(session_key, intent_id, state, self._settings, now_ms)
            return outputs
        if kind is TimerKind.VERDICT_BYTES:
            segments.delete_old(state, self._settings, now_ms)
            return []
        if kind is TimerKind.UNPROVEN_FLOOD:
            return self._end_flood(state)
        if kind is TimerKind.ALERT:
            return self._alerts.on_due(session_key, state, now_ms)
        if kind is TimerKind.TALLY:
            self._judge.shared_memories.on_due(session_key.decode(), state, now_ms)
            return []
        if kind is TimerKind.LEASE:
            return self._judge.budget_charges.leases.on_due(session_key.decode(), state, now_ms)
        return pending.judge_due(self._judge, session_key, intent_id, state, now_ms)

    def _end_flood(self, state: StateView) -> list[Output]:
        window = flood.end_window(state)
        if window is None or not window.left_out:
            return []
        end_ms = window.start_ms + self._settings.unproven_window_ms
        return [left_out_record(self._reporter, state.partition, window.start_ms, end_ms, window.left_out)]

    @property
    def broadcast(self) -> Broadcast:
        """The control state, and how partitions follow it."""
        return self._broadcast

    @property
    def broadcast_mark(self) -> int:
        """A number that changes with every revocation; see `follow_broadcast`."""
        return self._control.revocations.next_offset

    def follow_broadcast(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """Keep the stops in force, and end pending intents that have been revoked, a bounded number of them.

        Returns:
            What is to be written, and whether that was all.
        """
        kept, is_kept = self._stop_table.follow(state, now_ms)
        if is_kept:
            self._control.revocations.forget_past(now_ms, self._stops_kept_ms)
        ended, is_ended = revoked_pending.end_revoked(self._judge, self._control.revocations, state, now_ms)
        return [*kept, *ended], is_kept and is_ended

    def on_broadcast_event(
        self, event: BroadcastEvent, place: str, time_ms: int, state: StateView, now_ms: int
    ) -> list[Output]:
        """Return the audit record of a publication, catalog entry or release, and an alert if one is due."""
        return event_outputs(self._alerts, event, place, time_ms, state, now_ms)

    def _process_budget_grant(self, grant: BudgetGrant, state: StateView, now_ms: int) -> list[Output]:
        leases = self._judge.budget_charges.leases
        outputs: list[Output] = []
        if grant.answer is BudgetAnswer.RECALL:
            return [leases.on_recall(grant, state, now_ms)]
        if is_carried(grant.budget_key):
            waiting, outputs = self._judge.carried.on_grant(grant, state, now_ms)
        elif is_memory(grant.budget_key):
            waiting = self._judge.shared_memories.on_grant(grant, state, now_ms)
        else:
            waiting, outputs = leases.on_grant(grant, state, now_ms)
        for session_key, intent_id in waiting:
            judged = partial(pending.judge_after_budget, self._judge, session_key, intent_id, state, now_ms)
            outputs += isolated(judged, state, f"judging intent `{intent_id}`, which waited for a budget,")
        return outputs
