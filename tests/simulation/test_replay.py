"""What gates have decided under every fault of a simulation is made again from what they left on the log.

A simulation kills gates, wipes disks, gives wrong clocks to hosts and lets gates fall behind by half a minute, and the
log does not say when stream time followed a clock or something broadcast was read. So not every verdict can be placed;
nearly all can, and no verdict of another outcome ever counts as the recorded one.
"""

from __future__ import annotations

from collections import Counter

from simulation.simulator import RELEASERS, Simulation
from simulation.workload_session import WorkloadSize
from streams.audit.attribute_writers import ANYBODY as WRITTEN_BY_ANYBODY
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.model.attributes import USUAL_ROOM
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplayKind, ReplaySetup, Stretch, replay_log
from tests.recorded_run import MemoryAsLog
from tests.simulation.ingredients import ingredients

SEEDS = 30


def test_verdicts_under_faults_are_made_again() -> None:
    made = ingredients()
    counts: Counter[ReplayKind] = Counter()
    complete = 0
    for seed in range(SEEDS):
        simulation = Simulation(seed, made, WorkloadSize())
        simulation.run()
        setup = ReplaySetup(
            wire=made.wire,
            gate=simulation._gate_settings,
            engine=simulation._engine_settings,
            publishers=UNSIGNED,
            reviewers=ANYBODY,
            releasers=RELEASERS,
            writers=WRITTEN_BY_ANYBODY,
            attributes_room=USUAL_ROOM,
        )
        log = MemoryAsLog(simulation._log)
        recorded = RecordedLog(log, made.wire, simulation._clock, simulation._engine_settings.time_ahead_max_ms)
        report = replay_log(recorded, setup, Stretch())
        counts += report.counts
        complete += report.is_same
    assert counts[ReplayKind.SAME] > 1_000
    assert counts[ReplayKind.SAME] / counts.total() > 0.995, counts
    assert complete >= SEEDS - 2
