"""What the log in memory has beyond the contract of every log: the broker's side, moved by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streams.inmemory.clock import ManualClock
from streams.inmemory.faults import Call, NoFaults
from streams.inmemory.log import MemoryLog
from streams.ports import (
    FatalLogError,
    FencedError,
    LogError,
    Outgoing,
    RetriableLogError,
    TopicPartition,
    TopicSpec,
)

AT = TopicPartition("t", 0)


class Listener:
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(f"assigned {len(partitions)}")

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(f"revoked {len(partitions)}")

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(f"lost {len(partitions)}")


class Late(NoFaults):
    """Markers come late."""

    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        return True


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog(ManualClock(1_000))
    log.create(TopicSpec("t", 4, {}))
    return log


def values(log: MemoryLog) -> list[bytes | None]:
    return [record.value for record in log.committed_records(AT)]


def record(value: bytes, key: bytes = b"k") -> Outgoing:
    return Outgoing("t", 0, key, value)


class TestTransactions:
    def test_a_decided_transaction_is_not_read_before_its_marker(self, log: MemoryLog) -> None:
        log.faults = Late()
        producer = log.producer("p")
        producer.init_transactions()
        producer.begin()
        producer.send(record(b"1"))
        producer.commit()
        log.append(record(b"2"))
        assert (values(log), log.markers_due) == ([], 1)
        log.write_markers()
        assert values(log) == [b"1", b"2"]
        assert log.partition(AT).high_watermark == 3

    def test_the_next_transaction_of_a_producer_waits_for_the_markers_of_its_last(self, log: MemoryLog) -> None:
        log.faults = Late()
        producer = log.producer("p")
        producer.init_transactions()
        for value in (b"1", b"2"):
            producer.begin()
            producer.send(record(value))
            producer.commit()
        assert values(log) == [b"1"]

    def test_offsets_are_not_stable_until_they_are_marked(self, log: MemoryLog) -> None:
        log.faults = Late()
        consumer, producer = log.consumer("g", "a"), log.producer("p")
        consumer.subscribe(["t"], Listener())
        consumer.poll(1, 0)
        producer.init_transactions()
        producer.begin()
        producer.send_offsets({AT: 7}, consumer.group_metadata())
        producer.commit()
        with pytest.raises(RetriableLogError):
            consumer.committed([AT])
        log.write_markers()
        assert consumer.committed([AT]) == {AT: 7}

    def test_a_transaction_that_times_out_fences_its_producer(self, log: MemoryLog) -> None:
        producer = log.producer("p")
        producer.init_transactions()
        producer.begin()
        producer.send(record(b"1"))
        assert log.time_out_transaction("p")
        assert not log.time_out_transaction("p")
        with pytest.raises(FencedError):
            producer.commit()
        assert values(log) == []

    def test_without_offsets_nothing_is_fenced(self, log: MemoryLog) -> None:
        """As librdkafka has it: an empty list of offsets is not even sent."""
        consumer, producer = log.consumer("g", "a"), log.producer("p")
        consumer.subscribe(["t"], Listener())
        consumer.poll(1, 0)
        stale = consumer.group_metadata()
        log.put_out("g", "a")
        producer.init_transactions()
        producer.begin()
        producer.send(record(b"1"))
        producer.send_offsets({}, stale)
        producer.commit()
        assert values(log) == [b"1"]

    def test_whoever_fails_for_good_stays_failed(self, log: MemoryLog) -> None:
        class Failing(NoFaults):
            def after(self, client: str, call: Call) -> None:
                if call is Call.COMMIT:
                    raise FatalLogError("no answer")

        log.faults = Failing()
        producer = log.producer("p")
        producer.init_transactions()
        producer.begin()
        producer.send(record(b"1"))
        with pytest.raises(FatalLogError, match="no answer"):
            producer.commit()
        log.faults = NoFaults()
        with pytest.raises(FatalLogError, match="no answer"):
            producer.begin()
        assert values(log) == [b"1"]


class TestGroups:
    def test_a_member_that_was_put_out_learns_it_at_its_next_poll(self, log: MemoryLog) -> None:
        listener, consumer = Listener(), log.consumer("g", "a")
        consumer.subscribe(["t"], listener)
        consumer.poll(1, 0)
        assert log.put_out("g", "a")
        assert listener.told == ["assigned 4"]
        consumer.poll(1, 0)
        consumer.poll(1, 0)
        assert listener.told == ["assigned 4", "lost 4", "assigned 4"]

    def test_a_rebalance_waits_for_a_member_that_does_not_poll(self, log: MemoryLog) -> None:
        first, second = Listener(), Listener()
        log_first, log_second = log.consumer("g", "a"), log.consumer("g", "b")
        log_first.subscribe(["t"], first)
        log_first.poll(1, 0)
        log_second.subscribe(["t"], second)
        for _ in range(3):
            log_second.poll(1, 0)
        assert second.told == []
        log.put_out("g", "a")
        log_second.poll(1, 0)
        assert second.told == ["assigned 4"]

    def test_while_a_rebalance_is_prepared_the_old_generation_may_commit(self, log: MemoryLog) -> None:
        consumer, producer = log.consumer("g", "a"), log.producer("p")
        consumer.subscribe(["t"], Listener())
        consumer.poll(1, 0)
        log.consumer("g", "b").subscribe(["t"], Listener())
        producer.init_transactions()
        producer.begin()
        producer.send_offsets({AT: 1}, consumer.group_metadata())
        producer.commit()
        assert log.group("g").offsets == {AT: 1}

    def test_a_later_consumer_of_the_same_name_takes_over(self, log: MemoryLog) -> None:
        listener, consumer = Listener(), log.consumer("g", "a")
        consumer.subscribe(["t"], listener)
        consumer.poll(1, 0)
        log.consumer("g", "a").subscribe(["t"], Listener())
        with pytest.raises(FencedError):
            consumer.poll(1, 0)
        assert listener.told == ["assigned 4", "lost 4"]


class TestRecords:
    def test_compaction_keeps_the_newest_of_each_key_and_all_offsets(self, log: MemoryLog) -> None:
        log.create(TopicSpec("c", 1, {"cleanup.policy": "compact"}))
        at = TopicPartition("c", 0)
        producer = log.producer("p")
        producer.init_transactions()
        for key, value, commit in ((b"a", b"1", True), (b"b", b"2", True), (b"a", b"3", False), (b"a", b"4", True)):
            producer.begin()
            producer.send(Outgoing("c", 0, key, value))
            (producer.commit if commit else producer.abort)()
        log.append(Outgoing("c", 0, b"b", None))
        end = log.partition(at).high_watermark
        log.compact("c")
        assert [(r.offset, r.key, r.value) for r in log.committed_records(at)] == [(6, b"a", b"4"), (8, b"b", None)]
        assert log.partition(at).high_watermark == end
        reader = log.reader()
        reader.assign({at: 0})
        reader.poll(10, 0)
        assert reader.position(at) == end

    def test_what_retention_has_taken_is_not_there(self, log: MemoryLog) -> None:
        for number in range(5):
            log.append(record(b"%d" % number))
        log.partition(AT).truncate(3)
        reader = log.reader()
        reader.assign({AT: 0})
        assert [found.value for found in reader.poll(10, 0)] == [b"3", b"4"]

    def test_a_record_larger_than_its_topic_takes_is_refused(self, log: MemoryLog) -> None:
        log.alter_config("t", {"max.message.bytes": "1000"})
        with pytest.raises(LogError, match=r"max\.message\.bytes"):
            log.append(record(bytes(1000)))
        log.append(record(bytes(800)))

    def test_waiting_for_a_record_takes_time(self, log: MemoryLog) -> None:
        reader = log.reader()
        reader.assign({AT: 0})
        before_ms = log.clock.now_ms()
        assert reader.poll(1, 100) == []
        assert log.clock.now_ms() == before_ms + 100
