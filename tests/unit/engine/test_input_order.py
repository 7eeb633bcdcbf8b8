"""Input is joined in the log's order: what may wait, for how long, and what is done about full buffers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.engine.input_buffer import BufferBounds, InputBuffer
from streams.engine.ordered_input import WAIT_TOLD_MS
from streams.engine.worker import Worker
from streams.inmemory.clients import MemoryConsumer
from streams.inmemory.faults import Call
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import INTENT, SESSION
from streams.ports import AbortableTransactionError, Received, TopicPartition
from tests.unit.engine.bench import SETTINGS, Failing, WorkerBench

replace = msgspec.structs.replace
FAILED = RecordError(DeadLetterReason.PROCESSING_FAILED, "not decoded in this test")
TOPICS = ("first", "second")


def received(topic: str, offset: int, time_ms: int, size: int = 0) -> Received:
    return Received(topic, 0, offset, time_ms, None, bytes(size))


def buffer(*records: Received, records_max: int = 100, bytes_max: int = 1_000) -> InputBuffer:
    made = InputBuffer(TOPICS, {}, BufferBounds(records_max, bytes_max))
    for record in records:
        made.add([(record, FAILED)])
    return made


def taken(made: InputBuffer, *ended: str) -> list[tuple[str, int]]:
    made.look()
    return [(one[0].topic, one[0].offset) for one in made.ready(lambda topic: topic in ended)]


class TestBuffer:
    def test_the_earliest_goes_first_and_of_one_instant_the_lower_rank(self) -> None:
        made = buffer(received("second", 0, 10), received("second", 1, 20), received("first", 0, 20))
        assert taken(made, *TOPICS) == [("second", 0), ("first", 0), ("second", 1)]

    def test_offsets_stay_in_order_whatever_their_times(self) -> None:
        made = buffer(received("second", 0, 30), received("second", 1, 10), received("first", 0, 20))
        assert taken(made, *TOPICS) == [("first", 0), ("second", 0), ("second", 1)]

    def test_nothing_goes_while_another_topic_may_have_something_earlier(self) -> None:
        made = buffer(received("second", 0, 10))
        assert taken(made, "second") == []
        assert made.missing == "first"
        assert taken(made, "first") == [("second", 0)]

    def test_what_is_in_order_goes_and_the_rest_waits(self) -> None:
        made = buffer(received("second", 0, 10), received("first", 0, 15), received("second", 1, 20))
        assert taken(made, "second") == [("second", 0), ("first", 0)]
        assert (len(made), made.missing) == (1, "first")

    def test_a_record_is_taken_once(self) -> None:
        made = InputBuffer(TOPICS, {"second": 1}, BufferBounds(10, 10))
        for offset in (0, 1, 1, 2, 1):
            made.add([(received("second", offset, 10), FAILED)])
        assert taken(made, *TOPICS) == [("second", 1), ("second", 2)]
        made.add([(received("second", 2, 10), FAILED)])
        assert len(made) == 0

    def test_an_abandoned_topic_holds_back_again_once_it_is_heard_of(self) -> None:
        made = buffer(received("second", 0, 10))
        made.abandon("first")
        assert taken(made) == [("second", 0)]
        made.add([(received("first", 0, 11), FAILED)])
        assert taken(made, "second") == [("first", 0)]
        made.add([(received("second", 1, 12), FAILED)])
        assert taken(made) == []

    @pytest.mark.parametrize(("count", "size"), [(4, 0), (2, 500)])
    def test_a_full_topic_is_paused_until_half_has_gone(self, count: int, size: int) -> None:
        full = [received("second", offset, offset, size) for offset in range(count)]
        made = buffer(*full, records_max=4)
        assert made.may_pause
        assert (made.to_pause(), made.to_pause(), made.to_resume()) == (["second"], [], [])
        for _ in range(count // 2):
            assert made.to_resume() == []
            next(made.ready(lambda topic: True))
        assert (made.to_resume(), made.to_resume(), made.may_pause) == (["second"], [], False)

    def test_what_is_cleared_is_read_again_from_the_given_positions(self) -> None:
        made = buffer(received("second", 0, 10), received("second", 1, 20))
        taken(made)
        made.clear({"second": 1})
        assert (len(made), made.missing) == (0, None)
        for offset in range(2):
            made.add([(received("second", offset, 10), FAILED)])
        assert taken(made, *TOPICS) == [("second", 1)]


class Mute(Failing):
    """Lets polls find nothing of some topics."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: tuple[str, ...] = ()

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        return [partition for partition in partitions if partition.topic not in self.topics]


class MutedBench(WorkerBench):
    """A worker whose polls find nothing of one topic as long as it is mute."""

    def __init__(self, *, mute: str = SESSION.name, **settings: int) -> None:
        super().__init__(settings=replace(SETTINGS, **settings))
        self.log.faults = self.mute = Mute()
        self.worker: Worker = self.start()
        self.settle(self.worker)
        self.mute.topics = (mute,)

    def steps(self, count: int = 5, wait_ms: int = 0) -> None:
        for _ in range(count):
            self.worker.step()
            self.clock.advance(wait_ms)

    def speak(self) -> None:
        self.mute.topics = ()
        self.settle(self.worker)


class TestHolding:
    def test_an_intent_waits_for_a_session_that_is_stored_and_was_not_polled(self) -> None:
        bench, maker = MutedBench(), SessionMaker()
        bench.establish(maker)
        bench.clock.advance(10)
        bench.propose(maker)
        bench.clock.advance(10_000)
        bench.propose(maker)
        bench.steps()
        assert bench.verdicts() == []
        assert bench.committed(INTENT.name) in (None, 0)
        bench.speak()
        assert bench.verdicts() == ["permitted", "permitted"]

    def test_nothing_waits_for_a_topic_that_was_read_to_its_end(self) -> None:
        bench, maker = WorkerBench(), SessionMaker()
        worker = bench.start()
        bench.establish(maker)
        bench.settle(worker)
        bench.propose(maker)
        assert worker.step() == 1
        worker.step()
        assert bench.verdicts() == ["permitted"]

    def test_the_wall_clock_waits_too(self) -> None:
        bench, maker = MutedBench(), SessionMaker()
        parked = SessionMaker("parked")
        bench.speak()
        bench.propose(parked)
        bench.settle(bench.worker)
        bench.mute.topics = (SESSION.name,)
        bench.establish(maker)
        bench.steps(20, wait_ms=1_000)
        assert bench.verdicts() == []
        bench.establish(parked)
        bench.speak()
        bench.clock.advance(1_000)
        bench.settle(bench.worker)
        assert bench.verdicts() == ["session_unknown"]  # its session came after the grace

    def test_offsets_of_records_that_wait_are_not_committed(self) -> None:
        bench, maker = MutedBench(), SessionMaker()
        bench.propose(maker)
        bench.establish(maker)
        bench.steps()
        bench.worker.stop()
        assert bench.committed(INTENT.name) in (None, 0)
        bench.mute.topics = ()
        bench.settle(bench.start())
        assert bench.verdicts() == ["permitted"]

    def test_an_abort_drops_what_waits_and_it_is_read_again(self) -> None:
        bench, maker = MutedBench(mute=INTENT.name, input_buffer_records_max=2), SessionMaker()
        for _ in range(4):
            bench.propose(maker)
        bench.clock.advance(1)
        bench.establish(maker)
        bench.steps()
        bench.mute.fail("a", Call.COMMIT, AbortableTransactionError("refused"))
        bench.speak()
        assert bench.verdicts() == ["permitted"] * 4
        assert len(bench.audited()) == 4

    def test_a_partition_that_is_lost_while_input_waits_is_done_by_the_new_owner(self) -> None:
        bench, maker = MutedBench(), SessionMaker()
        bench.establish(maker)
        bench.propose(maker)
        bench.steps()
        bench.log.put_out(bench.spec.name, "a")
        second = bench.start("b")
        bench.mute.topics = ()
        bench.settle(bench.worker, second)
        assert bench.verdicts() == ["permitted"]


class TestPausing:
    def test_a_topic_that_is_ahead_is_paused_and_read_on_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[tuple[str, list[TopicPartition]]] = []
        originals = {"pause": MemoryConsumer.pause, "resume": MemoryConsumer.resume}

        def noting(name: str) -> Callable[[MemoryConsumer, list[TopicPartition]], None]:
            def note(self: MemoryConsumer, partitions: list[TopicPartition]) -> None:
                if partitions:
                    calls.append((name, partitions))
                originals[name](self, partitions)

            return note

        for name in originals:
            monkeypatch.setattr(MemoryConsumer, name, noting(name))
        bench = MutedBench(input_buffer_records_max=5, poll_records_max=3)
        calls.clear()
        maker, place = SessionMaker(), TopicPartition(INTENT.name, 0)
        bench.establish(maker)
        for _ in range(20):
            bench.propose(maker)
        bench.steps(20)
        assert calls == [("pause", [place])]
        (task,) = bench.worker._tasks.values()
        assert len(task.input.buffer) == 6
        bench.speak()
        assert bench.verdicts() == ["permitted"] * 20
        assert calls[1] == ("resume", [place])


class TestBound:
    def test_without_a_bound_it_waits_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        bench, maker = MutedBench(), SessionMaker()
        bench.establish(maker)
        bench.propose(maker)
        with caplog.at_level(logging.WARNING):
            bench.steps(6, wait_ms=WAIT_TOLD_MS // 2)
        told = [record.getMessage() for record in caplog.records if SESSION.name in record.getMessage()]
        assert len(told) == 2
        assert "partition 0 has held back 1 record for" in told[0]
        assert bench.verdicts() == []

    def test_with_one_it_goes_on_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        bench, maker = MutedBench(input_wait_max_ms=1_000), SessionMaker()
        bench.establish(maker)
        bench.propose(maker)
        with caplog.at_level(logging.WARNING):
            bench.steps(4, wait_ms=300)
            assert not caplog.records
            bench.steps(20, wait_ms=300)
        (told,) = [record.getMessage() for record in caplog.records if SESSION.name in record.getMessage()]
        assert "goes on without" in told
        assert bench.worker.abandoned_count == 1
        assert bench.verdicts() == ["session_unknown"]  # after the grace, by the wall clock
        bench.speak()
        bench.propose(maker)
        bench.settle(bench.worker)
        assert bench.verdicts() == ["session_unknown", "permitted"]
