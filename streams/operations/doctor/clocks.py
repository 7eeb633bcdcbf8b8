"""Compares this machine's clock with the brokers', and finds topics whose last records were stamped ahead.

Nothing is written, so the brokers' time is only seen in records: the last ones say whether brokers are ahead, and one
that arrives while the doctor looks says how the clocks differ, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from streams.model.plurals import many
from streams.operations.doctor.findings import Finding, failed, fine, warned
from streams.operations.topics.reader import TopicReadError, partitions_of
from streams.operations.topics.times import AHEAD_MS_MAX
from streams.ports import Clock, LogError, Reader, TopicPartition
from streams.ports.open_log import Log
from streams.topology import PROCESSORS

SKEW_MS_MAX = 1_000
"""With a larger difference of clocks, intents look older or younger than they are."""

RECORDS_BACK = 16
READ_MS_MAX = 3_000
WATCH_MS = 2_000
"""How long the doctor waits for a record that tells the brokers' time."""

_POLL_MS = 100
_MS_PER_S = 1_000

_WATCHED = [topic.name for spec in PROCESSORS for topic in (*spec.read, spec.changelog)]
"""What gates read, as the doctor has their rights."""


def examine_clocks(log: Log, clock: Clock, *, is_embedded: bool) -> Iterator[Finding]:
    """Compare the clocks.

    Args:
        log: the log.
        clock: this machine's.
        is_embedded: whether the log has this machine's clock.
    """
    try:
        partitions = partitions_of(log, _WATCHED)
        with closing(log.reader()) as reader:
            last_ms = _last_ms(reader, partitions, clock)
            now_ms = clock.now_ms()
            difference_ms = None if is_embedded else _difference_ms(reader, clock)
    except (LogError, TopicReadError) as error:
        yield warned("clock", f"can't be compared with the broker's: {error}")
        return
    ahead = {partition: time_ms - now_ms for partition, time_ms in last_ms.items() if time_ms - now_ms > SKEW_MS_MAX}
    if ahead:
        yield _stamped_ahead(ahead, is_embedded=is_embedded)
    elif is_embedded:
        yield fine("clock", "the embedded log uses this machine's clock; no topic's last record is ahead of it")
    if difference_ms is not None:
        yield _compared(difference_ms)
    elif not ahead and not is_embedded:
        yield _not_ahead(last_ms, now_ms)


def _stamped_ahead(ahead: dict[TopicPartition, int], *, is_embedded: bool) -> Finding:
    worst = max(ahead, key=lambda partition: ahead[partition])
    others = f" (and those of {many(len(ahead) - 1, 'more partition')})" if len(ahead) > 1 else ""
    text = (
        f"the last record of `{worst.topic}` partition {worst.partition}{others} was stamped {ahead[worst]} ms ahead "
        "of this machine's clock"
    )
    if is_embedded:
        advice = "correct this machine's clock, or, if it was wrong for a while and is right now, go on: "
    else:
        advice = "this machine's clock is behind, or the clock of the broker that leads the partition is ahead: "
        advice += "synchronize both with NTP; "
    advice += f"gates set aside records that are over {AHEAD_MS_MAX} ms ahead, see `stoplog topics time`"
    return failed("clock", text, advice)


def _compared(difference_ms: int) -> Finding:
    """Say how the clocks differ by a record that has just been written: positive if this machine is ahead."""
    direction = "ahead of" if difference_ms > 0 else "behind"
    text = f"this machine's clock is {abs(difference_ms)} ms {direction} the broker's, says a record that came just now"
    if abs(difference_ms) <= SKEW_MS_MAX:
        return fine("clock", text)
    waits = f"; gates wait while they differ by over {AHEAD_MS_MAX} ms" if abs(difference_ms) > AHEAD_MS_MAX else ""
    return failed("clock", text, f"synchronize both with NTP: intents made here have a wrong age{waits}")


def _not_ahead(last_ms: dict[TopicPartition, int], now_ms: int) -> Finding:
    if not last_ms:
        return fine("clock", "can't be compared with the broker's: no topic has a record yet")
    seconds = (now_ms - max(last_ms.values())) // _MS_PER_S
    return fine(
        "clock",
        f"this machine's clock is not behind the broker's, compared with a record of {seconds} s ago; whether it is "
        f"ahead is not known, because no new record came within {WATCH_MS} ms: run this again while agents work",
    )


def _last_ms(reader: Reader, partitions: list[TopicPartition], clock: Clock) -> dict[TopicPartition, int]:
    """Return when the last record of each partition was stored, and leave the reader at the ends."""
    last_ms: dict[TopicPartition, int] = {}
    ends = reader.end_offsets(partitions)
    # A few back: the last offsets of a transaction hold no record.
    reader.assign({partition: max(0, end - RECORDS_BACK) for partition, end in ends.items()})
    deadline_ms = clock.monotonic_ms() + READ_MS_MAX
    while clock.monotonic_ms() < deadline_ms and any(reader.position(each) < end for each, end in ends.items()):
        for record in reader.poll(RECORDS_BACK * len(ends), _POLL_MS):
            last_ms[TopicPartition(record.topic, record.partition)] = record.timestamp_ms
    return last_ms


def _difference_ms(reader: Reader, clock: Clock) -> int | None:
    """Return how far this machine's clock is ahead of the broker's of a record that comes now; None if none comes."""
    deadline_ms = clock.monotonic_ms() + WATCH_MS
    while clock.monotonic_ms() < deadline_ms:
        records = reader.poll(RECORDS_BACK, _POLL_MS)
        if records:
            return clock.now_ms() - records[-1].timestamp_ms
    return None
