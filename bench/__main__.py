"""`python -m bench [NAME ...] [--quick]`: measure, and write `bench/results/`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from bench import printing_measurements
from bench.card import card
from bench.report import RESULTS, save

# Of these, `run(quick=...)` is called.
MODULES = {
    "gate": "bench.gate",
    "faust": "bench.against_faust",
    "latency": "bench.latency",
    "sessions": "bench.sessions",
    "rebalance": "bench.rebalance",
    "kill": "bench.kill",
    "identity": "bench.identity",
}
# These are commands of their own, and short.
PRINTED = {"codec": "bench.codec", "rules": "bench.rules", "budgets": "bench.budgets", "swap": "bench.swap"}


def main() -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(_names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="small runs, to see that all of it works")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results go (default: bench/results)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in _names()]
    if unknown:
        parser.error(f"no bench `{unknown[0]}`; there are {', '.join(_names())}")
    # Settings of a deployment on this machine are not what is measured.
    for name in [name for name in os.environ if name.startswith("STOPLOG_") and name != "STOPLOG_KAFKA_HOME"]:
        del os.environ[name]
    for name in options.names or _names():
        began_s = time.monotonic()
        machine = card()
        if name in PRINTED:
            result = printing_measurements.run(PRINTED[name])
        else:
            result = importlib.import_module(MODULES[name]).run(quick=options.quick)
        save(name, result, machine, quick=options.quick, folder=options.out)
        print(f"{name}: {time.monotonic() - began_s:.0f} s, see {options.out / 'README.md'}", flush=True)
    return 0


def _names() -> list[str]:
    return [*MODULES, *PRINTED]


if __name__ == "__main__":
    sys.exit(main())
