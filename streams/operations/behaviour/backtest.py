"""Runs other declarations of behaviour over recorded decisions, and says which alerts would come and go.

Both sets of declarations judge the same records from the beginning of the log, because what is usual was learned from
all of them. Alerts are compared by detector and session, within the stretch of time that is asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from streams.codec.avro import Codec
from streams.model.topics import AUDIT, VERDICT
from streams.operations.behaviour.watch_run import Raised, Timed, WatchRun
from streams.operations.replay.run import Stretch
from streams.operations.topics.reader import partitions_of, read_places_in_order
from streams.ports import Clock, Outgoing, TopicPartition
from streams.ports.open_log import Log
from streams.processors.watch.behaviour_file import BehaviourFiles

BATCH_MAX = 1_000
BATCH_MS_MAX = 600_000
"""How much time a batch spans at most, so that the timers of the watch come due about when they did."""


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """What other declarations would change.

    Attributes:
        records_count: how many records were judged.
        kept_count: how many alerts both raise.
        new, gone: the alerts that only the other, or only the present declarations raise, in order of time.
    """

    records_count: int
    kept_count: int
    new: tuple[Raised, ...]
    gone: tuple[Raised, ...]

    @property
    def changed_count(self) -> int:
        """Return how many alerts would come or go."""
        return len(self.new) + len(self.gone)


def backtest_behaviour(
    log: Log, codec: Codec, clock: Clock, present: BehaviourFiles, other: BehaviourFiles, stretch: Stretch
) -> AlertChanges:
    """Run two sets of declarations over the recorded verdicts. Blocking.

    Args:
        log: the log.
        codec: of its records.
        clock: how long a read may take.
        present: the declarations that the watch uses now.
        other: those to try.
        stretch: which alerts to compare, by their instants.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    places = partitions_of(log, (VERDICT.name, AUDIT.name))
    partitions = sum(place.topic == VERDICT.name for place in places)
    count = 0
    before, after = _Side(present), _Side(other)
    for batch in _batches(log, places, clock):
        count += len(batch)
        for side in (before, after):
            side.judge(batch, codec, partitions)
    had, has = before.alerts(), after.alerts()
    taken = {name: each for name, each in (had | has).items() if stretch.takes(each.time_ms)}
    in_order = sorted(taken.items(), key=lambda item: (item[1].time_ms, item[0]))
    return AlertChanges(
        count,
        sum(name in had and name in has for name in taken),
        tuple(each for name, each in in_order if name not in had),
        tuple(each for name, each in in_order if name not in has),
    )


class _Side:
    """One set of declarations, and the alerts that it has raised."""

    def __init__(self, files: BehaviourFiles) -> None:
        self._files = files
        self._run: WatchRun | None = None
        self._raised: list[Raised] = []

    def judge(self, batch: list[Timed], codec: Codec, partitions: int) -> None:
        if self._run is None:
            # The time of the log in memory begins with the first record.
            self._run = WatchRun(self._files, codec, batch[0].time_ms, partitions)
        self._raised += self._run.write(batch)

    def alerts(self) -> dict[tuple[str, str], Raised]:
        """End the run, and return its alerts by detector and session."""
        if self._run is not None:
            with closing(self._run) as run:
                self._raised += run.settle()
        return {(each.name, each.session): each for each in self._raised}


def _batches(log: Log, places: Sequence[TopicPartition], clock: Clock) -> Iterator[list[Timed]]:
    batch: list[Timed] = []
    for found in read_places_in_order(log, places, clock):
        time_ms = found.timestamp_ms
        if batch and (len(batch) >= BATCH_MAX or time_ms - batch[0].time_ms > BATCH_MS_MAX):
            yield batch
            batch = []
        outgoing = Outgoing(found.topic, found.partition, found.key, found.value, found.headers)
        batch.append(Timed(time_ms, outgoing))
    if batch:
        yield batch
