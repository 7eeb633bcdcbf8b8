"""Checks the recorded log of a deployment, partition by partition, and keeps its heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import msgspec

from streams.audit.notes import Checkpoint, Note, NoteError
from streams.audit.seals import SealKeys
from streams.codec.avro import Codec
from streams.model.errors import StoplogError
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, VERDICT
from streams.operations.topics.reader import partitions_of, read_places
from streams.operations.verify.offences import Offence
from streams.operations.verify.partition import Ends, PartitionReport, Recorded, check_partition
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log

HEADS_BYTES_MAX = 16_777_216
_TOPICS = (VERDICT.name, AUDIT.name, AUDIT_CHECKPOINT.name)


class KeptHeadsError(StoplogError):
    """The file of heads can't be used; the message says why."""


class KeptHeads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heads of all partitions, as an auditor keeps them: signed notes by their partitions."""

    heads: dict[int, str]

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
        except msgspec.DecodeError as error:
            raise KeptHeadsError(f"the file of heads is malformed: {error}") from None

    def format(self) -> bytes:
        """Return the file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def checked(self, keys: SealKeys) -> dict[int, Checkpoint]:
        """Return the heads.

        Raises:
            KeptHeadsError: one is not a head of its partition of this deployment.
        """
        found = {}
        for number, text in self.heads.items():
            try:
                head = Checkpoint.parse(Note.parse(text).text)
            except NoteError as error:
                raise KeptHeadsError(f"the head of partition {number}: {error}") from None
            if head.origin != keys.origin(number):
                raise KeptHeadsError(f"the head of partition {number} is of `{head.origin}`")
            found[number] = head
        return found


@dataclass
class LogReport:
    """What was found in a log."""

    partitions: list[PartitionReport] = field(default_factory=list)

    @property
    def first(self) -> Offence | None:
        """The offence of the first partition that has one."""
        return next((each.offence for each in self.partitions if each.offence is not None), None)

    def heads(self) -> KeptHeads:
        """Return the newest heads that were checked, to be kept elsewhere."""
        return KeptHeads({each.partition: each.head for each in self.partitions if each.head})


def verify_log(
    log: Log, codec: Codec, clock: Clock, keys: SealKeys, *, since: Mapping[int, Checkpoint], is_whole: bool
) -> Iterator[PartitionReport]:
    """Check a partition after the other, up to what was on the log when this began. Blocking.

    Args:
        since: by partition, heads that were kept elsewhere.
        is_whole: see `check_partition`.

    Raises:
        TopicReadError: a topic does not exist, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    places = partitions_of(log, _TOPICS)
    with closing(log.reader()) as reader:
        # INVARIANT: what is committed below the stable offsets has its seal below the end of the verdicts, which is
        # asked for later, and what these seals cover is below the other ends, which are asked for last.
        stable = reader.stable_offsets(places)
        ends = reader.end_offsets([place for place in places if place.topic == VERDICT.name])
        ends |= reader.end_offsets([place for place in places if place.topic != VERDICT.name])
    for number in sorted({place.partition for place in places} | set(since)):
        verdicts, audits, heads = (TopicPartition(name, number) for name in _TOPICS)
        recorded = Recorded(
            number,
            partial(_read, log, verdicts, ends, clock),
            partial(_read, log, audits, ends, clock),
            partial(_read, log, heads, ends, clock),
            Ends(*(stable.get(place, 0) for place in (verdicts, audits, heads))),
        )
        yield check_partition(recorded, keys, codec, since=since.get(number), is_whole=is_whole)


def _read(log: Log, place: TopicPartition, ends: Mapping[TopicPartition, int], clock: Clock) -> Iterator[Received]:
    end = ends.get(place, 0)
    return read_places(log, {place: end}, clock) if end else iter(())
