"""Checks state: the stores against the changelog, and the changelog against the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from simulation.auditor import Evidence
from streams.history.recording import place_of
from streams.inmemory.disk import Disk
from streams.inmemory.log import MemoryLog
from streams.model.delegation import Delegation, DelegationOp
from streams.model.session import SessionEvent
from streams.model.topics import DELEGATION, REPORT, SESSION
from streams.ports import TopicPartition
from streams.processors.dedup.flood import FloodRow
from streams.processors.row_kinds import RowKind
from streams.processors.rows import UNPROVEN_FLOOD_KEY, session_row_key
from streams.processors.session_row import SessionRow, decode_session
from streams.processors.sessions.lifecycle import OVER

Rows = dict[bytes, bytes]


class ChangelogTape:
    """A copy of everything that was ever committed to the changelog, as the log compacts its own."""

    def __init__(self, log: MemoryLog, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._read_to: dict[int, int] = {}
        self._records: dict[int, list[tuple[int, bytes, bytes | None]]] = {}

    def copy(self) -> None:
        """Copy what is new. Call it before each compaction."""
        for number in range(self._log.partition_count(self._topic)):
            partition = self._log.partition(TopicPartition(self._topic, number))
            found, self._read_to[number] = partition.read(self._read_to.get(number, 0), partition.high_watermark)
            tape = self._records.setdefault(number, [])
            tape.extend((record.offset, record.key or b"", record.value) for record in found)

    def end(self, partition: int) -> int:
        """Return the offset up to which the changelog was copied."""
        return self._read_to.get(partition, 0)

    def rows(self, partition: int, end: int | None = None) -> Rows:
        """Return the state that the records below `end` result in."""
        rows: Rows = {}
        for offset, key, value in self._records.get(partition, []):
            if end is not None and offset >= end:
                break
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        return rows


def check_stores(tape: ChangelogTape, disks: Mapping[str, Disk], owners: Mapping[int, str]) -> Iterator[str]:
    """Check that every store holds what the changelog says up to its offset, and an owner's store up to the end."""
    for instance, disk in disks.items():
        for partition in disk.partitions():
            if disk.is_damaged(partition):
                continue
            offset = disk.changelog_offset(partition)
            difference = _difference(disk.rows(partition), tape.rows(partition, offset or 0))
            if difference:
                yield f"store {partition} of {instance} at changelog offset {offset}: {difference}"
    for partition, instance in owners.items():
        difference = _difference(disks[instance].rows(partition), tape.rows(partition))
        if difference:
            yield f"store {partition} of its owner {instance}: {difference}"


def check_taken_over(tape: ChangelogTape, instance: str, disk: Disk, partitions: Sequence[int]) -> Iterator[str]:
    """Check that stores of partitions that were taken over hold what is committed, up to their offset.

    A store whose end isn't stable yet (its last transaction is committed and not marked everywhere) is left out: what
    the tape has ends before it.
    """
    for partition in partitions:
        offset = disk.changelog_offset(partition)
        if offset is None or offset > tape.end(partition):
            continue
        difference = _difference(disk.rows(partition), tape.rows(partition, offset))
        if difference:
            yield f"store {partition}, taken over by {instance}, at changelog offset {offset}: {difference}"


def check_sessions(evidence: Evidence, rows: Rows) -> Iterator[str]:
    """Check that every accepted session event and grant has changed the state."""
    sequences: dict[bytes, int] = {}
    for received, record in (*evidence.decoded.get(SESSION.name, []), *evidence.decoded.get(REPORT.name, [])):
        if isinstance(record, SessionEvent) and place_of(received) not in evidence.letters:
            key = received.key or b""
            sequences[key] = max(sequences.get(key, 0), record.sequence)
    for key, sequence in sequences.items():
        row = _session(rows, key)
        if row is None or row.counters.sequence != sequence:
            yield f"session {key.decode()!r} stands at event {row and row.counters.sequence}, not at {sequence}"
    for received, record in evidence.decoded.get(DELEGATION.name, []):
        if isinstance(record, Delegation) and place_of(received) not in evidence.letters:
            row = _session(rows, received.key or b"")
            if row is not None and (row.life.status in OVER or row.grant.grant_fault):
                continue
            if record.op is DelegationOp.GRANT and (row is None or record.uid not in row.grant.delegation_uids):
                yield f"grant at {place_of(received)} vanished"


def held_count(rows: Rows) -> int:
    """Return how many intents are pending."""
    return sum(1 for key in rows if key.startswith(RowKind.PENDING.prefix))


def left_out_count(rows: Rows) -> int:
    """Return how many dead letters the partition has not written a common audit record of yet."""
    row = rows.get(UNPROVEN_FLOOD_KEY)
    return 0 if row is None else msgspec.msgpack.decode(row, type=FloodRow).left_out


def _session(rows: Rows, key: bytes) -> SessionRow | None:
    row = rows.get(session_row_key(key))
    return None if row is None else decode_session(row)


def _difference(actual: Rows, expected: Rows) -> str:
    """Return the first few keys in which they differ."""
    keys = sorted(key for key in actual.keys() | expected.keys() if actual.get(key) != expected.get(key))
    if not keys:
        return ""

    def told(key: bytes) -> str:
        how = "is missing" if key not in actual else "should not be" if key not in expected else "differs"
        return f"{key[:60]!r} {how}"

    return f"{len(keys)} rows differ from the changelog: {'; '.join(told(key) for key in keys[:3])}"
