"""Whether all that was broadcast has been read is found out without holding up what is decided."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from simulation.records import entry_key
from streams.engine.worker import Worker
from streams.inmemory.clients import MemoryReader
from streams.inmemory.faults import Call
from streams.model.topics import CATALOG
from streams.ports import RetriableLogError, TopicPartition
from streams.processors.gate.gate import Gate
from tests.kit import CATALOG_ENTRIES
from tests.unit.engine.bench import SETTINGS, WorkerBench


class Asked:
    """Counts what is asked of readers, and says when answers come."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.waits = self.looks = 0
        self.answers = True
        ends, look = MemoryReader.end_offsets, MemoryReader.look_for_ends

        def end_offsets(reader: MemoryReader, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
            self.waits += 1
            return ends(reader, partitions)

        def look_for_ends(
            reader: MemoryReader, partitions: Sequence[TopicPartition]
        ) -> dict[TopicPartition, int] | None:
            self.looks += 1
            # What it calls by itself doesn't count.
            before = self.waits
            found = look(reader, partitions) if self.answers else None
            self.waits = before
            return found

        patch.setattr(MemoryReader, "end_offsets", end_offsets)
        patch.setattr(MemoryReader, "look_for_ends", look_for_ends)


@pytest.fixture
def bench() -> WorkerBench:
    return WorkerBench()


def is_stale(worker: Worker) -> bool:
    gate = worker._processor
    assert isinstance(gate, Gate)
    return gate._control.stale


def test_a_gate_at_work_waits_for_no_answer(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = bench.start("a")
    bench.serving(worker)
    asked = Asked(monkeypatch)
    for _ in range(5):
        bench.clock.advance(SETTINGS.control_check_ms)
        worker.step()
        worker.step()
    assert (asked.waits, asked.looks) == (0, 10)
    assert not is_stale(worker)


def test_while_no_answer_comes_it_decides_until_what_it_holds_is_stale_and_then_waits(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.start("a")
    bench.serving(worker)
    asked = Asked(monkeypatch)
    asked.answers = False
    bench.clock.advance(SETTINGS.control_stale_ms)
    worker.step()
    assert (asked.waits, is_stale(worker)) == (0, False)
    # As after a pause of the process: what it holds is old, and the answer says that it is current.
    bench.clock.advance(SETTINGS.control_check_ms)
    worker.step()
    assert (asked.waits, is_stale(worker)) == (1, False)
    bench.faults.fail("a", Call.END_OFFSETS, RetriableLogError("no answer"))
    bench.clock.advance(SETTINGS.control_stale_ms + 1)
    worker.step()
    assert is_stale(worker)


def test_an_answer_that_is_late_confirms_no_more_than_it_says(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.start("a")
    bench.serving(worker)
    asked = Asked(monkeypatch)
    bench.clock.advance(SETTINGS.control_check_ms)
    worker.step()  # asks
    asked_ms = bench.clock.monotonic_ms()
    bench.write(CATALOG.name, entry_key(CATALOG_ENTRIES[0]), CATALOG_ENTRIES[0], partition=0)
    asked.answers = False
    bench.clock.advance(SETTINGS.control_stale_ms - SETTINGS.control_check_ms - 1)
    worker.step()
    asked.answers = True
    worker.step()
    reader = worker._broadcasts
    assert reader is not None
    assert reader.seen().confirmed_ms == asked_ms
    assert not is_stale(worker)
    bench.faults.fail("a", Call.END_OFFSETS, RetriableLogError("no answer"), times=2)
    bench.clock.advance(SETTINGS.control_check_ms + 2)
    worker.step()
    assert is_stale(worker)


def test_a_question_that_fails_is_asked_again(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = bench.start("a")
    bench.serving(worker)
    asked = Asked(monkeypatch)
    bench.faults.fail("a", Call.END_OFFSETS, RetriableLogError("no answer"))
    bench.clock.advance(SETTINGS.control_check_ms)
    worker.step()
    assert "cannot tell whether what was broadcast has been read: no answer" in caplog.text
    bench.clock.advance(SETTINGS.control_check_ms)
    worker.step()
    worker.step()
    assert asked.looks == 3
    reader = worker._broadcasts
    assert reader is not None
    assert reader.seen().confirmed_ms == bench.clock.monotonic_ms()
