"""Budgets that several partitions of the gate share: what a gate asks of a budget's owner, and what it is given."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Millis, Record


class BudgetOp(StrEnum):
    """What a gate wants of the owner."""

    UNKNOWN = "UNKNOWN"
    ASK = "ASK"
    GIVE_BACK = "GIVE_BACK"


class BudgetAnswer(StrEnum):
    """What the owner says to an ASK; RECALL answers none: what lies unused is to be given back at once."""

    REFUSED = "REFUSED"
    TOO_LATE = "TOO_LATE"
    GRANTED = "GRANTED"
    RECALL = "RECALL"


class BudgetRequest(Record, frozen=True, kw_only=True):
    """A gate partition asks for a slice of one window of a budget, or gives back what it has not used of one.

    Attributes:
        budget_key: which budget, of whom; also the record's key.
        gate_partition: who asks; the answer goes there.
        serial: rises with each of a partition's requests; a request that comes again is known by it.
        limit: of the whole budget, as the asking gate's rules have it.
        need: what the slice is of use from; 0 asks ahead.
        want: what would be welcome.
        amount: what is given back.
        targets: of a budget of distinct values, which are asked for or given back.
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
    """The owner's answer to an ASK: a slice that the partition may spend in the window, and nobody else.

    Attributes:
        serial: of the request that is answered; 0 for none.
        left: what has not been given to any partition.
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
