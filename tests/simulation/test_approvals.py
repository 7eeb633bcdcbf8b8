"""Questions and grants of people under all faults: nothing is approved that nobody has approved, or more often."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from simulation import workload_session
from simulation.simulator import SimulationFailedError, simulate
from simulation.workload_session import WorkloadSize
from streams.ports.processor import StateView
from streams.processors.gate import approval_grants, judge
from streams.processors.state import ApprovalGrantRow
from tests.simulation.caught_by import seeds_for
from tests.simulation.ingredients import ingredients

SEEDS = 45
SIZE = WorkloadSize(sessions=8, steps_per_session_max=24, control_acts=3, span_ms=60_000, session_life_ms=90_000)


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that do little but ask, and people who answer quickly."""
    monkeypatch.setattr(workload_session, "STEPS", (("ask", 10), ("honest", 2), ("grant", 1)))


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The grants that were used, also in transactions that were aborted."""
    found: list[str] = []

    def spend(key: bytes, used: Sequence[ApprovalGrantRow], state: StateView) -> tuple[ApprovalGrantRow, ...]:
        found.extend(grant.uid for grant in used)
        return approval_grants.spend(key, used, state)

    monkeypatch.setattr(judge, "spend", spend)
    return found


def test_no_call_is_approved_that_nobody_has_approved(uses: list[str]) -> None:
    made = ingredients()
    for seed in range(SEEDS):
        simulate(seed, made, SIZE)
    assert len(set(uses)) > 5, "hardly any grant was used"


def uncounted(_key: bytes, used: Sequence[ApprovalGrantRow], _state: StateView) -> tuple[ApprovalGrantRow, ...]:
    """A use that is not counted."""
    return tuple(used)


def test_a_grant_that_is_used_more_often_than_it_may_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "spend", uncounted)
    assert any(is_noticed(seed) for seed in seeds_for("uncounted", SEEDS))


def test_so_is_one_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval_grants, "is_over", lambda *_: False)
    assert any(is_noticed(seed) for seed in seeds_for("never_ends", SEEDS))


def is_noticed(seed: int) -> bool:
    try:
        simulate(seed, ingredients(), SIZE)
    except SimulationFailedError as error:
        return "approval:" in str(error)
    return False
