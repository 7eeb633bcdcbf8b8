"""Our engine with a processor that does minimal work (`bench.gates.minimal_work`), for the comparison with Faust."""

from __future__ import annotations

import msgspec

from bench.gates.minimal_work import advance, answer
from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.engine.ports import Ports
from streams.engine.startup import check_topics
from streams.engine.worker import Worker
from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.topics import VERDICT
from streams.model.types import Record
from streams.ports import Received, StoreProvider
from streams.ports.open_log import Log
from streams.ports.processor import DeletedInput, Output, Processor, StateView, TimeReset
from streams.topology import GATE
from streams.wiring.clock import SystemClock
from streams.wiring.settings import Settings

SPEC = msgspec.structs.replace(GATE, broadcast=())
"""The gate's topics, without the broadcast ones, which the minimal work doesn't need."""


class MinimalProcessor(Processor):
    """A processor that does the minimal work."""

    def __init__(self, wire: CodecWire) -> None:
        self._wire = wire

    def process(
        self,
        topic: str,  # noqa: ARG002 - the port's
        key: bytes | None,
        record: Record,
        state: StateView,
        received_ms: int,  # noqa: ARG002 - the port's
        now_ms: int,
    ) -> list[Output]:
        """Answer an intent; anything else passes."""
        if key is None or not isinstance(record, Intent):
            return []
        row_key = b"s" + key
        row, count = advance(state.get(row_key), record, now_ms)
        state.put(row_key, row)
        verdict = answer(record, count, now_ms)
        return [Output(VERDICT, key, self._wire.encode(VERDICT.name, verdict), verdict.header)]

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:  # noqa: ARG002 - the port's
        """There are none."""
        return []

    def on_dead_letter(
        self,
        record: Received,  # noqa: ARG002 - the port's
        error: RecordError,  # noqa: ARG002 - the port's
        state: StateView,  # noqa: ARG002 - the port's
        now_ms: int,  # noqa: ARG002 - the port's
    ) -> list[Output]:
        """There is no record of them."""
        return []

    def on_timer_failed(
        self,
        partition: int,  # noqa: ARG002 - the port's
        due_ms: int,  # noqa: ARG002 - the port's
        payload: bytes,  # noqa: ARG002 - the port's
        error: Exception,  # noqa: ARG002 - the port's
    ) -> list[Output]:
        """There are none."""
        return []

    def on_input_deleted(self, deleted: DeletedInput, now_ms: int) -> list[Output]:  # noqa: ARG002 - the port's
        """There is no record of it."""
        return []

    def on_time_reset(self, reset: TimeReset) -> list[Output]:  # noqa: ARG002 - the port's
        """There is no record of it."""
        return []


def build_minimal(settings: Settings, log: Log, codec: Codec, stores: StoreProvider) -> Worker:
    """Build our engine around this work, with everything else as in a gate."""
    admin = log.admin()
    counts = check_topics(SPEC, admin)
    admin.close()
    wire, clock = CodecWire(codec), SystemClock()
    ports = Ports(
        consumer=log.consumer(settings.group, settings.instance),
        producer=log.producer(f"{settings.group}-{settings.instance}"),
        open_reader=log.reader,
        stores=stores,
        clock=clock,
    )
    return Worker(
        spec=SPEC,
        processor=MinimalProcessor(wire),
        wire=wire,
        ports=ports,
        settings=settings.engine.for_engine(),
        partition_counts=counts,
    )
