"""Input that is gone from the log before it was processed: it is reported, once, and what follows is processed."""

from __future__ import annotations

import pytest

from simulation.records import SessionMaker
from streams.inmemory.faults import Call
from streams.model.alert import Alert, Severity
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.topics import ALERT, AUDIT, INTENT, SESSION
from streams.ports import AbortableTransactionError, TopicPartition
from tests.kit import wire
from tests.unit.engine.bench import WorkerBench


def truncate(bench: WorkerBench, topic: str, offset: int) -> None:
    """What retention does."""
    bench.log.partition(TopicPartition(topic, 0)).truncate(offset)


def judged_and_stopped(intents: int) -> tuple[WorkerBench, SessionMaker]:
    """A session with so many judged intents, and no gate."""
    bench, maker = WorkerBench(), SessionMaker()
    bench.establish(maker)
    for _ in range(intents):
        bench.propose(maker)
    worker = bench.start()
    bench.settle(worker)
    worker.stop()
    return bench, maker


def losses(bench: WorkerBench) -> list[AuditEvent]:
    """The audit records of input that is gone."""
    found = (wire().decode(AUDIT.name, record.value or b"") for record in bench.raw(AUDIT.name))
    events = [record for record in found if isinstance(record, AuditEvent)]
    return [event for event in events if event.reason == "input_deleted"]


def alerts(bench: WorkerBench) -> list[Alert]:
    found = (wire().decode(ALERT.name, record.value or b"") for record in bench.raw(ALERT.name))
    return [record for record in found if isinstance(record, Alert)]


def test_deleted_intents_are_an_audit_record_and_an_alert() -> None:
    bench, maker = judged_and_stopped(2)
    for _ in range(3):
        bench.propose(maker)
    truncate(bench, INTENT.name, 4)
    worker = bench.start()
    bench.settle(worker)
    (event,) = losses(bench)
    assert event.event_type is AuditEventType.DEAD_LETTER
    assert event.inputs == ("agent.intent.v1/0/2-3",)
    assert event.header.time == bench.clock.now_ms()
    assert "up to 2 records of `agent.intent.v1` partition 0 (offsets 2 to 3)" in (event.reason_text or "")
    (alert,) = alerts(bench)
    assert alert.severity_id == Severity.HIGH
    assert alert.desc == event.reason_text
    assert alert.related_event_ids == (event.header.id,)
    # What is still there is judged.
    assert bench.verdicts() == ["permitted"] * 3
    assert bench.committed(INTENT.name) == 5


def test_it_is_reported_even_if_nothing_is_left_to_be_read() -> None:
    bench, maker = judged_and_stopped(1)
    bench.propose(maker)
    truncate(bench, INTENT.name, 2)
    worker = bench.start()
    bench.settle(worker)
    assert len(losses(bench)) == 1
    assert bench.committed(INTENT.name) == 2


def test_it_is_reported_once() -> None:
    bench, maker = judged_and_stopped(1)
    bench.propose(maker)
    truncate(bench, INTENT.name, 2)
    for name in ("a", "a", "b"):
        worker = bench.start(name)
        bench.settle(worker)
        worker.stop()
    assert len(losses(bench)) == len(alerts(bench)) == 1


def test_an_aborted_report_is_made_again() -> None:
    bench, maker = judged_and_stopped(1)
    for _ in range(2):
        bench.propose(maker)
    truncate(bench, INTENT.name, 2)
    bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("the coordinator has moved"))
    worker = bench.start()
    bench.settle(worker)
    assert len(losses(bench)) == len(alerts(bench)) == 1
    assert bench.verdicts() == ["permitted"] * 2


def test_what_was_processed_before_it_was_deleted_is_no_loss() -> None:
    bench, maker = judged_and_stopped(2)
    truncate(bench, INTENT.name, 2)
    truncate(bench, SESSION.name, 1)
    worker = bench.start()
    bench.propose(maker)
    bench.settle(worker)
    assert losses(bench) == []
    assert bench.verdicts() == ["permitted"] * 3


@pytest.mark.parametrize(("deleted", "reported"), [(1, 0), (2, 1)])
def test_the_marker_of_the_last_transaction_is_no_loss(deleted: int, reported: int) -> None:
    """The token service writes sessions in transactions: an offset behind the last record is the marker's."""
    bench, _ = judged_and_stopped(0)
    for number in range(deleted):
        bench.establish(SessionMaker(f"later-{number}"))
    truncate(bench, SESSION.name, 1 + deleted)
    worker = bench.start()
    bench.settle(worker)
    assert len(losses(bench)) == reported
