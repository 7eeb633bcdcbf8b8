"""Runs the watch over decisions in their own time: both of its workers, on a log in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.history.driver import Driver, Read
from streams.model.alert import Alert
from streams.model.topics import ALERT, AUDIT, BEHAVIOUR, KEYING_CHANGELOG, VERDICT, WATCH_CHANGELOG
from streams.ports import Outgoing, TopicPartition
from streams.ports.processor import Processor
from streams.processors.settings import WatchSettings
from streams.processors.watch.alerts import PREFIX
from streams.processors.watch.behaviour_file import BehaviourFiles
from streams.processors.watch.keying import Keying
from streams.processors.watch.watch import Watch
from streams.topology import KEYING, WATCH, ProcessorSpec

SETTLE_MS = 120_000
"""How much time passes at the end, so that the last decisions are judged and the last alerts written."""
NEVER_MS = 1 << 50
_DONE_WITH = (VERDICT, AUDIT, BEHAVIOUR, KEYING_CHANGELOG, WATCH_CHANGELOG)
"""Topics of which nothing is needed again once both workers have nothing more to do."""


def watch_processors(
    wire: CodecWire, files: BehaviourFiles, publish_ms: int = NEVER_MS
) -> Mapping[ProcessorSpec, Processor]:
    """Return both workers of the watch, by their topics: what brings decisions to it, and the watch itself.

    Args:
        wire: the codec.
        files: the declarations that judge.
        publish_ms: how often baselines are published; never by default.
    """
    settings = WatchSettings(publish_ms=publish_ms)
    return {
        KEYING: Keying(wire, files.features, settings),
        WATCH: Watch(wire, files.declared, settings, files.features.extractions),
    }


class Timed(NamedTuple):
    """A record for the log in memory, and when it was written."""

    time_ms: int
    record: Outgoing


class Raised(NamedTuple):
    """An alert of the watch: the detector or correlation, the session, the sentence, and when."""

    name: str
    session: str
    desc: str
    time_ms: int = 0


class WatchRun:
    """The watch on a log in memory. What it has read is forgotten, so a run takes no more memory than its state."""

    def __init__(
        self, files: BehaviourFiles, codec: Codec, start_ms: int, partitions: int, publish_ms: int = NEVER_MS
    ) -> None:
        """Start both workers.

        Args:
            files: the declarations that judge.
            codec: of the records.
            start_ms: the time at which the clock begins.
            partitions: how many partitions the topics have.
            publish_ms: how often baselines are published; never by default.
        """
        wire = CodecWire(codec)
        self._partitions = partitions
        self._seen: set[str] = set()
        processors = dict(watch_processors(wire, files, publish_ms))
        self._driver = Driver(
            spec=KEYING,
            processor=processors.pop(KEYING),
            wire=wire,
            start_ms=start_ms,
            partitions=partitions,
            beside=processors,
        )

    def write(self, batch: Sequence[Timed]) -> list[Raised]:
        """Write verdicts and audit records, let them be judged, and return the new alerts.

        Args:
            batch: in the order of their time. All lie on the log before the watch reads the first, as behind a watch
                that is a little behind.
        """
        driver = self._driver
        driver.advance(max(driver.clock.now_ms(), batch[0].time_ms))
        driver.clock.set_ms(max(driver.clock.now_ms(), batch[-1].time_ms))
        for each in batch:
            driver.log.append(each.record, timestamp_ms=each.time_ms)
        driver.settle()
        for topic in _DONE_WITH:
            for number in range(self._partitions):
                partition = driver.log.partition(TopicPartition(topic.name, number))
                partition.truncate(partition.high_watermark)
        return self._raised()

    def settle(self, more_ms: int = 0) -> list[Raised]:
        """Let time pass until everything is judged, and `more_ms` beyond that; return the new alerts."""
        self._driver.advance(self._driver.clock.now_ms() + SETTLE_MS + more_ms)
        return self._raised()

    def read(self, topic: str) -> list[Read]:
        """Return the records of an output that were not read before."""
        return self._driver.read(topic)

    def close(self) -> None:
        """Stop both workers."""
        self._driver.close()

    def _raised(self) -> list[Raised]:
        found = []
        for read in self._driver.read(ALERT.name):
            alert = read.record
            if not isinstance(alert, Alert) or not alert.analytic_uid.startswith(PREFIX):
                # The worker that keys decisions also raises alerts about gaps of the record.
                continue
            # An alert that has been counted on is written again, under the same id.
            if alert.finding_uid not in self._seen:
                self._seen.add(alert.finding_uid)
                name = alert.analytic_uid.removeprefix(PREFIX)
                found.append(Raised(name, alert.session_id or "", alert.desc, alert.header.time))
        return found
