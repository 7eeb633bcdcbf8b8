"""The verdicts that benchmarks write are proven to executors: else they would measure executors that run nothing."""

from __future__ import annotations

from bench.harness.sealed_verdicts import SealedVerdicts
from bench.harness.world import ROOT_KEY
from streams.audit.seal_keys import SealKeys
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.model.topics import VERDICT
from streams.ports import Outgoing, Received
from streams.sdk.executor.seal_checks import PartitionSeals, is_seal

PARTITIONS = 3


def verdicts(count: int) -> list[Outgoing]:
    return [Outgoing(VERDICT.name, number % PARTITIONS, b"key", b"verdict %d" % number) for number in range(count)]


def test_every_verdict_is_proven_in_the_transaction_that_wrote_it() -> None:
    codec, keys = Codec(CommittedSchemas.load()), SealKeys.derived(ROOT_KEY)
    guards = [PartitionSeals(number, lambda: keys, codec) for number in range(PARTITIONS)]
    offsets = [0] * PARTITIONS
    proven: list[bytes | None] = []
    transactions = list(SealedVerdicts(codec).transactions(iter(verdicts(20)), 8))
    assert [len(each) for each in transactions] == [8 + 3, 8 + 3, 4 + 3]
    for transaction in transactions:
        for each in transaction:
            record = Received(each.topic, each.partition, offsets[each.partition], 0, each.key, each.value)
            offsets[each.partition] += 1
            if not is_seal(record):
                guards[each.partition].hold(record, 0)
                continue
            checked = guards[each.partition].sealed(record)
            assert checked.unproven == []
            proven += [one.value for one in checked.proven]
        assert [len(guard) for guard in guards] == [0] * PARTITIONS
    assert sorted(proven, key=str) == sorted((each.value for each in verdicts(20)), key=str)
