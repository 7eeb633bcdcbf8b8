"""Transactions end in time whatever the input costs, and one bad record does not stop the others."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.engine.batch import Batch
from streams.engine.record_steps import RecordSteps
from streams.engine.transaction import Transaction
from streams.engine.worker import Worker, WorkerGaveUpError
from streams.inmemory.faults import Call
from streams.inmemory.producer import MemoryProducer
from streams.model.topics import INTENT, VERDICT
from streams.model.types import Record
from streams.ports import AbortableTransactionError, Outgoing, Received
from tests.unit.engine.bench import SETTINGS, WorkerBench

replace = msgspec.structs.replace
RECORD_MS = 100


def bench_with(*, partitions: int = 1, **settings: int) -> tuple[WorkerBench, Worker, list[SessionMaker]]:
    """A settled worker, with a session in each partition."""
    bench = WorkerBench(partitions=partitions, settings=replace(SETTINGS, **settings))
    makers = [bench.maker_on(number) for number in range(partitions)]
    for maker in makers:
        bench.establish(maker)
    worker = bench.start()
    bench.settle(worker)
    return bench, worker, makers


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[WorkerBench], None]:
    """Makes each record take RECORD_MS of a bench's clock."""
    process_one = RecordSteps.process

    def slow_down(bench: WorkerBench) -> None:
        def process(self: RecordSteps, record: Received, decoded: Record | Exception, stream_time_ms: int) -> None:
            bench.clock.advance(RECORD_MS)
            process_one(self, record, decoded, stream_time_ms)

        monkeypatch.setattr(RecordSteps, "process", process)

    return slow_down


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many input records each committed transaction holds."""
    counts: list[int] = []
    commit = Transaction.commit

    def noting(self: Transaction, *args: object) -> None:
        commit(self, *args)
        counts.append(self.inputs_count)

    monkeypatch.setattr(Transaction, "commit", noting)
    return counts


class TestEarlyCommits:
    @pytest.mark.interpreted
    def test_a_transaction_that_gets_old_is_committed_between_records(
        self, slow: Callable[[WorkerBench], None], batches: list[int]
    ) -> None:
        bench, worker, (maker,) = bench_with(transaction_age_max_ms=5 * RECORD_MS)
        batches.clear()
        slow(bench)
        for _ in range(12):
            bench.propose(maker)
        bench.settle(worker)
        assert batches == [5, 5, 2]
        assert bench.verdicts() == ["permitted"] * 12

    def test_a_large_one_likewise(self, batches: list[int]) -> None:
        bench, worker, (maker,) = bench_with(transaction_bytes_max=1)
        batches.clear()
        for _ in range(3):
            bench.propose(maker)
        bench.settle(worker)
        assert batches == [1, 1, 1]
        assert bench.verdicts() == ["permitted"] * 3

    def test_one_that_is_neither_takes_all_that_was_polled(self, batches: list[int]) -> None:
        bench, worker, (maker,) = bench_with()
        batches.clear()
        for _ in range(100):
            bench.propose(maker)
        bench.settle(worker)
        assert batches == [100]

    def test_no_partition_keeps_the_others_waiting(self, slow: Callable[[WorkerBench], None]) -> None:
        bench, worker, (first, second) = bench_with(partitions=2, transaction_age_max_ms=3 * RECORD_MS)
        slow(bench)
        for _ in range(30):
            bench.propose(first)
        honest = bench.propose(second)
        for _ in range(3):
            worker.step()
        assert honest in [verdict.intent_id for verdict in bench.judged()]
        bench.settle(worker)
        assert bench.verdicts() == ["permitted"] * 31

    def test_what_is_left_of_a_poll_is_not_added_to(self, slow: Callable[[WorkerBench], None]) -> None:
        bench, worker, (maker,) = bench_with(transaction_age_max_ms=RECORD_MS, poll_records_max=10)
        slow(bench)
        for _ in range(40):
            bench.propose(maker)
        (task,) = worker._tasks.values()
        for _ in range(30):
            worker.step()
            assert len(task.input.buffer) <= 10


class Refusing:
    """Refuses the verdict of chosen intents, whenever a transaction writes it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.intents: set[str] = set()
        self.dead_letters = False
        send = MemoryProducer.send

        def refusing(
            producer: MemoryProducer, record: Outgoing, on_stored: Callable[[int], None] | None = None
        ) -> None:
            value = record.value or b""
            if record.topic == VERDICT.name and any(name.encode() in value for name in self.intents):
                raise AbortableTransactionError("refused")
            if record.topic == INTENT.dlq and self.dead_letters:
                raise AbortableTransactionError("no dead letters either")
            send(producer, record, on_stored)

        patch.setattr(MemoryProducer, "send", refusing)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    return Refusing(monkeypatch)


class TestAborts:
    @pytest.mark.parametrize("place", [0, 7, 15])
    def test_a_record_that_cannot_be_committed_is_a_dead_letter(self, refusing: Refusing, place: int) -> None:
        bench, worker, (maker,) = bench_with()
        intents = [bench.propose(maker) for _ in range(16)]
        refusing.intents = {intents[place]}
        bench.settle(worker)
        assert [verdict.intent_id for verdict in bench.judged()] == [*intents[:place], *intents[place + 1 :]]
        (letter,) = bench.raw(INTENT.dlq)
        told = b" ".join(value for _, value in letter.headers)
        assert b"3 transactions with this record alone were aborted, the last one: refused" in told
        assert letter.value is not None

    def test_several_in_several_partitions(self, refusing: Refusing) -> None:
        bench, worker, makers = bench_with(partitions=2)
        intents = [[bench.propose(maker) for _ in range(5)] for maker in makers]
        refusing.intents = {intents[0][1], intents[0][2], intents[1][1]}
        bench.settle(worker)
        assert len(bench.raw(INTENT.dlq)) == 3
        assert len(bench.judged()) == 7

    def test_transactions_are_large_again_afterwards(self, refusing: Refusing, batches: list[int]) -> None:
        bench, worker, (maker,) = bench_with()
        refusing.intents = {bench.propose(maker)}
        for _ in range(10):
            bench.propose(maker)
        bench.settle(worker)
        for _ in range(3_000):
            bench.propose(maker)
        bench.settle(worker)
        assert max(batches) >= SETTINGS.poll_records_max
        assert len(bench.judged()) == 3_010

    def test_while_the_log_takes_nothing_no_record_is_at_fault(self) -> None:
        bench, worker, (maker,) = bench_with()
        intents = [bench.propose(maker) for _ in range(4)]
        bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("refused"), times=15)
        bench.settle(worker)
        assert [verdict.intent_id for verdict in bench.judged()] == intents
        assert bench.raw(INTENT.dlq) == []

    def test_a_record_that_cannot_even_be_a_dead_letter_ends_the_worker(self, refusing: Refusing) -> None:
        bench, worker, (maker,) = bench_with()
        refusing.intents = {bench.propose(maker)}
        refusing.dead_letters = True
        with pytest.raises(WorkerGaveUpError, match="no dead letters either"):
            bench.settle(worker)
        worker.stop()
        assert bench.verdicts() == []


class TestBatch:
    def test_it_halves_down_to_one_and_doubles_again(self) -> None:
        batch, last = Batch(SETTINGS), Received("t", 0, 3, 0, None, None)
        sizes = []
        for count in (1_000, 500, 3, 1, 1):
            batch.aborted(count, last)
            sizes.append(batch.records_max)
        assert sizes == [500, 250, 1, 1, 1]
        assert batch.needs_probe
        batch.committed(1, last)
        assert batch.records_max == 2
        for _ in range(20):
            batch.committed(2, last)
        assert batch.records_max is None

    def test_only_aborts_that_a_probe_confirms_count(self) -> None:
        batch, last = Batch(replace(SETTINGS, record_aborts_max=2)), Received("t", 0, 3, 0, None, None)
        for _ in range(5):
            batch.aborted(1, last)
            batch.aborted(0, None)
        assert not batch.is_rejected(last)
        for _ in range(2):
            batch.aborted(1, last)
            batch.probed()
        assert batch.is_rejected(last)
        assert not batch.is_rejected(last._replace(offset=4))
        batch.committed(1, last)
        assert not batch.is_rejected(last)
