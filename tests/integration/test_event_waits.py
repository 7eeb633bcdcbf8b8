"""What benchmarks say of waits around an event: a verdict that comes late must not go unnoticed."""

from __future__ import annotations

import time

from bench.faults.event_waits import Observation, answered_twice, waits
from bench.harness.gate_process import served_gate
from bench.harness.reading import read_to_end
from bench.harness.records import intent_records, session_records
from bench.harness.workload import credential, now_ms
from bench.harness.world import PARTITIONS, ROOT_KEY, World, open_world
from streams.model.topics import INTENT, VERDICT
from streams.ports import Outgoing, Received

INTENTS = 12
ANSWERED_S_MAX = 60.0


def answered(world: World, observed: Observation) -> list[Received]:
    """The verdicts, as soon as each intent has one."""
    deadline_s = time.monotonic() + ANSWERED_S_MAX
    while len(found := read_to_end(world, VERDICT, observed.verdicts_begin)) < INTENTS:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.1)
    return found


def test_a_second_verdict_that_comes_after_the_observation_is_found() -> None:
    with open_world("embedded", "permit-all") as world:
        world.publish(session_records(world, [credential(ROOT_KEY, 0)]))
        observed = Observation(now_ms(), world.ends(INTENT), world.ends(VERDICT), [])
        world.publish(intent_records(world, 1, 0, INTENTS))
        with served_gate(world):
            verdicts = answered(world, observed)
        observed = observed._replace(verdicts=[(time.time_ns(), each) for each in verdicts])
        found = waits(world, observed)
        assert (found.intents, found.unanswered) == (INTENTS, 0)
        assert found.before_ms == 0
        (busy,) = (partition for partition, wait_ms in found.by_partition_ms.items() if wait_ms)
        assert (busy, len(found.by_partition_ms)) == (verdicts[0].partition, PARTITIONS)
        assert waits(world, observed._replace(verdicts=observed.verdicts[1:])).unanswered == 1
        assert answered_twice(world, observed) == 0
        late = verdicts[0]
        world.publish(iter([Outgoing(late.topic, late.partition, late.key, late.value, late.headers)]))
        assert answered_twice(world, observed) == 1
