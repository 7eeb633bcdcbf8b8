"""Shared budgets hold under every fault that the seeds bring; planted bugs do not get past the adding up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from streams.model.budget import BudgetGrant, BudgetRequest
from streams.ports.processor import StateView
from streams.processors.budgets import allocation, allocator, leases
from streams.processors.budgets.allocation import AllocationRow, Pending
from streams.processors.budgets.claims import Claim
from streams.processors.budgets.lease_row import LeaseRow, decode_lease
from streams.processors.budgets.leases import BudgetLeases
from streams.processors.gate import reports
from streams.processors.rows import effects_row_key, lease_row_key
from streams.processors.sessions import completion_effects
from streams.processors.state import ChargeRow, decode_effects, encode_row
from tests.simulation.fleet import Fleet, assert_caught, assert_kept

SEEDS = 60
SEEDS_PER_TEST = 20
PLANT_SEEDS = 60

replace = msgspec.structs.replace


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_no_limit_is_exceeded_and_every_intent_is_decided(first: int) -> None:
    report = assert_kept(Fleet, range(first, first + SEEDS_PER_TEST))
    # A simulation in which no limit is reached and nothing goes wrong proves nothing.
    assert report.allowed > 500
    assert report.exhausted > 150
    assert report.unavailable > 200
    assert report.given_back > 100
    assert report.duplicates > 500
    assert report.starts > 200


def takes_any_grant(patch: pytest.MonkeyPatch) -> None:
    """A grant that comes again is taken again."""
    on_grant = BudgetLeases.on_grant

    def taken(self: BudgetLeases, grant: BudgetGrant, state: StateView, now_ms: int) -> object:
        found = state.get(lease_row_key(grant.budget_key))
        if found is not None:
            row = decode_lease(found)
            asked = row.asked or leases.Asked(grant.serial, now_ms, 0, 0, ())
            row = replace(row, asked=replace(asked, serial=grant.serial))
            state.put(lease_row_key(grant.budget_key), encode_row(row))
        return on_grant(self, grant, state, now_ms)

    patch.setattr(BudgetLeases, "on_grant", taken)


def takes_what_is_given_back_twice(patch: pytest.MonkeyPatch) -> None:
    """What is given back counts twice with the owner."""
    take_back = allocator.take_back

    def twice(row: AllocationRow, request: BudgetRequest) -> AllocationRow:
        return take_back(take_back(row, request), request)

    patch.setattr(allocator, "take_back", twice)


def keeps_slices_for_the_next_window(patch: pytest.MonkeyPatch) -> None:
    """What is left of a slice is spent in the next window."""
    of_now = leases.lease_of_now

    def carried(claim: Claim, state: StateView) -> LeaseRow:
        found = state.get(lease_row_key(claim.key))
        row = of_now(claim, state)
        return row if found is None else replace(row, available=decode_lease(found).available)

    patch.setattr(leases, "lease_of_now", carried)
    patch.setattr(BudgetLeases, "on_due", lambda _self, _key, _state, _now_ms: [])


def spends_what_is_not_there(patch: pytest.MonkeyPatch) -> None:
    """The last unit of a slice is spent twice."""
    lacking = leases.amount_lacking
    patch.setattr(leases, "amount_lacking", lambda claim, row: max(0, lacking(claim, row) - (1 if claim.amount else 0)))


def gives_back_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """Each report that a call did not run gives its charge back, and the gate forgets that there was one."""

    def kept(session_key: bytes, intent_id: str, row: object, state: StateView) -> tuple[object, object]:
        found = state.get(effects_row_key(session_key, intent_id))
        return row, None if found is None else decode_effects(found)

    patch.setattr(completion_effects, "pop_effects", kept)
    patch.setattr(reports, "set_reported", lambda *_: None)


def gives_back_what_ran_in_another_window(patch: pytest.MonkeyPatch) -> None:
    """A charge of an earlier window is given back to this one."""
    give_back = BudgetLeases.give_back

    def given(self: BudgetLeases, charge: ChargeRow, state: StateView, now_ms: int) -> None:
        found = state.get(charge.holder)
        start_ms = charge.start_ms if found is None else decode_lease(found).start_ms
        give_back(self, replace(charge, start_ms=start_ms), state, now_ms)

    patch.setattr(BudgetLeases, "give_back", given)


def keeps_what_a_recall_took(patch: pytest.MonkeyPatch) -> None:
    """What is returned after a recall is spent here nevertheless."""
    given_back = BudgetLeases._given_back

    def kept(self: BudgetLeases, key: str, row: LeaseRow, state: StateView, now_ms: int) -> tuple[LeaseRow, object]:
        return row, given_back(self, key, row, state, now_ms)[1]

    patch.setattr(BudgetLeases, "_given_back", kept)


def grants_what_is_held_elsewhere(patch: pytest.MonkeyPatch) -> None:
    """The owner counts what a holder was asked to return as returned."""
    left = allocation._left

    def more(row: AllocationRow, asked: Pending) -> int:
        return left(row, asked) + sum(row.held.get(partition, 0) for partition in row.recalled)

    patch.setattr(allocation, "_left", more)


PLANTS = (
    keeps_what_a_recall_took,
    grants_what_is_held_elsewhere,
    takes_any_grant,
    takes_what_is_given_back_twice,
    keeps_slices_for_the_next_window,
    spends_what_is_not_there,
    gives_back_again_and_again,
    gives_back_what_ran_in_another_window,
)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_caught(Fleet, plant.__name__, PLANT_SEEDS)
