"""What behaviour costs in processes: of the watch on real Kafka, and of a gate whose rules ask for signals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from statistics import median
from typing import Any

from bench.gates.gate import reports_in_turns
from bench.harness.gate_process import ServedGate, served_gate
from bench.harness.workload import SIGNALS
from bench.harness.world import PARTITIONS, World, open_world
from simulation.fleet.agents import Planned
from simulation.fleet.records import audit_of, verdict_of
from streams.behaviour.activity import Activity
from streams.model.keys import session_key_of
from streams.model.topics import AUDIT, BEHAVIOUR, VERDICT, Topic
from streams.operations.topics.access import keying_group, watch_group
from streams.ports import Outgoing, TopicPartition
from streams.wiring.settings import Settings

WARM_UP, DECISIONS = 2_000, 30_000
DONE_S_MAX, PAUSE_S = 240.0, 0.25
IDLE_S = 3.0
BUSY_SHARE = 0.1
"""A process that uses less than this part of a core has nothing to do."""

TURNS = 8


def watch_on_kafka(fleet: Sequence[Planned], decisions: int = DECISIONS) -> dict[str, Any]:
    """Return how many decisions a watch takes in a second of CPU time of its process, as behind a gate that is ahead.

    The decisions lie on the log before the watch sees them: verdicts with their calls, and audit records. Some more are
    judged before, so that nothing is counted that happens once.

    Args:
        fleet: what a fleet does.
        decisions: how many count.

    Raises:
        RuntimeError: not every decision has been judged in time.
    """
    chosen = [planned.activity for planned in fleet[: WARM_UP + decisions]]
    with open_world("kafka", "empty") as world, served_gate(world, "watch-1", "watch") as watch:
        world.publish(_records(world, chosen[:WARM_UP]))
        _wait_until_done(world, watch)
        cpu_s = watch.cpu_s()
        world.publish(_records(world, chosen[WARM_UP:]))
        _wait_until_done(world, watch)
        spent_s = watch.cpu_s() - cpu_s
        judged = sum(world.ends(BEHAVIOUR).values())
    if judged < len(chosen):
        raise RuntimeError(f"{judged} of {len(chosen)} decisions have reached the watch")
    counted = len(chosen) - WARM_UP
    return {
        "decisions": counted,
        "decisions_per_cpu_s": round(counted / spent_s),
        "cpu_us_per_decision": round(1e6 * spent_s / counted, 1),
    }


def _records(world: World, chosen: Iterable[Activity]) -> Iterator[Outgoing]:
    for each in chosen:
        key, verdict, audit = session_key_of(each.tenant, each.session), verdict_of(each), audit_of(each)
        yield world.outgoing(VERDICT, key, verdict, verdict.header)
        yield world.outgoing(AUDIT, key, audit, audit.header)


def _wait_until_done(world: World, watch: ServedGate) -> None:
    """Wait until both workers have committed everything, and the process has nothing to do any more."""
    deadline_s = time.monotonic() + DONE_S_MAX
    group = Settings(**world.settings).group
    while time.monotonic() < deadline_s:
        if all(_is_read(world, name, topic) for name, topic in _inputs(group)):
            cpu_s = watch.cpu_s()
            time.sleep(IDLE_S)
            if watch.cpu_s() - cpu_s < BUSY_SHARE * IDLE_S:
                return
        time.sleep(PAUSE_S)
    raise RuntimeError(f"the watch is not done after {DONE_S_MAX} s")


def _inputs(group: str) -> tuple[tuple[str, Topic], ...]:
    return ((keying_group(group), VERDICT), (keying_group(group), AUDIT), (watch_group(group), BEHAVIOUR))


def _is_read(world: World, group: str, topic: Topic) -> bool:
    ends = world.ends(topic)
    with closing(world.log.consumer(group, "asks")) as asking:
        committed = asking.committed([TopicPartition(topic.name, number) for number in range(PARTITIONS)])
    # The marker of a transaction takes an offset, too.
    return all((committed.get(place) or 0) >= end - 1 for place, end in ends.items())


def signals_in_gate(turns: int = TURNS) -> dict[str, float]:
    """Return what rules that ask for signals cost a gate, in us of CPU time for each intent.

    Two gates take turns, with rules that differ only in that. The median of all turns counts. First each session makes
    one call again and again, so each verdict and its audit record name that as a signal. Then no two calls are equal.
    """
    repeated, varied = (_pairs_of_turns(turns, marked=marked) for marked in (False, True))
    return {
        "us_without": round(median(plain for plain, _ in repeated), 1),
        "us_with": round(median(asked for _, asked in repeated), 1),
        "us_of_signals": round(median(asked - plain for plain, asked in repeated), 1),
        "us_of_signals_varied": round(median(asked - plain for plain, asked in varied), 1),
    }


def _pairs_of_turns(turns: int, *, marked: bool) -> list[tuple[float, ...]]:
    """Return the CPU time of an intent in each turn, without signals and with them."""
    found = reports_in_turns("embedded", ("permit-all", SIGNALS), turns, marked=marked)
    return [tuple(1e6 * report["cpu_s"] / report["records"] for report in reports) for reports in found]
