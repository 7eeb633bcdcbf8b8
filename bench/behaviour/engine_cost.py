"""What a decision costs in the watch's process: both workers on a log in memory, with codec, state and transactions."""

from __future__ import annotations

import time
from collections.abc import Sequence

from simulation.fleet.agents import Planned
from simulation.fleet.records import audit_of, verdict_of
from streams.behaviour.activity import Activity
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.history.driver import Driver
from streams.model.keys import session_key_of
from streams.model.topics import AUDIT, BEHAVIOUR, VERDICT
from streams.ports import Outgoing
from streams.processors.settings import WatchSettings
from streams.processors.watch.behaviour_file import BehaviourFiles
from streams.processors.watch.keying import Keying
from streams.processors.watch.seen import SEEN
from streams.processors.watch.watch import Watch
from streams.topology import KEYING, WATCH

DECISIONS = 6_000
QUICK_DECISIONS = 600
BATCH = 500
SETTLE_MS = 60_000

Encoded = tuple[str, bytes, bytes, int]
"""Topic, key, value and broker time of a record."""


def us_per_decision(fleet: Sequence[Planned], files: BehaviourFiles, decisions: int) -> float:
    """Return the CPU time of a decision in us, of both workers together.

    Args:
        fleet: what a fleet does; the first `decisions` calls count.
        files: the declarations.
        decisions: how many.

    Raises:
        RuntimeError: not every decision has reached the watch, so the figure would say nothing.
    """
    chosen = [planned.activity for planned in fleet[:decisions]]
    driver, records = prepared(chosen, files)
    began = time.process_time()
    _play(driver, records)
    spent = time.process_time() - began
    arrived = len({read.record.header.id for read in driver.read(BEHAVIOUR.name) if hasattr(read.record, "header")})
    if arrived < len(chosen):
        raise RuntimeError(f"{arrived} of {len(chosen)} decisions have reached the watch")
    return round(1e6 * spent / len(chosen), 1)


def played(chosen: Sequence[Activity], files: BehaviourFiles) -> Driver:
    """Return both workers after some decisions, with all that they have written.

    Args:
        chosen: what the decisions are about, in their order.
        files: the declarations.
    """
    driver, records = prepared(chosen, files)
    _play(driver, records)
    return driver


def prepared(chosen: Sequence[Activity], files: BehaviourFiles) -> tuple[Driver, list[Encoded]]:
    """Return both workers, and the verdicts and audit records of some decisions, two for each in their order."""
    # As the watch's process reads.
    wire = CodecWire(Codec(CommittedSchemas.load(), SEEN))
    driver = Driver(
        spec=KEYING,
        processor=Keying(wire, files.features, WatchSettings()),
        wire=wire,
        start_ms=chosen[0].time_ms,
        beside={WATCH: Watch(wire, files.declared, WatchSettings())},
    )
    records = []
    for each in chosen:
        key = session_key_of(each.tenant, each.session)
        records.append((VERDICT.name, key, wire.encode(VERDICT.name, verdict_of(each)), each.time_ms))
        records.append((AUDIT.name, key, wire.encode(AUDIT.name, audit_of(each)), each.time_ms))
    return driver, records


def _play(driver: Driver, records: Sequence[Encoded]) -> None:
    play_on(driver, records)
    driver.advance(driver.clock.now_ms() + SETTLE_MS)


def play_on(driver: Driver, records: Sequence[Encoded]) -> None:
    """Let both workers process further records. The last decisions are not judged yet: they wait for their turn."""
    for start in range(0, len(records), BATCH):
        part = records[start : start + BATCH]
        # A batch lies on the log before the workers see it, as behind a worker that lags.
        driver.clock.set_ms(part[-1][3])
        for topic, key, value, time_ms in part:
            driver.log.append(Outgoing(topic, 0, key, value), timestamp_ms=time_ms)
        driver.settle()
