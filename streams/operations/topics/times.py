"""The stream time of each partition, as the changelogs have it, beside this machine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streams.engine.settings import EngineSettings
from streams.operations.topics.reader import read_to_end
from streams.ports import Clock
from streams.ports.open_log import Log
from streams.ports.processor import STREAM_TIME_KEY
from streams.topology import PROCESSORS

AHEAD_MS_MAX = EngineSettings().time_ahead_max_ms
"""Records that are further ahead are set aside, and a gate waits while its clock differs by more."""


class PartitionTime(NamedTuple):
    """The stream time of one partition.

    Attributes:
        processor: the name of the processor whose partition it is.
        partition: its number.
        stream_time_ms: its stream time.
        ahead_ms: how far it is ahead of this machine's clock; negative if it is behind.
    """

    processor: str
    partition: int
    stream_time_ms: int
    ahead_ms: int

    @property
    def is_far_ahead(self) -> bool:
        """Whether everything counts as expired there."""
        return self.ahead_ms > AHEAD_MS_MAX


def partition_times(log: Log, clock: Clock) -> Iterator[PartitionTime]:
    """Read the changelogs to their ends, and yield the time of each partition that has had input. Blocking.

    Raises:
        TopicReadError: a changelog does not exist, or can't be read to its end.
        LogError: the log did not answer, or refused.
    """
    for spec in PROCESSORS:
        times: dict[int, int] = {}
        for record in read_to_end(log, [spec.changelog.name], clock):
            if record.key == STREAM_TIME_KEY and record.value is not None:
                times[record.partition] = int.from_bytes(record.value, "big")
        # A partition that has had no input is at zero.
        times = {partition: time_ms for partition, time_ms in times.items() if time_ms}
        now_ms = clock.now_ms()
        for partition, time_ms in sorted(times.items()):
            yield PartitionTime(spec.name, partition, time_ms, time_ms - now_ms)
