"""`python -m bench.cluster [FAULT ...] [--quick]`: try faults on a cluster, and write `bench/results/`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.cluster.deployment import BROKERS_AS_RECOMMENDED, CONTROLLERS, GATES_AS_RECOMMENDED, REPLICATION, Run
from bench.cluster.faults import FAULTS, QUICK
from bench.cluster.measurement import RATE, VERDICT_LIFE_S, measure
from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import RESULTS, save
from bench.tables.faults import cluster_table, nodes_text
from simulation.broker.cluster import NODES


def main() -> int:
    """Run it. Returns 1 where an intent has not one verdict and one record, in order, or a call ran as it must not."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help=f"only {' and '.join(QUICK)}")
    parser.add_argument("--rate", type=int, default=RATE, help=f"intents a second (default: {RATE})")
    parser.add_argument(
        "--verdict-life",
        type=int,
        default=VERDICT_LIFE_S,
        metavar="S",
        help=f"for how long allowed calls may be run, in seconds (default: {VERDICT_LIFE_S})",
    )
    parser.add_argument("--broker", action="append", default=[], metavar="NAME=VALUE", help="a setting of the brokers")
    parser.add_argument("--gate", action="append", default=[], metavar="NAME=VALUE", help="one of the gates' clients")
    parser.add_argument(
        "--brokers", type=int, default=NODES, metavar="N", help=f"how many (default: {NODES}); three replicas each"
    )
    parser.add_argument(
        "--controllers",
        type=int,
        default=CONTROLLERS,
        metavar="N",
        help=f"how many nodes are controllers only (default: {CONTROLLERS}); 0: every broker is one",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results go (default: bench/results)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep there what gates and executors have logged")
    options = parser.parse_args()
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        parser.error(f"no fault `{unknown[0]}`; there are {', '.join(FAULTS)}")
    if options.brokers < REPLICATION:
        parser.error(f"topics have {REPLICATION} replicas, so there must be {REPLICATION} brokers or more")
    forget_settings()
    machine = describe_machine()
    machine["kafka"] = machine["kafka"].replace("one broker", nodes_text(options.brokers, options.controllers))
    run = Run(
        rate=options.rate,
        broker_settings={**BROKERS_AS_RECOMMENDED, **_parsed(options.broker)},
        gate_settings={**(GATES_AS_RECOMMENDED if options.controllers else {}), **_parsed(options.gate)},
        logs=options.logs,
        quick=options.quick,
        brokers=options.brokers,
        controllers=options.controllers,
        verdict_life_s=options.verdict_life,
    )
    names = options.faults or (QUICK if options.quick else tuple(FAULTS))
    result = measure(names, run)
    # A run with other nodes doesn't replace the one with the recommended ones.
    name = "cluster" if (options.brokers, options.controllers) == (NODES, CONTROLLERS) else "cluster_layout"
    save(name, result, machine, quick=options.quick, folder=options.out)
    print(cluster_table(result))
    print(json.dumps(result["findings"]))
    return 1 if result["findings"] else 0


def _parsed(settings: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (setting.partition("=") for setting in settings)}


if __name__ == "__main__":
    sys.exit(main())
