"""Bring each decision to the partition of the agents that it is compared with.

**Idea.** Gates write verdicts and audit records by session, and what is usual is known by agent and its peers. So this
processor joins the verdict, which has the call, with its audit record, which has the version of the agent. It writes
what detectors look at to an internal topic, under the type of the agent (ADR 0065). Both halves of a decision lie on
the same partition. Whichever comes first waits for the other as a row. A verdict whose audit record does not come in
`JOIN_WAIT_MS` is written without it; an audit record alone has no call, and nothing is said about it.

What comes again is written again, with the same id: the watch knows what it has seen.

**Gaps.** It also sees whether the record is whole, as far as that shows without keys: each verdict has its audit
record, and each seal goes on from the one before it. `stoplog audit verify` proves more.

What people do with alerts comes here, too. A status that counts is put on the record and written as OCSF, and that of a
closed alert about behaviour is written on, to the agents that it is about (ADR 0077).
"""

from __future__ import annotations

import msgspec

from streams.audit.alert_handlers import NOBODY, AlertHandlers
from streams.behaviour.epochs import epoch_of
from streams.behaviour.pages import RememberedRows
from streams.behaviour.presence import DELEGATED_DEPTH
from streams.model.alert_status import CLOSED, AlertState, AlertStatus, announced_text, incident_parts, span_text
from streams.model.audit import AuditEvent, AuditEventType, Seal
from streams.model.behaviour import BehaviourEvent, BehaviourScope, cohort_key, delegation_key
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason
from streams.model.topics import ALERT_OCSF, AUDIT_REPORTED, BEHAVIOUR, FEEDBACK, FEEDBACK_AMONG_DECISIONS
from streams.model.types import Record
from streams.model.verdict import FINAL_OUTCOMES, Verdict, VerdictMode
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors import layout
from streams.processors.audit import alert_status_event, audit_output
from streams.processors.dead_letters import Reporter, ReportingProcessor
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.rows import WATCHED_LOG_KEY, TimerKind, half_row_key, join_timer_payload, parse_timer
from streams.processors.settings import WatchSettings
from streams.processors.watch.alerts import PREFIX, torn_log_alert, unrecorded_alert
from streams.processors.watch.features import SOURCE, Features, behaviour_of
from streams.processors.watch.seen import SeenAudit, SeenVerdict

JOIN_WAIT_MS = 30_000
"""How long a verdict waits for its audit record: both were written in one transaction, but to two topics."""
_INCIDENT_PARTS = 4
"""How many parts the key of an incident of an agent has: analytic, tenant, agent, session."""
_REASONS = {
    AlertState.ACKNOWLEDGED: ControlReason.ALERT_ACKNOWLEDGED,
    AlertState.RESOLVED: ControlReason.ALERT_RESOLVED,
    AlertState.FALSE_POSITIVE: ControlReason.ALERT_FALSE_POSITIVE,
    AlertState.ANNOUNCED: ControlReason.WORK_ANNOUNCED,
}


class Half(msgspec.Struct, frozen=True, array_like=True):
    """The half of a decision that came first.

    Attributes:
        event: the decision without what its audit record says; None if the audit record came first.
        version: what the audit record says about the version of the agent.
    """

    due_ms: int
    event: BehaviourEvent | None = None
    version: tuple[str, ...] = ()


# Types that are put together, members of enumerations and their hashes cost as much as calls, and every record asks.
_VERDICTS, _AUDIT_RECORDS = (SeenVerdict, Verdict), (SeenAudit, AuditEvent)
_ENFORCE, _OF_VERDICT = VerdictMode.ENFORCE, AuditEventType.VERDICT
_FINAL = tuple(FINAL_OUTCOMES)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Half).decode
replace = msgspec.structs.replace


class Keying(ReportingProcessor):
    """Joins verdicts with their audit records, and writes them by type of agent. All memory is in the state views."""

    def __init__(
        self, encoder: Encoder, features: Features, settings: WatchSettings, handlers: AlertHandlers = NOBODY
    ) -> None:
        """Args:
        encoder: what encodes records.
        features: what of a call detectors look at, and which agents are of one type.
        settings: within which time alerts of one kind are counted together.
        handlers: whose word counts about alerts.
        """
        self._windows = AlertWindows(encoder, settings.alert_window_ms)
        super().__init__(Reporter(encoder, AUDIT_REPORTED, SOURCE), self._windows)
        self._encoder = encoder
        self._features = features
        self._handlers = handlers
        # The other half mostly comes within moments.
        self._remembered = RememberedRows()

    def prepare(self, state: StateView) -> None:
        """Check that the partition's rows have a layout that this version knows."""
        layout.bring_up_other(state)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Process one verdict, seal, audit record or status of an alert. Everything else on these topics is left alone.

        Raises:
            RecordError: the status does not count.
        """
        del topic
        if isinstance(record, _VERDICTS):
            if record.outcome not in _FINAL or record.mode is not _ENFORCE:
                return []
            return self._joined(record.verdict_id, Half(0, behaviour_of(self._features, record)), state, now_ms)
        if isinstance(record, _AUDIT_RECORDS):
            if record.event_type is not _OF_VERDICT or record.outcome not in _FINAL or not record.verdict_id:
                return []
            version = epoch_of("", record.toolset_digest, record.system_prompt_fingerprint, record.agent_version or "")
            return self._joined(record.verdict_id, Half(0, None, (version,)), state, now_ms)
        if isinstance(record, AlertStatus):
            return self._handled(key, record, received_ms)
        if isinstance(record, Seal):
            return self._sealed(record, state, now_ms)
        return []

    def _joined(self, verdict_id: str, half: Half, state: StateView, now_ms: int) -> list[Output]:
        row_key, timer = half_row_key(verdict_id), join_timer_payload(verdict_id)
        found = state.get(row_key)
        other = None if found is None else self._remembered.take(row_key, found) or _decode(found)
        if other is None or (other.event is None) is (half.event is None):
            if other is not None:
                state.cancel_timer(other.due_ms, timer)
            half = Half(now_ms + JOIN_WAIT_MS, half.event, half.version)
            row = _encode(half)
            state.put(row_key, row)
            self._remembered.keep(row_key, row, half)
            state.set_timer(now_ms + JOIN_WAIT_MS, timer)
            return []
        state.delete(row_key)
        state.cancel_timer(other.due_ms, timer)
        event = half.event or other.event
        return [] if event is None else self._written(event, half.version or other.version)

    def _handled(self, key: bytes | None, status: AlertStatus, received_ms: int) -> list[Output]:
        """Return the audit record of a status that counts, the same as OCSF, and the status for the agents.

        An announcement is not about an alert, so it has no finding in OCSF.
        """
        signer = self._handlers.check(status, key, received_ms)
        is_announcement, reason = status.announced is not None, _REASONS[status.status]
        if is_announcement and status.status in CLOSED:
            reason = ControlReason.ANNOUNCEMENT_WITHDRAWN
        signed = f"signed by {signer}" if signer else "not signed"
        it = status.announced
        about = "" if it is None else f" ({announced_text(it)}, {span_text(it)})"
        text = f"{CONTROL_TEXTS[reason]}{about}: {status.by_user}, {signed}: {status.reason}"
        event_id = derived_uuid("alert status", status.header.id)
        event = alert_status_event(status, event_id, SOURCE, received_ms, reason=reason.value, text=text)
        recorded = audit_output(self._encoder, key, event, AUDIT_REPORTED)
        proven = replace(status, by_user=signer or status.by_user)
        return [recorded, *([] if is_announcement else [self._told(proven)]), *self._fed_back(proven)]

    def _told(self, status: AlertStatus) -> Output:
        """Return the change of the alert's finding for the tools of a SOC."""
        value = self._encoder.encode(ALERT_OCSF.name, status)
        return Output(ALERT_OCSF, status.dedup_key.encode(), value, status.header)

    def _fed_back(self, status: AlertStatus) -> list[Output]:
        """Return a status for the watch, if it closes an alert about behaviour, or is an announcement."""
        about = incident_parts(status.dedup_key)
        concerns_watch = status.status in CLOSED or status.announced is not None
        if not concerns_watch or len(about) < _INCIDENT_PARTS or not about[0].startswith(PREFIX):
            return []
        tenant_uid, agent, root = status.header.tenant_uid, about[2], about[_INCIDENT_PARTS:]
        cohort = self._features.cohort_of(agent) or agent
        key = delegation_key(tenant_uid, root[0]) if root else cohort_key(tenant_uid, cohort)
        value = self._encoder.encode(FEEDBACK.name, status)
        return [Output(FEEDBACK_AMONG_DECISIONS, key, value, status.header)]

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Write a verdict whose audit record has not come, without it, or end the window of an alert."""
        kind, key, _ = parse_timer(payload)
        if kind is TimerKind.ALERT:
            return self._windows.on_due(key, state, now_ms)
        row_key = half_row_key(key.decode())
        found = state.get(row_key)
        if found is None:
            return []
        state.delete(row_key)
        half = _decode(found)
        if half.event is None:
            # Audit records are kept for longer than verdicts.
            return []
        alert = unrecorded_alert(half.event, state.partition, now_ms)
        return [*self._written(half.event, ()), *self._windows.raised(alert, state, now_ms)]

    def _sealed(self, seal: Seal, state: StateView, now_ms: int) -> list[Output]:
        """Return the alert about a seal that does not go on from the one before it."""
        found, after = state.get(WATCHED_LOG_KEY), seal.first + len(seal.kinds)
        state.put(WATCHED_LOG_KEY, b"%d" % after)
        if found is None or int(found) == seal.first:
            return []
        return self._windows.raised(torn_log_alert(seal, int(found), state.partition, now_ms), state, now_ms)

    def _written(self, event: BehaviourEvent, version: tuple[str, ...]) -> list[Output]:
        parts = [part for part in (event.epoch, *version) if part]
        event = replace(event, epoch="/".join(parts))
        outputs = [self._output(event, cohort_key(event.header.tenant_uid, event.cohort))]
        if event.root_uid is not None and event.depth >= DELEGATED_DEPTH:
            header = replace(event.header, id=derived_uuid("behaviour of a delegation", event.header.id))
            about = replace(event, scope=BehaviourScope.DELEGATION, header=header)
            outputs.append(self._output(about, delegation_key(event.header.tenant_uid, event.root_uid)))
        return outputs

    def _output(self, event: BehaviourEvent, key: bytes) -> Output:
        return Output(BEHAVIOUR, key, self._encoder.encode(BEHAVIOUR.name, event), event.header)
