"""`python -m bench.behaviour.outcomes --out FILE`: everything that the watch makes of some fleets, a line each.

Two versions of the code make the same of a fleet if they write equal files: every decision as it is keyed, every alert
and baseline field by field, and every change of a row of both workers. A digest of each fleet's lines is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from bench.behaviour.engine_cost import played
from bench.behaviour.measure import QUICK_PLAN
from simulation.bureau.bureau import make_bureau
from simulation.fleet.agents import Planned
from simulation.fleet.fleet import make_fleet
from streams.model.topics import ALERT, BASELINE, BEHAVIOUR
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.topology import KEYING, WATCH
from streams.wiring.shipped import rules_directory

SEED = 101
DECISIONS = 20_000


def outcomes_of(fleet: Sequence[Planned], files: BehaviourFiles) -> Iterator[str]:
    """Yield a line of JSON for each record that the watch has written, and for each change of a row."""
    driver = played([planned.activity for planned in fleet], files)
    encode = msgspec.json.Encoder(order="sorted").encode
    for topic in (BEHAVIOUR.name, ALERT.name, BASELINE.name):
        for read in driver.read(topic):
            yield encode({"topic": topic, "key": read.key, "time_ms": read.time_ms, "record": read.record}).decode()
    for changed in driver.read_raw(KEYING.changelog.name, WATCH.changelog.name):
        yield encode({"topic": changed.topic, "key": changed.key, "row": changed.value}).decode()


def main() -> None:
    """Play the fleets, and write or print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m bench.behaviour.outcomes", description=__doc__)
    parser.add_argument("--decisions", type=int, default=DECISIONS, help="of each fleet")
    parser.add_argument("--out", type=Path, help="a file for the lines")
    options = parser.parse_args()
    files = parse_behaviour(load_detector_files(rules_directory()))
    lines: list[str] = []
    for name, fleet in (("fleet", make_fleet(SEED, QUICK_PLAN)), ("bureau", make_bureau(SEED))):
        found = list(outcomes_of(fleet[: options.decisions], files))
        print(name, len(found), sha256("\n".join(found).encode()).hexdigest())
        lines += found
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
