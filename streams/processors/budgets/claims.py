"""What calls take of a shared budget, what a lease lacks for that, and how much to request."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from streams.ports.processor import StateView
from streams.processors.budgets.lease_row import LeaseRow, decode_lease
from streams.processors.budgets.round_trips import round_trip_ms
from streams.processors.rows import lease_row_key

replace = msgspec.structs.replace

FIRST_SHARE_DIVISOR = 32
"""The first request is for at least this part of the limit: how much will be needed is not known yet."""
KEYED_SHARE_DIVISOR = 4
"""The first request for one value of a budget's key is for at least this part of the limit. Calls with one value mostly
come from few sessions, so few partitions share it; what is not used stays leased until it is recalled."""
KEYED_MORE_DIVISOR = 2
"""Further requests of a partition that has spent something of the value are for at least this part."""
LEFT_DIVISOR = 8
"""Intents that wait get at most this part of what the allocator has left beyond their needs."""


class Claim(NamedTuple):
    """What a call takes of a shared budget in the current window."""

    key: str
    tenant_uid: str
    start_ms: int
    end_ms: int
    limit: int
    amount: int
    targets: tuple[bytes, ...]
    keys_max: int = 0
    warn_at: int = 0


def used_of_lease(claim: Claim, get: Callable[[bytes], bytes | None]) -> int:
    """Return what calls of this partition have used of the claim's budget and window: an amount, or how many values.

    Args:
        claim: of the budget; its amount and values count only as far as it was taken.
        get: returns a row of the partition's state.
    """
    found = get(lease_row_key(claim.key))
    row = None if found is None else decode_lease(found)
    if row is None or row.start_ms != claim.start_ms:
        return 0
    return sum(1 for uses in row.targets.values() if uses) if claim.targets else row.spent


def lease_of_now(claim: Claim, state: StateView) -> LeaseRow:
    """Return the row of the current window; of an earlier window only the waiting intents and the timer are kept."""
    found = state.get(lease_row_key(claim.key))
    fresh = LeaseRow(
        claim.tenant_uid, claim.start_ms, claim.end_ms, claim.limit, keys_max=claim.keys_max, warn_at=claim.warn_at
    )
    if found is None:
        return fresh
    row = decode_lease(found)
    if (row.start_ms, row.end_ms) != (claim.start_ms, claim.end_ms):
        return replace(fresh, waiting=row.waiting, due_ms=row.due_ms)
    if (row.limit, row.keys_max, row.warn_at) == (claim.limit, claim.keys_max, claim.warn_at):
        return row
    return replace(row, limit=claim.limit, keys_max=claim.keys_max, warn_at=claim.warn_at)


def idle_values(claim: Claim, row: LeaseRow) -> tuple[bytes, ...]:
    """Return the reserved values that neither a call nor the claim uses."""
    if not claim.targets:
        return ()
    return tuple(sorted(target for target, uses in row.targets.items() if not uses and target not in claim.targets))


def taken_together(claim: Claim, row: LeaseRow) -> int:
    """Return the sum of the claim and what calls of this partition have taken, wherever else some is spent."""
    if not claim.targets:
        return row.spent + claim.amount
    return len({target for target, uses in row.targets.items() if uses}.union(claim.targets))


def amount_lacking(claim: Claim, row: LeaseRow) -> int:
    """Return how much the claim needs beyond what is leased: an amount, or how many values."""
    if claim.targets:
        return sum(target not in row.targets for target in claim.targets)
    return max(0, claim.amount - row.available)


def amount_wanted(claim: Claim, row: LeaseRow, state: StateView) -> int:
    """Return what to request for intents that wait: what they need, and what more is needed until the answer comes.

    The second part shrinks with what the allocator has left, so that near the end nobody is given what others wait for.
    """
    if claim.targets:
        return 0
    if claim.keys_max:
        return max(row.demand, row.limit // (KEYED_MORE_DIVISOR if row.spent else KEYED_SHARE_DIVISOR))
    if round_trip_ms(state) is None or not row.span_start_ms:
        return max(row.demand, row.limit // FIRST_SHARE_DIVISOR)
    return max(row.demand - row.available, row.behind) + min(row.expected(), row.left // LEFT_DIVISOR)
