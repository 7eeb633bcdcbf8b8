"""Checks the recorded log of a deployment, partition by partition, and keeps its heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from streams.audit.notes import Checkpoint, Note, NoteError
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import GATE_LOG, NOTARY_LOG
from streams.codec.avro import Codec
from streams.model.errors import StoplogError
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, AUDIT_REPORTED, AUDIT_SEAL, VERDICT
from streams.operations.topics.reader import partitions_by, read_places
from streams.operations.verify.offences import Offence
from streams.operations.verify.partition import INPUTS, Ends, PartitionReport, Recorded, check_partition
from streams.operations.verify.reported import ReportedRecords, check_reported
from streams.ports import Admin, Clock, Received, TopicPartition
from streams.ports.open_log import Log

HEADS_BYTES_MAX = 16_777_216
CHECKED = (VERDICT.name, AUDIT.name, AUDIT_CHECKPOINT.name)
"""The topics that are checked."""

READ = tuple(INPUTS)
"""What gates have read: it is checked where this client may read it."""

REPORTED = (AUDIT_REPORTED.name, AUDIT_SEAL.name)
"""What others put on the record, and its seals: it is checked where both topics are, which earlier versions lack."""

_SEALS = (VERDICT.name, AUDIT_SEAL.name)


class KeptHeadsError(StoplogError):
    """The file of heads can't be used; the message says why."""


class KeptHeads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heads of all partitions, as an auditor keeps them: signed notes by their partitions.

    Attributes:
        heads: those of the gates' logs.
        reported: those of the notaries' logs.
    """

    heads: dict[int, str]
    reported: dict[int, str] = {}

    @classmethod
    def parse(cls, text: bytes) -> KeptHeads:
        """Read a file of heads.

        Raises:
            KeptHeadsError: it is malformed.
        """
        if len(text) > HEADS_BYTES_MAX:
            raise KeptHeadsError(f"the file of heads has more than {HEADS_BYTES_MAX} bytes")
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise KeptHeadsError(f"the file of heads is malformed: {error}") from None

    def format(self) -> bytes:
        """Return the file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def checked(self, keys: SealKeys, log: str = GATE_LOG) -> dict[int, Checkpoint]:
        """Return the heads of one of the logs of each partition.

        Raises:
            KeptHeadsError: one is not a head of its partition of this deployment.
        """
        found = {}
        for number, text in (self.reported if log == NOTARY_LOG else self.heads).items():
            try:
                head = Checkpoint.parse(Note.parse(text).text)
            except NoteError as error:
                raise KeptHeadsError(f"the head of partition {number}: {error}") from None
            if head.origin != keys.origin(number, log):
                raise KeptHeadsError(f"the head of partition {number} is of `{head.origin}`")
            found[number] = head
        return found


@dataclass
class LogReport:
    """What was found in a log.

    Attributes:
        partitions: what was found in the gates' logs.
        reported: what was found in the notaries'.
    """

    partitions: list[PartitionReport] = field(default_factory=list)
    reported: list[PartitionReport] = field(default_factory=list)

    @property
    def first(self) -> Offence | None:
        """The offence of the first partition that has one."""
        found = (*self.partitions, *self.reported)
        return next((each.offence for each in found if each.offence is not None), None)

    @property
    def seals(self) -> int:
        """How many seals were checked."""
        return sum(each.seals for each in (*self.partitions, *self.reported))

    @property
    def unsealed(self) -> dict[int, int]:
        """How many verdicts each partition has that has no seal."""
        return {each.partition: each.unsealed for each in self.partitions if each.unsealed}

    @property
    def is_proven(self) -> bool:
        """Whether seals prove that the log is as it was: nothing is wrong, and no partition with verdicts lacks seals.

        A log without a single seal proves nothing, also if it has no records: they may have been deleted.
        """
        return self.first is None and self.seals > 0 and not self.unsealed

    def heads(self) -> KeptHeads:
        """Return the newest heads that were checked, to be kept elsewhere."""
        gates, notaries = (
            {each.partition: each.head for each in found if each.head} for found in (self.partitions, self.reported)
        )
        return KeptHeads(gates, notaries)


class TopicEnds(NamedTuple):
    """How far the topics that are checked go, by partition.

    Attributes:
        stable: below it, each record is sealed.
        ends: up to there they are read.
    """

    stable: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]


class RecordSource(Protocol):
    """Where the records lie that are checked: on a log, or in a copy of its topics."""

    @property
    def reach(self) -> TopicEnds:
        """How far its topics go."""

    def read(self, place: TopicPartition) -> Iterator[Received]:
        """Yield the records of a partition below its end, from the first that is there.

        Raises:
            StoplogError: they can't be read.
        """


class LogSource:
    """The records on a log, up to its ends when this was made.

    Attributes:
        reach: see `RecordSource`.
    """

    def __init__(self, log: Log, clock: Clock, topics: Sequence[str] = (*CHECKED, *READ, *REPORTED)) -> None:
        """Ask for the ends. Blocking.

        Args:
            log: the log.
            clock: for bounds on waiting.
            topics: what is read; of `READ`, only what this client may read, and of `REPORTED` both topics or none.

        Raises:
            TopicReadError: a topic does not exist.
            LogError: the log did not answer, or refused.
        """
        self._log = log
        self._clock = clock
        with closing(log.admin()) as admin:
            places = partitions_by(admin, _readable(admin, topics), log.name)
        with closing(log.reader()) as reader:
            # INVARIANT: what is committed below the stable offsets has its seal below the end of the verdicts, which is
            # asked for later, and what the seals cover is below the other ends, which are asked for last.
            stable = reader.stable_offsets(places)
            ends = reader.end_offsets([place for place in places if place.topic in _SEALS])
            ends |= reader.end_offsets([place for place in places if place.topic not in _SEALS])
        self.reach = TopicEnds(stable, ends)

    def read(self, place: TopicPartition) -> Iterator[Received]:
        """See `RecordSource`."""
        end = self.reach.ends.get(place, 0)
        return read_places(self._log, {place: end}, self._clock) if end else iter(())


def _readable(admin: Admin, topics: Sequence[str]) -> list[str]:
    """Return those of the topics that are read: all but optional ones that are hidden, or not there."""
    optional = [name for name in topics if name in (*READ, *REPORTED)]
    if not optional:
        return list(topics)
    left_out = set(admin.hidden(optional))
    reported = [name for name in topics if name in REPORTED]
    if left_out & set(reported) or len(admin.describe(reported, ())) < len(reported):
        left_out |= set(reported)
    return [name for name in topics if name not in left_out]


def verify_log(
    source: RecordSource, codec: Codec, keys: SealKeys, *, since: Mapping[int, Checkpoint], is_whole: bool
) -> Iterator[PartitionReport]:
    """Check a partition after the other. Blocking.

    Args:
        source: has the records.
        since: by partition, heads that were kept elsewhere.
        is_whole: see `check_partition`.

    Raises:
        TopicReadError: the end of a topic can't be reached.
        LogError: the log did not answer, or refused.
        ArchiveError: a file of a copy can't be read.
    """
    stable = source.reach.stable
    for number in sorted({place.partition for place in source.reach.ends} | set(since)):
        verdicts, audits, heads = (TopicPartition(name, number) for name in CHECKED)
        inputs = {name: TopicPartition(name, number) for name in READ}
        inputs = {name: place for name, place in inputs.items() if place in source.reach.ends}
        recorded = Recorded(
            number,
            partial(source.read, verdicts),
            partial(source.read, audits),
            partial(source.read, heads),
            Ends(*(stable.get(place, 0) for place in (verdicts, audits, heads))),
            {name: partial(source.read, place) for name, place in inputs.items()},
            {name: source.reach.ends[place] for name, place in inputs.items()},
        )
        yield check_partition(recorded, keys, codec, since=since.get(number), is_whole=is_whole)


def verify_reported(
    source: RecordSource, codec: Codec, keys: SealKeys, *, since: Mapping[int, Checkpoint], is_whole: bool
) -> Iterator[PartitionReport]:
    """Check what others have put on the record, a partition after the other. Blocking.

    Nothing is yielded if the topics are not there, or may not be read, unless a head of them was kept.

    Args:
        source: has the records.
        since: by partition, heads of the notaries' logs that were kept elsewhere.
        is_whole: see `check_reported`.

    Raises:
        TopicReadError, LogError, ArchiveError: see `verify_log`.
    """
    ends = source.reach.ends
    records_name, seals_name = REPORTED
    for number in sorted({place.partition for place in ends if place.topic == seals_name} | set(since)):
        records, seals = TopicPartition(records_name, number), TopicPartition(seals_name, number)
        recorded = ReportedRecords(
            number, partial(source.read, records), partial(source.read, seals), ends.get(records, 0), ends.get(seals, 0)
        )
        yield check_reported(recorded, keys, codec, since=since.get(number), is_whole=is_whole)
