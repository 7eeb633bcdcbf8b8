"""How long intents wait for their verdicts around an event that comes under a steady load."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from bench.harness.load_generator import loading
from bench.harness.reading import POLL_MS, POLL_RECORDS, read_to_end
from bench.harness.workload import now_ms
from bench.harness.world import PARTITIONS, World
from streams.model.intent import Intent
from streams.model.topics import INTENT, SEAL_KEY, VERDICT
from streams.model.verdict import Verdict
from streams.ports import Received, TopicPartition

STEADY_S = 4
# Intents that may still wait when the event comes.
MARGIN_MS = 1_500


class Load(NamedTuple):
    """A steady load, before an event and after it.

    Attributes:
        sessions: those that propose.
        first: the number of the first intent.
        rate: intents a second.
        after_s: for how long it goes on after the event.
        drain_s_max: how long verdicts are awaited after that.
    """

    sessions: int
    first: int
    rate: int
    after_s: int
    drain_s_max: float

    @property
    def intents(self) -> int:
        """How many intents it has."""
        return self.rate * (STEADY_S + self.after_s)


class Observation(NamedTuple):
    """What was seen of a load.

    Attributes:
        happened_ms: when the event came.
        intents_begin: where the load begins on the intent topic.
        verdicts_begin: where its verdicts begin.
        verdicts: records of the verdict topic, and when each of them was read, in ns.
    """

    happened_ms: int
    intents_begin: dict[TopicPartition, int]
    verdicts_begin: dict[TopicPartition, int]
    verdicts: list[tuple[int, Received]]


class Waits(NamedTuple):
    """How long the intents of a load have waited.

    Attributes:
        before_ms: the longest wait of those made well before the event.
        by_partition_ms: the longest wait of the others, by partition.
        intents: how many there are.
        unanswered: how many of them had no verdict until the observation ended.
    """

    before_ms: float
    by_partition_ms: dict[int, float]
    intents: int
    unanswered: int


def observe(world: World, load: Load, happen: Callable[[], None]) -> Observation:
    """Read the verdicts of a load, and let the event happen after `STEADY_S`. `happen` must not block.

    Raises:
        RuntimeError: no verdict has come by then, so the event would not meet a gate at work.
    """
    intents_begin, verdicts_begin = world.ends(INTENT), world.ends(VERDICT)
    reader = world.log.reader()
    reader.assign(verdicts_begin)
    seen: list[tuple[int, Received]] = []
    happened_ms = 0
    with loading(world, sessions=load.sessions, first=load.first, count=load.intents, rate=load.rate):
        began_s = time.monotonic()
        while len(seen) < load.intents and time.monotonic() - began_s < STEADY_S + load.after_s + load.drain_s_max:
            found = reader.poll(POLL_RECORDS, POLL_MS)
            seen.extend((time.time_ns(), record) for record in found if record.key != SEAL_KEY)
            if not happened_ms and time.monotonic() - began_s >= STEADY_S:
                if not seen:
                    raise RuntimeError(f"no verdict has come within {STEADY_S} s, so the event was not brought about")
                happened_ms = now_ms()
                happen()
    reader.close()
    return Observation(happened_ms, intents_begin, verdicts_begin, seen)


def waits(world: World, observed: Observation) -> Waits:
    """Return how long the intents have waited, from the append of each until its first verdict was read."""
    readable_ns: dict[str, int] = {}
    for read_ns, record in observed.verdicts:
        verdict = world.codec.decode(VERDICT.name, record.value, record.headers)
        if isinstance(verdict, Verdict):
            readable_ns.setdefault(verdict.intent_id, read_ns)
    before_ms, by_partition_ms = 0.0, dict.fromkeys(range(PARTITIONS), 0.0)
    intents = unanswered = 0
    for record in read_to_end(world, INTENT, observed.intents_begin):
        made = world.codec.decode(INTENT.name, record.value, record.headers)
        if not isinstance(made, Intent):
            continue
        intents += 1
        if made.intent_id not in readable_ns:
            unanswered += 1
            continue
        wait_ms = readable_ns[made.intent_id] / 1e6 - record.timestamp_ms
        if record.timestamp_ms < observed.happened_ms - MARGIN_MS:
            before_ms = max(before_ms, wait_ms)
        else:
            by_partition_ms[record.partition] = max(by_partition_ms[record.partition], wait_ms)
    return Waits(before_ms, by_partition_ms, intents, unanswered)


def answered_twice(world: World, observed: Observation) -> int:
    """Return how many intents have several verdicts by now, those included that came after the observation."""
    found: Counter[str] = Counter()
    for record in read_to_end(world, VERDICT, observed.verdicts_begin):
        verdict = world.codec.decode(VERDICT.name, record.value, record.headers)
        if isinstance(verdict, Verdict):
            found[verdict.intent_id] += 1
    return sum(count > 1 for count in found.values())
