"""Stores on RocksDB: a folder per partition, `<directory>/<partition>`.

There is no write-ahead log: what a crash loses is replayed from the changelog. That is safe because rows and changelog
offset are written in one batch and in ONE column family, and a flush then writes whole batches, in order. A second
column family (or a second database) for the offset was rejected: a crash could keep the offset and lose rows.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams.ports import DamagedStoreError, StoreError

CACHE_BYTES = 64 * 1024 * 1024
MEMTABLES_BYTES = 32 * 1024 * 1024
MEMTABLE_BYTES = 4 * 1024 * 1024
BLOOM_BITS_PER_KEY = 10
OPEN_FILES_PER_STORE_MAX = 64
LOG_BYTES_MAX = 1024 * 1024
FRESH_FILES_MAX = 8
SCAN_ROWS_AHEAD = 256
SCAN_BYTES_AHEAD = 256 * 1024

MARKER_NAME = "STOPLOG-STORES"
MARKER = "stoplog stores 1\n"
WIPING_SUFFIX = ".wiping"

_FAMILY = "default"
_ROW = b"\x01"
_OFFSET_KEY = b"\x00changelog-offset"
_OFFSET_BYTES = 8


class RocksStore:
    """The port `Store` on one RocksDB folder. For one thread at a time."""

    def __init__(
        self, folder: Path, options: Options, closed: Callable[[], None] = lambda: None, cold: tuple[bytes, ...] = ()
    ) -> None:
        """Open the folder; a new one is created if it does not exist.

        Args:
            folder: a folder for this partition only.
            options: in raw mode, without a comparator or merge operator of its own.
            closed: called at the end of `close`.
            cold: the prefixes of rows that are scanned only to be deleted. Their blocks are kept out of the cache.

        Raises:
            DamagedStoreError: files are missing or broken, or the folder belongs to another program.
            StoreError: another process has it open, or the disk reports an error.
        """
        self._folder = folder
        self._closed = closed
        self._cold = cold
        self._walks: weakref.WeakSet[_Walk] = weakref.WeakSet()
        try:
            # Set for the column family, too: rocksdict opens that of an existing folder with the options stored there,
            # and so without the shared cache; with a million rows a read then cost 100 us instead of 3.
            self._db: Rdict | None = Rdict(str(folder), options=options, column_families={_FAMILY: options})
        except Exception as error:
            raise _open_error(folder, error) from error
        writes = WriteOptions()
        writes.disable_wal = True  # type: ignore[method-assign,assignment]  # an attribute, against its stub
        self._db.set_write_options(writes)
        try:
            self._offset = self._stored_offset(self._db)
        except BaseException:
            self.close()
            raise

    def _stored_offset(self, db: Rdict) -> int | None:
        try:
            stored = db.get(_OFFSET_KEY)
            empty = stored is not None or next(iter(db.keys()), None) is None
        except Exception as error:
            raise self._failure("read", error) from error
        if not empty or (stored is not None and (type(stored) is not bytes or len(stored) != _OFFSET_BYTES)):
            raise DamagedStoreError(f"store `{self._folder}` holds rows of another program: wipe it")
        return None if stored is None else int.from_bytes(stored, "big")

    def _open_db(self) -> Rdict:
        if self._db is None:
            raise StoreError(f"store `{self._folder}` is closed")
        return self._db

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None.

        Raises:
            DamagedStoreError: a checksum does not match.
        """
        db = self._db if self._db is not None else self._open_db()
        try:
            value: bytes | None = db.get(_ROW + key)
        except StoreError:
            raise
        except Exception as error:
            raise self._failure("read", error) from error
        return value

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with start <= key < end, in key order, as they are now; later writes don't change them.

        Raises:
            DamagedStoreError: a checksum does not match.
            StoreError: from the iterator, if the store is closed before its end.
        """
        db = self._open_db()
        if end <= start:
            return iter(())
        walk = _Walk(self, db, _ROW + start, _ROW + end, is_cold=start.startswith(self._cold))
        if walk.unfinished():
            self._walks.add(walk)
        return walk

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write (None: delete) the rows and the offset in one batch.

        Raises:
            StoreError: nothing was written.
        """
        db = self._open_db()
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(_ROW + key)
            else:
                batch.put(_ROW + key, value)
        batch.put(_OFFSET_KEY, changelog_offset.to_bytes(_OFFSET_BYTES, "big"))
        try:
            db.write(batch)
        except Exception as error:
            raise self._failure("write", error) from error
        self._offset = changelog_offset

    def changelog_offset(self) -> int | None:
        """Return the offset of the last `apply` that was kept; None for a new store."""
        self._open_db()
        return self._offset

    def close(self) -> None:
        """Flush, and release the folder's lock. A second call does nothing.

        Raises:
            StoreError: the flush failed; the lock is released anyway.
        """
        db, self._db = self._db, None
        if db is None:
            return
        # An iterator keeps the database, and so the lock, alive after its `close`.
        for walk in list(self._walks):
            walk.release()
        try:
            try:
                db.flush()
            finally:
                # It flushes as well, and so fails once more on a full disk, but releases the database first.
                db.close()
        except Exception as error:
            raise self._failure("flush", error) from error
        finally:
            self._closed()

    def _failure(self, verb: str, error: Exception) -> StoreError:
        if str(error).startswith("Corruption"):
            return DamagedStoreError(f"can't {verb} store `{self._folder}`: {error}; wipe it")
        return StoreError(f"can't {verb} store `{self._folder}`: {error}")


class _Walk:
    """Rows of a range, fetched in portions."""

    def __init__(self, store: RocksStore, db: Rdict, start: bytes, end: bytes, *, is_cold: bool) -> None:
        self._store = store
        # INVARIANT: the options live as long as the cursor: it points to the upper bound inside them, and without
        # them could end anywhere.
        self._options = ReadOptions()
        self._options.set_iterate_upper_bound(end)
        if is_cold:
            self._options.fill_cache(False)  # type: ignore[call-arg]  # takes a value, against its stub
        self._cursor: RdictIter | None = db.iter(self._options)
        self._cursor.seek(start)
        self._released = False
        self._ahead: Iterator[tuple[bytes, bytes]] = iter(())
        self._fetch()

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        for row in self._ahead:
            return row
        self._fetch()
        return next(self._ahead)

    def _fetch(self) -> None:
        if self._released:
            raise StoreError(f"store `{self._store._folder}` was closed during a scan")
        cursor = self._cursor
        if cursor is None:
            return
        ahead: list[tuple[bytes, bytes]] = []
        try:
            room_bytes = SCAN_BYTES_AHEAD
            while cursor.valid() and len(ahead) < SCAN_ROWS_AHEAD and room_bytes > 0:
                value = cursor.value()
                ahead.append((cursor.key()[1:], value))
                room_bytes -= len(value)
                cursor.next()
            if not cursor.valid():
                # A cursor that met a broken block looks like one at its end (and rocksdict's `items` ends silently).
                cursor.status()
                self._cursor = None
        except Exception as error:
            raise self._store._failure("scan", error) from error
        self._ahead = iter(ahead)

    def unfinished(self) -> bool:
        """Return whether it still uses the database."""
        return self._cursor is not None

    def release(self) -> None:
        """Release the database; rows that were not fetched yet can no longer be read."""
        self._released = self._cursor is not None
        self._cursor = None


class RocksStores:
    """The port `StoreProvider` on a directory; its stores share one block cache and one limit on unflushed rows."""

    def __init__(self, directory: Path, *, cache_bytes: int = CACHE_BYTES, cold: tuple[bytes, ...] = ()) -> None:
        """Open the directory; a new one is created if it does not exist, readable only by its owner.

        Args:
            directory: a directory for these stores only.
            cache_bytes: for all stores together: blocks, indexes, filters, and unflushed rows.
            cold: the prefixes of rows that are scanned only to be deleted. Their blocks are kept out of the cache.

        Raises:
            StoreError: the directory holds something else, or stores of a newer version.
        """
        self._directory = directory
        self._cold = cold
        self._cache = Cache(cache_bytes)
        self._memtables = WriteBufferManager.new_write_buffer_manager_with_cache(MEMTABLES_BYTES, False, self._cache)
        self._open: set[int] = set()
        try:
            self._take_directory()
        except OSError as error:
            raise StoreError(f"can't use `{directory}` for stores: {error}") from error

    @property
    def cached_bytes(self) -> int:
        """How much the block cache of all stores holds, unflushed rows included."""
        return int(self._cache.get_usage())

    def _take_directory(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        marker = self._directory / MARKER_NAME
        if not marker.exists():
            if any(self._directory.iterdir()):
                raise StoreError(
                    f"`{self._directory}` is not empty and does not hold stores of stoplog: name another folder"
                )
            marker.write_text(MARKER, encoding="utf-8")
        found = marker.read_text(encoding="utf-8")
        if found != MARKER:
            raise StoreError(f"`{marker}` says `{found.strip()[:80]}`, not `{MARKER.strip()}`: name another folder")
        for leftover in self._directory.glob(f"*{WIPING_SUFFIX}"):
            shutil.rmtree(leftover)

    def open(self, partition: int) -> RocksStore:
        """Return the partition's store; an empty one is created if there is none.

        Raises:
            DamagedStoreError: files are missing or broken: wipe it.
            StoreError: it is open already, here or in another process, or the disk reports an error.
        """
        self._require_closed(partition)
        store = RocksStore(self._folder(partition), self._options(), lambda: self._open.discard(partition), self._cold)
        self._open.add(partition)
        return store

    def wipe(self, partition: int) -> None:
        """Delete the (closed) partition's folder. Does nothing if there is none.

        Raises:
            StoreError: the store is open, or the folder can't be deleted.
        """
        self._require_closed(partition)
        folder = self._folder(partition)
        doomed = folder.with_name(folder.name + WIPING_SUFFIX)
        try:
            if doomed.exists():
                shutil.rmtree(doomed)
            if folder.is_symlink() or folder.is_file():
                folder.unlink()
            elif folder.exists():
                # A crash amid the deletion must not leave a folder that looks like a store.
                folder.rename(doomed)
                shutil.rmtree(doomed)
        except OSError as error:
            raise StoreError(f"can't wipe store `{folder}`: {error}") from error

    def _require_closed(self, partition: int) -> None:
        if partition in self._open:
            raise StoreError(f"store `{self._folder(partition)}` is open: close it first")

    def _folder(self, partition: int) -> Path:
        return self._directory / str(int(partition))

    def _options(self) -> Options:
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_bloom_filter(BLOOM_BITS_PER_KEY, False)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        # In parts: the whole index of a file of 40 MB is larger than a shard of the cache, so each row read it again:
        # 150 us instead of 8.
        table.set_index_type(BlockBasedIndexType.two_level_index_search())
        table.set_partition_filters(True)
        table.set_pin_top_level_index_and_filter(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self._memtables)
        options.set_write_buffer_size(MEMTABLE_BYTES)
        # Twice RocksDB's default: each merge writes all rows of the partition again.
        options.set_level_zero_file_num_compaction_trigger(FRESH_FILES_MAX)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(OPEN_FILES_PER_STORE_MAX)
        options.set_keep_log_file_num(1)
        options.set_max_log_file_size(LOG_BYTES_MAX)
        options.set_stats_dump_period_sec(0)
        options.set_stats_persist_period_sec(0)
        return options


def _open_error(folder: Path, error: Exception) -> StoreError:
    text = str(error)
    if "/LOCK:" in text:
        return StoreError(f"store `{folder}` is open in another process: end that one first ({text})")
    # RocksDB reports missing or unreadable files in one of these ways; everything else is an error of the disk.
    if text.startswith(("Corruption", "Invalid argument")) or "No such file or directory" in text:
        return DamagedStoreError(f"store `{folder}` is damaged: {text}; wipe it to rebuild it from the changelog")
    return StoreError(f"can't open store `{folder}`: {text}")
