"""`python -m bench.soak [--minutes N]`: let a gate and an executor run for long, and write `bench/results/`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import RESULTS, save
from bench.harness.world import KINDS
from bench.soak.measurement import MINUTES, RATE, SLOPE_MB_PER_MINUTE_MAX, measure
from bench.tables.faults import soak_table


def main() -> int:
    """Run it. Returns 1 if the memory of one of them grows faster than the bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for how long (default: {MINUTES})")
    parser.add_argument("--rate", type=int, default=RATE, help=f"intents a second (default: {RATE})")
    parser.add_argument("--log", choices=KINDS, default="kafka", help="the log (default: kafka)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results go (default: bench/results)")
    options = parser.parse_args()
    forget_settings()
    machine = describe_machine()
    result = measure(options.log, options.minutes, options.rate, lambda line: print(line, flush=True))
    save("soak", result, machine, quick=options.minutes < MINUTES, folder=options.out)
    print(soak_table(result))
    if not result["flat"]:
        print(f"memory grows by more than {SLOPE_MB_PER_MINUTE_MAX} MB a minute", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
