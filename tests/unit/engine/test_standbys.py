"""Standbys follow what is committed, and a takeover goes on where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.engine.changelog import STORE_AGE_MS_MAX
from streams.engine.peers import WAIT_MS_MAX
from streams.engine.standbys import BATCH_RECORDS, RETRY_MS
from streams.engine.worker import Worker
from streams.inmemory.clients import MemoryConsumer, MemoryReader
from streams.inmemory.faults import Call
from streams.model.topics import GATE_CHANGELOG
from streams.ports import FatalLogError, LogError, Outgoing, RetriableLogError, StoreError, TopicPartition
from streams.topology import GATE
from tests.unit.engine.bench import SETTINGS, WorkerBench


def two_gates(bench: WorkerBench) -> tuple[Worker, Worker, SessionMaker]:
    """Gates `a` and `b`, and a session on a partition of `b`; `a` has standbys of those."""
    maker = bench.maker_on(bench.partitions - 1)
    bench.establish(maker)
    first, second = bench.start("a"), bench.start("b")
    bench.serving(first, second)
    bench.settle(first, second)
    return first, second, maker


def lose(bench: WorkerBench, name: str) -> None:
    """The process is gone, and the group knows it."""
    bench.disks[name].lose_process()
    assert bench.log.put_out(GATE.name, name)


class TestFollowing:
    def test_a_standby_holds_what_its_owner_has_committed(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.propose(maker)
        bench.settle(first, second)
        assert (first.partitions, second.partitions) == ([0], [1])
        assert bench.disks["a"].rows(1) == bench.disks["b"].rows(1) != {}
        assert first.standby_lags == {1: 0}
        assert second.standby_lags == {0: 0}

    def test_it_holds_nothing_of_an_open_or_aborted_transaction(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.settle(first, second)
        before = bench.disks["a"].rows(1)
        producer = bench.log.producer("b")
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(GATE_CHANGELOG.name, 1, b"x", b"never"))
        for _ in range(5):
            first.step()
        assert bench.disks["a"].rows(1) == before
        producer.abort()
        for _ in range(5):
            first.step()
        assert bench.disks["a"].rows(1) == before
        assert maker.key not in before

    def test_none_without_others_and_none_where_none_is_asked_for(self) -> None:
        alone = WorkerBench(partitions=2)
        worker = alone.start("a")
        alone.settle(worker)
        assert worker.standby_lags == {}
        without = WorkerBench(partitions=2, settings=msgspec.structs.replace(SETTINGS, standbys=0))
        first, second, _ = two_gates(without)
        assert (first.standby_lags, second.standby_lags) == ({}, {})
        assert without.disks["a"].partitions() == [0]

    def test_a_long_changelog_is_followed_a_bounded_batch_for_each_step(self) -> None:
        bench = WorkerBench(partitions=2)
        for number in range(3 * BATCH_RECORDS):
            bench.write(GATE_CHANGELOG.name, b"x%d" % number, b"row", partition=1)
        first, second = bench.start("a"), bench.start("b")
        bench.serving(first, second)
        lags = []
        while not lags or lags[-1]:
            first.step()
            second.step()
            lags.append(first.standby_lags.get(1))
        known = [lag for lag in lags if lag is not None]
        assert len(known) >= 3
        assert all(before - after <= BATCH_RECORDS for before, after in pairwise(known))

    @pytest.mark.parametrize("error", [FatalLogError("gone"), LogError("no right")])
    def test_an_error_of_the_log_stops_only_the_standbys_and_not_for_ever(self, error: LogError) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        # The first reads of a step are those of broadcast and advisory topics.
        bench.faults.fail("a", Call.READ, error, skip=2)
        bench.propose(maker)
        bench.settle(first, second)
        assert bench.verdicts() == ["permitted"]
        assert first.standby_lags == {1: None}
        bench.clock.advance(RETRY_MS)
        bench.settle(first, second)
        assert bench.disks["a"].rows(1) == bench.disks["b"].rows(1)

    def test_an_error_of_the_disk_stops_only_the_standbys_and_not_for_ever(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)

        def fail(partition: int) -> None:
            if partition == 1:
                raise StoreError("full")

        bench.disks["a"].before_apply = fail
        bench.propose(maker)
        bench.settle(first, second)
        assert bench.verdicts() == ["permitted"]
        assert first.standby_lags == {1: None}
        bench.disks["a"].before_apply = lambda _partition: None
        bench.clock.advance(RETRY_MS)
        bench.settle(first, second)
        assert bench.disks["a"].rows(1) == bench.disks["b"].rows(1)


class TestRebalance:
    def test_partitions_that_come_back_keep_their_stores_open(self) -> None:
        bench = WorkerBench(partitions=3)
        first = bench.start("a")
        bench.serving(first)
        bench.settle(first)
        stores = dict(bench.disks["a"]._open)
        second = bench.start("b")
        bench.serving(first, second)
        bench.settle(first, second)
        # Two stay, and the third has become a standby.
        assert (first.partitions, second.partitions) == ([0, 1], [2])
        assert bench.disks["a"]._open == stores
        assert [first.restored[number].from_standby for number in (0, 1)] == [False, False]

    def test_what_is_neither_owned_nor_stood_by_for_is_closed(self) -> None:
        settings = msgspec.structs.replace(SETTINGS, standbys=0)
        bench = WorkerBench(partitions=3, settings=settings)
        first = bench.start("a")
        bench.serving(first)
        second = bench.start("b")
        bench.serving(first, second)
        bench.settle(first, second)
        assert sorted(bench.disks["a"]._open) == [0, 1]

    def test_a_worker_that_stops_closes_everything(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, _ = two_gates(bench)
        first.stop()
        assert bench.disks["a"]._open == {}
        second.stop()
        assert bench.disks["b"]._open == {}


class TestTakeover:
    def test_it_goes_on_where_the_standby_stands(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.propose(maker)
        bench.settle(first, second)
        end = bench.disks["a"].changelog_offset(1)
        lose(bench, "b")
        bench.settle(first)
        assert first.partitions == [0, 1]
        restored = first.restored[1]
        assert (restored.from_standby, restored.records, restored.offset) == (True, 0, end)
        bench.propose(maker)
        bench.settle(first)
        assert bench.verdicts() == ["permitted", "permitted"]

    def test_without_a_standby_it_begins_at_the_beginning(self) -> None:
        bench = WorkerBench(partitions=2, settings=msgspec.structs.replace(SETTINGS, standbys=0))
        first, second, maker = two_gates(bench)
        bench.propose(maker)
        bench.settle(first, second)
        lose(bench, "b")
        bench.settle(first)
        restored = first.restored[1]
        assert (restored.from_standby, restored.offset) == (False, 0)
        assert restored.records > 0

    def test_what_the_dead_left_open_is_ended_at_once(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.propose(maker)
        while not second.step():
            continue  # its transaction is open
        assert bench.log.partition(TopicPartition("agent.verdict.v1", 1)).high_watermark > 0
        lose(bench, "b")
        bench.settle(first)  # nobody times the transaction out here
        assert first.partitions == [0, 1]
        assert bench.verdicts() == ["permitted"]

    def test_a_zombie_cannot_commit_afterwards(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.propose(maker)
        while not second.step():
            continue
        assert bench.log.put_out(GATE.name, "b")
        bench.settle(first)
        with pytest.raises(FatalLogError):
            bench.settle(second)
        second.stop()
        bench.settle(first)
        assert bench.verdicts() == ["permitted"]
        assert len(bench.audited()) == 1

    def test_a_refused_end_of_the_transaction_leaves_it_to_its_timeout(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.propose(maker)
        while not second.step():
            continue
        bench.faults.fail("b", Call.INIT_TRANSACTIONS, FatalLogError("no right"))
        lose(bench, "b")
        bench.settle(first)
        assert bench.verdicts() == []
        assert bench.log.time_out_transaction("b")
        assert bench.verdicts() == ["permitted"]

    def test_what_it_had_before_does_not_wait_for_offsets_of_the_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        own = bench.maker_on(0)
        bench.establish(own)
        bench.settle(first, second)
        committed = MemoryConsumer.committed

        def locked(
            consumer: MemoryConsumer, partitions: Sequence[TopicPartition]
        ) -> Mapping[TopicPartition, int | None]:
            if any(each.partition == 1 for each in partitions):
                raise RetriableLogError("offsets are not stable")
            return committed(consumer, partitions)

        with monkeypatch.context() as patch:
            patch.setattr(MemoryConsumer, "committed", locked)
            lose(bench, "b")
            bench.propose(own)
            for _ in range(20):
                first.step()
            assert first.partitions == [0]
            assert first.restoring
            assert bench.verdicts() == ["permitted"]
        bench.settle(first)
        assert first.partitions == [0, 1]
        assert first.restored[1].from_standby
        bench.propose(maker)
        bench.settle(first)
        assert bench.verdicts() == ["permitted", "permitted"]

    def test_a_restore_that_could_not_begin_to_read_is_begun_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = WorkerBench()
        first, maker = bench.start("a"), bench.maker_on(0)
        bench.establish(maker)
        bench.settle(first)
        lose(bench, "a")
        assign, failed = MemoryReader.assign, list[int]()

        def refused_once(reader: MemoryReader, positions: Mapping[TopicPartition, int]) -> None:
            if not failed and any(topic == GATE_CHANGELOG.name for topic, _ in positions):
                failed.append(1)
                raise RetriableLogError("no answer")
            assign(reader, positions)

        monkeypatch.setattr(MemoryReader, "assign", refused_once)
        second = bench.start("b")
        bench.serving(second)
        assert failed
        assert second.restored[0].records
        bench.propose(maker)
        bench.settle(second)
        assert bench.verdicts() == ["permitted"]

    def test_members_that_live_are_not_fenced_when_partitions_move(self) -> None:
        bench = WorkerBench(partitions=3)
        workers = [bench.start(name) for name in ("a", "b", "c")]
        bench.serving(*workers)
        bench.settle(*workers)
        epochs = [bench.log.epoch(name) for name in ("a", "b", "c")]
        lose(bench, "a")
        bench.settle(*workers[1:])
        assert [bench.log.epoch(name) == epoch for name, epoch in zip("abc", epochs, strict=True)] == [
            False,
            True,
            True,
        ]

    def test_a_member_that_is_back_is_not_fenced_though_nobody_heard_in_time_that_it_was_gone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = WorkerBench(partitions=2)
        first, second, _ = two_gates(bench)
        bench.settle(first, second)
        lose(bench, "b")
        with monkeypatch.context() as patch:
            patch.setattr(MemoryConsumer, "membership", lambda _: None)
            for _ in range(3):
                first.step()
            assert first.restoring
            bench.clock.advance(WAIT_MS_MAX)
            bench.settle(first)  # it takes over without knowing who is gone
        assert first.partitions == [0, 1]
        bench.settle(first)  # now it knows
        again = bench.start("b")
        epoch = bench.log.epoch("b")
        bench.serving(first, again)
        bench.settle(first, again)
        assert bench.log.epoch("b") == epoch

    def test_a_standby_that_has_not_heard_of_anything_for_long_is_not_used(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, maker = two_gates(bench)
        bench.settle(first, second)
        # What comes now does not reach the standby, whose reader gets no answers.
        bench.faults.fail("a", Call.READ, RetriableLogError("away"), times=1_000)
        bench.propose(maker)
        for _ in range(50):
            second.step()
            first.step()
        bench.clock.advance(STORE_AGE_MS_MAX + 1)
        lose(bench, "b")
        for _ in range(2_000):
            first.step()
        restored = first.restored[1]
        assert (restored.from_standby, restored.offset) == (False, 0)

    def test_the_owner_of_an_idle_partition_dies_long_after_its_last_record(self) -> None:
        bench = WorkerBench(partitions=2)
        first, second, _ = two_gates(bench)
        bench.settle(first, second)
        bench.clock.advance(STORE_AGE_MS_MAX + 1)
        lose(bench, "b")
        bench.settle(first)
        assert first.restored[1].from_standby
