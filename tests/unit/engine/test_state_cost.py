"""What the state of a partition costs: how often it asks its store, and how long it takes to keep a record."""

from __future__ import annotations

import time

from streams.engine.state import PartitionState
from streams.stores.memory import MemoryStore


class CountingStore(MemoryStore):
    """A store that counts how often it is asked for a row."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = 0

    def get(self, key: bytes) -> bytes | None:
        self.lookups += 1
        return super().get(key)


def test_a_row_that_comes_and_goes_is_looked_up_once() -> None:
    store = CountingStore()
    state = PartitionState(store)
    assert state.get(b"half") is None
    state.put(b"half", b"1")
    state.keep_record()
    state.delete(b"half")
    state.keep_record()
    assert not state.changes()
    assert store.lookups == 1


def test_rows_that_a_scan_has_found_only_in_the_transaction_are_not_looked_up() -> None:
    store = CountingStore()
    state = PartitionState(store)
    for number in range(100):
        state.put(b"w%02d" % number, b"1")
        state.keep_record()
    for key, _ in list(state.scan(b"w", b"x")):
        state.delete(key)
    state.keep_record()
    assert not state.changes()
    assert store.lookups == 0


def test_a_row_that_the_store_has_leaves_a_tombstone_after_a_scan() -> None:
    store = CountingStore()
    store.apply({b"w50": b"0"}, 1)
    state = PartitionState(store)
    for number in range(100):
        state.put(b"w%02d" % number, b"1")
    state.keep_record()
    for key, _ in list(state.scan(b"w", b"x")):
        state.delete(key)
    state.keep_record()
    assert state.changes() == {b"w50": None}


def test_what_the_store_did_not_have_before_a_commit_is_looked_up_after_it() -> None:
    store = CountingStore()
    state = PartitionState(store)
    assert state.get(b"half") is None
    state.put(b"half", b"1")
    state.keep_record()
    state.committed(1)
    state.put(b"half", b"2")
    state.delete(b"half")
    state.keep_record()
    assert state.changes() == {b"half": None}


KEPT = 8_000


def seconds_to_keep(state: PartitionState) -> float:
    """Return the CPU time of records with a row each."""
    begun = time.process_time()
    for number in range(KEPT):
        state.put(b"r%d" % number, b"1")
        state.keep_record()
    return time.process_time() - begun


def test_a_record_costs_the_same_however_many_rows_the_transaction_has() -> None:
    plain, scanned = PartitionState(MemoryStore()), PartitionState(MemoryStore())
    list(scanned.scan(b"a", b"b"))
    # To run over all rows for each record would take a hundred times as long.
    assert seconds_to_keep(scanned) < 10 * seconds_to_keep(plain) + 0.05
