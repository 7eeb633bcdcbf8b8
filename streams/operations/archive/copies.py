"""Copies the topics that prove the record, byte for byte, so that they can be checked without the log.

**Idea.** The files lie beside those of the table (`files`), in a dataset of their own, with offset, time, key, value
and headers of each record. How far a check may go is in `copies/ends.json`, which is replaced once all files of a run
are there: up to where each partition is copied, and below which offset each of its records was sealed. A check reads no
further, so a run that was killed half way changes nothing.

**Rejected.** To check the table: a leaf of the log is the hash of a record's bytes, and a row does not give them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from streams.operations.archive.export import Exported, refuse_hidden
from streams.operations.archive.files import COPIES, MODES, ArchiveFile, files_in
from streams.operations.archive.writer import ArchiveError, ParquetWriter, read_batches, write_whole
from streams.operations.topics.reader import hidden_topics
from streams.operations.verify.run import CHECKED, REPORTED, LogSource, TopicEnds
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

ENDS_FILE = "ends.json"
ENDS_BYTES_MAX = 16_777_216

_SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("timestamp_ms", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
    ]
)


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topic: str
    partition: int
    stable: int
    end: int


def copy_topics(log: Log, clock: Clock, folder: Path) -> Exported:
    """Add what is new on the topics that prove the record to an archive, byte for byte. Blocking.

    One process at a time may write to an archive.

    Raises:
        TopicReadError, LogError: the log can't be read.
        ArchiveError: this client may not read one of the topics, or the archive is that of another log.
        OSError: the folder can't be written.
    """
    topics = (*CHECKED, *REPORTED)
    refuse_hidden(hidden_topics(log, topics))
    # Reports stay where they are: they have wrapped keys, which an erasure could not reach in a copy.
    reach = LogSource(log, clock, topics).reach
    ends = dict(sorted(reach.ends.items()))
    writer = _CopyWriter(folder, COPIES, _SCHEMA)
    writer.add_new(log, clock, ends)
    kept = [_End(place.topic, place.partition, reach.stable[place], end) for place, end in ends.items()]
    text = msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n"
    write_whole(folder / COPIES / ENDS_FILE, lambda stream: stream.write(text), MODES[COPIES])
    return Exported(writer.records_count, writer.files_count, 0, writer.gone, writer.missed)


class CopySource:
    """The records of a copy. Implements `streams.operations.verify.run.RecordSource`.

    Attributes:
        reach: how far its topics go.
    """

    def __init__(self, folder: Path) -> None:
        """Read how far the copy goes.

        Raises:
            ArchiveError: there is no copy in the folder, or it can't be read.
        """
        self._folder = folder
        path = folder / COPIES / ENDS_FILE
        try:
            with path.open("rb") as file:
                found = msgspec.json.decode(file.read(ENDS_BYTES_MAX), type=list[_End])
        except FileNotFoundError:
            text = f"there is no copy of the topics in `{folder}`; make one with `stoplog audit export {folder} --raw`"
            raise ArchiveError(text) from None
        except OSError as error:
            raise ArchiveError(f"`{path}` can't be read: {error.strerror}") from None
        except msgspec.DecodeError as error:
            raise ArchiveError(f"`{path}` is malformed: {error}") from None
        stable = {TopicPartition(each.topic, each.partition): each.stable for each in found}
        self.reach = TopicEnds(stable, {TopicPartition(each.topic, each.partition): each.end for each in found})
        self._files: dict[TopicPartition, list[ArchiveFile]] = {}
        for each in files_in(folder, COPIES):
            self._files.setdefault(each.place, []).append(each)

    def read(self, place: TopicPartition) -> Iterator[Received]:
        """Yield the records of a partition below its end, in the order of their offsets.

        Raises:
            ArchiveError: a file can't be read.
        """
        end = self.reach.ends.get(place, 0)
        for file in self._files.get(place, ()):
            for received in self._read_file(file.path(self._folder), place):
                if received.offset < end:
                    yield received

    def _read_file(self, path: Path, place: TopicPartition) -> Iterator[Received]:
        try:
            for batch in read_batches(path, _SCHEMA.names):
                for row in batch.to_pylist():
                    yield _received(place, row)
        except (OSError, pa.ArrowException, KeyError, TypeError) as error:
            raise ArchiveError(f"`{path}` can't be read: {error}") from None


class _CopyWriter(ParquetWriter):
    def row(self, received: Received) -> dict[str, Any]:
        return {
            "offset": received.offset,
            "timestamp_ms": received.timestamp_ms,
            "key": received.key,
            "value": received.value,
            "headers": [{"name": name, "value": value} for name, value in received.headers],
        }


def _received(place: TopicPartition, row: dict[str, Any]) -> Received:
    headers = tuple((header["name"], header["value"]) for header in row["headers"] or ())
    return Received(place.topic, place.partition, row["offset"], row["timestamp_ms"], row["key"], row["value"], headers)
