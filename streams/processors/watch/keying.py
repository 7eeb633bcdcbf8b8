"""Bring each decision to the partition of the agents that it is compared with.

**Idea.** Gates write verdicts and audit records by session, and what is usual is known by agent and its peers. So this
processor joins the verdict, which has the call, with its audit record, which has the version of the agent. It writes
what detectors look at to an internal topic, under the type of the agent (ADR 0065). Both halves of a decision lie on
the same partition. Whichever comes first waits for the other as a row. A verdict whose audit record does not come in
`JOIN_WAIT_MS` is written without it; an audit record alone has no call, and nothing is said about it.

What comes again is written again, with the same id: the watch knows what it has seen.
"""

from __future__ import annotations

import msgspec

from streams.model.audit import AuditEvent, AuditEventType
from streams.model.behaviour import BehaviourEvent, BehaviourScope, cohort_key, delegation_key
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT_REPORTED, BEHAVIOUR
from streams.model.types import Record
from streams.model.verdict import FINAL_OUTCOMES, Verdict, VerdictMode
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors import layout
from streams.processors.dead_letters import Reporter, ReportingProcessor
from streams.processors.rows import TimerKind, half_row_key, parse_timer, timer_payload
from streams.processors.watch.features import SOURCE, Features, behaviour_of

JOIN_WAIT_MS = 30_000
"""How long a verdict waits for its audit record: both were written in one transaction, but to two topics."""
_DELEGATED_DEPTH = 2


class Half(msgspec.Struct, frozen=True, array_like=True):
    """The half of a decision that came first.

    Attributes:
        event: the decision without what its audit record says; None if the audit record came first.
        version: what the audit record says about the version of the agent.
    """

    due_ms: int
    event: BehaviourEvent | None = None
    version: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Half).decode
replace = msgspec.structs.replace


class Keying(ReportingProcessor):
    """Joins verdicts with their audit records, and writes them by type of agent. All memory is in the state views."""

    def __init__(self, encoder: Encoder, features: Features) -> None:
        """Args:
        encoder: what encodes records.
        features: what of a call detectors look at, and which agents are of one type.
        """
        super().__init__(Reporter(encoder, AUDIT_REPORTED, SOURCE))
        self._encoder = encoder
        self._features = features

    def prepare(self, state: StateView) -> None:
        """Check that the partition's rows have a layout that this version knows."""
        layout.bring_up_allocator(state)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Process one verdict or audit record. Everything else on these topics is left alone."""
        del topic, key, received_ms
        if isinstance(record, Verdict):
            if record.outcome not in FINAL_OUTCOMES or record.mode is not VerdictMode.ENFORCE:
                return []
            return self._joined(record.verdict_id, Half(0, behaviour_of(self._features, record)), state, now_ms)
        if isinstance(record, AuditEvent) and record.event_type is AuditEventType.VERDICT and record.verdict_id:
            if record.outcome not in FINAL_OUTCOMES:
                return []
            toolset = record.toolset_digest.hex()[:16] if record.toolset_digest is not None else ""
            return self._joined(record.verdict_id, Half(0, None, (toolset, record.agent_version or "")), state, now_ms)
        return []

    def _joined(self, verdict_id: str, half: Half, state: StateView, now_ms: int) -> list[Output]:
        row_key, timer = half_row_key(verdict_id), timer_payload(TimerKind.JOIN, verdict_id.encode())
        found = state.get(row_key)
        other = None if found is None else _decode(found)
        if other is None or (other.event is None) is (half.event is None):
            if other is not None:
                state.cancel_timer(other.due_ms, timer)
            state.put(row_key, _encode(replace(half, due_ms=now_ms + JOIN_WAIT_MS)))
            state.set_timer(now_ms + JOIN_WAIT_MS, timer)
            return []
        state.delete(row_key)
        state.cancel_timer(other.due_ms, timer)
        event = half.event or other.event
        return [] if event is None else self._written(event, half.version or other.version)

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Write a verdict whose audit record has not come, without it."""
        del now_ms
        row_key = half_row_key(parse_timer(payload)[1].decode())
        found = state.get(row_key)
        if found is None:
            return []
        state.delete(row_key)
        half = _decode(found)
        return [] if half.event is None else self._written(half.event, ())

    def _written(self, event: BehaviourEvent, version: tuple[str, ...]) -> list[Output]:
        event = replace(event, epoch="/".join(part for part in (event.epoch, *version) if part))
        outputs = [self._output(event, cohort_key(event.header.tenant_uid, event.cohort))]
        if event.root_uid is not None and event.depth >= _DELEGATED_DEPTH:
            header = replace(event.header, id=derived_uuid("behaviour of a delegation", event.header.id))
            about = replace(event, scope=BehaviourScope.DELEGATION, header=header)
            outputs.append(self._output(about, delegation_key(event.header.tenant_uid, event.root_uid)))
        return outputs

    def _output(self, event: BehaviourEvent, key: bytes) -> Output:
        return Output(BEHAVIOUR, key, self._encoder.encode(BEHAVIOUR.name, event), event.header)
