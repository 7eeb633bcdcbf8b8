"""Kills a gate with SIGKILL again and again while it works: `python -m bench.kills [--rounds N] [--log kafka]`.

Each life of the gate is a process that ends at a random point: while it starts, restores its state, decides, or
commits. Afterwards a last gate decides what is left, and then:

- every intent has a final verdict, and no two that differ;
- `audit verify` finds nothing wrong, from the first record on;
- the replay makes every verdict again, byte for byte.

The exit status is 1 if any of that is not so.
"""

from __future__ import annotations

import argparse
import sys

from bench.killed_gate import killed
from bench.world import open_world

ROUNDS = 1_000


def main(arguments: list[str]) -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--log", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with open_world(options.log, "starter") as world:
        found = killed(world, options.rounds, options.seed, told_every=max(1, options.rounds // 10))
    ends = ", ".join(f"{count} {end}" for end, count in sorted(found.lives.items()))
    print(f"{options.rounds} kills of the gate on the log `{options.log}`: {ends}")
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
    return int(not found.is_clean)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
