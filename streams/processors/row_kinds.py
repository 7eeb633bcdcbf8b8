"""The registry of row kinds: which rows a partition's state holds.

The engine keeps rows of its own in the same keyspace, under prefixes that `streams.ports.processor` names; the registry
reserves them. Keys are made in `streams.processors.rows` alone.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from streams.ports.processor import BROADCAST_KEY_PREFIX, STREAM_TIME_KEY, TIMER_KEY_PREFIX


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
        "how many alerts of each kind, and of each kind and tenant, have an open window",
        "",
        "streams.processors.dedup.alerts",
        "one of a partition, with an entry for each kind, and for each kind and tenant",
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
        "where values were seen, packed (`streams.provenance.sources.memory`)",
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
        "instant, event id, checksum of the row",
        "a decision that waits until earlier ones have come (watch)",
        "",
        "streams.processors.watch.waiting",
        "one of a decision, for `grace_ms`",
    )
    BEHAVIOUR_PACK = Kind(
        b"i",
        "instant, event id, checksum: those of the first decision",
        "decisions of one transaction that wait, about a hundred together, with their keys (watch)",
        "",
        "streams.processors.watch.waiting",
        "one of `PACK_BYTES_MAX` bytes of decisions that wait, for `grace_ms`",
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
        "a mark: the row may expire on this day, and so may those that the mark names (watch)",
        "",
        "streams.processors.watch.aging_rows",
        "at most six for a row of behaviour, and up to 64 rows have one together",
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
