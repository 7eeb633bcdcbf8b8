"""The promises hold under every fault that 200 seeds bring; planted bugs do not get past the auditor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.simulator import Ingredients, SimulationFailedError, simulate
from tests.simulation.caught_by import seeds_for
from tests.simulation.ingredients import ingredients
from tests.simulation.planted import PLANTS, Plant

SEEDS = 200
SEEDS_PER_TEST = 25
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_every_promise_is_kept(first: int) -> None:
    made = ingredients()
    reports = [simulate(seed, made) for seed in range(first, first + SEEDS_PER_TEST)]
    # A simulation in which nothing happens proves nothing.
    assert sum(report.verdicts for report in reports) > 500
    assert sum(report.dead_letters for report in reports) > 50
    assert sum(report.restarts for report in reports) > 50
    assert sum(report.seals for report in reports) > 300
    assert sum(report.promotions for report in reports) > 5


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plant(monkeypatch, ingredients())
    with pytest.raises(SimulationFailedError, match=r"seed \d+ broke a promise"):
        _simulate_all(made, plant.__name__)


def test_a_seed_writes_the_same_whatever_the_hash_seed() -> None:
    first, second = (_digests(hash_seed) for hash_seed in ("1", "2"))
    assert len(first.splitlines()) == 8
    assert first == second


def _simulate_all(made: Ingredients, plant: str) -> None:
    for seed in seeds_for(plant, SEEDS):
        simulate(seed, made)


def _digests(hash_seed: str) -> str:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "8", "--digests"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
