"""What gates have written under every fault of a simulation has no offence: no crash, abort or rebalance is one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from simulation.seals import CHAIN_KEY
from simulation.simulator import DEPLOYMENT, SEALER, Simulation
from simulation.vandal import READ_TOPICS, TOPICS
from simulation.workload_session import WorkloadSize
from streams.audit.seal_keys import SealKeys
from streams.inmemory.log import MemoryLog
from streams.model.topics import VERDICT
from streams.operations.verify.partition import Ends, Recorded, check_partition
from streams.ports import Received, TopicPartition
from tests.simulation.ingredients import ingredients
from tests.unit.sdk.seal_hand import CODEC

SEEDS = 30
END = 1_000_000


def records(log: MemoryLog, number: int, topic: str) -> Iterator[Received]:
    """The committed records of a partition, without the chain that the simulation itself keeps among the heads."""
    for each in log.partition(TopicPartition(topic, number)).committed_entries():
        if not (each.key or b"").startswith(CHAIN_KEY):
            yield Received(topic, number, each.offset, each.timestamp_ms, each.key, each.value, each.headers)


def test_nothing_is_found_under_faults() -> None:
    made = ingredients()
    keys = SealKeys.of({"gates": str(SEALER.public)}, DEPLOYMENT)
    verdicts = inputs_count = 0
    for seed in range(SEEDS):
        simulation = Simulation(seed, made, WorkloadSize())
        simulation.run()
        log = simulation._log
        for number in range(log.partition_count(VERDICT.name)):
            opened = (partial(records, log, number, name) for name in TOPICS)
            inputs = {name: partial(records, log, number, name) for name in READ_TOPICS}
            recorded = Recorded(number, *opened, Ends(END, END, END), inputs, dict.fromkeys(inputs, END))
            report = check_partition(recorded, keys, CODEC, is_whole=True)
            assert report.offence is None, (seed, number, report)
            assert report.not_compared == 0
            verdicts += report.verdicts
            inputs_count += report.inputs
    assert verdicts > 300
    assert inputs_count > 300
