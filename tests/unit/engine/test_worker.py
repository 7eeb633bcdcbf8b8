"""What the worker does when all goes well, and when a call fails at a certain point."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.engine.changelog import STORE_AGE_MS_MAX
from streams.engine.worker import Worker, WorkerGaveUpError
from streams.inmemory.faults import Call
from streams.model.topics import (
    CATALOG,
    GATE_CHANGELOG,
    INTENT,
    SESSION,
    VERDICT,
)
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    FencedError,
    LogError,
    RetriableLogError,
    StoreError,
    TopicPartition,
    UnansweredError,
)
from streams.topology import GATE
from tests.unit.engine.bench import SETTINGS, WorkerBench

replace = msgspec.structs.replace


class TestOrder:
    def test_records_of_a_poll_are_taken_in_by_their_time_across_topics(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        bench.propose(maker)  # before its session: parked
        bench.clock.advance(100)
        bench.establish(maker)
        bench.clock.advance(100)
        bench.propose(maker)
        worker = bench.start()
        bench.settle(worker)
        assert bench.verdicts() == ["permitted", "permitted"]

    def test_of_one_instant_a_session_comes_before_its_intents(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        bench.propose(maker)
        bench.establish(maker)
        worker = bench.start()
        bench.settle(worker)
        held = [record for record in bench.raw(GATE_CHANGELOG.name) if (record.key or b"").startswith(b"h")]
        assert (bench.verdicts(), held) == (["permitted"], [])

    def test_sessions_of_different_partitions_do_not_wait_for_each_other(self) -> None:
        bench = WorkerBench(partitions=3)
        makers = [bench.maker_on(number) for number in range(3)]
        for maker in makers:
            bench.establish(maker)
            bench.propose(maker)
        worker = bench.start()
        bench.settle(worker)
        assert bench.verdicts() == ["permitted"] * 3
        assert [record.partition for record in bench.raw(VERDICT.name)] == [0, 1, 2]


class TestCommit:
    def test_it_commits_when_no_input_waits(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        worker = bench.start()
        bench.settle(worker)
        bench.establish(maker)
        assert worker.step() == 1
        assert bench.committed(SESSION.name) == 0
        assert worker.step() == 0
        assert bench.committed(SESSION.name) == 1

    def test_it_commits_what_is_old_though_more_waits(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        worker = bench.start()
        bench.settle(worker)
        bench.establish(maker)
        for _ in range(3):
            worker.step()
            bench.clock.advance(SETTINGS.commit_interval_ms)
            bench.propose(maker)
        assert bench.committed(SESSION.name) == 1

    def test_it_commits_what_is_large(self) -> None:
        bench = WorkerBench(settings=replace(SETTINGS, commit_records_max=5, poll_records_max=2))
        maker = SessionMaker()
        worker = bench.start()
        bench.settle(worker)
        bench.establish(maker)
        for _ in range(9):
            bench.propose(maker)
        taken_in = 0
        while not bench.committed(INTENT.name):
            taken_in += worker.step()
        assert taken_in in (5, 6)  # of ten

    def test_stopping_commits(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        worker = bench.start()
        bench.settle(worker)
        bench.establish(maker)
        bench.propose(maker)
        while not worker.step():
            pass
        worker.stop()
        assert bench.committed(SESSION.name) == 1

    def test_state_is_not_written_before_the_commit(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        worker = bench.start()
        bench.settle(worker)
        bench.establish(maker)
        worker.step()
        assert b"s" + maker.key not in bench.disks["a"].rows(0)
        worker.step()
        assert b"s" + maker.key in bench.disks["a"].rows(0)


class TestFailures:
    """A worker with a session and an intent to take in, and a call that fails on the way."""

    def bench(self) -> tuple[WorkerBench, SessionMaker]:
        bench, maker = WorkerBench(), SessionMaker()
        bench.establish(maker)
        return bench, maker

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (Call.BEGIN, RetriableLogError("not now")),
            (Call.SEND, AbortableTransactionError("refused")),
            (Call.SEND, RetriableLogError("not now")),
            (Call.SEND_OFFSETS, AbortableTransactionError("refused")),
            (Call.COMMIT, AbortableTransactionError("refused")),
        ],
    )
    def test_input_is_read_again_after_an_abort(self, call: Call, error: LogError) -> None:
        bench, maker = self.bench()
        bench.propose(maker)
        bench.faults.fail("a", call, error)
        worker = bench.start()
        bench.settle(worker)
        assert bench.verdicts() == ["permitted"]
        assert len(bench.audited()) == 1

    @pytest.mark.parametrize("skip", range(6))
    def test_half_a_record_is_never_committed(self, skip: int) -> None:
        bench, maker = self.bench()
        worker = bench.start()
        bench.settle(worker)
        bench.propose(maker)
        bench.faults.fail("a", Call.SEND, LogError("cannot be written at all"), skip=skip)
        with suppress(LogError):
            bench.settle(worker)
        worker.stop()
        bench.settle(bench.start())
        assert bench.verdicts() == ["permitted"]
        assert len(bench.audited()) == 1

    def test_nor_when_somebody_interrupts(self) -> None:
        bench, maker = self.bench()
        worker = bench.start()
        bench.settle(worker)
        bench.propose(maker)
        bench.faults.once_after("a", Call.SEND, _raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            bench.settle(worker)
        worker.stop()
        assert bench.verdicts() == []
        bench.settle(bench.start())
        assert bench.verdicts() == ["permitted"]

    def test_a_commit_with_an_unknown_outcome_that_did_happen(self) -> None:
        bench, maker = self.bench()
        worker = bench.start()
        bench.settle(worker)
        bench.propose(maker)
        bench.faults.once_after("a", Call.COMMIT, _raising(FatalLogError("no answer")))
        with pytest.raises(FatalLogError, match="no answer"):
            bench.settle(worker)
        assert bench.verdicts() == ["permitted"]
        assert not any(key.startswith(b"v") for key in bench.disks["a"].rows(0))
        bench.settle(bench.start())
        assert bench.verdicts() == ["permitted"]
        assert any(key.startswith(b"v") for key in bench.disks["a"].rows(0))

    def test_it_gives_up_after_many_aborts_in_a_row(self) -> None:
        bench, _ = self.bench()
        bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("refused"), times=SETTINGS.aborts_in_a_row_max)
        worker = bench.start()
        with pytest.raises(WorkerGaveUpError, match="stoplog doctor"):
            bench.settle(worker)
        worker.stop()
        assert bench.verdicts() == []

    def test_a_disk_that_fails_is_not_the_records_fault(self) -> None:
        bench, maker = self.bench()
        worker = bench.start()
        bench.settle(worker)
        bench.propose(maker)

        def broken(partition: int) -> None:
            raise StoreError("input/output error")

        bench.disks["a"].before_read = broken
        with pytest.raises(StoreError, match="input/output error"):
            bench.settle(worker)
        bench.disks["a"].before_read = lambda partition: None
        worker.stop()
        bench.settle(bench.start())
        assert bench.verdicts() == ["permitted"]
        assert bench.raw(INTENT.dlq) == []

    def test_a_damaged_store_is_made_anew_from_the_changelog(self) -> None:
        bench, _ = self.bench()
        worker = bench.start()
        bench.settle(worker)
        before = bench.disks["a"].rows(0)
        worker.stop()
        bench.disks["a"].damage(0)
        bench.settle(bench.start())
        assert bench.disks["a"].rows(0) == before

    def test_a_store_that_knows_more_than_the_changelog_is_made_anew(self) -> None:
        bench, _ = self.bench()
        worker = bench.start()
        bench.settle(worker)
        before = bench.disks["a"].rows(0)
        worker.stop()
        store = bench.disks["a"].open(0)
        store.apply({b"sghost": b"row"}, 10_000)
        store.close()
        bench.settle(bench.start())
        assert bench.disks["a"].rows(0) == before

    def test_a_store_from_before_what_compaction_remembers_is_made_anew(self) -> None:
        bench, maker = self.bench()
        worker = bench.start()
        bench.settle(worker)
        worker.stop()
        store = bench.disks["a"].open(0)
        # A row that was deleted meanwhile, and whose tombstone is gone.
        store.apply({b"sghost": b"row"}, store.changelog_offset() or 0)
        store.close()
        bench.clock.advance(STORE_AGE_MS_MAX + 1)
        bench.settle(bench.start())
        assert b"sghost" not in bench.disks["a"].rows(0)
        bench.propose(maker)
        bench.settle(bench.start())
        assert bench.verdicts() == ["session_expired"]


class TestOwnership:
    def test_what_is_given_back_in_good_order_is_committed_first(self) -> None:
        bench, maker = WorkerBench(partitions=2), SessionMaker()
        first = bench.start("a")
        bench.serving(first)
        bench.establish(maker)
        while not first.step():
            pass
        second = bench.start("b")
        bench.settle(first, second)
        bench.propose(maker)
        bench.settle(first, second)
        assert (first.partitions, second.partitions) == ([0], [1])
        assert bench.verdicts() == ["permitted"]

    @pytest.mark.parametrize("is_lost", [False, True])
    def test_what_is_left_open_at_a_revocation_is_ended_by_the_next_step(self, is_lost: bool) -> None:
        """The group does not wait for a log that does not answer; nor does the next owner for the transaction's end."""
        bench = WorkerBench(partitions=2)
        maker = bench.maker_on(1)
        first = bench.start("a")
        bench.establish(maker)
        bench.settle(first)
        bench.propose(maker)
        while not first.step():
            pass
        bench.faults.fail("a", Call.SEND_OFFSETS, AbortableTransactionError("no coordinator"))
        bench.faults.fail("a", Call.ABORT, UnansweredError("no coordinator"))
        if is_lost:
            bench.log.put_out(GATE.name, "a")
        second = bench.start("b")
        bench.settle(first, second)
        assert (first.partitions, second.partitions) == ([0], [1])
        assert bench.verdicts() == ["permitted"]
        assert len(bench.audited()) == 1
        written = [TopicPartition(GATE_CHANGELOG.name, number) for number in range(2)]
        reader = bench.log.reader()
        assert reader.stable_offsets(written) == reader.end_offsets(written)

    def test_a_stop_leaves_what_is_not_answered_and_the_next_start_ends_it(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        first = bench.start()
        bench.establish(maker)
        bench.settle(first)
        bench.propose(maker)
        while not first.step():
            pass
        bench.faults.fail("a", Call.SEND_OFFSETS, AbortableTransactionError("no coordinator"))
        bench.faults.fail("a", Call.ABORT, UnansweredError("no coordinator"))
        first.stop()
        assert bench.verdicts() == []
        bench.settle(bench.start())
        assert bench.verdicts() == ["permitted"]
        assert len(bench.audited()) == 1

    def test_what_was_lost_is_aborted_and_done_by_the_new_owner(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        first = bench.start("a")
        bench.establish(maker)
        bench.settle(first)
        bench.propose(maker)
        assert first.step() == 1
        bench.log.put_out(GATE.name, "a")
        second = bench.start("b")
        bench.serving(second)
        first.step()
        bench.settle(first, second)
        assert bench.verdicts() == ["permitted"]
        assert len(bench.audited()) == 1

    def test_a_stale_owner_cannot_commit(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        first = bench.start("a")
        bench.establish(maker)
        bench.settle(first)
        bench.propose(maker)
        while not first.step():
            pass
        bench.faults.once_after("a", Call.POLL, lambda: _hand_over(bench))
        with pytest.raises(FencedError):
            bench.settle(first)
        first.stop()
        assert bench.verdicts() == ["permitted"]

    def test_a_stale_owner_cannot_commit_what_timers_did_either(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        first = bench.start("a")
        bench.serving(first)
        bench.propose(maker)  # parked
        bench.settle(first)
        bench.clock.advance(60_000)
        bench.faults.once_after("a", Call.POLL, lambda: _hand_over(bench))
        with pytest.raises(FencedError):
            bench.settle(first)
        first.stop()
        assert bench.verdicts() == ["session_unknown"]

    def test_a_new_owner_waits_until_the_last_transaction_is_decided(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        first = bench.start("a")
        bench.establish(maker)
        bench.settle(first)
        bench.propose(maker)
        first.step()

        def stand_still() -> None:
            bench.log.put_out(GATE.name, "a")
            second = bench.start("b")
            for _ in range(20):
                second.step()
            assert second.restoring
            stood_still.append(second)

        stood_still: list[Worker] = []
        bench.faults.once_after("a", Call.SEND_OFFSETS, stand_still)
        first.step()
        assert len(stood_still) == 1
        assert bench.verdicts() == ["permitted"]
        second = bench.start("b")
        bench.settle(second)
        assert bench.verdicts() == ["permitted"]

    def test_stream_time_does_not_go_back_with_a_new_owner(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        first = bench.start("a")
        bench.establish(maker)
        bench.clock.advance(5_000)
        late = bench.propose(maker)
        bench.settle(first)
        first.stop()
        second = bench.start("b")
        bench.serving(second)
        bench.propose(maker, received_ms=bench.clock.now_ms() - 4_000)
        bench.settle(second)
        first_verdict, second_verdict = bench.judged()
        assert first_verdict.intent_id == late
        assert second_verdict.evaluated_at >= first_verdict.evaluated_at


class TestTimers:
    def test_timers_of_an_idle_partition_fire_beside_a_busy_one(self) -> None:
        bench = WorkerBench(partitions=2)
        busy, idle = bench.maker_on(0, "busy"), bench.maker_on(1, "idle")
        bench.establish(busy)
        worker = bench.start()
        bench.settle(worker)
        parked = bench.propose(idle)
        for _ in range(120):
            bench.clock.advance(25)
            bench.propose(busy)
            worker.step()
        judged = {verdict.intent_id: verdict.reason for verdict in bench.judged()}
        assert judged.get(parked) == "session_unknown"

    def test_they_do_not_fire_before_their_time_while_input_waits(self) -> None:
        """The wall clock says nothing about records that were written while nobody read."""
        bench, maker = WorkerBench(), SessionMaker()
        bench.propose(maker)
        bench.clock.advance(1_000)
        bench.establish(maker)
        bench.clock.advance(3_600_000)
        worker = bench.start()
        bench.settle(worker)
        assert bench.verdicts() == ["permitted"]


class TestControlReports:
    def test_a_bad_control_record_is_reported_after_an_abort(self) -> None:
        bench = WorkerBench()
        worker = bench.start()
        bench.serving(worker)
        bench.write(CATALOG.name, b"files/read", b"\x07garbage", partition=0)
        bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("refused"))
        bench.settle(worker)
        assert len(bench.raw(CATALOG.dlq)) == 1

    def test_it_is_reported_once_by_however_many_owners(self) -> None:
        bench = WorkerBench(partitions=2)
        bench.write(CATALOG.name, b"files/read", b"\x07garbage", partition=0)
        workers = [bench.start(name) for name in ("a", "b")]
        bench.settle(*workers)
        for worker in workers:
            worker.stop()
            bench.settle(bench.start("c"))
        assert len(bench.raw(CATALOG.dlq)) == 1

    def test_a_control_record_is_known_before_the_first_verdict(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        bench.establish(maker)
        bench.propose(maker)
        bench.write(CATALOG.name, b"files/read", b"\x07garbage", partition=0)
        bench.settle(bench.start())
        assert bench.verdicts() == ["tool_unknown"]


def _raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def _hand_over(bench: WorkerBench) -> None:
    """Put the worker `a` out of its group, and have a new owner do all that there is to do."""
    bench.log.put_out(GATE.name, "a")
    bench.settle(bench.start("b"))
