"""What the engine promises of the hook at commit, one promise after the other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from simulation.auditor_seals import check_seals, read_seals
from simulation.records import SessionMaker
from simulation.seals import SEAL_KEY, BatchSeals
from streams.engine.placement import OUTPUT_BYTES_MAX
from streams.engine.state import ROW_BYTES_MAX
from streams.engine.worker import WorkerGaveUpError
from streams.inmemory.faults import Call
from streams.model.errors import InvariantError, RecordError
from streams.model.keys import partition_for
from streams.model.topics import ALERT, AUDIT, AUDIT_CHECKPOINT, GATE_CHANGELOG, INTENT, REVOCATION, SESSION, VERDICT
from streams.ports import AbortableTransactionError, Outgoing, Received, StoreError, TopicPartition
from streams.ports.processor import Output, StateView
from tests.kit import MAIL_SEND, wire
from tests.unit.engine.bench import SETTINGS, WorkerBench


class WatchedSeals(BatchSeals):
    """Seals what is written, and remembers each call.

    Attributes:
        calls: partition, records written, and stream time of each call.
        failures: what the next calls raise, the first one first.
        output_bytes: the size of an output that the next call returns beside the seal; 0 for none.
        row_bytes: the size of a row that the next call writes; 0 for none.
    """

    topics = BatchSeals.topics | {REVOCATION.name, INTENT.dlq}

    def __init__(self) -> None:
        super().__init__(wire())
        self.calls: list[tuple[int, list[Outgoing], int]] = []
        self.failures: list[Exception] = []
        self.output_bytes = 0
        self.row_bytes = 0

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        self.calls.append((state.partition, list(written), now_ms))
        sealed = [record for record in written if record.topic in BatchSeals.topics]
        outputs = super().before_commit(sealed, read, state, now_ms)
        if self.failures:
            raise self.failures.pop(0)
        if self.row_bytes:
            size, self.row_bytes = self.row_bytes, 0
            state.put(b"!large", bytes(size))
        if self.output_bytes:
            size, self.output_bytes = self.output_bytes, 0
            outputs.append(msgspec.structs.replace(outputs[0], value=bytes(size)))
        return outputs


class House:
    """A worker with the hook that has settled, and whose calls so far are forgotten."""

    def __init__(self, partitions: int = 1) -> None:
        self.hook = WatchedSeals()
        self.bench = WorkerBench(partitions=partitions, hook=self.hook)
        self.makers = [self.bench.maker_on(number, f"m{number}") for number in range(partitions)]
        for maker in self.makers:
            self.bench.establish(maker)
        self.worker = self.bench.start()
        self.bench.settle(self.worker)
        self.hook.calls.clear()

    def settle(self) -> None:
        self.bench.settle(self.worker)

    def take_over(self) -> None:
        """Another process on the same disk; the former one is gone."""
        self.worker = self.bench.start()
        self.settle()

    def sealed_counts(self, partition: int = 0) -> list[int]:
        """How many records of its own partition each seal covers."""
        return [len(seal.batch.own) for seal in read_seals(self.bench.log, wire(), partition)]

    def assert_sealed(self) -> None:
        """All that is committed is in one seal that follows it, and there is something."""
        assert list(check_seals(self.bench.log, wire())) == []
        assert sum(map(sum, map(self.sealed_counts, range(self.bench.partitions)))) > 0


class TestWhatItSees:
    def test_each_partition_is_shown_what_it_wrote_in_order(self) -> None:
        house = House(partitions=3)
        ids = [[house.bench.propose(maker) for _ in range(4)] for maker in house.makers]
        house.settle()
        assert sorted(partition for partition, _, _ in house.hook.calls) == [0, 1, 2]
        for partition, written, _ in house.hook.calls:
            verdicts = [record for record in written if record.topic == VERDICT.name]
            decoded = [wire().decode(VERDICT.name, record.value or b"", record.headers) for record in verdicts]
            assert [record.intent_id for record in decoded] == ids[partition]
            assert {record.partition for record in written} == {partition}
            topics = [record.topic for record in written]
            assert sorted(topics) == [AUDIT.name] * 4 + [VERDICT.name] * 4
        house.assert_sealed()

    def test_a_partition_without_part_in_the_transaction_is_left_out(self) -> None:
        house = House(partitions=3)
        house.bench.propose(house.makers[1])
        house.settle()
        assert [partition for partition, _, _ in house.hook.calls] == [1]

    def test_it_is_shown_what_went_to_other_partitions(self) -> None:
        house = House(partitions=3)
        maker = house.makers[2]
        intent = maker.intent(MAIL_SEND, {"to": "exfil@evil.example"}, house.bench.clock.now_ms())
        house.bench.write(INTENT.name, maker.key, intent)
        house.settle()
        # What was revoked is followed by every partition, in later transactions.
        partition, written, _ = house.hook.calls[0]
        elsewhere = {(record.topic, record.partition) for record in written if record.topic not in _OWN}
        (alert,) = house.bench.raw(ALERT.name)
        assert partition == 2
        assert elsewhere == {(REVOCATION.name, 0), (ALERT.name, partition_for(alert.key or b"", 3))}
        house.assert_sealed()

    def test_it_is_told_the_stream_time_of_the_partition(self) -> None:
        house = House()
        house.bench.clock.advance(100)
        house.bench.propose(house.makers[0])
        received_ms = house.bench.clock.now_ms()
        house.bench.clock.advance(10)
        house.settle()
        assert [now_ms for _, _, now_ms in house.hook.calls] == [received_ms]

    def test_input_that_leads_to_nothing_is_a_call_with_nothing(self) -> None:
        house = House()
        other = SessionMaker("s-other")
        house.bench.establish(other)
        house.settle()
        assert [written for _, written, _ in house.hook.calls] == [[]]

    def test_a_transaction_of_dead_letters_alone_goes_through_it(self) -> None:
        house = House()
        house.bench.write(INTENT.name, house.makers[0].key, b"\x07garbage")
        house.settle()
        assert [[record.topic for record in written] for _, written, _ in house.hook.calls] == [
            [INTENT.dlq, AUDIT.name]
        ]
        house.assert_sealed()

    def test_a_transaction_of_timers_alone_goes_through_it(self) -> None:
        house = House()
        stranger = SessionMaker("s-unknown")
        house.bench.propose(stranger)
        house.settle()
        house.hook.calls.clear()
        house.bench.clock.advance(60_000)
        house.settle()
        assert house.bench.verdicts() == ["session_unknown"]
        assert [sorted(record.topic for record in written) for _, written, _ in house.hook.calls] == [
            [AUDIT.name, VERDICT.name]
        ]
        house.assert_sealed()


_OWN = (VERDICT.name, AUDIT.name)


class TestWhatItAdds:
    def test_its_outputs_come_last(self) -> None:
        house = House()
        for _ in range(3):
            house.bench.propose(house.makers[0])
        house.settle()
        written = house.bench.log.written_since((VERDICT.name, AUDIT.name, AUDIT_CHECKPOINT.name), -1)
        assert [record.topic for _, record in written[-7:]].index(AUDIT_CHECKPOINT.name) == 6

    def test_its_state_is_in_the_changelog_of_the_same_transaction(self) -> None:
        house = House()
        house.bench.propose(house.makers[0])
        house.settle()
        entries = house.bench.log.partition(TopicPartition(GATE_CHANGELOG.name, 0)).committed_entries()
        rows = [entry for entry in entries if entry.key == SEAL_KEY]
        seals = read_seals(house.bench.log, wire(), 0)
        assert rows[-1].transaction is seals[-1].entry.transaction is not None
        assert house.bench.disks["a"].rows(0)[SEAL_KEY] == rows[-1].value

    def test_it_goes_on_from_the_changelog_after_a_crash_before_the_store_is_written(self) -> None:
        house = House()
        house.bench.propose(house.makers[0])

        def die(partition: int) -> None:
            raise StoreError("the process is gone")

        house.bench.disks["a"].before_apply = die
        with pytest.raises(StoreError, match="gone"):
            house.settle()
        house.bench.disks["a"].before_apply = lambda partition: None
        house.bench.propose(house.makers[0])
        house.take_over()
        assert house.sealed_counts()[-2:] == [2, 2]
        house.assert_sealed()

    def test_partitions_that_are_given_away_are_sealed_first(self) -> None:
        house = House(partitions=2)
        for maker in house.makers:
            house.bench.propose(maker)
        while not house.worker.step():
            pass
        second = house.bench.start("b")
        house.bench.settle(house.worker, second)
        for maker in house.makers:
            house.bench.propose(maker)
        house.bench.settle(house.worker, second)
        assert (house.worker.partitions, second.partitions) == ([0], [1])
        assert house.bench.verdicts() == ["permitted"] * 4
        house.assert_sealed()


class TestFailures:
    @pytest.mark.parametrize(
        "error",
        [ZeroDivisionError("a bug"), RecordError("record_invalid", "not so"), AbortableTransactionError("not now")],
        ids=lambda error: type(error).__name__,
    )
    def test_an_exception_aborts_the_transaction_and_loses_no_input(self, error: Exception) -> None:
        house = House()
        house.hook.failures = [error, error]
        house.bench.propose(house.makers[0])
        house.settle()
        assert house.bench.verdicts() == ["permitted"]
        assert len(house.hook.calls) == 3
        assert house.hook.calls[0] == house.hook.calls[1] == house.hook.calls[2]
        house.assert_sealed()

    def test_outputs_that_do_not_fit_abort_it_too(self) -> None:
        house = House()
        house.hook.output_bytes = OUTPUT_BYTES_MAX + 1
        house.bench.propose(house.makers[0])
        house.settle()
        assert (house.bench.verdicts(), len(house.hook.calls)) == (["permitted"], 2)
        house.assert_sealed()

    def test_and_so_does_a_row_that_does_not_fit(self) -> None:
        house = House()
        house.hook.row_bytes = ROW_BYTES_MAX + 1
        house.bench.propose(house.makers[0])
        house.settle()
        assert (house.bench.verdicts(), len(house.hook.calls)) == (["permitted"], 2)
        house.assert_sealed()

    @pytest.mark.parametrize("call", [Call.SEND, Call.SEND_OFFSETS, Call.COMMIT])
    def test_after_an_abort_it_is_called_again_on_the_state_of_before(self, call: Call) -> None:
        house = House()
        before = house.sealed_counts()
        house.bench.faults.fail("a", call, AbortableTransactionError("refused"), skip=2 if call is Call.SEND else 0)
        house.bench.propose(house.makers[0])
        house.settle()
        assert house.sealed_counts() == [*before, 2]
        house.assert_sealed()

    def test_a_hook_that_always_fails_ends_the_worker_and_nothing_is_committed(self) -> None:
        house = House()
        house.hook.failures = [ZeroDivisionError("a bug")] * SETTINGS.aborts_in_a_row_max
        house.bench.propose(house.makers[0])
        with pytest.raises(WorkerGaveUpError, match="commit hook of partition 0"):
            house.settle()
        house.worker.stop()
        assert house.bench.verdicts() == []
        house.take_over()
        assert house.bench.verdicts() == ["permitted"]
        house.assert_sealed()

    def test_a_broken_invariant_ends_the_worker_at_once(self) -> None:
        house = House()
        house.hook.failures = [InvariantError("cannot be")]
        house.bench.propose(house.makers[0])
        with pytest.raises(InvariantError, match="cannot be"):
            house.settle()
        house.worker.stop()
        assert (house.bench.verdicts(), len(house.hook.calls)) == ([], 1)

    def test_it_is_not_called_for_what_was_lost(self) -> None:
        house = House()
        house.bench.propose(house.makers[0])
        while not house.worker.step():
            pass
        house.bench.log.put_out(house.bench.spec.name, "a")
        house.bench.serving(second := house.bench.start("b"))
        house.bench.settle(house.worker, second)
        assert len(house.hook.calls) == 1
        assert house.bench.verdicts() == ["permitted"]
        house.assert_sealed()


def test_without_a_hook_nothing_is_kept_of_what_is_written() -> None:
    bench, maker = WorkerBench(), SessionMaker()
    bench.establish(maker)
    worker = bench.start()
    bench.settle(worker)
    bench.propose(maker)
    while not worker.step():
        pass
    (task,) = worker._tasks.values()
    assert task._emit == worker._transaction.emit
    assert task._written == []
    assert bench.committed(SESSION.name) == 1
