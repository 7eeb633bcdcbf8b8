"""Advisory topics: what is there is used, and nothing about them stops a worker."""

from __future__ import annotations

import pytest

from streams.engine.advisory_reader import RETRY_MS
from streams.engine.broadcast_reader import BATCH_RECORDS, REPORTS_MAX
from streams.engine.startup import StartRefusedError, check_topics
from streams.engine.worker import Worker
from streams.inmemory.clock import ManualClock
from streams.inmemory.faults import Call
from streams.inmemory.log import MemoryLog
from streams.model.audit import AuditEvent
from streams.model.reasons import DeadLetterReason
from streams.model.topics import AUDIT, BASELINE, INTENT, REVOCATION
from streams.ports import FatalLogError, LogError, Outgoing, Received, TopicSpec
from streams.processors.gate.gate import Gate
from streams.topology import GATE
from tests.baselines import AGENT, baseline, baseline_record_key, settled
from tests.kit import START_MS, wire
from tests.unit.engine.bench import WorkerBench


def known(worker: Worker) -> int:
    """How many calls the baseline of the agent is of that the worker's gate holds; 0 without one."""
    gate = worker._processor
    assert isinstance(gate, Gate)
    usual = gate._control.baselines.usual_of("acme", AGENT, START_MS)
    return 0 if usual is None else usual.calls


def publish(bench: WorkerBench, calls: int = 500, version: int = 1) -> None:
    bench.write(BASELINE.name, baseline_record_key(), baseline(settled(calls=calls), version=version), partition=0)


def serving(bench: WorkerBench) -> Worker:
    worker = bench.start("a")
    bench.serving(worker)
    return worker


def judged(bench: WorkerBench, worker: Worker) -> list[str]:
    maker = bench.maker_on(0)
    bench.establish(maker)
    bench.propose(maker)
    bench.settle(worker)
    return bench.verdicts()


def test_a_worker_reads_what_was_there_and_what_comes() -> None:
    bench = WorkerBench()
    publish(bench)
    worker = serving(bench)
    assert known(worker) == 500
    publish(bench, 700, 2)
    worker.step()
    assert known(worker) == 700


@pytest.mark.parametrize("error", [FatalLogError("gone"), LogError("no right")])
def test_a_topic_that_cannot_be_read_stops_nothing_and_is_tried_again(
    error: LogError, caplog: pytest.LogCaptureFixture
) -> None:
    bench = WorkerBench()
    worker = serving(bench)
    # The first read of a step is that of the control topics.
    bench.faults.fail("a", Call.READ, error, skip=1)
    worker.step()
    publish(bench)
    assert judged(bench, worker) == ["permitted"]
    assert known(worker) == 0
    assert [record.message for record in caplog.records if "agent.baseline.v1" in record.message] == [
        f"`agent.baseline.v1` can't be read, deciding without what is new there: {error}"
    ]
    bench.clock.advance(RETRY_MS)
    worker.step()
    assert known(worker) == 500


def test_what_was_read_before_a_failure_is_not_read_again() -> None:
    bench = WorkerBench()
    bench.write(BASELINE.name, b"no key of one", b"no record", partition=0)
    worker = serving(bench)
    publish(bench)
    worker.step()
    bench.faults.fail("a", Call.READ, LogError("away"), skip=1)
    worker.step()
    bench.clock.advance(RETRY_MS)
    publish(bench, 900, 2)
    bench.settle(worker)
    assert known(worker) == 900
    assert len(letters(bench)) == 1


def test_an_open_transaction_of_a_watch_that_died_holds_up_nothing() -> None:
    bench = WorkerBench()
    publish(bench)
    died = bench.log.producer("watch-that-dies")
    died.init_transactions()
    died.begin()
    died.send(Outgoing(BASELINE.name, 0, b"k", b"v"))
    worker = serving(bench)
    publish(bench, 700, 2)
    bench.clock.advance(60_000)
    assert judged(bench, worker) == ["permitted"]
    assert not any("stops" in each for each in worker.waits_for)
    assert known(worker) == 500


def letters(bench: WorkerBench) -> list[Received]:
    return bench.raw(BASELINE.dlq)


def test_a_record_that_cannot_be_used_is_reported_once_and_leaves_the_one_before_in_force() -> None:
    bench = WorkerBench()
    publish(bench)
    bench.write(BASELINE.name, baseline_record_key(), b"no record", partition=0)
    bench.write(BASELINE.name, b"acme|somebody else/e1", baseline(settled(calls=900), version=2), partition=0)
    worker = serving(bench)
    assert judged(bench, worker) == ["permitted"]
    assert known(worker) == 500
    reasons = [dict(each.headers)["stoplog.reason"].decode() for each in letters(bench)]
    assert reasons == [DeadLetterReason.FRAMING_INVALID, DeadLetterReason.KEY_MISMATCH]
    found = (wire().decode(AUDIT.name, each.value or b"") for each in bench.raw(AUDIT.name))
    rejected = [each for each in found if isinstance(each, AuditEvent) and each.reason in reasons]
    assert len(rejected) == 2
    again = bench.start("a")
    bench.settle(again)
    assert len(letters(bench)) == 2


def test_a_flood_of_records_that_cannot_be_used_leaves_room_to_report_what_is_done_to_rules_and_stops() -> None:
    bench = WorkerBench()
    worker = serving(bench)
    for _ in range(REPORTS_MAX):
        bench.write(BASELINE.name, b"k", b"no record", partition=0)
    broadcasts = worker._broadcasts
    assert broadcasts is not None
    for _ in range(REPORTS_MAX // BATCH_RECORDS + 1):  # as while a transaction is under way
        broadcasts.poll()
    # From half of all on, nothing that was accepted is reported.
    assert 0 < len(broadcasts._reader.reports) < REPORTS_MAX // 2


def test_a_gate_starts_without_the_topic_and_not_without_its_dead_letters() -> None:
    log = MemoryLog(ManualClock(0))
    for topic in GATE.topics():
        if topic.name not in (BASELINE.name, BASELINE.dlq):
            log.create(TopicSpec(topic.name, 1, topic.config()))
    counts = check_topics(GATE, log.admin())
    assert BASELINE.name not in counts
    assert {INTENT.name, REVOCATION.name} <= counts.keys()
    log.create(TopicSpec(BASELINE.name, 1, BASELINE.config()))
    with pytest.raises(StartRefusedError, match=r"agent\.baseline\.v1\.dlq"):
        check_topics(GATE, log.admin())


def test_the_topics_are_decoded_by_the_codec_of_the_deployment() -> None:
    record = baseline(settled(calls=1), version=1)
    assert wire().decode(BASELINE.name, wire().encode(BASELINE.name, record), ()) == record
