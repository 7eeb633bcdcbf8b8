"""A verdict is a function of the log: however it is cut into polls, whatever comes first, the bytes are the same."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.records import SessionMaker
from streams.inmemory.faults import NoFaults
from streams.model.keys import partition_for
from streams.model.session import SessionEventType
from streams.model.topics import AUDIT, INTENT, SEAL_KEY, SESSION, VERDICT
from streams.ports import Outgoing, Received, TopicPartition
from streams.topology import GATE
from tests.kit import GATE_SETTINGS, wire
from tests.unit.engine.bench import SETTINGS, WorkerBench

PARTITIONS = 2
GRACE_MS = 2_000
FAR_MS = 30 * 24 * 3_600_000
"""How far ahead a broker with a wrong clock stamps."""

STEP_MS = 150
"""More than `punctuate_ms`: the wall clock tries to move stream time in every step."""
CUT_STEPS_MAX = 60


replace = msgspec.structs.replace
FEW_UNPROVEN = replace(GATE_SETTINGS, unproven_per_window_max=2, unproven_window_ms=GRACE_MS)


class Cuts(NoFaults):
    """Answers each poll for some of the partitions only, in some order; for all of them once the cuts are used up."""

    def __init__(self, cuts: Sequence[Sequence[int]]) -> None:
        self._cuts = list(cuts)

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        del client
        if not self._cuts or not partitions or partitions[0].topic not in {topic.name for topic in GATE.inputs}:
            return partitions
        return [partitions[number % len(partitions)] for number in dict.fromkeys(self._cuts.pop(0))]


class Story:
    """A log: sessions that begin and end, with intents before, between and after, of two partitions."""

    def __init__(self, steps: Sequence[tuple[str, int, int]], flood: int) -> None:
        bench = WorkerBench(partitions=PARTITIONS)
        self._bench = bench
        makers = [[bench.maker_on(place, f"p{place}-{number}") for number in range(3)] for place in range(PARTITIONS)]
        for act, session, wait_ms in steps:
            bench.clock.advance(wait_ms)
            for place in range(PARTITIONS):
                self._write(makers[place][session], act)
        for _ in range(flood):
            bench.clock.advance(1)
            bench.propose(makers[0][0])
        self._close()
        self.records = [record for _, record in bench.log.written_since((SESSION.name, INTENT.name), -1)]
        self.end_ms = bench.clock.now_ms()

    def _write(self, maker: SessionMaker, act: str) -> None:
        bench = self._bench
        match act:
            case "begin":
                bench.establish(maker)
            case "end":
                event = maker.event(SessionEventType.SESSION_ENDED, bench.clock.now_ms())
                bench.write(SESSION.name, maker.key, event)
            case "forge":
                bench.propose(maker, unproven={"turn": 77})
            case "end ahead":
                event = maker.event(SessionEventType.SESSION_ENDED, bench.clock.now_ms())
                place = TopicPartition(SESSION.name, partition_for(maker.key, PARTITIONS))
                value = wire().encode(SESSION.name, event)
                bench.log.append(Outgoing(*place, maker.key, value), timestamp_ms=bench.clock.now_ms() + FAR_MS)
            case "intent ahead":
                bench.propose(maker, received_ms=bench.clock.now_ms() + FAR_MS)
            case _:
                bench.propose(maker)

    def _close(self) -> None:
        """End the log of each partition with an intent that comes after the grace of all others."""
        self._bench.clock.advance(10 * GRACE_MS)
        for place in range(PARTITIONS):
            last = self._bench.maker_on(place, "last")
            self._bench.establish(last)
            self._bench.propose(last)


def written(story: Story, cuts: Sequence[Sequence[int]], **bounds: int) -> list[list[Received]]:
    """Let a worker read the story's log in these cuts; return what it wrote, by topic and partition.

    Args:
        story: the log.
        cuts: which partitions each poll gets an answer for.
        bounds: settings of the engine.
    """
    bench = WorkerBench(partitions=PARTITIONS, settings=replace(SETTINGS, **bounds), gate_settings=FEW_UNPROVEN)
    for record in story.records:
        outgoing = Outgoing(record.topic, record.partition, record.key, record.value)
        bench.log.append(outgoing, timestamp_ms=record.timestamp_ms)
    bench.clock.advance(story.end_ms - bench.clock.now_ms())
    worker = bench.start()
    bench.serving(worker)
    bench.log.faults = Cuts(cuts)
    for _ in cuts:
        worker.step()
        bench.clock.advance(STEP_MS)
    bench.log.faults = NoFaults()
    bench.settle(worker)
    return [
        [
            record._replace(timestamp_ms=0, offset=0)
            for record in bench.raw(topic)
            if record.partition == place and record.key != SEAL_KEY
        ]
        for topic in (VERDICT.name, AUDIT.name, INTENT.dlq)
        for place in range(PARTITIONS)
    ]


WAITS = st.sampled_from([0, 1, 50, GRACE_MS - 1, GRACE_MS + 1])
KINDS = ["begin", "end", "intent", "intent", "intent", "forge", "forge"]
ACTS = st.tuples(st.sampled_from(KINDS), st.integers(0, 2), WAITS)
ACTS_AHEAD = st.tuples(st.sampled_from([*KINDS, "intent ahead", "end ahead"]), st.integers(0, 2), WAITS)
CUTS = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=CUT_STEPS_MAX)


@given(
    steps=st.lists(ACTS, min_size=1, max_size=15),
    flood=st.sampled_from([0, 0, 30]),
    cuts=CUTS,
    poll_records_max=st.sampled_from([1, 2, 7, 1_000]),
    buffer_records_max=st.sampled_from([1, 5, 1_000]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_log_leads_to_the_same_verdicts(
    steps: list[tuple[str, int, int]],
    flood: int,
    cuts: list[list[int]],
    poll_records_max: int,
    buffer_records_max: int,
) -> None:
    story = Story(steps, flood)
    at_once = written(story, ())
    assert at_once[0]
    assert at_once[1]
    bounds = {"poll_records_max": poll_records_max, "input_buffer_records_max": buffer_records_max}
    assert written(story, cuts, **bounds) == at_once


@given(
    steps=st.lists(ACTS_AHEAD, min_size=1, max_size=15),
    flood=st.sampled_from([0, 0, 30]),
    poll_records_max=st.sampled_from([1, 2, 7, 1_000]),
    buffer_records_max=st.sampled_from([1, 5, 1_000]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_records_later_than_any_clock_can_be_change_no_verdict(
    steps: list[tuple[str, int, int]], flood: int, poll_records_max: int, buffer_records_max: int
) -> None:
    """They need no time of their own, but a partition needs a first one: it has a session to begin with (ADR 0030)."""
    story = Story([("begin", 0, 0), *steps], flood)
    bounds = {"poll_records_max": poll_records_max, "input_buffer_records_max": buffer_records_max}
    assert written(story, (), **bounds) == written(story, ())
