"""Budgets that several gate partitions share: their requests to the budget allocator, and its answers."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Millis, Record

_MEMORY_START = '["#'
_CARRIED_START = '["#!'
CARRIED_CONVERSATION = "#!conversation"
"""What the key of what a conversation has shown begins with. No memory's name has a `!`."""
CARRIED_STORE = "#!store"
"""What the key of what was written into a server's store begins with."""
CARRIED_WINDOW_END_MS = 253_402_300_799_000
"""The end of the one window of what is carried: the last second of the year 9999."""
_KEY_MARK = "#"
_KEY_CHARS = 33
"""The length of what follows the family in the key of a budget with a key: the mark, and 16 bytes in hex."""


def keyed(family: str, digest: bytes) -> str:
    """Return the budget key of one value of a budget's key; `family` is the budget with its owner, a JSON array.

    INVARIANT: no budget without a key has such a budget key, because that ends with a bracket.
    """
    return f"{family}{_KEY_MARK}{digest.hex()}"


def family_of(budget_key: str) -> str:
    """Return the family of a budget key that `keyed` has made; empty for the budget key of a budget without a key."""
    return budget_key[:-_KEY_CHARS] if budget_key[-_KEY_CHARS : 1 - _KEY_CHARS] == _KEY_MARK else ""


def memory_head(name: str, keep: str, per: str) -> tuple[str, ...]:
    """Return what the budget key of a memory that sessions share begins with; no budget's name has a `#`."""
    return (f"#{name}", keep, per)


def is_carried(budget_key: str) -> bool:
    """Return whether a budget key is that of values that outlive a session."""
    return budget_key.startswith(_CARRIED_START)


def is_carried_store(budget_key: str) -> bool:
    """Return whether a budget key is that of what was written into a server's store."""
    return budget_key.startswith(f'["{CARRIED_STORE}"')


def is_memory(budget_key: str) -> bool:
    """Return whether a budget key is that of a memory that sessions share."""
    return budget_key.startswith(_MEMORY_START)


def request_key(budget_key: str) -> bytes:
    """Return the record key of requests about a budget.

    All values of a budget's key have the same, so that one partition of the allocator can count them.
    """
    return (family_of(budget_key) or budget_key).encode("utf-8", "surrogatepass")


class BudgetOp(StrEnum):
    """What a gate asks of the allocator.

    NOTE and READ are about a memory that sessions share: NOTE says how much has happened on a partition in the window,
    all of it; READ asks how much has happened on the others. About values that outlive a session, NOTE adds `targets`
    and READ asks for all of them (`streams.provenance.sources.carried`).
    """

    UNKNOWN = "UNKNOWN"
    ASK = "ASK"
    GIVE_BACK = "GIVE_BACK"
    NOTE = "NOTE"
    READ = "READ"


class BudgetAnswer(StrEnum):
    """The allocator's answer to an ASK.

    RECALL answers no request: leases that are not used must be returned at once. NO_ROOM refuses a lease because the
    budget has as many keys in the window as it may have. COUNTED answers a READ.
    """

    REFUSED = "REFUSED"
    TOO_LATE = "TOO_LATE"
    GRANTED = "GRANTED"
    RECALL = "RECALL"
    NO_ROOM = "NO_ROOM"
    COUNTED = "COUNTED"


class CarriedSource(Record, frozen=True, kw_only=True):
    """What a session has read or written of others' words, and other sessions may know from it.

    Attributes:
        session_id: the session.
        event_id: the event that it has read, or the intent that has written into a store.
        noted_at: when a gate has noted it.
        digests: the first bytes of the keyed digests of some of its values, one behind the other; empty if all that the
            session knows may come from it.
    """

    session_id: str
    event_id: str
    noted_at: Millis = 0
    digests: bytes = b""


class BudgetRequest(Record, frozen=True, kw_only=True):
    """A gate partition asks for a lease of one window of a budget, or returns what it has not used of one.

    Attributes:
        budget_key: the budget and its owner, and for a budget with a key the digest of the key's value. The record's
            key is the budget key without that digest.
        gate_partition: the partition that asks, and that the answer goes to.
        serial: rises with each request of a partition; a repeated request is recognised by it.
        limit: of the whole budget, according to the asking gate's rules.
        need: the least amount that is useful; 0 asks in advance.
        want: the amount that is wanted.
        amount: the amount that is returned.
        targets: of a budget of distinct values, those that are asked for or returned.
        keys_max: how many values of its key the budget may have in a window; 0 for a budget without a key.
        sources: where values that outlive a session come from.
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
    keys_max: int = 0
    sources: tuple[CarriedSource, ...] = ()


class BudgetGrant(Record, frozen=True, kw_only=True):
    """The allocator's answer to an ASK: a lease that only this partition may spend in the window.

    Attributes:
        serial: the serial of the answered request; 0 for none.
        left: what is not leased to any partition.
        sources: where values that outlive a session come from.
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
    sources: tuple[CarriedSource, ...] = ()
