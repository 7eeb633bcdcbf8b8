"""Writes records of partitions to Parquet files that follow each other without a gap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from streams.model.errors import StoplogError
from streams.operations.archive.files import COPIES, MODES, TABLE, ArchiveFile, ends_of, files_in
from streams.operations.archive.rows import day_of
from streams.operations.private_file import write_new
from streams.operations.topics.reader import first_record, read_places
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

FILE_RECORDS_MAX = 100_000
"""The most records of a file; a merged one can have more."""

FILE_BYTES_MAX = 64 * 1024 * 1024
"""A file gets no further record once the keys, values and headers of its records have this many bytes; a merged one can
have more. So the memory that a run needs does not grow with the size of records."""

ROWS_AT_ONCE = 2_000


OFFSET_COLUMN = "offset"
TIME_COLUMNS = {TABLE: "appended_at", COPIES: "timestamp_ms"}
"""The column of each dataset that has the broker time of a record."""


class ArchiveError(StoplogError):
    """The archive can't be written or read."""


class _Last(NamedTuple):
    """The last record of a partition that an archive has: it tells whether a log is the one that was archived."""

    offset: int
    timestamp_ms: int


class ParquetWriter(ABC):
    """Writes one dataset of an archive.

    Attributes:
        records_count, files_count: how many records were added in how many files.
        gone: the partitions that did not begin with offset 0 when they were archived first, with the offset of their
            first record.
        missed: the partitions from which something may have been deleted that no run had archived: the offset from
            which on records are missing, and that of the next one that is there.
    """

    def __init__(self, folder: Path, dataset: str, schema: pa.Schema) -> None:
        self._folder = folder
        self._dataset = dataset
        self._schema = schema
        self.records_count = self.files_count = 0
        self.gone: dict[TopicPartition, int] = {}
        self.missed: dict[TopicPartition, tuple[int, int]] = {}

    @abstractmethod
    def row(self, received: Received) -> dict[str, Any] | None:
        """Return a record as a row; None if it has none."""

    def add_new(self, log: Log, clock: Clock, ends: Mapping[TopicPartition, int]) -> None:
        """Write what the dataset lacks of some partitions, in their order, up to their ends. Blocking.

        Raises:
            TopicReadError, LogError: the log can't be read.
            ArchiveError: the archive is that of another log, or can't be read.
            OSError: the folder can't be written.
        """
        files = files_in(self._folder, self._dataset)
        begins = ends_of(files)
        # Before anything is written: what is added of another log is not told from the rest afterwards.
        for place, first in begins.items():
            if ends.get(place, first) < first:
                text = f"it has {place.topic}/{place.partition} up to offset {first}, and the log ends at {ends[place]}"
                raise self._of_another_log(text)
        newest = {file.place: file for file in files if file.end == begins[file.place]}
        lasts = {place: self._last_of(file) for place, file in newest.items() if ends.get(place, 0) > file.end}
        # All of them first, too: a partition must not take what another one shows to be of another log.
        for place, last in lasts.items():
            self._check_same(log, clock, place, last, ends[place])
        for place, end in ends.items():
            first = begins.get(place, 0)
            if end > first:
                at = lasts[place].offset if place in lasts else first
                records: Iterable[Received] = read_places(log, {place: end}, clock, {place: at})
                if place in lasts:
                    records = self._after(lasts[place], first, records)
                self._write(place, first, end, records)

    def _check_same(self, log: Log, clock: Clock, place: TopicPartition, last: _Last, end: int) -> None:
        """Check that a log still has the last record that is archived of a partition, or has deleted it since.

        Another log may have nothing in its place, such as the marker of a transaction, and yet begin before it.

        Raises:
            ArchiveError: it is another log.
        """
        found = first_record(log, place, last.offset, end, clock)
        if found is not None and found.offset == last.offset:
            is_same = found.timestamp_ms == last.timestamp_ms
        else:
            oldest = first_record(log, place, 0, end, clock)
            is_same = oldest is None or oldest.offset > last.offset
        if not is_same:
            text = f"the record {place.topic}/{place.partition}/{last.offset} is not the one of the archive"
            raise self._of_another_log(text)

    def _last_of(self, file: ArchiveFile) -> _Last:
        """Return the last record of a file; every file has one."""
        path, time_column = file.path(self._folder), TIME_COLUMNS[self._dataset]
        try:
            with pq.ParquetFile(path) as opened:
                group = opened.read_row_group(opened.num_row_groups - 1, columns=[OFFSET_COLUMN, time_column])
            offset, time = (group[name].cast(pa.int64())[-1].as_py() for name in (OFFSET_COLUMN, time_column))
        except (OSError, pa.ArrowException, IndexError, KeyError) as error:
            raise ArchiveError(f"`{path}` can't be read: {error}") from None
        return _Last(offset, time)

    def _after(self, last: _Last, first: int, records: Iterable[Received]) -> Iterator[Received]:
        """Yield the records from the offset `first` on, of some that begin with the last one that is archived.

        If the log does not have that one any more, its retention may have deleted newer ones as well. If the log has
        it, nothing behind it is deleted.
        """
        is_there = False
        for received in records:
            is_there = is_there or received.offset == last.offset
            if received.offset < first:
                continue
            if not is_there and received.offset > first:
                self.missed[TopicPartition(received.topic, received.partition)] = first, received.offset
            is_there = True
            yield received

    def _of_another_log(self, detail: str) -> ArchiveError:
        return ArchiveError(
            f"`{self._folder}` is the archive of another log, or this log was restored from a backup: {detail}. Keep "
            "the archive, and export to another folder"
        )

    def _write(self, place: TopicPartition, first: int, end: int, records: Iterable[Received]) -> None:
        """Write the records of a partition, which begin at an offset, as files that follow each other without a gap."""
        rows: list[dict[str, Any]] = []
        day = ""
        at, is_first, held_bytes = first, True, 0
        for received in records:
            if is_first and first == 0 and received.offset > 0:
                # Deleted by retention, or the marker of a transaction.
                self.gone[place] = received.offset
            is_first = False
            own_day = day_of(received)
            if rows and (own_day != day or len(rows) >= FILE_RECORDS_MAX or held_bytes >= FILE_BYTES_MAX):
                self._write_file(ArchiveFile(place, day, at, received.offset, self._dataset), rows)
                rows, at, held_bytes = [], received.offset, 0
            day = own_day
            row = self.row(received)
            if row is not None:
                rows.append(row)
                held_bytes += _bytes_of(received)
        if rows:
            self._write_file(ArchiveFile(place, day, at, end, self._dataset), rows)

    def _write_file(self, file: ArchiveFile, rows: Sequence[dict[str, Any]]) -> None:
        table = pa.Table.from_pylist(list(rows), schema=self._schema)
        write_table(file.path(self._folder), table, MODES[self._dataset])
        self.records_count += len(rows)
        self.files_count += 1


def write_table(path: Path, table: pa.Table, mode: int) -> None:
    """Write a Parquet file that appears under its name once it is complete and on the disk."""
    write_whole(path, lambda stream: pq.write_table(table, stream, compression="zstd"), mode)


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, of which no more than a row group is in memory."""
    with pq.ParquetFile(path) as opened:
        for group in range(opened.num_row_groups):
            # Of all groups at once, a batch would go on in the next group.
            yield from opened.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns)


def merge_files(paths: Sequence[Path], path: Path, mode: int, schema: pa.Schema | None = None) -> None:
    """Write the rows of some Parquet files to another one, of which no more than a row group is in memory.

    Args:
        paths: the files, of which there is at least one, in the order of their rows.
        path: the file that is written. It appears once it is complete.
        mode: see `write_whole`.
        schema: its columns; those that a file lacks are null there. By default those of the first file.
    """
    columns = pq.read_schema(paths[0]) if schema is None else schema

    def write(stream: BufferedWriter) -> None:
        with pq.ParquetWriter(stream, columns, compression="zstd") as writer:
            for group in _row_groups(paths, columns):
                writer.write_table(group)

    write_whole(path, write, mode)


def _row_groups(paths: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for path in paths:
        for batch in read_batches(path):
            held.append(_with_columns(batch, schema))
            held_rows += batch.num_rows
            held_bytes += batch.nbytes
            if held_rows >= FILE_RECORDS_MAX or held_bytes >= FILE_BYTES_MAX:
                yield pa.Table.from_batches(held, schema)
                held, held_rows, held_bytes = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, schema)


def _with_columns(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    own = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type) if field.name in own else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _bytes_of(received: Received) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in received.headers)
    return len(received.key or b"") + len(received.value or b"") + headers


def write_whole(path: Path, write: Callable[[BufferedWriter], object], mode: int) -> None:
    """Write a file that appears under its name, in place of an earlier one, once it is complete and on the disk.

    Args:
        path: where.
        write: writes the content.
        mode: who may read it, before the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    # A file that an earlier run has left would keep its mode.
    hidden.unlink(missing_ok=True)
    write_new(hidden, write, mode)
    hidden.replace(path)
