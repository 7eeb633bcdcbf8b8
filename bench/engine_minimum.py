"""Our engine around the least work (`bench.minimal_work`), to be held against Faust."""

from __future__ import annotations

from bench.minimal_work import advance, answer
from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.engine.control_reader import ControlReader
from streams.engine.startup import check_topics
from streams.engine.worker import Ports, Worker
from streams.log import Log
from streams.model.intent import Intent
from streams.model.topics import VERDICT
from streams.model.types import Record
from streams.ports import StoreProvider
from streams.processors.budgets.allocator import NothingToControl
from streams.processors.effects import Output, StateView
from streams.topology import GATE
from streams.wiring.clock import SystemClock
from streams.wiring.settings import Settings


class MinimalProcessor:
    """`streams.engine.wire.Processor` of this work."""

    def __init__(self, wire: CodecWire) -> None:
        self._wire = wire

    def process(
        self,
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

    @property
    def control_mark(self) -> int:
        """Nothing is broadcast to it."""
        return 0

    def follow_control(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:  # noqa: ARG002 - the port's
        """There is nothing to follow."""
        return [], True

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:  # noqa: ARG002 - the port's
        """There are none."""
        return []


def build_minimal(settings: Settings, log: Log, codec: Codec, stores: StoreProvider) -> Worker:
    """Our engine around this work, with everything else as in a gate."""
    admin = log.admin()
    counts = check_topics(GATE, admin)
    admin.close()
    wire, clock = CodecWire(codec), SystemClock()
    control = ControlReader(
        reader=log.reader(),
        topics=tuple(topic.name for topic in GATE.broadcast),
        sink=NothingToControl(),
        wire=wire,
        clock=clock,
        settings=settings.engine_settings(),
    )
    ports = Ports(
        consumer=log.consumer(settings.group, settings.instance),
        producer=log.producer(f"{settings.group}-{settings.instance}"),
        open_reader=log.reader,
        stores=stores,
        clock=clock,
    )
    return Worker(
        spec=GATE,
        processor=MinimalProcessor(wire),
        control=control,
        wire=wire,
        ports=ports,
        settings=settings.engine_settings(),
        partition_counts=counts,
    )
