"""Budgets that several gate partitions share: their requests to the budget allocator, and its answers."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Millis, Record


class BudgetOp(StrEnum):
    """What a gate asks of the allocator."""

    UNKNOWN = "UNKNOWN"
    ASK = "ASK"
    GIVE_BACK = "GIVE_BACK"


class BudgetAnswer(StrEnum):
    """The allocator's answer to an ASK. RECALL answers no request: leases that are not used must be returned at
    once."""

    REFUSED = "REFUSED"
    TOO_LATE = "TOO_LATE"
    GRANTED = "GRANTED"
    RECALL = "RECALL"


class BudgetRequest(Record, frozen=True, kw_only=True):
    """A gate partition asks for a lease of one window of a budget, or returns what it has not used of one.

    Attributes:
        budget_key: the budget and its owner; also the record's key.
        gate_partition: the partition that asks, and that the answer goes to.
        serial: rises with each request of a partition; a repeated request is recognised by it.
        limit: of the whole budget, according to the asking gate's rules.
        need: the least amount that is useful; 0 asks in advance.
        want: the amount that is wanted.
        amount: the amount that is returned.
        targets: of a budget of distinct values, those that are asked for or returned.
    """

    header: Header
    budget_key: str
    op: BudgetOp = BudgetOp.UNKNOWN
    gate_partition: int
    serial: int
    window_start: Millis
    window_end: Millis
    limit: int
    need: int = 0
    want: int = 0
    amount: int = 0
    targets: tuple[bytes, ...] = ()


class BudgetGrant(Record, frozen=True, kw_only=True):
    """The allocator's answer to an ASK: a lease that only this partition may spend in the window.

    Attributes:
        serial: the serial of the answered request; 0 for none.
        left: what is not leased to any partition.
    """

    header: Header
    budget_key: str
    gate_partition: int
    serial: int
    window_start: Millis
    window_end: Millis
    answer: BudgetAnswer = BudgetAnswer.REFUSED
    amount: int = 0
    left: int = 0
    targets: tuple[bytes, ...] = ()
