"""Run seeds: `python -m tests.simulation --seeds 1000 [--from 0] [--digests]`.

Each seed is a simulation of its own; one that breaks a promise is told of with what happened last, and run again alone
by `--from SEED --seeds 1`. The exit status is 1 when any did.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

from simulation.simulator import SimulationFailedError, simulate
from tests.simulation.ingredients import ingredients

FAILURES_MAX = 5
PROGRESS_EVERY = 500


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--digests", action="store_true", help="tell what each seed wrote, as a digest")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # faults are what is wanted here
    made, failures, began_s = ingredients(), 0, time.perf_counter()
    totals = {"intents": 0, "verdicts": 0, "dead_letters": 0, "restarts": 0, "ticks": 0, "seals": 0, "promotions": 0}
    for number, seed in enumerate(range(options.first, options.first + options.seeds), start=1):
        try:
            report = simulate(seed, made)
        except SimulationFailedError as error:
            failures += 1
            _say(str(error))
            if failures == FAILURES_MAX:
                _say(f"{failures} seeds failed, giving up")
                break
            continue
        if options.digests:
            sys.stdout.write(f"{seed} {report.digest}\n")
        for name in totals:
            totals[name] += getattr(report, name)
        if number % PROGRESS_EVERY == 0:
            _say(f"{number} seeds, {failures} failed")
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in totals.items())
    _say(f"{number} seeds, {failures} failed in {time.perf_counter() - began_s:.1f} s: {told}")
    return 1 if failures else 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
