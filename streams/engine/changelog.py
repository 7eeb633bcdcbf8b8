"""What restores and standbys have in common: stores that follow a changelog topic."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from streams.engine.state import stream_time_of
from streams.ports import DamagedStoreError, Received, Store, StoreProvider

_log = logging.getLogger(__name__)
STORE_AGE_MS_MAX = 43_200_000
"""A store that was written longer ago is rebuilt: compaction keeps the changelog's tombstones for a day
(`delete.retention.ms`), and without them rows would come back that have been deleted since."""

Rows = dict[bytes, bytes | None]


def rows_by_partition(records: Iterable[Received]) -> dict[int, Rows]:
    """Return the rows that changelog records result in, by partition; None deletes."""
    rows: dict[int, Rows] = {}
    for _, partition, _, _, key, value, _ in records:
        if key is not None:
            rows.setdefault(partition, {})[key] = value
    return rows


def open_store(stores: StoreProvider, changelog: str, partition: int, end: int, now_ms: int) -> Store:
    """Open a partition's store, and empty it if it can't be an earlier state of this changelog.

    Args:
        stores: opens and wipes stores.
        changelog: the topic.
        partition: its number.
        end: the changelog partition's high watermark.
        now_ms: the wall clock.

    Raises:
        StoreError: it can't be opened.
    """
    try:
        store = stores.open(partition)
    except DamagedStoreError as error:
        _log.warning("rebuilding the state of partition %d from `%s`: %s", partition, changelog, error)
        return _open_empty(stores, partition)
    offset = store.changelog_offset()
    if offset is None:
        return store
    written_ms = stream_time_of(store)
    # A partition that never had input has no stream time, and no row that was ever deleted.
    age_ms = now_ms - written_ms if written_ms else 0
    if offset <= end and age_ms <= STORE_AGE_MS_MAX:
        return store
    _log.warning(
        "rebuilding the state of partition %d: the store is %d ms old and was written up to offset %d of `%s`, "
        "which ends at %d",
        partition,
        age_ms,
        offset,
        changelog,
        end,
    )
    store.close()
    return _open_empty(stores, partition)


def _open_empty(stores: StoreProvider, partition: int) -> Store:
    stores.wipe(partition)
    return stores.open(partition)
