"""A process that judges decisions in turns and prints the CPU time of each, from whatever checkout its imports are.

`bench.behaviour.compiled` runs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.behaviour.engine_cost import play_on, prepared
from bench.behaviour.judges import Detectors
from bench.behaviour.measure import QUICK_PLAN
from bench.harness.child import await_begin, read_order, say
from simulation.fleet.fleet import make_fleet
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.wiring.shipped import rules_directory


def main() -> None:
    """Judge a part of the fleet each time that the parent says so."""
    order = read_order()
    judge, at = _judge(order["part"], order["seed"], sum(order["counts"])), 0
    for count in order["counts"]:
        await_begin()
        began = time.process_time()
        judge(at, at + count)
        say(1e6 * (time.process_time() - began) / count)
        at += count


def _judge(part: str, seed: int, decisions: int) -> Callable[[int, int], None]:
    """Return what judges the decisions from one number to another one: the detectors alone, or both workers."""
    files = parse_behaviour(load_detector_files(rules_directory()))
    chosen = [planned.activity for planned in make_fleet(seed, QUICK_PLAN)[:decisions]]
    if len(chosen) < decisions:
        raise SystemExit(f"the fleet makes {len(chosen)} decisions, and {decisions} are asked for")
    if part == "detectors":
        detectors = Detectors(files.declared)

        def score(start: int, end: int) -> None:
            for activity in chosen[start:end]:
                detectors.alerts(activity)

        return score
    driver, records = prepared(chosen, files)
    return lambda start, end: play_on(driver, records[2 * start : 2 * end])


if __name__ == "__main__":
    main()
