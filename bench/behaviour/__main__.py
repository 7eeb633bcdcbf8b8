"""`python -m bench.behaviour`: how many attacks the shipped detectors find, and how often they are wrong."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.behaviour.measure import run
from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import RESULTS, save
from bench.tables.behaviour import printed


def main() -> None:
    """Run the measurement, print it and write it down."""
    parser = argparse.ArgumentParser(prog="python -m bench.behaviour", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small fleet; nothing is written")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for results (default: bench/results)")
    options = parser.parse_args()
    forget_settings()
    result = run(quick=options.quick)
    print(printed(result))
    if not options.quick:
        save("behaviour", result, describe_machine(), quick=False, folder=options.out)
        print(f"written to {options.out / 'README.md'}")


if __name__ == "__main__":
    main()
