"""Names the files of an archive: what is in a file, and up to where a partition is archived, follows from the names.

**Idea.** A file holds the records of one partition from one offset up to another, all of one day:

    audit/day=2026-11-27/agent.audit.v1+3+00000000000000001200+00000000000000001900.parquet

A file appears under its name only once it is complete. So the offset to go on from is in the names, and a crash leaves
either the whole file or none: each record is there exactly once. A merged file covers the range of those that it was
made from; what lies within the range of another file is not read, so a crash before they are deleted changes nothing.

**Rejected.** A manifest beside the files: it and the files can't be changed at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from streams.ports import TopicPartition

TABLE = "audit"
"""The dataset of the table that queries ask."""

COPIES = "copies"
"""The dataset of the topics that prove the record, byte for byte."""

MODES = {TABLE: 0o666, COPIES: 0o600}
"""The modes of new files, before the umask. Copies have the arguments of calls in plain text, as verdicts do, and
captured content; the table has neither, and other accounts may query it."""

_OFFSET_DIGITS = 20
_NAME = re.compile(r"(?P<topic>[\w.-]+)\+(?P<partition>\d+)\+(?P<first>\d{20})\+(?P<end>\d{20})\.parquet")
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})")


class ArchiveFile(NamedTuple):
    """A file of the archive: the records of a partition from the offset `first` to before `end`, of one day."""

    place: TopicPartition
    day: str
    first: int
    end: int
    dataset: str = TABLE

    def path(self, folder: Path) -> Path:
        """Return where it lies in an archive."""
        name = f"{self.place.topic}+{self.place.partition}+{self.first:0{_OFFSET_DIGITS}}+{self.end:0{_OFFSET_DIGITS}}"
        return folder / self.dataset / f"day={self.day}" / f"{name}.parquet"


def files_in(folder: Path, dataset: str = TABLE) -> list[ArchiveFile]:
    """Return the files of a dataset that count, by partition and offset: those not covered by another."""
    found = sorted(_found(folder, dataset), key=lambda file: (file.place, file.first, -file.end))
    kept: list[ArchiveFile] = []
    for file in found:
        if kept and kept[-1].place == file.place and file.end <= kept[-1].end:
            continue
        kept.append(file)
    return kept


def covered_in(folder: Path, dataset: str = TABLE) -> list[ArchiveFile]:
    """Return the files of a dataset that are covered by another one."""
    counting = set(files_in(folder, dataset))
    return [file for file in _found(folder, dataset) if file not in counting]


def ends_of(files: Iterable[ArchiveFile]) -> dict[TopicPartition, int]:
    """Return up to where each partition is archived."""
    ends: dict[TopicPartition, int] = {}
    for file in files:
        ends[file.place] = max(ends.get(file.place, 0), file.end)
    return ends


def mergeable(files: Iterable[ArchiveFile]) -> Iterator[list[ArchiveFile]]:
    """Yield the files of each partition and day that follow each other, if there are several."""
    for _, own in groupby(sorted(files, key=lambda each: (each.place, each.day, each.first)), _partition_and_day):
        run: list[ArchiveFile] = []
        for file in own:
            if run and run[-1].end != file.first:
                if len(run) > 1:
                    yield run
                run = []
            run.append(file)
        if len(run) > 1:
            yield run


def _partition_and_day(file: ArchiveFile) -> tuple[TopicPartition, str]:
    return file.place, file.day


def _found(folder: Path, dataset: str) -> Iterator[ArchiveFile]:
    for path in (folder / dataset).glob("day=*/*.parquet"):
        name, day = _NAME.fullmatch(path.name), _DAY.fullmatch(path.parent.name)
        if name is not None and day is not None:
            place = TopicPartition(name["topic"], int(name["partition"]))
            yield ArchiveFile(place, day[1], int(name["first"]), int(name["end"]), dataset)
