"""The partitions that a loop over verdicts has, and how far each is read, reported and committed.

The loop's thread changes them. The workers only look whether a call may begin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from streams.ports import TopicPartition
from streams.sdk.executor.verdict_jobs import Job, Progress


class AssignedPartitions:
    """What the group has assigned to this member.

    Attributes:
        generation: how often something was assigned.
        by_place: how far each partition is. It is replaced and never changed, because workers look into it.
        leaving: the partitions that are being given up, in which no call begins any more.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.by_place: dict[TopicPartition, Progress] = {}
        self.leaving: frozenset[TopicPartition] = frozenset()

    def begin(self) -> int:
        """Return the generation of an assignment that begins. What runs of an earlier one does not count any more."""
        self.generation += 1
        return self.generation

    def drop(self, going: Collection[TopicPartition]) -> None:
        """Give partitions up."""
        self.by_place = {place: progress for place, progress in self.by_place.items() if place not in going}
        self.leaving = frozenset()

    def of(self, job: Job) -> Progress | None:
        """Return how far the partition of a call is; None if it was given up since the call was read."""
        progress = self.by_place.get(job.place)
        return progress if progress is not None and progress.generation == job.generation else None

    def may_begin(self, job: Job) -> bool:
        """Return whether a call may begin here. Called in the workers' threads."""
        return self.of(job) is not None and job.place not in self.leaving

    def done_offsets(self) -> dict[TopicPartition, int]:
        """Return the offsets below which everything is done."""
        done = {place: progress.done_up_to() for place, progress in self.by_place.items()}
        return {place: offset for place, offset in done.items() if offset is not None}

    def note_reported(self, offsets: Mapping[TopicPartition, int], generation: int) -> None:
        """Note the offsets below which everything was reported, as they were in a generation."""
        for place, offset in offsets.items():
            progress = self.by_place.get(place)
            if progress is not None and progress.generation == generation:
                progress.reported = offset

    def due_offsets(self) -> dict[TopicPartition, int]:
        """Return the offsets that are reported and not committed."""
        return {
            place: progress.reported
            for place, progress in self.by_place.items()
            if progress.reported is not None and progress.reported != progress.committed
        }

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note what has been committed."""
        for place, offset in offsets.items():
            self.by_place[place].committed = offset
