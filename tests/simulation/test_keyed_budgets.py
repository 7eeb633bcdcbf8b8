"""Budgets with a key hold for each value under every fault that the seeds bring; planted bugs are caught."""

from __future__ import annotations

from collections.abc import Callable
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source

import msgspec
import pytest

from streams.model.budget import family_of
from streams.model.intent import Intent
from streams.processors.budgets import allocator, charges, claims, leases
from streams.processors.budgets.allocation import AllocationRow
from streams.processors.budgets.lease_row import LeaseRow
from streams.processors.rows import lease_row_key
from tests.simulation.fleet import Fleet, assert_caught, assert_kept

SEEDS = 60
SEEDS_PER_TEST = 20
PLANT_SEEDS = 60
SUM_LIMIT = 60
TARGETS_LIMIT = 2
KEYS_MAX = 6
CUSTOMERS = ("1", 1, "ann", "Ann", "bob", "eve", 7, "joe")
RULES = f"""
budgets:
  refunds: {{per: tenant, key: args.customer, keys_max: {KEYS_MAX}, measure: {{sum: args.amount}},
             match: {{tools: [pay.refund]}}, limit: {SUM_LIMIT}, window: 20s}}
  targets: {{per: user, key: args.customer, measure: {{distinct: args.to}}, match: {{tools: [post.send]}},
             limit: {TARGETS_LIMIT}, window: 20s}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
"""


class KeyedFleet(Fleet):
    """One seed of calls for customers, some of whom are called almost the same."""

    rules = RULES

    def drawn_args(self, rng: Random) -> dict[str, object]:
        customer = CUSTOMERS[min(rng.randrange(len(CUSTOMERS)), rng.randrange(len(CUSTOMERS)))]
        if rng.random() < 0.7:
            return {"customer": customer, "amount": rng.choice((1, 5, 10, 20))}
        return {"customer": customer, "to": rng.sample([f"t-{number}" for number in range(5)], rng.randint(1, 2))}

    def count(
        self,
        intent: Intent,
        args: dict[str, object],
        window: int,
        sign: int,
        spent: dict[tuple[object, ...], int],
        uses: dict[tuple[object, ...], dict[str, int]],
    ) -> list[str]:
        customer, found = repr(args["customer"]), []
        if "amount" in args:
            key = (window, customer)
            spent[key] += sign * int(str(args["amount"]))
            if spent[key] > SUM_LIMIT:
                found.append(f"{spent[key]} refunded to {customer} in window {window}")
            in_use = sum(units > 0 for (other, _), units in spent.items() if other == window)
            if in_use > KEYS_MAX:
                found.append(f"{in_use} customers in window {window}")
        else:
            targets = uses[window, intent.sub, customer]
            for target in msgspec.convert(args["to"], list[str]):
                targets[target] += sign
            used = sum(units > 0 for units in targets.values())
            if used > TARGETS_LIMIT:
                found.append(f"{used} targets for {customer} of {intent.sub} in window {window}")
        return found


@pytest.fixture(autouse=True)
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are forgotten within a window, and sooner than records come again."""
    monkeypatch.setattr(allocator, "GRACE_MS", 3_000)
    monkeypatch.setattr(leases, "UNANSWERED_MS", 5_000)


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_no_limit_of_a_value_is_exceeded_and_every_intent_is_decided(first: int) -> None:
    report = assert_kept(KeyedFleet, range(first, first + SEEDS_PER_TEST))
    # A simulation in which no limit is reached and nothing goes wrong proves nothing.
    assert report.reasons["permitted"] > 500
    assert report.reasons["budget_exhausted"] > 150
    assert report.reasons["budget_keys_exhausted"] > 50
    assert report.reasons["budget_unavailable"] > 200
    assert report.given_back > 100
    assert report.duplicates > 500
    assert report.starts > 200


def does_not_keep_the_key_with_the_lease(patch: pytest.MonkeyPatch) -> None:
    """What is leased for one value is spent for any of them."""

    def without_key(budget_key: str) -> bytes:
        return lease_row_key(family_of(budget_key) or budget_key)

    for module in (claims, leases, charges):
        patch.setattr(module, "lease_row_key", without_key)


def forgets_what_was_spent(patch: pytest.MonkeyPatch) -> None:
    """A gate forgets a value that is not used for a while, whatever was spent of it."""
    patch.setattr(LeaseRow, "is_used", False)


def forgets_what_is_held(patch: pytest.MonkeyPatch) -> None:
    """The allocator forgets a value for which it has not been asked for a while, whatever is leased of it."""
    patch.setattr(AllocationRow, "is_unused", True)


def counts_no_values(patch: pytest.MonkeyPatch) -> None:
    """There is always room for another value."""
    patch.setattr(allocator, "live_keys", lambda *_: 0)


PLANTS = (
    does_not_keep_the_key_with_the_lease,
    forgets_what_was_spent,
    forgets_what_is_held,
    counts_no_values,
)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_caught(KeyedFleet, plant.__name__, PLANT_SEEDS)
