"""The registry of row kinds: which rows a partition's state holds, and the only place where their keys are made.

The state of a partition is one ordered keyspace. A key begins with the prefix of its kind, one byte, and no two kinds
share a prefix. Behind it stand names that strangers choose: anyone who can write an intent names a tenant, a session
and an intent. So a key must have one reading only. The rules:

- A name that another part of the key follows must not contain NUL, which separates parts. A record with such a name is
  rejected. Session keys are checked before anything else, and rule files do not allow NUL in the names of memories.
- The last name of a key may be any text.
- A part of a fixed length (an instant, a digest) needs no separator.

Rejected: escaping NUL (no such row exists, and each key would cost more), and putting the length before each name (the
rows of layout 1 would all have to be written again).

The engine keeps rows of its own in the same keyspace, under prefixes that `streams.ports.processor` names; the registry
reserves them.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from struct import Struct
from typing import NamedTuple

from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.ports.processor import BROADCAST_KEY_PREFIX, STREAM_TIME_KEY, TIMER_KEY_PREFIX

_NUL = b"\x00"
_NUL_BYTE = 0
"""To look for the number takes a thirtieth of the time that it takes to look for the byte as a text."""
_AFTER_NUL = b"\x01"
INSTANT_BYTES = 8
"""The length of an instant in a key, which is big-endian, so that keys are in the order of time."""
DAY_BYTES = 4
"""The length of a day in a key: days since 1970, big-endian."""
_pack_segment = Struct(">QI").pack


class Kind(NamedTuple):
    """What there is to know of one kind of row.

    Attributes:
        prefix: what its keys begin with.
        key: what follows the prefix.
        holds: what the row is for.
        row: where its class is, as `module:Class`; empty if the row is not a record.
        writer: the module that decides what is written.
        bound: what keeps the number of rows, and their size, finite.
    """

    prefix: bytes
    key: str
    holds: str
    row: str
    writer: str
    bound: str


_STATE = "streams.processors.state"
_PER_SESSION = "one of a session; removed with it, `dedup_retention_ms` after its end"


class RowKind(Kind, Enum):
    """Every kind of row, of the gate's partitions and of the budget allocator's."""

    SESSION = Kind(
        b"s",
        "session key",
        "a session: its life, what it has read, its counters",
        "streams.processors.session_row:SessionRow",
        "streams.processors.gate.session_events",
        _PER_SESSION,
    )
    VERDICT = Kind(
        b"v",
        "session key, NUL, intent id",
        "which verdict an intent was given",
        f"{_STATE}:VerdictRow",
        "streams.processors.gate.conclusion",
        "one of an intent, for `dedup_retention_ms`",
    )
    PENDING = Kind(
        b"h",
        "session key, NUL, intent id",
        "an intent that waits",
        f"{_STATE}:PendingRow",
        "streams.processors.gate.pending_rows",
        "`pending_per_session_max` of a session",
    )
    EFFECTS = Kind(
        b"p",
        "session key, NUL, intent id",
        "what the end of an allowed call brings",
        f"{_STATE}:EffectsRow",
        "streams.processors.sessions.completion_effects",
        "one of an allowed call, until its end or for `dedup_retention_ms`",
    )
    MEMORY_HEAD = Kind(
        b"k",
        "session key, NUL, memory",
        "a session's memory as a whole",
        f"{_STATE}:HeadRow",
        "streams.processors.sessions.memory",
        "one of each memory of the rules; removed with its session",
    )
    MEMORY_CELL = Kind(
        b"m",
        "session key, NUL, memory, NUL, digest of the value or nothing",
        "what a memory holds of one value",
        f"{_STATE}:CellRow",
        "streams.processors.sessions.memory",
        "`KEYS_MAX` and one of each memory of a session",
    )
    SPEND = Kind(
        b"b",
        "session key, NUL, budget",
        "what a session has spent of a budget of its own",
        f"{_STATE}:SpendRow",
        "streams.processors.budgets.charges",
        "one of each budget of the rules; removed with its session",
    )
    VERDICT_BYTES = Kind(
        b"w",
        "instant, number",
        "a segment of the bytes of the newest verdicts",
        "",
        "streams.processors.dedup.segments",
        "`verdict_bytes_per_partition_max` bytes, for `verdict_bytes_retention_ms`",
    )
    VERDICT_BYTES_HEAD = Kind(
        b"x",
        "nothing",
        "which segment is the newest, and how much all of them hold",
        "streams.processors.dedup.segments:SegmentsRow",
        "streams.processors.dedup.segments",
        "one of a partition",
    )
    UNPROVEN = Kind(
        b"u",
        "session key",
        "the intents of a session that were denied without a proof",
        "streams.processors.dedup.unproven:UnprovenRow",
        "streams.processors.dedup.unproven",
        "one of a session, with about `UNPROVEN_PER_SESSION_MAX` entries",
    )
    UNPROVEN_FLOOD = Kind(
        b"f",
        "nothing",
        "how many intents without a proof came in the current window",
        "streams.processors.dedup.flood:FloodRow",
        "streams.processors.dedup.flood",
        "one of a partition",
    )
    ALERT = Kind(
        b"a",
        "digest of the dedup key",
        "an alert whose window is open, with its count",
        "streams.processors.dedup.alerts:AlertRow",
        "streams.processors.dedup.alerts",
        "`OPEN_PER_KIND_MAX` and one of each kind of alert, for `alert_window_ms`",
    )
    OPEN_ALERTS = Kind(
        b"A",
        "nothing",
        "how many alerts of each kind have an open window",
        "",
        "streams.processors.dedup.alerts",
        "one of a partition, with an entry for each kind",
    )
    DESCENDANT = Kind(
        b"d",
        "session key",
        "a mark: an intent waits in this session, which descends from another",
        "",
        "streams.processors.gate.pending_rows",
        "one of a session in which an intent waits",
    )
    GRANT = Kind(
        b"g",
        "session key",
        "what a session's grant lets through",
        "streams.delegation.authority:AuthorityRow",
        "streams.processors.sessions.grants",
        _PER_SESSION,
    )
    APPROVAL_GRANTS = Kind(
        b"G",
        "session key",
        "the approvals that people have granted for further calls of a session",
        f"{_STATE}:ApprovalGrantsRow",
        "streams.processors.gate.approval_grants",
        "one of a session, with `GRANTS_PER_SESSION_MAX` entries; removed with it",
    )
    LEASE = Kind(
        b"l",
        "budget key",
        "what the partition holds of a budget that several partitions share",
        "streams.processors.budgets.lease_row:LeaseRow",
        "streams.processors.budgets.leases",
        "one of a budget, or of each value of its key, until the end of its window",
    )
    REQUEST_SERIAL = Kind(
        b"q",
        "nothing",
        "the number of the partition's last budget request",
        "",
        "streams.processors.budgets.leases",
        "one of a partition",
    )
    ROUND_TRIP = Kind(
        b"y",
        "nothing",
        "how long answers of the budget allocator take (gate), or answers to its recalls (allocator)",
        "",
        "streams.processors.budgets.round_trips",
        "one of a partition",
    )
    REVOCATION_SWEEP = Kind(
        b"r",
        "nothing",
        "how far the pending intents were checked against revocations",
        "streams.processors.gate.revoked_pending:SweepRow",
        "streams.processors.gate.revoked_pending",
        "one of a partition",
    )
    STOP = Kind(
        b"S",
        "record key of the stop",
        "a stop in force, which outlives its record on the topic",
        "streams.processors.control.stop_table:StopRow",
        "streams.processors.control.stop_table",
        "one of a stop; on partitions other than 0 only of stops of more than a session or a grant",
    )
    STOP_END = Kind(
        b"E",
        "instant, record key of the stop",
        "when a stop or a release is dropped from the topic (partition 0)",
        "",
        "streams.processors.control.stop_table",
        "one of a stop, and one of a release, until `KEPT_MS` after its end",
    )
    STOPS_FOLLOWED = Kind(
        b"R",
        "nothing",
        "how far the rows of stops follow the topic",
        "streams.processors.control.stop_table:FollowedRow",
        "streams.processors.control.stop_table",
        "one of a partition",
    )
    ALLOCATION = Kind(
        b"o",
        "budget key, NUL, start of the window",
        "one window of a shared budget, with the leases that are out (allocator)",
        "streams.processors.budgets.allocator:AllocationRow",
        "streams.processors.budgets.allocator",
        "one of a window, until a minute after its end; for a budget with a key, `keys_max` of a window",
    )
    TALLY = Kind(
        b"T",
        "budget key of a memory that sessions share",
        "how much has happened on this partition, and on others as far as is known",
        "streams.processors.gate.shared_memories:TallyRow",
        "streams.processors.gate.shared_memories",
        "one of each value of a memory that was noted or read here, until the end of its window",
    )
    CARRIED = Kind(
        b"M",
        "budget key of what outlives sessions",
        "values that a conversation has shown, or that were written into a store (allocator)",
        "streams.processors.budgets.carried:CarriedRow",
        "streams.processors.budgets.carried",
        "one of a conversation, and of a user's store, with `CARRIED_MAX` values, until 30 days after the last",
    )
    CARRIED_QUESTION = Kind(
        b"Q",
        "budget key of what outlives sessions",
        "a question for what outlives sessions, with the intents that wait for its answer",
        "streams.processors.gate.carried:QuestionRow",
        "streams.processors.gate.carried",
        "one of each question without an answer, with `WAITING_MAX` intents; removed with the answer",
    )
    PROVENANCE = Kind(
        b"P",
        "session key",
        "what a session has read as a whole, and what it may do for the request",
        "streams.processors.provenance.rows:ProvenanceRow",
        "streams.processors.provenance.memory",
        _PER_SESSION,
    )
    SIGNALS = Kind(
        b"Y",
        "session key",
        "the last calls of a session, as earlier versions have kept them; they are part of its row now",
        "streams.processors.gate.observed:SignalsRow",
        "streams.processors.gate.signals",
        _PER_SESSION,
    )
    ATOMS = Kind(
        b"H",
        "session key, NUL, bucket",
        "where values were seen, packed (`streams.provenance.memory`)",
        "",
        "streams.processors.provenance.memory",
        "`BUCKETS` of a session, with `ATOMS_MAX` entries in all; removed with it",
    )
    CONTENT = Kind(
        b"C",
        "session key, NUL, number",
        "an event that values were seen in: its id, and paths",
        "streams.processors.provenance.rows:ContentRow",
        "streams.processors.provenance.memory",
        "`EVENTS_MAX` of a session; removed with it",
    )
    KEY_COUNT = Kind(
        b"K",
        "budget key without the digest of the key's value, NUL, start of the window",
        "how many values of a budget's key have a budget in a window (allocator)",
        "",
        "streams.processors.budgets.live_keys",
        "one of a window of a budget with a key, until a minute after its end",
    )
    HORIZON = Kind(
        b"z",
        "nothing",
        "the end of the newest window that was forgotten (allocator)",
        "",
        "streams.processors.budgets.allocator",
        "one of a partition",
    )
    HALF = Kind(
        b"J",
        "verdict id",
        "a verdict or an audit record that waits for the other one (keying)",
        "streams.processors.watch.keying:Half",
        "streams.processors.watch.keying",
        "one of a decision, for `JOIN_WAIT_MS`",
    )
    BEHAVIOUR_WAITING = Kind(
        b"B",
        "instant, event id",
        "a decision that waits until earlier ones have come (watch)",
        "",
        "streams.processors.watch.watch",
        "one of a decision, for `grace_ms`",
    )
    BEHAVIOUR = Kind(
        b"W",
        "name, NUL, digest of whose it is",
        "what a detector has counted or learned, after the day on which it expires (watch)",
        "",
        "streams.processors.watch.aging_rows",
        "a few of an agent, a session and a term; deleted a while after the last use",
    )
    BEHAVIOUR_EXPIRY = Kind(
        b"I",
        "day, key of a row of behaviour",
        "a mark: the row may expire on this day (watch)",
        "",
        "streams.processors.watch.aging_rows",
        "at most six of a row of behaviour",
    )
    LAYOUT = Kind(
        b"L",
        "nothing",
        "the version of the row layout",
        "",
        "streams.processors.layout",
        "one of a partition",
    )
    STREAM_TIME = Kind(
        STREAM_TIME_KEY,
        "nothing",
        "the instant up to which the partition was processed",
        "",
        "streams.engine.state",
        "one of a partition",
    )
    TIMER = Kind(
        TIMER_KEY_PREFIX,
        "instant, payload",
        "a timer",
        "",
        "streams.engine.state",
        "at most two of a session and of a partition, one of an intent that waits, of a lease, of a shared "
        "memory and of an open alert, "
        "and a few of an allocation",
    )
    BROADCAST = Kind(
        BROADCAST_KEY_PREFIX,
        "topic; or `!`, topic; or `+`; or `*` in layout 1",
        "which broadcast records were reported, and what the processor wants remembered",
        "",
        "streams.engine.broadcasts",
        "two of each broadcast topic, and two of a partition",
    )
    SEALED = Kind(
        b"e",
        "nothing",
        "how far the partition's verdicts and audit records are sealed (gate), or the records of others (notary): the "
        "frontier of their log",
        "streams.audit.merkle:Frontier",
        "streams.processors.seals",
        "one of a partition, with at most 64 hashes",
    )
    CONTENT_KEYS = Kind(
        b"D",
        "session key",
        "which keys of captured content were written for a session: their ids",
        "",
        "streams.processors.gate.contents",
        "one of a session, with at most `KEYS_PER_SESSION_MAX` ids; removed with it",
    )
    WATCHED_LOG = Kind(
        b"j",
        "nothing",
        "how many verdicts and audit records the seals of the partition state so far (keying)",
        "",
        "streams.processors.watch.keying",
        "one of a partition",
    )


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


def behaviour_waiting_key(time_ms: int, event_id: str) -> bytes:
    """Return the key of a decision that waits to be judged: in the order of time, then of ids."""
    return _BEHAVIOUR_WAITING + time_ms.to_bytes(INSTANT_BYTES, "big") + event_id.encode()


def behaviour_waiting_until(time_ms: int) -> tuple[bytes, bytes]:
    """Return the key range of the decisions that were made before `time_ms`."""
    prefix = _BEHAVIOUR_WAITING
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
