"""A copy of topics has every record byte for byte, and large records need no more memory than small ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - bytes with a seed

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import BY_NAME, VERDICT
from streams.operations.archive import writer
from streams.operations.archive.copies import CopySource, copy_topics
from streams.operations.archive.export import compact
from streams.operations.archive.files import COPIES, files_in
from streams.operations.archive.writer import ArchiveError, merge_files
from streams.operations.verify.run import CHECKED
from streams.ports import Outgoing, Received, TopicPartition, TopicSpec
from tests.recorded_run import MemoryAsLog

VALUE_BYTES = 64 * 1024
FILE_BYTES = 1024 * 1024
VALUES_OF_FILE = FILE_BYTES // VALUE_BYTES
PLACE = TopicPartition(VERDICT.name, 0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1)


def empty_log(clock: ManualClock) -> MemoryLog:
    made = MemoryLog(clock)
    for name in CHECKED:
        made.create(TopicSpec(name, 2, BY_NAME[name].config()))
    return made


@pytest.fixture
def log(clock: ManualClock) -> MemoryLog:
    return empty_log(clock)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FILE_BYTES_MAX", FILE_BYTES)


@pytest.fixture
def pool() -> Iterator[pa.MemoryPool]:
    """Counts the memory that Parquet files take."""
    before = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(before)
    pa.set_memory_pool(counting)
    yield counting
    pa.set_memory_pool(before)


def write(log: MemoryLog, count: int, partition: int = 0) -> None:
    """Values that can't be compressed."""
    rng = Random(count + partition)  # noqa: S311 - it is to be repeatable, not secret
    for number in range(count):
        value = rng.randbytes(VALUE_BYTES)
        log.append(Outgoing(VERDICT.name, partition, b"k%d" % number, value, headers=(("h", b"v"),)), timestamp_ms=5)


def copied(folder: Path, place: TopicPartition = PLACE) -> list[Received]:
    return list(CopySource(folder).read(place))


@pytest.mark.usefixtures("small_files")
def test_large_records_are_cut_into_files_by_their_size(log: MemoryLog, clock: ManualClock, tmp_path: Path) -> None:
    write(log, 3 * VALUES_OF_FILE + 1)
    done = copy_topics(MemoryAsLog(log), clock, tmp_path)
    assert (done.records_count, done.files_count) == (3 * VALUES_OF_FILE + 1, 4)
    files = [file for file in files_in(tmp_path, COPIES) if file.place == PLACE]
    assert [file.end - file.first for file in files] == [VALUES_OF_FILE] * 3 + [1]
    assert copied(tmp_path) == list(log.committed_records(PLACE))


@pytest.mark.usefixtures("small_files")
def test_a_record_that_is_larger_than_a_file_has_one_of_its_own(
    log: MemoryLog, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FILE_BYTES_MAX", 1)
    write(log, 3)
    assert copy_topics(MemoryAsLog(log), clock, tmp_path).files_count == 3
    assert copied(tmp_path) == list(log.committed_records(PLACE))


@pytest.mark.usefixtures("small_files")
def test_a_day_is_merged_and_read_a_piece_at_a_time(
    log: MemoryLog, clock: ManualClock, tmp_path: Path, pool: pa.MemoryPool
) -> None:
    files_count = 24
    write(log, files_count * VALUES_OF_FILE)
    write(log, 2, partition=1)
    copy_topics(MemoryAsLog(log), clock, tmp_path)
    assert compact(tmp_path) == files_count
    assert compact(tmp_path) == 0
    (merged,) = [file for file in files_in(tmp_path, COPIES) if file.place == PLACE]
    assert pq.ParquetFile(merged.path(tmp_path)).num_row_groups == files_count
    assert copied(tmp_path) == list(log.committed_records(PLACE))
    assert copied(tmp_path, TopicPartition(VERDICT.name, 1)) == list(
        log.committed_records(TopicPartition(VERDICT.name, 1))
    )
    assert pool.max_memory() < files_count * FILE_BYTES / 2


def test_a_log_that_was_made_anew_does_not_shorten_a_copy(log: MemoryLog, clock: ManualClock, tmp_path: Path) -> None:
    write(log, 3)
    copy_topics(MemoryAsLog(log), clock, tmp_path)
    before = copied(tmp_path)
    anew = empty_log(clock)
    write(anew, 1)
    with pytest.raises(ArchiveError, match="archive of another log"):
        copy_topics(MemoryAsLog(anew), clock, tmp_path)
    assert copied(tmp_path) == before


def test_a_column_that_an_older_file_lacks_is_null_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"b": pa.array([1, 2], pa.int64())}), tmp_path / "old")
    pq.write_table(pa.table({"a": ["x"], "b": pa.array([3], pa.int64())}), tmp_path / "new")
    schema = pa.schema([("a", pa.string()), ("b", pa.int64())])
    merge_files([tmp_path / "old", tmp_path / "new"], tmp_path / "merged", 0o600, schema)
    merged = pq.read_table(tmp_path / "merged")
    assert merged.schema.names == ["a", "b"]
    assert merged.to_pylist() == [{"a": None, "b": 1}, {"a": None, "b": 2}, {"a": "x", "b": 3}]


def test_a_log_that_has_a_marker_where_the_archive_ends_is_another_one(
    log: MemoryLog, clock: ManualClock, tmp_path: Path
) -> None:
    write(log, 3)
    copy_topics(MemoryAsLog(log), clock, tmp_path)
    other = empty_log(clock)
    producer = other.producer("gate")
    producer.init_transactions()
    producer.begin()
    for _ in range(2):
        producer.send(Outgoing(*PLACE, b"k", b"of another log"))
    producer.commit()
    write(other, 5)
    with pytest.raises(ArchiveError, match="archive of another log"):
        copy_topics(MemoryAsLog(other), clock, tmp_path)
    assert copied(tmp_path) == list(log.committed_records(PLACE))
