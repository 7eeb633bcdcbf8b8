"""The notary on the real engine: what others put on the record is sealed, over aborts, restarts and other owners."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.merkle import Frontier
from streams.audit.notes import Checkpoint, Note
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import LEAVES_MAX, NOTARY_LOG, REPORTED_LEAF, SealedBatch, SealError, origin_of, read_leaf
from streams.audit.signatures import SigningKey, SigningKeyError
from streams.inmemory.faults import Call
from streams.model.audit import AuditEvent
from streams.model.errors import InvariantError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import ALERT, AUDIT_REPORTED
from streams.ports import AbortableTransactionError, Received, TopicPartition
from streams.processors.notary import Notary, ReportedSeals
from tests.frontiers import extends_its_frontier
from tests.kit import START_MS, wire
from tests.unit.processors.notary.notary_bench import DEPLOYMENT, NoRows, NotaryBench

PRIVATE = Ed25519PrivateKey.generate()
KEY = SigningKey(PRIVATE)
KEYS = SealKeys.of({"k": str(KEY.public)}, DEPLOYMENT)


def assert_sealed(bench: NotaryBench, partition: int = 0) -> None:
    """Each record is a leaf, in the order of the offsets, of one log that only grows."""
    log, leaves = Frontier(), []
    for seal in bench.seals(partition):
        batch = SealedBatch.read(seal)
        KEYS.signer_of(batch.note, partition, seal.header.time, NOTARY_LOG)
        assert batch.before == log
        assert extends_its_frontier(batch)
        log = log.appended(batch.leaves)
        leaves += batch.leaves_of(REPORTED_LEAF)
    assert leaves == [read_leaf(each) for each in bench.reported(partition)]
    assert log.size == len(leaves)


def test_every_record_is_sealed_in_the_order_of_its_offsets() -> None:
    bench = NotaryBench(KEY, partitions=2)
    worker = bench.start()
    for count in (1, 3, 20):
        for partition in (0, 1):
            bench.report(count, partition)
        bench.settle(worker)
    for partition in (0, 1):
        assert len(bench.reported(partition)) == 24
        assert_sealed(bench, partition)


def test_what_was_there_before_the_first_notary_is_sealed() -> None:
    bench = NotaryBench(KEY)
    bench.report(10)
    bench.settle(bench.start())
    assert_sealed(bench)


def test_the_log_goes_on_over_aborts_restarts_and_other_owners() -> None:
    bench = NotaryBench(KEY)
    worker = bench.start()
    bench.report(5)
    bench.settle(worker)
    bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("planned"))
    bench.report(5)
    bench.settle(worker)
    assert_sealed(bench)
    worker = bench.start()  # another process on the same disk
    bench.report(5)
    bench.settle(worker)
    worker.stop()
    other = bench.start("b")  # another machine, from the changelog
    bench.report(5)
    bench.settle(other)
    assert_sealed(bench)
    assert len(bench.reported()) == 20
    assert bench.seals()[-1].first > 0


def test_its_heads_prove_no_verdict_and_a_gates_heads_prove_none_of_its_records() -> None:
    bench = NotaryBench(KEY)
    worker = bench.start()
    bench.report()
    bench.settle(worker)
    (seal,) = bench.seals()
    note = Note.parse(seal.signed_head)
    assert Checkpoint.parse(note.text).origin == origin_of(DEPLOYMENT, 0, NOTARY_LOG) != origin_of(DEPLOYMENT, 0)
    with pytest.raises(SealError, match=r"stoplog\.notary/prod/0"):
        KEYS.opened(seal, 0)
    KEYS.signer_of(note, 0, seal.header.time, NOTARY_LOG)


def test_a_record_that_nobody_can_read_is_sealed_and_reported_once() -> None:
    bench = NotaryBench(KEY)
    worker = bench.start()
    bench.report(2)
    bench.write(b"not a record")
    bench.write(None)
    bench.report(2)
    bench.settle(worker)
    bench.settle(worker)
    assert_sealed(bench)
    # The notary's own two records stand on the topic, too, and are sealed as the others are.
    own = [each for each in bench.reported() if b"stoplog/notary" in (each.value or b"")]
    events = [wire().decode(each.topic, each.value or b"", each.headers) for each in own]
    reasons = [event.reason for event in events if isinstance(event, AuditEvent)]
    assert reasons == [DeadLetterReason.FRAMING_INVALID, DeadLetterReason.VALUE_MISSING]
    assert len(bench.reported()) == 2 + 2 + 2 + 2


def test_many_that_nobody_can_read_are_one_alert() -> None:
    bench = NotaryBench(KEY)
    worker = bench.start()
    for _ in range(50):
        bench.write(b"not a record")
    bench.settle(worker)
    bench.clock.advance(120_000)
    bench.report()
    bench.settle(worker)
    assert_sealed(bench)
    assert 1 <= len(bench.log.written_since([ALERT.name], -1)) <= 2


def test_what_was_deleted_before_it_was_read_is_told() -> None:
    bench = NotaryBench(KEY)
    worker = bench.start()
    bench.report(3)
    bench.settle(worker)
    worker.stop()
    bench.report(5)
    bench.log.partition(TopicPartition(AUDIT_REPORTED.name, 0)).truncate(6)
    worker = bench.start()
    bench.settle(worker)
    bench.settle(worker)
    told = [each for each in bench.reported() if b"were deleted before they were processed" in (each.value or b"")]
    assert len(told) == 1
    leaves = [leaf for seal in bench.seals() for leaf in SealedBatch.read(seal).leaves_of(REPORTED_LEAF)]
    assert leaves[3:] == [read_leaf(each) for each in bench.reported()]


def test_nothing_is_committed_without_a_signature() -> None:
    class Broken(SigningKey):
        is_broken = True

        def sign(self, message: bytes) -> bytes:
            if self.is_broken:
                raise SigningKeyError("the token is gone")
            return super().sign(message)

    key = Broken(PRIVATE)
    bench = NotaryBench(key)
    worker = bench.start()
    bench.report()
    for _ in range(3):
        worker.step()
    assert bench.seals() == []
    key.is_broken = False
    bench.settle(worker)
    assert_sealed(bench)


def test_a_large_batch_has_several_seals_and_an_empty_one_none() -> None:
    hook, state = ReportedSeals(wire(), KEY, DEPLOYMENT), NoRows()
    read = [Received(AUDIT_REPORTED.name, 0, at, START_MS, b"k", b"%d" % at) for at in range(LEAVES_MAX + 5)]
    outputs = hook.before_commit([], read, state, START_MS)
    assert len(outputs) == 2
    assert hook.before_commit([], [], state, START_MS) == []


def test_a_timer_of_another_processor_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="does not set timers of the kind"):
        Notary(wire(), KEY, DEPLOYMENT).on_timer(b"\xff", NoRows(), START_MS)
