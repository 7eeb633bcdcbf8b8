"""What a decision costs in the watch, as the number of functions that are called: other work can't change that."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.parts.counting import calls_of
from simulation.fleet.records import audit_of, verdict_of
from streams.behaviour.activity import HOUR_MS, Activity
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Watcher
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.engine.placement import OutputPlacement
from streams.engine.state import PartitionState
from streams.model.topics import AUDIT, BEHAVIOUR, VERDICT
from streams.processors.settings import WatchSettings
from streams.processors.watch.keying import Keying
from streams.processors.watch.seen import SEEN
from streams.stores.memory import MemoryStores
from tests.unit.behaviour.kit import START_MS, Rows, activity
from tests.unit.processors.watch.watch_bench import SHIPPED

COUNTED = 200
DETECTORS_CALLS_MAX = 263
KEYING_CALLS_MAX = 306


def usual_work(count: int) -> list[Activity]:
    """Calls of one agent: sessions of twenty calls, four tools, destinations, owners and amounts."""
    made = []
    for number in range(count):
        kind = number % 4
        made.append(
            activity(
                START_MS + number * HOUR_MS // 12,
                session=f"s-{number // 20}",
                user=f"u-{number // 20 % 5}",
                root=f"g-{number // 20}",
                depth=1,
                instance="i-1",
                epoch="m1/00112233445566aa/prompt:00112233445566bb/1.2",
                tool=("crm.read", "crm.list", "mail.send", "payments.refund")[kind],
                call=f"c-{number}",
                destination="known.example" if kind == 2 else None,
                object=f"o-{number % 30}",
                owner=f"u-{number // 20 % 5}",
                amount=20.0 + number % 7 if kind == 3 else None,
            )
        )
    return made


def test_a_usual_decision_costs_the_detectors_few_calls() -> None:
    watcher, rows, remembered = Watcher(SHIPPED.declared), Rows(), RememberedRows()
    work = usual_work(1_000 + COUNTED)

    def judge(part: Sequence[Activity]) -> None:
        for start in range(0, len(part), 40):
            opened = OpenRows(rows, remembered)
            for each in part[start : start + 40]:
                assert watcher.judge(opened, each).has_learned
            opened.close()

    judge(work[:1_000])
    assert calls_of(partial(judge, work[1_000:])) / COUNTED < DETECTORS_CALLS_MAX


def test_a_decision_costs_few_calls_to_be_keyed() -> None:
    wire = CodecWire(Codec(CommittedSchemas.load(), SEEN))
    keying, state = Keying(wire, SHIPPED.features, WatchSettings()), PartitionState(MemoryStores().open(0))
    placement = OutputPlacement(0, wire, {BEHAVIOUR.name: 6})
    work = usual_work(2 * COUNTED)
    records = [
        (topic, wire.encode(topic, made(each)), each.time_ms)
        for each in work
        for topic, made in ((VERDICT.name, verdict_of), (AUDIT.name, audit_of))
    ]
    state.set_timer(work[-1].time_ms + HOUR_MS, b"later")
    state.keep_record()

    def key(part: Sequence[tuple[str, bytes, int]]) -> None:
        for topic, value, time_ms in part:
            state.has_due(time_ms) or state.due_timers(time_ms, 1)
            outputs = keying.process(topic, b"k", wire.decode(topic, value), state, time_ms, time_ms)
            assert len(placement.outgoing(outputs)) == (topic == AUDIT.name)
            state.keep_record()

    key(records[: 2 * COUNTED])
    assert calls_of(partial(key, records[2 * COUNTED :])) / COUNTED < KEYING_CALLS_MAX
