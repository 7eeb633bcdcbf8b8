"""The only place where the keys of rows are made. What rows there are is in `streams.processors.row_kinds`.

The state of a partition is one ordered keyspace. A key begins with the prefix of its kind, one byte, and no two kinds
share a prefix. Behind it stand names that strangers choose: anyone who can write an intent names a tenant, a session
and an intent. So a key must have one reading only. The rules:

- A name that another part of the key follows must not contain NUL, which separates parts. A record with such a name is
  rejected. Session keys are checked before anything else, and rule files do not allow NUL in the names of memories.
- The last name of a key may be any text, also if nothing but a part of a fixed length follows it.
- A part of a fixed length (an instant, a digest) needs no separator.

Rejected: escaping NUL (no such row exists, and each key would cost more), and putting the length before each name (the
rows of layout 1 would all have to be written again).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.processors.row_kinds import RowKind

_NUL = b"\x00"
_NUL_BYTE = 0
"""To look for the number takes a thirtieth of the time that it takes to look for the byte as a text."""
_AFTER_NUL = b"\x01"
INSTANT_BYTES = 8
"""The length of an instant in a key, which is big-endian, so that keys are in the order of time."""
CHECKSUM_BYTES = 4
DAY_BYTES = 4
"""The length of a day in a key: days since 1970, big-endian."""
_pack_segment = Struct(">QI").pack


COLD_ROWS = (RowKind.VERDICT.prefix, RowKind.VERDICT_BYTES.prefix)
"""What is scanned only to be deleted: the blocks of these rows would fill a store's cache with what is over."""

REQUEST_SERIAL_KEY = RowKind.REQUEST_SERIAL.prefix
ROUND_TRIP_KEY = RowKind.ROUND_TRIP.prefix
REVOCATION_SWEEP_KEY = RowKind.REVOCATION_SWEEP.prefix
STOPS_FOLLOWED_KEY = RowKind.STOPS_FOLLOWED.prefix
HORIZON_KEY = RowKind.HORIZON.prefix
LAYOUT_KEY = RowKind.LAYOUT.prefix
UNPROVEN_FLOOD_KEY = RowKind.UNPROVEN_FLOOD.prefix
VERDICT_BYTES_HEAD_KEY = RowKind.VERDICT_BYTES_HEAD.prefix
OPEN_ALERTS_KEY = RowKind.OPEN_ALERTS.prefix
SEALED_KEY = RowKind.SEALED.prefix
WATCHED_LOG_KEY = RowKind.WATCHED_LOG.prefix

# Plain bytes: a member of an enum costs several lookups, and keys are made for every intent.
_SESSION = RowKind.SESSION.prefix
_VERDICT = RowKind.VERDICT.prefix
_PENDING = RowKind.PENDING.prefix
_EFFECTS = RowKind.EFFECTS.prefix
_MEMORY_HEAD = RowKind.MEMORY_HEAD.prefix
_MEMORY_CELL = RowKind.MEMORY_CELL.prefix
_SPEND = RowKind.SPEND.prefix
_DESCENDANT = RowKind.DESCENDANT.prefix
_GRANT = RowKind.GRANT.prefix
_SEGMENT = RowKind.VERDICT_BYTES.prefix
_UNPROVEN = RowKind.UNPROVEN.prefix
_APPROVAL_GRANTS = RowKind.APPROVAL_GRANTS.prefix
_LEASE = RowKind.LEASE.prefix
_ALLOCATION = RowKind.ALLOCATION.prefix
_TALLY = RowKind.TALLY.prefix
_KEY_COUNT = RowKind.KEY_COUNT.prefix
_STOP = RowKind.STOP.prefix
_STOP_END = RowKind.STOP_END.prefix
_ALERT = RowKind.ALERT.prefix
_PROVENANCE = RowKind.PROVENANCE.prefix
_SIGNALS = RowKind.SIGNALS.prefix
_CARRIED = RowKind.CARRIED.prefix
_CARRIED_QUESTION = RowKind.CARRIED_QUESTION.prefix
_BEHAVIOUR = RowKind.BEHAVIOUR.prefix
_BEHAVIOUR_EXPIRY = RowKind.BEHAVIOUR_EXPIRY.prefix
_ATOMS = RowKind.ATOMS.prefix
_CONTENT = RowKind.CONTENT.prefix
_CONTENT_KEYS = RowKind.CONTENT_KEYS.prefix
_HALF = RowKind.HALF.prefix
_BEHAVIOUR_WAITING = RowKind.BEHAVIOUR_WAITING.prefix
_BEHAVIOUR_PACK = RowKind.BEHAVIOUR_PACK.prefix


def carried_row_key(budget_key: str) -> bytes:
    """Return the key of a set of values that outlive sessions."""
    return _CARRIED + budget_key.encode()


def carried_question_row_key(budget_key: str) -> bytes:
    """Return the key of a question for values that outlive sessions."""
    return _CARRIED_QUESTION + budget_key.encode()


def session_row_key(session_key: bytes) -> bytes:
    """Return the key of a session's row."""
    return _SESSION + session_key


def verdict_row_key(session_key: bytes, intent_id: str) -> bytes:
    """Return the key of the verdict that an intent was given."""
    # As `_terminated` does, without the call: every intent comes here twice.
    if _NUL_BYTE in session_key:
        raise _contains_nul(session_key)
    return _VERDICT + session_key + _NUL + intent_id.encode()


def pending_row_key(session_key: bytes, intent_id: str) -> bytes:
    """Return the key of an intent that waits."""
    return _PENDING + _terminated(session_key) + intent_id.encode()


def effects_row_key(session_key: bytes, intent_id: str) -> bytes:
    """Return the key of what an allowed call's end brings."""
    return _EFFECTS + _terminated(session_key) + intent_id.encode()


def head_row_key(session_key: bytes, memory: str) -> bytes:
    """Return the key of a memory as a whole."""
    return _MEMORY_HEAD + _terminated(session_key) + memory.encode()


def cell_row_key(session_key: bytes, memory: str, key: bytes) -> bytes:
    """Return the key of a memory's cell; `key` is a digest of fixed length, or empty."""
    return _MEMORY_CELL + _terminated(session_key) + _terminated(memory.encode()) + key


def spend_row_key(session_key: bytes, budget: str) -> bytes:
    """Return the key of what a session has spent of a budget."""
    return _SPEND + _terminated(session_key) + budget.encode()


def descendant_row_key(session_key: bytes) -> bytes:
    """Return the key of the mark that an intent waits in a session which descends from another."""
    return _DESCENDANT + session_key


def grant_row_key(session_key: bytes) -> bytes:
    """Return the key of what a session's grant lets through."""
    return _GRANT + session_key


def approval_grants_row_key(session_key: bytes) -> bytes:
    """Return the key of the approvals that people have granted for further calls of a session."""
    return _APPROVAL_GRANTS + session_key


def unproven_row_key(session_key: bytes) -> bytes:
    """Return the key of what a session keeps of intents without a proof."""
    return _UNPROVEN + session_key


def signals_row_key(session_key: bytes) -> bytes:
    """Return the key of the last calls of a session."""
    return _SIGNALS + session_key


def half_row_key(verdict_id: str) -> bytes:
    """Return the key of the half of a decision that came first."""
    return _HALF + verdict_id.encode()


def behaviour_waiting_key(time_ms: int, event_id: str, checksum: int) -> bytes:
    """Return the key of a decision that waits to be judged: in the order of time, then of ids, then of checksums."""
    # Both ends have a fixed length, so the id may be any text. NUL keeps the order of ids.
    instant, check = time_ms.to_bytes(INSTANT_BYTES, "big"), checksum.to_bytes(CHECKSUM_BYTES, "big")
    return _BEHAVIOUR_WAITING + instant + event_id.encode() + _NUL + check


def behaviour_waiting_until(time_ms: int) -> tuple[bytes, bytes]:
    """Return the key range of the decisions that were made before `time_ms`."""
    return _before(_BEHAVIOUR_WAITING, time_ms)


def behaviour_pack_key(waiting_key: bytes) -> bytes:
    """Return the key of the decisions that wait in one row, by the key of the first of them."""
    return _BEHAVIOUR_PACK + waiting_key[len(_BEHAVIOUR_WAITING) :]


def behaviour_packs_until(time_ms: int) -> tuple[bytes, bytes]:
    """Return the key range of the packs of which a decision was made before `time_ms`."""
    return _before(_BEHAVIOUR_PACK, time_ms)


def _before(prefix: bytes, time_ms: int) -> tuple[bytes, bytes]:
    return prefix, prefix + max(0, time_ms).to_bytes(INSTANT_BYTES, "big")


def behaviour_row_key(key: bytes) -> bytes:
    """Return the key of a row of behaviour."""
    return _BEHAVIOUR + key


def behaviour_expiry_key(day: int, key: bytes) -> bytes:
    """Return the key of the mark that a row of behaviour may expire on a day."""
    return _BEHAVIOUR_EXPIRY + day.to_bytes(DAY_BYTES, "big") + key


def behaviour_expired_before(day: int) -> tuple[bytes, bytes]:
    """Return the key range of the marks of the days before `day`."""
    return _BEHAVIOUR_EXPIRY, _BEHAVIOUR_EXPIRY + day.to_bytes(DAY_BYTES, "big")


def provenance_row_key(session_key: bytes) -> bytes:
    """Return the key of what a session has read as a whole."""
    return _PROVENANCE + session_key


def atoms_row_key(session_key: bytes, bucket: int) -> bytes:
    """Return the key of a bucket of the values that a session has seen."""
    return atoms_bucket_key(atoms_row_prefix(session_key), bucket)


def atoms_row_prefix(session_key: bytes) -> bytes:
    """Return what the keys of all buckets of a session begin with."""
    return _ATOMS + _terminated(session_key)


def atoms_bucket_key(prefix: bytes, bucket: int) -> bytes:
    """Return the key of a bucket of the session that `prefix` is of (`atoms_row_prefix`)."""
    return prefix + bucket.to_bytes()


def content_row_key(session_key: bytes, number: int) -> bytes:
    """Return the key of an event that values were seen in."""
    return _CONTENT + _terminated(session_key) + bytes((number,))


def content_keys_row_key(session_key: bytes) -> bytes:
    """Return the key of which keys of captured content a session has."""
    return _CONTENT_KEYS + session_key


def alert_row_key(digest: bytes) -> bytes:
    """Return the key of an alert whose window is open."""
    return _ALERT + digest


def segment_row_key(start_ms: int, number: int) -> bytes:
    """Return the key of a segment of the bytes of verdicts."""
    return _SEGMENT + _pack_segment(start_ms, number)


def segment_start_ms(key: bytes) -> int:
    """Return when a segment began: what its key says."""
    return int.from_bytes(key[len(_SEGMENT) : len(_SEGMENT) + INSTANT_BYTES], "big")


def lease_row_key(budget_key: str) -> bytes:
    """Return the key of what the partition holds of a shared budget."""
    return _LEASE + budget_key.encode()


def budget_of_lease(key: bytes) -> str:
    """Return the budget key of a lease's row: the reverse of `lease_row_key`."""
    return key[len(_LEASE) :].decode()


def stop_row_key(record_key: bytes) -> bytes:
    """Return the key of a stop in force."""
    return _STOP + record_key


def record_key_of_stop(key: bytes) -> bytes:
    """Return the record key of a stop: the reverse of `stop_row_key`."""
    return key[len(_STOP) :]


def stop_end_row_key(due_ms: int, record_key: bytes) -> bytes:
    """Return the key of the row that says when a stop or a release is dropped from the topic."""
    return _STOP_END + due_ms.to_bytes(INSTANT_BYTES, "big") + record_key


def record_key_of_stop_end(key: bytes) -> bytes:
    """Return the record key in a key of `stop_end_row_key`."""
    return key[len(_STOP_END) + INSTANT_BYTES :]


def allocation_row_key(budget_key: str, start_ms: int) -> bytes:
    """Return the key of a window of a shared budget at the allocator."""
    return _ALLOCATION + _terminated(budget_key.encode()) + start_ms.to_bytes(INSTANT_BYTES, "big")


def tally_row_key(budget_key: str) -> bytes:
    """Return the key of what a partition knows of a memory that sessions share."""
    return _TALLY + budget_key.encode()


def key_count_row_key(family: str, start_ms: int) -> bytes:
    """Return the key of how many values of a budget's key have a budget in a window."""
    return _KEY_COUNT + _terminated(family.encode()) + start_ms.to_bytes(INSTANT_BYTES, "big")


def budget_of_allocation(key: bytes) -> str:
    """Return the budget key of an allocation's row: the reverse of `allocation_row_key`."""
    return key[len(_ALLOCATION) : -len(_NUL) - INSTANT_BYTES].decode()


def rows_of_session(kind: RowKind, session_key: bytes) -> tuple[bytes, bytes]:
    """Return the key range of a session's rows, of a kind whose keys have a name behind the session key."""
    prefix = kind.prefix
    return prefix + _terminated(session_key), prefix + session_key + _AFTER_NUL


def cells_of_memory(session_key: bytes, memory: str) -> tuple[bytes, bytes]:
    """Return the key range of a memory's cells."""
    start = cell_row_key(session_key, memory, b"")
    return start, start[: -len(_NUL)] + _AFTER_NUL


def name_in(kind: RowKind, session_key: bytes, key: bytes) -> str:
    """Return what stands behind the session key in a key of `rows_of_session`."""
    return key[len(kind.prefix) + len(session_key) + len(_NUL) :].decode()


def all_rows(kind: RowKind) -> tuple[bytes, bytes]:
    """Return the key range of all rows of a kind."""
    return kind.prefix, bytes((kind.prefix[0] + 1,))


class TimerKind(IntEnum):
    """Which of its timers has come due."""

    PENDING = 1
    HOUSEKEEPING = 2
    LEASE = 3
    VERDICT_BYTES = 4
    UNPROVEN_FLOOD = 5
    ALERT = 9
    TALLY = 12
    JOIN = 20
    BEHAVIOUR = 21
    BEHAVIOUR_EXPIRY = 22
    BASELINE = 23


def timer_payload(kind: TimerKind, key: bytes, intent_id: str = "") -> bytes:
    """Return what a timer brings back: its kind, a session key or a budget key, and an intent id."""
    return bytes((kind,)) + _terminated(key) + intent_id.encode()


_JOIN = bytes((TimerKind.JOIN,))


def join_timer_payload(verdict_id: str) -> bytes:
    """Return what `timer_payload` does of a half of a decision. Two halves of each come through here."""
    return _JOIN + _terminated(verdict_id.encode())


def parse_timer(payload: bytes) -> tuple[TimerKind, bytes, str]:
    """Return the kind, the key and the intent id of a timer: the reverse of `timer_payload`."""
    key, _, intent_id = payload[1:].partition(_NUL)
    return TimerKind(payload[0]), key, intent_id.decode()


def _terminated(name: bytes) -> bytes:
    """Return the name with the separator behind it.

    Raises:
        RecordError: it contains the separator, so that the key could be that of another row.
    """
    if _NUL_BYTE in name:
        raise _contains_nul(name)
    return name + _NUL


def _contains_nul(name: bytes) -> RecordError:
    return RecordError(DeadLetterReason.RECORD_INVALID, f"`{name[:80]!r}` contains NUL")
