"""The gate's commit hook, on the real engine: what it seals, also over aborts, restarts and other owners."""

from __future__ import annotations

import pytest

from simulation.auditor_heads import check_heads
from streams.audit.notes import Checkpoint, Note
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import LEAVES_MAX, SealedBatch
from streams.audit.signatures import SigningKey, SigningKeyError
from streams.inmemory.faults import Call
from streams.model.audit import AuditCheckpoint, Seal
from streams.model.errors import InvariantError
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, SEAL, SEAL_KEY, VERDICT
from streams.ports import AbortableTransactionError, Outgoing
from streams.processors.seals import Seals
from tests.frontiers import extends_its_frontier
from tests.kit import wire
from tests.unit.engine.bench import WorkerBench
from tests.unit.processors.notary.notary_bench import NoRows

KEY = SigningKey.made()


class House:
    """A worker that seals, with a session on each partition."""

    def __init__(self, partitions: int = 1, seals: Seals | None = None) -> None:
        self.bench = WorkerBench(partitions=partitions, hook=seals or Seals(wire(), KEY, "prod"))
        self.makers = [self.bench.maker_on(number, f"m{number}") for number in range(partitions)]
        for maker in self.makers:
            self.bench.establish(maker)
        self.worker = self.bench.start()
        self.bench.settle(self.worker)

    def judge(self, count: int = 1) -> list[str]:
        ids = [self.bench.propose(maker) for _ in range(count) for maker in self.makers]
        self.bench.settle(self.worker)
        return ids

    def seals(self, partition: int = 0) -> list[Seal]:
        found = [
            wire().decode(SEAL.name, each.value or b"", each.headers)
            for each in self.bench.raw(VERDICT.name)
            if each.key == SEAL_KEY and each.partition == partition
        ]
        return [seal for seal in found if isinstance(seal, Seal)]

    def assert_sealed(self) -> None:
        assert list(check_heads(self.bench.log, wire(), KEY.public.raw, "prod")) == []


def test_every_verdict_and_audit_record_is_sealed_in_the_order_of_writing() -> None:
    house = House(partitions=3)
    house.judge(4)
    house.assert_sealed()
    for partition in range(3):
        opened = [
            SealKeys.of({"k": str(KEY.public)}, "prod").opened(seal, partition) for seal in house.seals(partition)
        ]
        assert [batch.before for batch in opened[1:]] == [
            earlier.before.appended(earlier.leaves) for earlier in opened[:-1]
        ]
        assert sum(len(batch.verdicts()) for batch in opened) == 4


def test_the_envelope_says_that_it_is_a_seal() -> None:
    house = House()
    house.judge()
    (seal,) = [each for each in house.bench.raw(VERDICT.name) if each.key == SEAL_KEY][-1:]
    assert dict(seal.headers)["ce_type"] == b"agentstream.v1.Seal"
    assert isinstance(wire().decode(VERDICT.name, seal.value or b"", seal.headers), Seal)


def test_the_same_head_goes_to_the_checkpoints() -> None:
    house = House()
    house.judge(2)
    checkpoints = [
        wire().decode(each.topic, each.value or b"", each.headers) for each in house.bench.raw(AUDIT_CHECKPOINT.name)
    ]
    assert [each.signed_head for each in checkpoints if isinstance(each, AuditCheckpoint)] == [
        seal.signed_head for seal in house.seals()
    ]
    for each in checkpoints:
        assert isinstance(each, AuditCheckpoint)
        head = Checkpoint.parse(Note.parse(each.signed_head).text)
        assert (each.tree_size, each.root) == (head.size, head.root)


def test_a_verdict_that_is_given_again_is_a_leaf_again() -> None:
    house = House()
    for _ in range(2):
        house.bench.propose(house.makers[0], intent_id="0192f3c1-7a5b-7c3d-8e9f-0123456789ab")
    house.bench.settle(house.worker)
    values = [each.value for each in house.bench.raw(VERDICT.name) if each.key != SEAL_KEY]
    assert len(values) == 2
    assert values[0] == values[1]
    house.assert_sealed()


def test_the_log_goes_on_where_a_committed_seal_ends() -> None:
    house = House()
    house.judge(3)
    house.bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("planned"))
    house.judge(2)
    house.assert_sealed()
    house.worker = house.bench.start()  # another process on the same disk
    house.judge(2)
    house.assert_sealed()
    other = house.bench.start("b")  # another machine, from the changelog
    house.worker.stop()
    house.bench.serving(other)
    house.worker = other
    house.judge(2)
    house.assert_sealed()
    assert house.seals()[-1].first > 0


def test_nothing_is_committed_without_a_signature() -> None:
    class Broken(SigningKey):
        is_broken = False

        def sign(self, message: bytes) -> bytes:
            if self.is_broken:
                raise SigningKeyError("the token is gone")
            return super().sign(message)

    key = Broken.made()
    house = House(seals=Seals(wire(), key, "prod"))
    house.judge()
    before = len(house.bench.raw(VERDICT.name))
    key.is_broken = True
    house.bench.propose(house.makers[0])
    for _ in range(3):
        house.worker.step()
    assert len(house.bench.raw(VERDICT.name)) == before
    key.is_broken = False
    house.bench.settle(house.worker)
    assert len(house.bench.raw(VERDICT.name)) == before + 2  # the verdict, and its seal


def test_a_large_batch_has_several_seals() -> None:
    written = [Outgoing(AUDIT.name, 0, b"k", b"%d" % number) for number in range(LEAVES_MAX + 5)]
    outputs = Seals(wire(), KEY, "prod").before_commit(written, [], NoRows(), 1_764_061_200_000)
    seals = [wire().decode(SEAL.name, each.value or b"", ()) for each in outputs[:-1]]
    assert [len(seal.kinds) for seal in seals if isinstance(seal, Seal)] == [LEAVES_MAX, 5]
    assert all(extends_its_frontier(SealedBatch.read(seal)) for seal in seals if isinstance(seal, Seal))


def test_an_empty_batch_has_no_seal() -> None:
    assert Seals(wire(), KEY, "prod").before_commit([], [], NoRows(), 0) == []


def test_a_record_on_another_partition_is_our_mistake() -> None:
    with pytest.raises(InvariantError, match="partition 0 wrote"):
        Seals(wire(), KEY, "prod").before_commit([Outgoing(AUDIT.name, 1, b"k", b"x")], [], NoRows(), 0)
