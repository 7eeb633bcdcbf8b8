"""A log of one partition as a real gate has written it: many batches, repeats, an abort, another key."""

from __future__ import annotations

from functools import cache

from simulation.vandal import READ_TOPICS, TOPICS, Log
from streams.audit.notes import Checkpoint
from streams.audit.seal_keys import KeyState, SealKey, SealKeys
from streams.audit.signatures import SigningKey
from streams.inmemory.faults import Call
from streams.model.topics import INTENT, REPORT
from streams.operations.verify.partition import Ends, PartitionReport, Recorded, check_partition
from streams.ports import AbortableTransactionError, Outgoing
from streams.processors.seals import Seals
from tests.kit import FILES_READ, wire
from tests.unit.engine.bench import WorkerBench
from tests.unit.sdk.seal_hand import CODEC

OLD, NEW = SigningKey.made(), SigningKey.made()
KEYS = SealKeys.of({"old": str(OLD.public), "new": str(NEW.public)}, "prod")
END = 1_000_000
"""Everything on the topics is below it."""


def keys(state: KeyState, until_ms: int | None = None) -> SealKeys:
    """The keys, with this state of the old one."""
    return SealKeys.of([SealKey("old", OLD.public, state, until_ms), SealKey("new", NEW.public)], "prod")


@cache
def recorded_log(batches: int, intents: int) -> Log:
    """The records by their topics."""
    bench = WorkerBench(hook=Seals(wire(), OLD, "prod"))
    maker = bench.maker_on(0, "m")
    bench.establish(maker)
    worker = bench.start("a")
    bench.settle(worker)
    for number in range(batches):
        if number == batches // 3:
            bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("planned"))
        if number == batches // 2:
            worker.stop()
            bench.hook = Seals(wire(), NEW, "prod")
            worker = bench.start("b")
        written, results = [], []
        for _ in range(intents):
            intent = maker.intent(FILES_READ, {"path": "a.txt"}, bench.clock.now_ms())
            written.append(wire().encode(INTENT.name, intent))
            results.append(maker.result(intent, bench.clock.now_ms()))
        # Every tenth batch, an intent comes a second time, and its verdict is given again.
        for value in (*written, *written[:1][: number % 10 == 9]):
            bench.log.append(Outgoing(INTENT.name, 0, maker.key, value))
        bench.settle(worker)
        # Every other batch is reported, with a report that can't be read: what doesn't count is sealed, too.
        for report in (*results, b"no report %d" % number) if number % 2 else ():
            bench.write(REPORT.name, maker.key, report)
        if number % 3 == 0:
            bench.establish(bench.maker_on(0, f"n{number}"))
        if number % 10 == 8:
            bench.log.append(Outgoing(INTENT.name, 0, maker.key, written[-1]))
            bench.settle(worker)
        bench.settle(worker)
        bench.clock.advance(1_000)
    return {name: [each for each in bench.raw(name) if each.partition == 0] for name in (*TOPICS, *READ_TOPICS)}


def check(
    log: Log,
    trusted: SealKeys = KEYS,
    *,
    since: Checkpoint | None = None,
    is_whole: bool = True,
    ends: Ends | None = None,
) -> PartitionReport:
    """What is wrong with a log, if anything is."""
    opened = {name: (lambda found=found: iter(found)) for name, found in log.items()}
    verdicts, audits, heads = (opened.pop(name) for name in TOPICS)
    return check_partition(
        Recorded(0, verdicts, audits, heads, ends or Ends(END, END, END), opened, dict.fromkeys(opened, END)),
        trusted,
        CODEC,
        since=since,
        is_whole=is_whole,
    )
