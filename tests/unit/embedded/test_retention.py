"""Compaction and retention."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.embedded import EmbeddedLog, retention
from streams.ports import Received, TopicPartition
from tests.unit.embedded.reading_writing import ManualClock, create, put, read_all, read_so_far, write
from tests.waiting import until

DAY_MS = 86_400_000
COMPACT = {"cleanup.policy": "compact", "delete.retention.ms": "60000"}


def rows(received: list[Received]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(one.offset, one.key, one.value) for one in received]


def test_newest_record_of_each_key_stays_at_its_offset(log: EmbeddedLog) -> None:
    at = create(log, "table", config=COMPACT)
    write(log, [put(at, "a", "1"), put(at, "b", "1"), put(at, "a", "2"), put(at, "c", "1"), put(at, "a", "3")])
    assert log.clean(force=True) == 2
    assert rows(read_all(log, at)) == [(1, b"b", b"1"), (3, b"c", b"1"), (4, b"a", b"3")]
    # The gap at the start is none of retention: reading from anywhere in it goes on.
    assert rows(read_all(log, at, start=2)) == [(3, b"c", b"1"), (4, b"a", b"3")]
    write(log, [put(at, "b", "2")])
    assert log.clean(force=True) == 1
    assert rows(read_all(log, at)) == [(3, b"c", b"1"), (4, b"a", b"3"), (5, b"b", b"2")]
    assert log.clean(force=True) == 0


def test_tombstone_stays_for_a_time_and_then_goes(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "table", config=COMPACT)
    write(log, [put(at, "a", "1"), put(at, "b", "1"), put(at, "a", None)])
    assert log.clean(force=True) == 1
    assert rows(read_all(log, at)) == [(1, b"b", b"1"), (2, b"a", None)]
    clock.advance(60_001)
    assert log.clean(force=True) == 1
    assert rows(read_all(log, at)) == [(1, b"b", b"1")]
    # The end stays where it was: no offset is given twice.
    write(log, [put(at, "c", "1")])
    assert rows(read_all(log, at)) == [(1, b"b", b"1"), (3, b"c", b"1")]


def test_partitions_and_plain_topics_are_left_alone(log: EmbeddedLog, clock: ManualClock) -> None:
    table, plain = create(log, "table", 2, COMPACT), create(log, "plain")
    other = TopicPartition("table", 1)
    write(log, [put(at, "a", "1") for at in (table, other, plain, plain)])
    clock.advance(30 * DAY_MS)
    assert log.clean(force=True) == 0
    assert [len(read_all(log, at)) for at in (table, other, plain)] == [1, 1, 2]


def test_small_stretches_wait_until_compaction_pays(log: EmbeddedLog, path: Path, clock: ManualClock) -> None:
    at, short = create(log, "table", config=COMPACT), create(log, "topic-after-it", config={"retention.ms": "1000"})
    earlier = EmbeddedLog(path, clock=clock)
    write(earlier, [put(short, None, "old")], "earlier")
    earlier.close()
    clock.advance(1_001)
    write(log, [put(at, "a", str(number)) for number in range(retention.COMPACT_RECORDS_MIN - 1)])

    def cleaned() -> bool:
        time.sleep(0.02)
        return read_so_far(log, short) == []

    # The first append wakes the housekeeper. Once it has dropped the old record it is past the table, which it would
    # otherwise compact at the same time as this test.
    until(cleaned, "the housekeeper has come by")
    assert log.clean() == 0
    write(log, [put(at, "a", "last")])
    assert log.clean() == retention.COMPACT_RECORDS_MIN - 1
    write(log, [put(at, "a", "later")])
    assert log.clean() == 0


def test_long_stretches_are_compacted_in_rounds(log: EmbeddedLog) -> None:
    at = create(log, "table", config=COMPACT)
    count = 2 * retention.ROUND_RECORDS_MAX + 10
    for start in range(0, count, 10_000):
        write(log, [put(at, str(number % 7), str(number)) for number in range(start, min(count, start + 10_000))])
    log.clean(force=True)
    assert [int(one.value or b"") for one in read_all(log, at)] == list(range(count - 7, count))


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.sampled_from("xyz"))), max_size=5))
def test_compacted_table_reads_as_the_full_one(batches: list[list[tuple[str, str | None]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        log = EmbeddedLog(Path(folder) / "log", clock=clock)
        at = create(log, "table", config=COMPACT)
        table: dict[bytes, bytes] = {}
        for batch in batches:
            write(log, [put(at, key, value) for key, value in batch])
            for key, value in batch:
                table.pop(key.encode(), None)
                if value is not None:
                    table[key.encode()] = value.encode()
            log.clean(force=True)
            clock.advance(40_000)
            read: dict[bytes, bytes] = {}
            for one in read_all(log, at):
                assert one.key is not None
                read.pop(one.key, None)
                if one.value is not None:
                    read[one.key] = one.value
            assert read == table
        log.close()


def test_records_past_their_retention_go_from_the_front(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "short", config={"retention.ms": str(DAY_MS)})
    for number in range(3):
        write(log, [put(at, None, f"{number}a"), put(at, None, f"{number}b")])
        clock.advance(DAY_MS // 2)
    clock.advance(1)
    log.clean()
    assert [one.offset for one in read_all(log, at)] == [4, 5]
    consumer = log.consumer("group", "a")
    assert consumer.beginning_offsets([at]) == {at: 4}
    clock.advance(DAY_MS)
    log.clean()
    assert consumer.beginning_offsets([at]) == {at: 6}
    consumer.close()
    write(log, [put(at, None, "next")])
    assert [one.offset for one in read_all(log, at)] == [6]


def test_many_expired_records_go_in_small_transactions(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "short", config={"retention.ms": "1000"})
    write(log, [put(at, None, "x")] * (2 * retention.DELETES_PER_TRANSACTION_MAX + 5))
    clock.advance(1_001)
    write(log, [put(at, None, "kept")])
    log.clean()
    assert [one.value for one in read_all(log, at)] == [b"kept"]


def test_appending_cleans_by_itself(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "short", config={"retention.ms": "1000"})
    write(log, [put(at, None, "old")])
    clock.advance(1_001)
    for _ in range(3):
        write(log, [put(at, None, "new")] * (retention.CLEAN_EVERY_RECORDS // 2))

    def cleaned() -> bool:
        time.sleep(0.02)
        return read_all(log, at)[0].value == b"new"

    until(cleaned, "the housekeeper has come by")


def test_reader_amid_compaction_misses_no_newest_value(log: EmbeddedLog) -> None:
    at = create(log, "table", config=COMPACT)
    write(log, [put(at, str(number % 50), str(number)) for number in range(500)])
    reader = log.reader()
    reader.assign({at: 0})
    seen = {one.key: one.value for one in reader.poll(100, 0)}
    log.clean(force=True)
    while batch := reader.poll(100, 0):
        seen |= {one.key: one.value for one in batch}
    assert seen == {str(key).encode(): str(450 + key).encode() for key in range(50)}
    reader.close()
