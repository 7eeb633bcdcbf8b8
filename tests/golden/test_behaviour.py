"""The findings about two fleets, which changes of how rows are kept must leave as they are.

The declarations are a copy, so that new detectors and other thresholds of the shipped ones change nothing here. After a
change of what detectors say, write the file again and read what has changed:
`python -m tests.golden.test_behaviour`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulation.fleet.fleet import Plan, make_fleet
from streams.behaviour.watcher import Watcher
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from tests.unit.behaviour.kit import Rows

FOLDER = Path(__file__).parent / "behaviour"
EXPECTED = FOLDER / "findings.json"
PLAN = Plan(agents_count=10, days_count=21, quiet_days_count=9, attacks_each=1)
SEEDS = (11, 12)


def found(seed: int) -> dict[str, Any]:
    """What is found about a fleet: each finding, and of the signals of each detector how many and their sum."""
    declared = parse_behaviour(load_detector_files(FOLDER)).declared
    of_agents, of_delegations = declared.by_scope()
    watchers = (Watcher(of_agents), Watcher(of_delegations, ".root", "delegation.root"))
    rows = (Rows(), Rows())
    findings: list[list[str]] = []
    signals: dict[str, list[float]] = {}
    quiet = learned = 0
    for planned in make_fleet(seed, PLAN):
        for watch, of_scope in zip(watchers, rows, strict=True):
            observed = watch.observe(of_scope, planned.activity)
            quiet += observed.quiet_count
            learned += observed.has_learned
            findings += [[each.activity.event_id, each.name, each.explain, *each.events] for each in observed.findings]
            for signal in observed.signals:
                total = signals.setdefault(signal.name, [0, 0.0])
                total[0] += 1
                total[1] += signal.score
    return {"findings": findings, "quiet": quiet, "learned": learned, "signals": dict(sorted(signals.items()))}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_findings_about_a_fleet_are_those_that_they_were(seed: int) -> None:
    expected, now = json.loads(EXPECTED.read_text())[str(seed)], found(seed)
    assert now["findings"] == expected["findings"]
    assert (now["quiet"], now["learned"]) == (expected["quiet"], expected["learned"])
    assert {name: count for name, (count, _) in now["signals"].items()} == {
        name: count for name, (count, _) in expected["signals"].items()
    }
    for name, (_, total) in expected["signals"].items():
        assert now["signals"][name][1] == pytest.approx(total, rel=1e-9)
    assert len(expected["findings"]) > 10


if __name__ == "__main__":
    EXPECTED.write_text(json.dumps({str(seed): found(seed) for seed in SEEDS}, indent=1) + "\n")
