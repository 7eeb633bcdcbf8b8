"""What every store promises."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.ports import StoreError, StoreProvider
from streams.stores.memory import MemoryStores
from streams.stores.rocks import RocksStores

FIRST, LAST = b"", b"\xff" * 8


def test_new_store_is_empty(stores: StoreProvider) -> None:
    store = stores.open(0)
    assert store.get(b"a") is None
    assert list(store.scan(FIRST, LAST)) == []
    assert store.changelog_offset() is None
    store.close()


def test_rows_are_read_back_overwritten_and_deleted(stores: StoreProvider) -> None:
    store = stores.open(0)
    store.apply({b"a": b"1", b"b": b"2", b"": b"of the empty key"}, 10)
    assert (store.get(b"a"), store.get(b"b"), store.get(b"")) == (b"1", b"2", b"of the empty key")
    store.apply({b"a": b"one", b"b": None, b"never there": None}, 12)
    assert (store.get(b"a"), store.get(b"b")) == (b"one", None)
    assert list(store.scan(FIRST, LAST)) == [(b"", b"of the empty key"), (b"a", b"one")]
    assert store.changelog_offset() == 12
    store.close()


def test_empty_value_is_a_value(stores: StoreProvider) -> None:
    store = stores.open(0)
    store.apply({b"a": b""}, 1)
    assert store.get(b"a") == b""
    store.close()


def test_offset_alone_is_applied(stores: StoreProvider) -> None:
    store = stores.open(0)
    store.apply({}, 0)
    assert store.changelog_offset() == 0
    store.apply({}, 2**40)
    assert store.changelog_offset() == 2**40
    store.close()


def test_scan_takes_start_and_leaves_out_end(stores: StoreProvider) -> None:
    store = stores.open(0)
    keys = [b"a", b"b", b"b\x00", b"b\xff", b"c", b"\x00", b"\xff\xff"]
    store.apply(dict.fromkeys(keys, b"v"), 1)
    assert [key for key, _ in store.scan(b"b", b"c")] == [b"b", b"b\x00", b"b\xff"]
    assert [key for key, _ in store.scan(b"", b"a")] == [b"\x00"]
    assert [key for key, _ in store.scan(b"bb", b"\xff\xff\xff")] == [b"b\xff", b"c", b"\xff\xff"]
    assert list(store.scan(b"c", b"c")) == []
    assert list(store.scan(b"c", b"b")) == []
    store.close()


def test_scan_does_not_see_later_applies(stores: StoreProvider) -> None:
    store = stores.open(0)
    rows = {b"k%05d" % number: b"old" for number in range(1000)}
    store.apply(dict(rows), 1)
    walk = store.scan(b"k", b"l")
    head = list(itertools.islice(walk, 3))
    store.apply({b"k00500": b"new", b"k00501": None, b"k99999": b"new"}, 2)
    assert head + list(walk) == sorted(rows.items())
    store.close()


def test_partitions_are_apart(stores: StoreProvider) -> None:
    first, second = stores.open(1), stores.open(2)
    first.apply({b"a": b"1"}, 5)
    assert second.get(b"a") is None
    assert second.changelog_offset() is None
    first.close()
    stores.wipe(1)
    second.apply({b"a": b"2"}, 6)
    assert second.get(b"a") == b"2"
    second.close()


def test_reopened_store_has_everything(stores: StoreProvider) -> None:
    store = stores.open(3)
    store.apply({b"k%05d" % number: b"%d" % number for number in range(2000)}, 77)
    store.apply({b"k00007": None}, 78)
    store.close()
    again = stores.open(3)
    assert again.changelog_offset() == 78
    assert (again.get(b"k00006"), again.get(b"k00007")) == (b"6", None)
    assert len(list(again.scan(b"k", b"l"))) == 1999
    again.close()


def test_close_with_an_unfinished_scan_lets_the_store_be_opened_again(stores: StoreProvider) -> None:
    store = stores.open(0)
    store.apply({b"k%05d" % number: b"v" for number in range(2000)}, 1)
    walk = store.scan(b"k", b"l")
    assert next(walk) == (b"k00000", b"v")
    store.close()
    again = stores.open(0)
    assert again.get(b"k01999") == b"v"
    again.close()


def test_closed_store_refuses_work(stores: StoreProvider) -> None:
    store = stores.open(0)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.get(b"a")
    with pytest.raises(StoreError, match="closed"):
        store.apply({}, 1)
    with pytest.raises(StoreError, match="closed"):
        store.scan(b"", b"a")
    with pytest.raises(StoreError, match="closed"):
        store.changelog_offset()


def test_wiped_store_is_new(stores: StoreProvider) -> None:
    store = stores.open(0)
    store.apply({b"a": b"1"}, 9)
    store.close()
    stores.wipe(0)
    again = stores.open(0)
    assert again.get(b"a") is None
    assert again.changelog_offset() is None
    again.close()


def test_wiping_nothing_is_no_error(stores: StoreProvider) -> None:
    stores.wipe(41)


@contextmanager
def fresh_stores(kind: str) -> Iterator[StoreProvider]:
    if kind == "memory":
        yield MemoryStores()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield RocksStores(Path(folder) / "stores")


KEYS = st.binary(max_size=3) | st.sampled_from([b"\x00changelog-offset", b"a" * 300])
BATCHES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=40), max_size=80), min_size=1, max_size=6)


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=BATCHES, bounds=st.lists(st.tuples(KEYS, KEYS), max_size=6), reopen_after=st.integers(0, 6))
def test_store_behaves_like_a_sorted_dictionary(
    kind: str, batches: list[dict[bytes, bytes | None]], bounds: list[tuple[bytes, bytes]], reopen_after: int
) -> None:
    model: dict[bytes, bytes] = {}
    with fresh_stores(kind) as provider:
        store = provider.open(0)
        for number, batch in enumerate(batches):
            store.apply(batch, number)
            model.update({key: value for key, value in batch.items() if value is not None})
            for key, value in batch.items():
                if value is None:
                    model.pop(key, None)
            if number == reopen_after:
                store.close()
                store = provider.open(0)
            for key in batch:
                assert store.get(key) == model.get(key)
            for start, end in bounds:
                expected = sorted((key, value) for key, value in model.items() if start <= key < end)
                assert list(store.scan(start, end)) == expected
            assert store.changelog_offset() == number
        store.close()
