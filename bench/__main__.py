"""`python -m bench [NAME ...] [--quick]`: measure, and write `bench/results/`."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from bench.harness import printed_measurements
from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import RESULTS, save

# Modules with a function `run(quick=...)`.
MODULES = {
    "gate": "bench.gates.gate",
    "faust": "bench.faust.against_faust",
    "latency": "bench.gates.latency",
    "sessions": "bench.gates.sessions",
    "many_sessions": "bench.gates.many_sessions",
    "disk": "bench.gates.disk",
    "rebalance": "bench.faults.rebalance",
    "takeover": "bench.faults.takeover",
    "kill": "bench.executors.kill",
    "executor": "bench.executors.executor",
    "identity": "bench.parts.identity",
    "floods": "bench.faults.floods",
    "cli": "bench.parts.cli",
    "injection": "bench.injection.measure",
    "behaviour": "bench.behaviour.measure",
}
# Short commands of their own, whose output is the result.
PRINTED = {
    "codec": "bench.parts.codec",
    "rules": "bench.parts.rules",
    "budgets": "bench.parts.budgets",
    "leases": "bench.parts.leases",
    "swap": "bench.parts.swap",
    "attributes": "bench.parts.attributes",
    "used_tokens": "bench.parts.used_tokens",
    "audit": "bench.parts.audit",
    "extraction": "bench.parts.extraction",
    "provenance": "bench.parts.provenance",
    "replay": "bench.parts.replay",
}
# The same, but so long that they are run only when they are named.
LONG = {
    "tampering": "bench.parts.tampering",
    "kills": "bench.faults.kills",
}


def main() -> int:
    """Run the given measurements and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one of {', '.join((*_names(), *LONG))} (default: all but {', '.join(LONG)})",
    )
    parser.add_argument("--quick", action="store_true", help="make small runs, to test that everything works")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for results (default: bench/results)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in (*_names(), *LONG)]
    if unknown:
        parser.error(f"unknown measurement `{unknown[0]}`: expected one of {', '.join((*_names(), *LONG))}")
    forget_settings()
    for name in options.names or _names():
        began_s = time.monotonic()
        machine = describe_machine()
        if name in PRINTED:
            result = printed_measurements.run(PRINTED[name])
        elif name in LONG:
            result = printed_measurements.run(LONG[name], is_long=True)
        else:
            result = importlib.import_module(MODULES[name]).run(quick=options.quick)
        save(name, result, machine, quick=options.quick, folder=options.out)
        print(f"{name}: {time.monotonic() - began_s:.0f} s, see {options.out / 'README.md'}", flush=True)
    return 0


def _names() -> list[str]:
    return [*MODULES, *PRINTED]


if __name__ == "__main__":
    sys.exit(main())
