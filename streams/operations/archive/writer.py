"""Writes records of partitions to Parquet files that follow each other without a gap."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streams.operations.archive.files import ArchiveFile
from streams.operations.archive.rows import day_of
from streams.ports import Received, TopicPartition

FILE_RECORDS_MAX = 100_000
"""The most records of a file; a merged one can have more."""


class ParquetWriter(ABC):
    """Writes one dataset of an archive.

    Attributes:
        records_count, files_count: how many records were added in how many files.
        gone: the partitions that did not begin with offset 0 when they were archived first, with the offset of their
            first record.
    """

    def __init__(self, folder: Path, dataset: str, schema: pa.Schema) -> None:
        self._folder = folder
        self._dataset = dataset
        self._schema = schema
        self.records_count = self.files_count = 0
        self.gone: dict[TopicPartition, int] = {}

    @abstractmethod
    def row(self, received: Received) -> dict[str, Any] | None:
        """Return a record as a row; None if it has none."""

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
                self._write_file(ArchiveFile(place, day, at, received.offset, self._dataset), rows)
                rows, at = [], received.offset
            day = own_day
            row = self.row(received)
            if row is not None:
                rows.append(row)
        if rows:
            self._write_file(ArchiveFile(place, day, at, end, self._dataset), rows)

    def _write_file(self, file: ArchiveFile, rows: Sequence[dict[str, Any]]) -> None:
        write_table(file.path(self._folder), pa.Table.from_pylist(list(rows), schema=self._schema))
        self.records_count += len(rows)
        self.files_count += 1


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file that appears under its name once it is complete and on the disk."""
    write_whole(path, lambda stream: pq.write_table(table, stream, compression="zstd"))


def write_whole(path: Path, write: Callable[[BufferedWriter], object]) -> None:
    """Write a file that appears under its name, in place of an earlier one, once it is complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    with hidden.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    hidden.replace(path)
