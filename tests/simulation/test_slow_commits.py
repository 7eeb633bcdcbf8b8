"""On a cluster with slow commits, a shared budget is spent to its end before anybody is refused, and never beyond."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.slow_cluster import TICK_MS, Load, SlowCluster, Spending
from streams.model.reasons import Reason
from streams.processors.budgets import leases
from streams.processors.budgets.lease_row import LeaseRow
from tests.kit import wire

SHARE_MIN = 0.98
SLOW = Load(300, 4)


def is_well_spent(load: Load, spending: Spending) -> bool:
    """Whether hardly anything was left at the first refusal, none waited in vain, and most did not wait for leases."""
    return (
        SHARE_MIN * load.limit <= spending.before_refusal <= spending.spent <= load.limit
        and not spending.reasons[Reason.BUDGET_UNAVAILABLE.value]
        # A gate that commits reads nothing: that long an intent waits on any account.
        and spending.median_ms <= load.commit_ms + 2 * TICK_MS
    )


@pytest.mark.parametrize("gates", [2, 4])
@pytest.mark.parametrize("commit_ms", [10, 100, 300])
def test_nearly_all_of_a_limit_is_spent_before_the_first_refusal(commit_ms: int, gates: int) -> None:
    load = Load(commit_ms, gates)
    spending = SlowCluster(load, wire()).run()
    assert is_well_spent(load, spending), spending
    assert spending.spent == load.limit
    assert spending.reasons == {"permitted": load.limit, "budget_exhausted": load.intents - load.limit}


@pytest.mark.parametrize(
    "load",
    [
        Load(300, 2, intents_per_s=1_000, intents=6_000, sessions=192),
        Load(300, 4, intents_per_s=50, intents=500, limit=350),
        Load(300, 2, amounts=(1, 5, 20), intents=1_200),
    ],
    ids=["in a rush", "slowly", "in unequal parts"],
)
def test_so_it_is_at_other_rates_and_amounts(load: Load) -> None:
    spending = SlowCluster(load, wire()).run()
    assert SHARE_MIN * load.limit <= spending.before_refusal <= spending.spent <= load.limit
    assert spending.spent > load.limit - max(load.amounts)


def waits_a_fixed_time(patch: pytest.MonkeyPatch) -> None:
    """Intents wait for as long as on a fast cluster."""
    patch.setattr(leases, "WAIT_ROUND_TRIPS", 0)


def asks_when_nothing_is_left(patch: pytest.MonkeyPatch) -> None:
    """Leases are not requested ahead of need."""
    patch.setattr(LeaseRow, "expected", lambda _row: 0)


PLANTS = (waits_a_fixed_time, asks_when_nothing_is_left)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert not is_well_spent(SLOW, SlowCluster(SLOW, wire()).run())
