"""Writes the audit log to Parquet files, each record exactly once, and merges small files."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from streams.codec.avro import Codec
from streams.model.audit import AuditEvent
from streams.model.errors import RecordError
from streams.model.topics import AUDIT, AUDIT_REPORTED
from streams.operations.archive.files import COPIES, MODES, TABLE, covered_in, files_in, mergeable
from streams.operations.archive.rows import COLUMNS, row_of
from streams.operations.archive.writer import ArchiveError, ParquetWriter, merge_files
from streams.operations.topics.reader import hidden_topics, partitions_of
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

_KINDS = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "int": pa.int64(),
    "instant": pa.timestamp("ms"),
}
_SCHEMA = pa.schema([(name, _KINDS[kind]) for name, kind in COLUMNS.items()])


class Exported(NamedTuple):
    """What was done: how many records were added in how many files, and how many could not be read.

    For `gone` and `missed`, see `ParquetWriter`.
    """

    records_count: int
    files_count: int
    unreadable_count: int
    gone: Mapping[TopicPartition, int]
    missed: Mapping[TopicPartition, tuple[int, int]]


def export_audit(log: Log, codec: Codec, clock: Clock, folder: Path) -> Exported:
    """Add what is new on the audit topics to an archive. Blocking.

    One process at a time may write to an archive.

    Raises:
        TopicReadError, LogError: the log can't be read.
        ArchiveError: this client may not read the topic of audit records, or the archive is that of another log.
        OSError: the folder can't be written.
    """
    names = [topic.name for topic in (AUDIT, AUDIT_REPORTED)]
    hidden = hidden_topics(log, names)
    refuse_hidden(hidden & {AUDIT.name})
    places = partitions_of(log, [name for name in names if name not in hidden])
    with closing(log.reader()) as reader:
        ends = reader.end_offsets(places)
    writer = _AuditWriter(folder, codec)
    writer.add_new(log, clock, {place: ends.get(place, 0) for place in places})
    return Exported(writer.records_count, writer.files_count, writer.unreadable_count, writer.gone, writer.missed)


def refuse_hidden(hidden: AbstractSet[str]) -> None:
    """Raise if access control hides topics that an archive must have.

    Raises:
        ArchiveError: the set is not empty.
    """
    if hidden:
        named = ", ".join(f"`{name}`" for name in sorted(hidden))
        raise ArchiveError(f"this client may not read {named}; it needs the rights of the role `auditor`")


def compact(folder: Path) -> int:
    """Merge the files of each partition and day. Return how many files there are less."""
    # The table gets columns from time to time; the columns of copies stay.
    return sum(_compact(folder, dataset, schema) for dataset, schema in ((TABLE, _SCHEMA), (COPIES, None)))


def _compact(folder: Path, dataset: str, schema: pa.Schema | None) -> int:
    removed = 0
    for run in mergeable(files_in(folder, dataset)):
        merged = run[0]._replace(end=run[-1].end)
        merge_files([file.path(folder) for file in run], merged.path(folder), MODES[dataset], schema)
    for file in covered_in(folder, dataset):
        file.path(folder).unlink(missing_ok=True)
        removed += 1
    return removed


class _AuditWriter(ParquetWriter):
    def __init__(self, folder: Path, codec: Codec) -> None:
        super().__init__(folder, TABLE, _SCHEMA)
        self._codec = codec
        self.unreadable_count = 0

    def row(self, received: Received) -> dict[str, Any] | None:
        try:
            record = self._codec.decode(received.topic, received.value or b"", received.headers)
        except RecordError:
            self.unreadable_count += 1
            return None
        return row_of(received, record) if isinstance(record, AuditEvent) else None
