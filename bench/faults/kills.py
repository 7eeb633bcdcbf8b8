"""Kills a gate with SIGKILL again and again while it works: `python -m bench.faults.kills [--log LOG] [--rounds N]`.

Each life of the gate is a process that ends at a random point: while it starts, restores its state, decides, or
commits. Afterwards a last gate decides what is left, and then:

- every intent has a final verdict, and no two that differ;
- `audit verify` finds nothing wrong, from the first record on;
- the replay makes every verdict again, byte for byte.

Without `--log`, it does so on the embedded log first, and then, less often, on Kafka. The exit status is 1 if any of
that is not so.
"""

from __future__ import annotations

import argparse
import sys

from bench.faults.killed_gate import killed
from bench.harness.world import Kind, open_world

ROUNDS: dict[Kind, int] = {"embedded": 100, "kafka": 30}
"""The logs, and how often a gate is killed on each."""


def main(arguments: list[str]) -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", choices=tuple(ROUNDS), help="one log only")
    defaults = ", ".join(f"{count} on {log}" for log, count in ROUNDS.items())
    parser.add_argument("--rounds", type=int, help=f"kills on each log (default: {defaults})")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logs: tuple[Kind, ...] = (options.log,) if options.log else tuple(ROUNDS)
    are_clean = []
    for number, log in enumerate(logs):
        if number:
            print()
        are_clean.append(measure(log, ROUNDS[log] if options.rounds is None else options.rounds, options.seed))
    return int(not all(are_clean))


def measure(log: Kind, rounds: int, seed: int) -> bool:
    """Kill a gate so many times on a new log, and print what was found; return whether nothing is wrong."""
    with open_world(log, "starter") as world:
        found = killed(world, rounds, seed, told_every=max(1, rounds // 10))
    ends = ", ".join(f"{count} {end}" for end, count in sorted(found.lives.items()))
    print(f"{rounds} kills of the gate on the log `{log}`: {ends}")
    print(f"{found.intents} intents: {found.undecided} without a final verdict, {found.contradicted} with several")
    seals, records = sum(each.seals for each in found.partitions), sum(each.records for each in found.partitions)
    print(f"verify: {records} records under {seals} seals")
    for each in found.partitions:
        if each.offence or each.unknown:
            print(f"  partition {each.partition}: {each.offence} {each.unknown}")
    counts = ", ".join(f"{count} {kind.value}" for kind, count in sorted(found.replay.counts.items()))
    print(f"replay: {counts}")
    for difference in found.replay.wrong()[:10]:
        print(f"  {difference.kind.value} {difference.place} {[each.name for each in difference.fields]}")
    return found.is_clean


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
