"""What is particular to the stores on RocksDB: crashes, damage, strangers, locks."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from rocksdict import Rdict

from streams.ports import DamagedStoreError, StoreError
from streams.stores import rocks
from streams.stores.rocks import SCAN_BYTES_AHEAD, RocksStores

ROWS_PER_BATCH = 20
BLOCK_BYTES = 4096
IO_COUNTS = Path("/proc/self/io")

# Batch n writes rows 0..19 with the value n, deletes a row of the batch before, and has the offset n.
WRITER = """
import sys
from pathlib import Path
from streams.stores.rocks import RocksStores
store = RocksStores(Path(sys.argv[1])).open(0)
first = (store.changelog_offset() or 0) + 1
for batch in range(first, first + 1_000_000):
    rows = {b"row-%02d" % number: b"%d" % batch + b"." * 2000 for number in range(20)}
    rows[b"only-of-%d" % batch] = b""
    rows[b"only-of-%d" % (batch - 1)] = None
    store.apply(rows, batch)
    if (batch - first) % 100 == 99:
        print(batch, flush=True)
"""


def test_the_directory_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        stores = RocksStores(tmp_path / "stores")
    finally:
        os.umask(before)
    stores.open(0).close()
    assert (tmp_path / "stores").stat().st_mode & 0o077 == 0


def test_killed_writer_leaves_rows_and_offset_of_one_batch(tmp_path: Path) -> None:
    stores_path = tmp_path / "stores"
    kept = 0
    for round_number in range(3):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(stores_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        # 100 batches are 4 MB, a memtable: each round is killed after a few flushes, at another point of the next.
        for _ in range(3 + round_number):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()

        store = RocksStores(stores_path).open(0)
        offset = store.changelog_offset()
        assert offset is not None
        assert offset > kept
        kept = offset
        rows = dict(store.scan(b"row-", b"row-\xff"))
        assert len(rows) == ROWS_PER_BATCH
        assert {value.rstrip(b".") for value in rows.values()} == {b"%d" % offset}
        assert [key for key, _ in store.scan(b"only", b"onlz")] == [b"only-of-%d" % offset]
        store.close()


def bytes_read() -> int:
    return int(IO_COUNTS.read_text().split()[1])


def filled(directory: Path) -> RocksStores:
    stores = RocksStores(directory)
    store = stores.open(0)
    store.apply({b"k%04d" % number: hashlib.sha512(b"%d" % number).digest() for number in range(1000)}, 5)
    store.close()
    return stores


@pytest.mark.parametrize("victim", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_missing_file_is_damage_and_wiping_helps(tmp_path: Path, victim: str) -> None:
    stores = filled(tmp_path / "stores")
    for path in (tmp_path / "stores" / "0").glob(victim):
        path.unlink()
    with pytest.raises(DamagedStoreError, match="wipe it"):
        stores.open(0)
    stores.wipe(0)
    store = stores.open(0)
    assert store.changelog_offset() is None
    store.close()


@pytest.mark.parametrize("victim", ["*.sst", "MANIFEST-*", "CURRENT"])
def test_truncated_file_is_damage(tmp_path: Path, victim: str) -> None:
    stores = filled(tmp_path / "stores")
    for path in (tmp_path / "stores" / "0").glob(victim):
        path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(DamagedStoreError):
        stores.open(0)


def test_flipped_bits_are_damage_not_data(tmp_path: Path) -> None:
    stores = filled(tmp_path / "stores")
    (table,) = (tmp_path / "stores" / "0").glob("*.sst")
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 0x10
    table.write_bytes(bytes(content))
    store = stores.open(0)
    with pytest.raises(DamagedStoreError, match="checksum"):
        list(store.scan(b"k", b"l"))
    with pytest.raises(DamagedStoreError, match="checksum"):
        [store.get(b"k%04d" % number) for number in range(1000)]
    store.close()


def test_database_of_another_program_is_damage(tmp_path: Path) -> None:
    from rocksdict import Options, Rdict

    stores = RocksStores(tmp_path / "stores")
    foreign = Rdict(str(tmp_path / "stores" / "0"), options=Options(raw_mode=True))
    foreign[b"key"] = b"value"
    foreign.close()
    with pytest.raises(DamagedStoreError, match="another program"):
        stores.open(0)
    stores.wipe(0)
    stores.open(0).close()


def test_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(StoreError, match="not empty"):
        RocksStores(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "stores").write_text("dear")
    with pytest.raises(StoreError, match="can't use"):
        RocksStores(tmp_path / "stores")


def test_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "stores")
    (tmp_path / "stores" / "STOPLOG-STORES").write_text("stoplog stores 2\n")
    with pytest.raises(StoreError, match="stores 2"):
        RocksStores(tmp_path / "stores")


def test_second_opening_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    stores = filled(tmp_path / "stores")
    store = stores.open(0)
    with pytest.raises(StoreError, match="close it first"):
        stores.open(0)
    with pytest.raises(StoreError, match="close it first"):
        stores.wipe(0)
    with pytest.raises(StoreError, match="open in another process") as caught:
        RocksStores(tmp_path / "stores").open(0)
    assert not isinstance(caught.value, DamagedStoreError)
    assert store.get(b"k0001") == hashlib.sha512(b"1").digest()
    store.close()


def test_a_store_that_is_opened_again_has_its_share_of_the_cache(tmp_path: Path) -> None:
    """What the provider is made with counts, not what the folder was made with."""
    for cache_bytes in (1 << 20, 16 << 20):
        provider = RocksStores(tmp_path / "stores", cache_bytes=cache_bytes)
        store = provider.open(0)
        store.apply({b"key": b"row"}, 1)
        assert store._open_db().property_int_value("rocksdb.block-cache-capacity") == cache_bytes
        store.close()


def test_a_row_of_a_large_file_costs_blocks_and_not_the_file_s_index(tmp_path: Path) -> None:
    """An index that is larger than its part of the cache would be read again for each row."""
    provider = RocksStores(tmp_path / "stores", cache_bytes=1 << 20)
    store = provider.open(0)
    keys = [b"session/" * 8 + hashlib.sha256(b"%d" % number).digest() for number in range(300_000)]
    for start in range(0, len(keys), 10_000):
        store.apply({key: key[-32:] * 2 for key in keys[start : start + 10_000]}, start)
    store._open_db().compact_range(None, None)
    store.close()
    store = provider.open(0)
    picked = keys[::300]
    before = bytes_read()
    assert all(store.get(key) for key in picked)
    blocks = (bytes_read() - before) / len(picked) / BLOCK_BYTES
    store.close()
    assert blocks < 4


# Lets no file grow while a store is closed, as on a full disk. In a process of its own, because the limit is of one.
FULL = """
import resource, sys
from pathlib import Path
from streams.ports import StoreError
from streams.stores.rocks import RocksStores
stores = RocksStores(Path(sys.argv[1]))
store = stores.open(0)
store.apply({b"key": b"value"}, 1)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
try:
    store.close()
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
stores.open(0).close()
print("open again")
"""


def test_a_full_disk_while_it_is_closed_is_an_error_of_the_store_and_releases_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "stores")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    failed, opened = done.stdout.splitlines()
    assert failed.startswith(f"can't flush store `{tmp_path / 'stores' / '0'}`: ")
    assert opened == "open again"


def test_what_ends_the_flush_of_a_close_releases_it_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as Ctrl-C, or a panic of the library, which is no `Exception` either."""

    class Interrupted:
        def __init__(self, *args: Any, **options: Any) -> None:
            self._db = Rdict(*args, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._db, name)

        def flush(self) -> None:
            raise KeyboardInterrupt

    stores = filled(tmp_path / "stores")
    with monkeypatch.context() as patch:
        patch.setattr(rocks, "Rdict", Interrupted)
        store = stores.open(0)
        with pytest.raises(KeyboardInterrupt):
            store.close()
    stores.open(0).close()


def test_scan_cut_off_by_close_says_so(tmp_path: Path) -> None:
    store = filled(tmp_path / "stores").open(0)
    walk = store.scan(b"k", b"l")
    store.close()
    with pytest.raises(StoreError, match="closed during a scan"):
        list(walk)


def test_long_scans_end_at_their_end_whatever_else_goes_on(tmp_path: Path) -> None:
    store = filled(tmp_path / "stores").open(0)
    for _ in range(50):
        walk = store.scan(b"k", b"k0900")
        seen = 0
        for key, _ in walk:
            seen += 1
            list(store.scan(key, key + b"\x00"))
        assert seen == 900
    store.close()


def test_half_wiped_folder_is_cleared_away(tmp_path: Path) -> None:
    stores = filled(tmp_path / "stores")
    shutil.copytree(tmp_path / "stores" / "0", tmp_path / "stores" / "0.wiping")
    stores.wipe(0)
    shutil.copytree(tmp_path / "stores", tmp_path / "stores" / "1.wiping")
    RocksStores(tmp_path / "stores")
    assert [path.name for path in (tmp_path / "stores").iterdir()] == ["STOPLOG-STORES"]


def test_wiping_a_link_leaves_its_target(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "file").write_text("dear")
    stores = RocksStores(tmp_path / "stores")
    (tmp_path / "stores" / "0").symlink_to(target)
    stores.wipe(0)
    assert (target / "file").read_text() == "dear"


def test_nothing_is_written_to_a_write_ahead_log(tmp_path: Path) -> None:
    store = RocksStores(tmp_path / "stores").open(0)
    store.apply({b"a": b"v" * 10_000}, 1)
    assert sum(path.stat().st_size for path in (tmp_path / "stores" / "0").glob("*.log")) == 0
    store.close()


def test_a_scan_of_rows_to_be_deleted_does_not_fill_the_cache(tmp_path: Path) -> None:
    """Verdicts of five minutes ago took all of the 64 MB, and a gate's memory grew by 10 MB a minute until then."""
    used = {}
    for cold in (False, True):
        stores = RocksStores(tmp_path / str(cold), cold=(b"w",) if cold else ())
        store = stores.open(0)
        for batch in range(20):
            store.apply({b"w%06d" % (batch * 50 + row): os.urandom(16_000) for row in range(50)}, batch + 1)
        store.close()
        store = stores.open(0)
        before = stores.cached_bytes
        assert sum(1 for _ in store.scan(b"w", b"x")) == 1_000
        used[cold] = stores.cached_bytes - before
        assert len(store.get(b"w000001") or b"") == 16_000
        store.close()
    assert used[False] > 10_000_000
    assert used[True] < 1_000_000


def test_a_scan_looks_ahead_a_bounded_number_of_bytes(tmp_path: Path) -> None:
    store = RocksStores(tmp_path / "stores").open(0)
    store.apply({b"%06d" % row: bytes(16_000) for row in range(200)}, 1)
    tracemalloc.start()
    walk = store.scan(b"0", b"1")
    next(walk)
    ahead_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ahead_bytes < 2 * SCAN_BYTES_AHEAD
    assert sum(1 for _ in walk) == 199
    store.close()
