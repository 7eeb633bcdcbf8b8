"""The memory of the desk: how far the topics are read, what is known of findings, and what is still to be delivered.

**Idea.** It is one SQLite file. What a batch of alerts leads to and how far the topics are read then are one
transaction, which is on disk before anything is sent. So after a crash, the file says of each alert that it was not
read, or what is to be delivered because of it, or nothing since that has happened. A delivery is deleted when its sink
has accepted it: a crash in between sends it once more, with the same id.

**Rejected.** A changelog topic and a processor of the engine, as gates have: alerts are few, and what the desk adds is
to deliver them from one place. A lost file costs a second delivery of the last `first_start_ms`, and no alert. Then,
findings are grouped by when they are read again, so that some messages have other ids.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import msgspec

from streams.desk.rows import Finding, Incident, Series, State
from streams.ports import TopicPartition
from streams.services.desk.errors import DeskError
from streams.services.desk.outbox import SCHEMA, Outbox, answers
from streams.services.sqlite_file import connect
from streams.stores.lock_file import lock_file
from streams.stores.private_folder import make_private

PURGED_MAX = 1_000
"""Rows that one step deletes at most."""
_LOCK_TIMEOUT_S = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS positions (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, oldest_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (uid TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL, row BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS findings_seen ON findings (seen_ms);
CREATE TABLE IF NOT EXISTS series (
    tenant TEXT NOT NULL, dedup_key TEXT NOT NULL, seen_ms INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (tenant, dedup_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS series_seen ON series (seen_ms);
CREATE TABLE IF NOT EXISTS incidents (
    uid TEXT PRIMARY KEY, grp TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    state TEXT NOT NULL, held_by TEXT NOT NULL, escalate_ms INTEGER, row BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incidents_group ON incidents (grp, first_ms);
CREATE INDEX IF NOT EXISTS incidents_state ON incidents (state);
CREATE INDEX IF NOT EXISTS incidents_last ON incidents (last_ms);
CREATE INDEX IF NOT EXISTS incidents_escalate ON incidents (escalate_ms) WHERE escalate_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS incidents_held ON incidents (held_by, first_ms) WHERE held_by <> '';
"""
_ONE_OF_INCIDENTS = "SELECT row FROM incidents "

_encode = msgspec.msgpack.Encoder().encode
_finding = msgspec.msgpack.Decoder(Finding).decode
_series = msgspec.msgpack.Decoder(Series).decode
_incident = msgspec.msgpack.Decoder(Incident).decode


class Position(NamedTuple):
    """How far a partition is read.

    Attributes:
        next_offset: the first record that was not read.
        oldest_ms: records that are older were there before the desk, and are left out.
    """

    next_offset: int
    oldest_ms: int


class DeskStore:
    """The file. Thread-safe: the sinks' threads have a connection of their own, beside that of who reads alerts.

    Attributes:
        outbox: the messages that wait for sinks.
    """

    def __init__(self, folder: Path, *, is_guest: bool = False) -> None:
        """Open the file, or create it.

        Args:
            folder: its folder, which one desk uses at a time.
            is_guest: whether a running desk may have the folder, beside which this looks at it.

        Raises:
            DeskError: the file can't be used, another desk uses it, or there is none to look at.
        """
        path = folder / "desk.sqlite"
        self._locked: TextIO | None = None
        self._lock = threading.RLock()
        try:
            if is_guest:
                if not path.is_file():
                    raise DeskError(f"there is no desk in `{folder}`: it has not run there yet")
            else:
                make_private(folder)
                self._locked = _locked(folder / "desk.lock")
            self._connection = connect(path, _LOCK_TIMEOUT_S)
            self.outbox = Outbox(self._connection, connect(path, _LOCK_TIMEOUT_S))
            # Also as a guest: the desk that runs there may be of an earlier version.
            self._connection.executescript(_SCHEMA + SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise DeskError(f"`{path}` can't be used: {error}") from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is written while entered durable together, or not at all if it raises.

        Raises:
            DeskError: the file can't be written.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise DeskError(f"the desk's file can't be written: {error}") from None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo, within a transaction, what is written while entered if that raises."""
        self._connection.execute("SAVEPOINT record")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO record")
            self._connection.execute("RELEASE record")
            raise
        self._connection.execute("RELEASE record")

    def positions(self) -> dict[TopicPartition, Position]:
        """Return how far each partition is read.

        Raises:
            DeskError: the file can't be read.
        """
        with self._lock:
            found = answers(self._connection, "SELECT topic, partition, next_offset, oldest_ms FROM positions", ())
        return {TopicPartition(topic, partition): Position(*rest) for topic, partition, *rest in found}

    def begin(self, place: TopicPartition, oldest_ms: int) -> None:
        """Note that a partition is read from its beginning, without records that are older than an instant.

        Raises:
            DeskError: the file can't be written.
        """
        with self.transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO positions VALUES (?, ?, 0, ?)", (place.topic, place.partition, oldest_ms)
            )

    def note_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Remember how far partitions are read that were begun."""
        self._connection.executemany(
            "UPDATE positions SET next_offset = ? WHERE topic = ? AND partition = ?",
            [(offset, place.topic, place.partition) for place, offset in positions.items()],
        )

    def finding(self, uid: str) -> Finding | None:
        """Return a finding; None if it is not known."""
        found = self._connection.execute("SELECT row FROM findings WHERE uid = ?", (uid,)).fetchone()
        return None if found is None else _finding(found[0])

    def put_finding(self, finding: Finding) -> None:
        """Keep a finding."""
        self._connection.execute(
            "INSERT OR REPLACE INTO findings VALUES (?, ?, ?)", (finding.uid, finding.seen_ms, _encode(finding))
        )

    def series(self, tenant: str, dedup_key: str) -> Series | None:
        """Return a series of a tenant; None if nobody has said anything about it."""
        statement = "SELECT row FROM series WHERE tenant = ? AND dedup_key = ?"
        found = self._connection.execute(statement, (tenant, dedup_key)).fetchone()
        return None if found is None else _series(found[0])

    def put_series(self, series: Series) -> None:
        """Keep a series."""
        self._connection.execute(
            "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)",
            (series.tenant, series.dedup_key, series.seen_ms, _encode(series)),
        )

    def incident(self, uid: str) -> Incident | None:
        """Return an incident; None if it is not known."""
        return self._one_incident("WHERE uid = ?", (uid,))

    def newest_open(self, group: str) -> Incident | None:
        """Return the incident of a group that began last, of those that nobody has acknowledged or closed."""
        return self._one_incident("WHERE grp = ? AND state = 'open' ORDER BY first_ms DESC, uid LIMIT 1", (group,))

    def put_incident(self, incident: Incident) -> None:
        """Keep an incident."""
        self._connection.execute(
            "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                incident.uid,
                incident.group,
                incident.first_ms,
                incident.last_ms,
                incident.state.value,
                incident.held_by,
                incident.escalate_ms,
                _encode(incident),
            ),
        )

    def to_escalate(self, now_ms: int, limit: int) -> Sequence[Incident]:
        """Return incidents whose `escalate_ms` has come, at most `limit`."""
        where = "WHERE escalate_ms <= ? ORDER BY escalate_ms LIMIT ?"
        return self._incidents(where, (now_ms, limit))

    def waited_for(self) -> Sequence[str]:
        """Return the names of the windows that incidents wait for."""
        found = self._connection.execute("SELECT DISTINCT held_by FROM incidents WHERE held_by <> ''")
        return [name for (name,) in found.fetchall()]

    def waiting(self, window: str, limit: int) -> Sequence[Incident]:
        """Return incidents that wait for a window, the oldest first, at most `limit`."""
        where = "WHERE held_by = ? AND held_by <> '' ORDER BY first_ms LIMIT ?"
        return self._incidents(where, (window, limit))

    def purge(self, before_ms: int) -> None:
        """Forget findings, series and incidents that were not heard of since an instant, and messages that were set
        aside or left out before it, a bounded step.

        Incidents of which people are still to be told stay: those that wait for a window, or for their escalation. So
        do their findings, by which people acknowledge them.
        """
        statement = (
            "SELECT MIN(first_ms) FROM incidents WHERE last_ms < ? AND (held_by <> '' OR escalate_ms IS NOT NULL)"
        )
        ((waiting_ms,),) = self._connection.execute(statement, (before_ms,))
        findings_ms = before_ms if waiting_ms is None else min(before_ms, waiting_ms)
        for table, key, is_old, old_ms in (
            ("findings", "uid", "seen_ms < ?", findings_ms),
            ("series", "tenant, dedup_key", "seen_ms < ?", before_ms),
            ("incidents", "uid", "last_ms < ? AND held_by = '' AND escalate_ms IS NULL", before_ms),
            # Their alerts are no longer on the topic either. Messages that are still tried stay.
            ("deliveries", "number", "is_set_aside = 1 AND made_ms < ?", before_ms),
            ("owed", "sink, incident", "last_ms < ?", before_ms),
        ):
            self._connection.execute(
                f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {is_old} LIMIT ?)",  # noqa: S608 - both are from the lines above
                (old_ms, PURGED_MAX),
            )

    def states(self) -> dict[State, int]:
        """Return how many incidents are in each state.

        Raises:
            DeskError: the file can't be read.
        """
        # Not on the connection of who reads alerts, which may wait for the log in a transaction.
        found = dict(self.outbox.ask("SELECT state, COUNT(*) FROM incidents GROUP BY state", ()))
        return {state: found.get(state.value, 0) for state in State}

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()
            self.outbox.close()
            if self._locked is not None:
                self._locked.close()

    def _one_incident(self, where: str, values: tuple[Any, ...]) -> Incident | None:
        return next(iter(self._incidents(where, values)), None)

    def _incidents(self, where: str, values: tuple[Any, ...]) -> list[Incident]:
        found = self._connection.execute(_ONE_OF_INCIDENTS + where, values)
        return [_incident(row) for (row,) in found.fetchall()]


def _locked(path: Path) -> TextIO:
    file = lock_file(path)
    if file is None:
        raise DeskError(f"another desk runs in `{path.parent}`: give each its own state folder")
    return file
