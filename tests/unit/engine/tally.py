"""A processor that is neither the gate nor the owner of budgets: it counts audit records by tenant and window.

It is what a `watch` will be: it reads `agent.audit.v1`, keeps state, sets timers and writes to several topics. It reads
no broadcast topics, and its input has no dead-letter topic.
"""

from __future__ import annotations

import msgspec

from streams.model.alert import Alert
from streams.model.audit import AuditEvent
from streams.model.control import Baseline
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.topics import ALERT, AUDIT, BASELINE, Role, Spread, Topic
from streams.model.types import Header, Record
from streams.ports import Received
from streams.ports.processor import DeletedInput, Output, Processor, StateView, TimeReset
from streams.ports.wire import Encoder
from streams.topology import ProcessorSpec

WINDOW_MS = 10_000
TALLY = ProcessorSpec(
    name="tally",
    inputs=(AUDIT,),
    broadcast=(),
    changelog=Topic(
        name="test.tally.changelog",
        record=None,
        key="store key",
        spread=Spread.CO_PARTITIONED,
        writers=(Role.WATCH,),
        readers=(Role.WATCH,),
        compacted=True,
        retention_ms=None,
    ),
    outputs=(ALERT, BASELINE),
)
SOURCE = "test/tally"
FAILING_TENANT = "stumble"
"""Its windows can't be closed: the timer fails."""

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(tuple[int, int]).decode


class Tally(Processor):
    """Counts audit records. A window of a tenant closes `WINDOW_MS` after its first record, with an alert that gives
    its count and a baseline that gives the count of all windows so far."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        del topic, key, received_ms
        if not isinstance(record, AuditEvent):
            raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` can't be counted")
        row_key = b"w" + record.header.tenant_uid.encode()
        found = state.get(row_key)
        total, count = (0, 0) if found is None else _decode(found)
        if count == 0:
            state.set_timer(now_ms + WINDOW_MS, row_key)
        state.put(row_key, _encode((total, count + 1)))
        return []

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        tenant = payload[1:].decode()
        total, count = _decode(state.get(payload) or b"")
        state.put(payload, _encode((total + count, 0)))
        if tenant == FAILING_TENANT:
            raise ZeroDivisionError("a bug")
        header = self._header(f"{tenant} {state.partition} {total + count}", now_ms, tenant)
        baseline = Baseline(
            header=header, agent=tenant, epoch=str(state.partition), version=1, intents_count=total + count, state=b""
        )
        key = f"{tenant}/{state.partition}".encode()
        return [
            self._alert(header, tenant, count),
            Output(BASELINE, key, self._encoder.encode(BASELINE.name, baseline), header),
        ]

    def on_dead_letter(self, record: Received, error: RecordError, state: StateView, now_ms: int) -> list[Output]:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        return [self._alert(self._header(place, record.timestamp_ms, ""), f"{error.reason} at {place}", 1)]

    def on_timer_failed(self, partition: int, due_ms: int, payload: bytes, error: Exception) -> list[Output]:
        name = f"timer {partition} {due_ms} {payload.hex()}"
        return [self._alert(self._header(name, due_ms, ""), f"{type(error).__name__} in a timer", 1)]

    def on_input_deleted(self, deleted: DeletedInput, now_ms: int) -> list[Output]:
        name = f"deleted {deleted.topic}/{deleted.partition}/{deleted.first_offset}"
        return [self._alert(self._header(name, now_ms, ""), f"{deleted.next_offset} is the first there", 1)]

    def on_time_reset(self, reset: TimeReset) -> list[Output]:
        name = f"reset {reset.partition} {reset.from_ms}"
        return [self._alert(self._header(name, reset.to_ms, ""), f"set back to {reset.to_ms}", 1)]

    def _header(self, name: str, time_ms: int, tenant: str) -> Header:
        return Header(id=derived_uuid("tally", name), source=SOURCE, time=time_ms, tenant_uid=tenant)

    def _alert(self, header: Header, title: str, count: int) -> Output:
        alert = Alert(
            header=header,
            finding_uid=header.id,
            title=title,
            desc="",
            analytic_uid="tally",
            analytic_version="1",
            first_seen_time=header.time,
            last_seen_time=header.time,
            count=count,
            dedup_key=title,
        )
        return Output(ALERT, title.encode(), self._encoder.encode(ALERT.name, alert), header)
