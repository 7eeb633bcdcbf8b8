"""Writes the audit log to Parquet files, each record exactly once, and merges small files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from streams.codec.avro import Codec
from streams.model.audit import AuditEvent
from streams.model.errors import RecordError, StoplogError
from streams.model.topics import AUDIT, AUDIT_REPORTED
from streams.operations.archive.files import ArchiveFile, covered_in, ends_of, files_in, mergeable
from streams.operations.archive.rows import COLUMNS, day_of, row_of
from streams.operations.topics.reader import hidden_topics, partitions_of, read_places
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

FILE_RECORDS_MAX = 100_000
"""The most records of a file; a merged one can have more."""

_KINDS = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "int": pa.int64(),
    "instant": pa.timestamp("ms"),
}
_SCHEMA = pa.schema([(name, _KINDS[kind]) for name, kind in COLUMNS.items()])


class ArchiveError(StoplogError):
    """The archive can't be written or read."""


class Exported(NamedTuple):
    """What was done: how many records were added in how many files, and how many could not be read.

    `gone` are the partitions that did not begin with offset 0 when they were archived first, with the offset of their
    first record.
    """

    records_count: int
    files_count: int
    unreadable_count: int
    gone: Mapping[TopicPartition, int]


def export_audit(log: Log, codec: Codec, clock: Clock, folder: Path) -> Exported:
    """Add what is new on the audit topics to an archive. Blocking.

    One process at a time may write to an archive.

    Raises:
        TopicReadError, LogError: the log can't be read.
        OSError: the folder can't be written.
    """
    names = [topic.name for topic in (AUDIT, AUDIT_REPORTED)]
    hidden = hidden_topics(log, names)
    if AUDIT.name in hidden:
        raise ArchiveError(f"this client may not read `{AUDIT.name}`; it needs the rights of the role `auditor`")
    begin = ends_of(files_in(folder))
    writer = _Writer(folder, codec)
    places = partitions_of(log, [name for name in names if name not in hidden])
    with closing(log.reader()) as reader:
        ends = reader.end_offsets(places)
    for place in places:
        first, end = begin.get(place, 0), ends.get(place, 0)
        if end > first:
            writer.write(place, first, end, read_places(log, {place: end}, clock, {place: first}))
    return Exported(writer.records_count, writer.files_count, writer.unreadable_count, writer.gone)


def compact(folder: Path) -> int:
    """Merge the files of each partition and day. Return how many files there are less."""
    removed = 0
    for run in mergeable(files_in(folder)):
        merged = ArchiveFile(run[0].place, run[0].day, run[0].first, run[-1].end)
        tables = [pq.read_table(file.path(folder), schema=_SCHEMA, partitioning=None) for file in run]
        _write(merged.path(folder), pa.concat_tables(tables))
    for file in covered_in(folder):
        file.path(folder).unlink(missing_ok=True)
        removed += 1
    return removed


class _Writer:
    def __init__(self, folder: Path, codec: Codec) -> None:
        self._folder = folder
        self._codec = codec
        self.records_count = self.files_count = self.unreadable_count = 0
        self.gone: dict[TopicPartition, int] = {}

    def write(self, place: TopicPartition, first: int, end: int, records: Iterable[Received]) -> None:
        """Write the records of a partition, which begin at an offset, as files that follow each other without a gap."""
        rows: list[dict[str, Any]] = []
        day = ""
        at, is_first = first, True
        for received in records:
            if is_first and first == 0 and received.offset > 0:
                # Deleted by retention, or the marker of a transaction.
                self.gone[place] = received.offset
            is_first = False
            own_day = day_of(received)
            if rows and (own_day != day or len(rows) >= FILE_RECORDS_MAX):
                self._write_file(ArchiveFile(place, day, at, received.offset), rows)
                rows, at = [], received.offset
            day = own_day
            row = self._row(received)
            if row is not None:
                rows.append(row)
        if rows:
            self._write_file(ArchiveFile(place, day, at, end), rows)

    def _row(self, received: Received) -> dict[str, Any] | None:
        try:
            record = self._codec.decode(received.topic, received.value or b"", received.headers)
        except RecordError:
            self.unreadable_count += 1
            return None
        return row_of(received, record) if isinstance(record, AuditEvent) else None

    def _write_file(self, file: ArchiveFile, rows: Sequence[dict[str, Any]]) -> None:
        _write(file.path(self._folder), pa.Table.from_pylist(list(rows), schema=_SCHEMA))
        self.records_count += len(rows)
        self.files_count += 1


def _write(path: Path, table: pa.Table) -> None:
    """Write a file that appears under its name once it is complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    with hidden.open("wb") as stream:
        pq.write_table(table, stream, compression="zstd")
        stream.flush()
        os.fsync(stream.fileno())
    hidden.replace(path)
