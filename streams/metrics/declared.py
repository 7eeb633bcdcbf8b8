"""Declare every metric that a process of stoplog exports: the one place for names, labels, units and meanings.

Names follow the conventions of Prometheus: base units, the unit last, `_total` after counters. The reference page, the
dashboard and the alert rules are checked against these declarations.

A label has few values, and no stranger chooses how many. Either they are listed here, and anything else counts as
`other`; or at most `limit` different ones are exported, and the rest counts as `other`. No label holds a tenant, a
session, an agent, a user, or a tool.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from streams.model.budget import BudgetAnswer
from streams.model.reasons import DeadLetterReason, Reason, Refusal
from streams.model.revocation import RevocationKind
from streams.model.token_reasons import TokenReason
from streams.model.topics import TOPICS, Role, Spread
from streams.model.verdict import Outcome

OTHER = "other"
"""What a value counts as that is not listed, or that comes after `limit` others."""
PARTITIONS_MAX = 1_024
BUDGETS_MAX = 64
"""Budgets that have series of their own. Rules have fewer; their authors choose the names."""

LATENCY_BUCKETS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
WORK_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LONG_BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0)
STOP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARE_BUCKETS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


class Kind(StrEnum):
    """The type of a metric, in the words of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Exporter(StrEnum):
    """A kind of process that exports metrics."""

    GATE = "gate"
    EXECUTOR = "executor"
    TOKENS = "token service"
    EVENTS = "security event service"
    QUESTIONS = "question service"
    DESK = "desk"


class Label(NamedTuple):
    """A label of a metric.

    Attributes:
        name: its name.
        values: all values that it can have, besides `other`; None if they are not known in advance.
        limit: how many values it has at most if they are not known in advance.
    """

    name: str
    values: frozenset[str] | None = None
    limit: int = 0


class Metric(NamedTuple):
    """A metric.

    Attributes:
        name: its name, with the unit.
        kind: its type.
        unit: the unit of its values; empty for a number of things.
        help: its meaning, as a sentence.
        exporters: the processes that export it.
        labels: its labels.
        buckets: the upper bounds of a histogram's buckets, without infinity.
        is_apart: whether a collector of its own exports it, and not `streams.metrics.registry`.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    exporters: tuple[Exporter, ...]
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    is_apart: bool = False


def _listed(name: str, values: Iterable[str]) -> Label:
    return Label(name, frozenset(map(str, values)))


_GATE = (Exporter.GATE,)
_EXECUTOR = (Exporter.EXECUTOR,)
_TOKENS = (Exporter.TOKENS,)
_EVENTS = (Exporter.EVENTS,)
_QUESTIONS = (Exporter.QUESTIONS,)
_DESK = (Exporter.DESK,)

WORKERS = ("gate", "budgets", "watch", "keying", "notary")
"""A gate's process has three workers: the gate, and beside it the budget allocator and the notary. The watch's process
has two."""

STAGES = ("control", "poll", "restore", "decide", "commit", "stand_by")
HELD_FOR = ("session", "approval", "cancel_window", "budget")
NOT_HELD = "none"
RUN_ENDINGS = ("done", "tool_error", "tool_timed_out", "outcome_unknown")
ENDPOINTS = ("token", "revoke", "introspect")
RECEIVERS_MAX = 64
EVENT_REFUSALS = (
    "invalid_request",
    "invalid_key",
    "invalid_issuer",
    "invalid_audience",
    "authentication_failed",
    "rate_limited",
    "busy",
    "unavailable",
)
"""Why security events are not accepted: the codes of RFC 8935, and those after which the sender tries again."""

_WORKER = _listed("worker", WORKERS)
_PARTITION = Label("partition", limit=PARTITIONS_MAX)
_SINK = Label("sink", limit=RECEIVERS_MAX)
_TOPIC = _listed("topic", (topic.name for topic in TOPICS))
_BUDGET = Label("budget", limit=BUDGETS_MAX)

BUILD = Metric(
    "stoplog_build_info",
    Kind.GAUGE,
    "",
    "Always 1; the label has the version of stoplog that runs.",
    tuple(Exporter),
    (Label("version", limit=1),),
)

# What a gate decides.
VERDICTS = Metric(
    "stoplog_verdicts_total",
    Kind.COUNTER,
    "",
    "Verdicts that were committed. An intent that is held for a person or a cancel window has two.",
    _GATE,
    (_listed("outcome", Outcome), _listed("reason", Reason)),
)
VERDICT_SECONDS = Metric(
    "stoplog_verdict_latency_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "From the append of an intent, by the broker's clock, until its verdict is committed, by this host's clock. The "
    "label `held` says what the intent has waited for.",
    _GATE,
    (_listed("held", (NOT_HELD, *HELD_FOR)),),
    LATENCY_BUCKETS_S,
)
HELD = Metric(
    "stoplog_intents_held",
    Kind.GAUGE,
    "",
    "Intents that wait now, by what they wait for.",
    _GATE,
    (_listed("waits_for", HELD_FOR),),
)
QUESTIONS = Metric(
    "stoplog_questions_total",
    Kind.COUNTER,
    "",
    "Calls that rules ask people about: `asked` with a question of their own, `joined` to one that was open, or "
    "`granted` by what people had approved before.",
    _GATE,
    (_listed("how", ("asked", "joined", "granted")),),
)
SESSION_QUESTIONS = Metric(
    "stoplog_session_questions",
    Kind.HISTOGRAM,
    "",
    "The number of each question to people among those of its session: 1 for the first.",
    _GATE,
    (),
    (1, 2, 3, 5, 10, 20, 50, 100),
)
QUESTION_SECONDS = Metric(
    "stoplog_question_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long calls have waited for people, by how that ended; from the append of the intent until its verdict.",
    _GATE,
    (_listed("ending", ("approved", "granted", "denied", "expired", "other")),),
    (5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400, 604_800),
)
DEAD_LETTERS = Metric(
    "stoplog_dead_letters_total",
    Kind.COUNTER,
    "",
    "Records that could not be processed, by the topic that they were read from.",
    _GATE,
    (
        _WORKER,
        _listed("topic", (topic.name for topic in TOPICS if topic.dead_letters)),
        _listed("reason", DeadLetterReason),
    ),
)
BUDGET_ANSWERS = Metric(
    "stoplog_budget_answers_total",
    Kind.COUNTER,
    "",
    "Answers of the budget allocator to gates that have asked for a lease, and recalls of leases.",
    _GATE,
    (_BUDGET, _listed("answer", (each.lower() for each in BudgetAnswer))),
)
BUDGET_SPENT = Metric(
    "stoplog_budget_leased_ratio",
    Kind.HISTOGRAM,
    "ratio",
    "The share of a budget's limit that was leased when the allocator had answered a request: 1 if nothing is left.",
    _GATE,
    (_BUDGET,),
    SHARE_BUCKETS,
)

ANNOUNCED_CALLS = Metric(
    "stoplog_announced_calls_total",
    Kind.COUNTER,
    "",
    "Calls that the watch has not judged because somebody had announced them. Those of an aborted transaction count "
    "again.",
    _GATE,
)

# What a gate's workers do.
RECORDS = Metric(
    "stoplog_records_total",
    Kind.COUNTER,
    "",
    "Input records whose processing was committed.",
    _GATE,
    (_WORKER,),
)
TRANSACTIONS = Metric(
    "stoplog_transactions_total",
    Kind.COUNTER,
    "",
    "Transactions by their result. The input of one that was aborted is read again.",
    _GATE,
    (_WORKER, _listed("result", ("committed", "aborted"))),
)
TRANSACTION_SECONDS = Metric(
    "stoplog_transaction_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long committed transactions were open.",
    _GATE,
    (_WORKER,),
    WORK_BUCKETS_S,
)
STAGE_SECONDS = Metric(
    "stoplog_stage_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long a stage of the loop took: reading broadcast topics (`control`), waiting for input (`poll`), restoring "
    "state (`restore`), decoding and deciding what was polled (`decide`), committing and storing (`commit`), and "
    "keeping standbys (`stand_by`). Turns without input have no `decide`.",
    _GATE,
    (_WORKER, _listed("stage", STAGES)),
    WORK_BUCKETS_S,
)
TURNS = Metric(
    "stoplog_turns_total",
    Kind.COUNTER,
    "",
    "Turns of the loop, idle ones included. A worker whose turns don't increase hangs.",
    _GATE,
    (_WORKER,),
)
RESTARTS = Metric(
    "stoplog_restarts_total",
    Kind.COUNTER,
    "",
    "How often a worker was built again after an error of the log.",
    _GATE,
    (_WORKER,),
)
LAG = Metric(
    "stoplog_consumer_lag_offsets",
    Kind.GAUGE,
    "offsets",
    "How many offsets of an input topic are not processed yet. It is 0 once all that can be read is processed.",
    _GATE,
    (_WORKER, _TOPIC, _PARTITION),
)
TIME_BEHIND = Metric(
    "stoplog_stream_time_behind_seconds",
    Kind.GAUGE,
    "seconds",
    "How far a partition's stream time is behind this host's clock while input or timers wait; 0 while nothing waits.",
    _GATE,
    (_WORKER, _PARTITION),
)
PARTITIONS = Metric(
    "stoplog_partitions",
    Kind.GAUGE,
    "",
    "Partitions of this instance: those that it processes, those whose state it restores, and its standbys.",
    _GATE,
    (_WORKER, _listed("state", ("processing", "restoring", "standby"))),
)
RESTORE_LEFT = Metric(
    "stoplog_restore_left_offsets",
    Kind.GAUGE,
    "offsets",
    "How many offsets of its changelog a partition must still apply before it is processed.",
    _GATE,
    (_WORKER, _PARTITION),
)
RESTORE_SECONDS = Metric(
    "stoplog_restore_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long it took to restore the state of a partition, by what it began with: a `standby`, or the local `disk`, "
    "which may be empty.",
    _GATE,
    (_WORKER, _listed("source", ("standby", "disk"))),
    LONG_BUCKETS_S,
)
RESTORED_RECORDS = Metric(
    "stoplog_restored_records_total",
    Kind.COUNTER,
    "",
    "Records of changelogs that were applied to restore the state of partitions.",
    _GATE,
    (_WORKER,),
)
STANDBY_LAG = Metric(
    "stoplog_standby_lag_offsets",
    Kind.GAUGE,
    "offsets",
    "How many offsets of the changelog a standby of this gate is behind.",
    _GATE,
    (_PARTITION,),
    is_apart=True,
)

# What a gate knows of stops, tools and rules.
CONTROL_AGE = Metric(
    "stoplog_control_age_seconds",
    Kind.GAUGE,
    "seconds",
    "How long ago it was confirmed that stops, tools and rules are read to the end of their topics. A gate denies all "
    "calls once that is longer ago than `engine.control_stale_ms`.",
    _GATE,
)
CONTROL_OFFSET = Metric(
    "stoplog_control_offset",
    Kind.GAUGE,
    "offsets",
    "The next offset to be read of a topic that all gates read: stops, tools, rules, attributes, baselines. It is the "
    "same for all gates that are current.",
    _GATE,
    (_listed("topic", (t.name for t in TOPICS if t.spread is Spread.BROADCAST and Role.GATE in t.readers)),),
)
CONTROL_CHANGED = Metric(
    "stoplog_control_changed_timestamp_seconds",
    Kind.GAUGE,
    "seconds",
    "When the newest record that was read of such a topic was appended, in seconds since 1970.",
    _GATE,
    CONTROL_OFFSET.labels,
)
STOPS = Metric(
    "stoplog_stops_in_force",
    Kind.GAUGE,
    "",
    "Stops that are in force in this gate, by what they stop.",
    _GATE,
    (_listed("kind", (kind.lower() for kind in RevocationKind)),),
)
ATTRIBUTES_BYTES = Metric(
    "stoplog_attributes_bytes",
    Kind.GAUGE,
    "bytes",
    "How large the attributes of entities are in the gate: those of all tenants (`attributes.bytes_max`), and those of "
    "the tenant that has most (`attributes.tenant_bytes_max`).",
    _GATE,
    (_listed("of", ("all_tenants", "largest_tenant")),),
)
ATTRIBUTES_UNCLEAR = Metric(
    "stoplog_attributes_unclear_entities",
    Kind.GAUGE,
    "",
    "Entities of which the gate can't say what is true, because their newest record does not count or had no room. "
    "Of a tenant that has more than 10,000, 10,001 count.",
    _GATE,
)
STOP_SECONDS = Metric(
    "stoplog_stop_in_force_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "From the append of a revocation until it is in force in this process. Of stops that came together, the slowest "
    "counts.",
    tuple(Exporter),
    (),
    STOP_BUCKETS_S,
    is_apart=True,
)

# What an executor does.
CALLS = Metric(
    "stoplog_calls_total",
    Kind.COUNTER,
    "",
    "Calls that have run here, by how they ended.",
    _EXECUTOR,
    (_listed("ending", RUN_ENDINGS),),
)
CALLS_REFUSED = Metric(
    "stoplog_calls_refused_total",
    Kind.COUNTER,
    "",
    "Allowed calls that this executor did not run, by reason.",
    _EXECUTOR,
    (_listed("reason", Refusal),),
)
RUN_LATENCY = Metric(
    "stoplog_verdict_to_run_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "From a verdict's decision, by stream time, until its call begins to run, by this host's clock.",
    _EXECUTOR,
    (),
    LATENCY_BUCKETS_S,
)
CALL_SECONDS = Metric(
    "stoplog_call_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long tools took to run a call.",
    _EXECUTOR,
    (),
    LATENCY_BUCKETS_S,
)
REPORTS_PENDING = Metric(
    "stoplog_reports_pending",
    Kind.GAUGE,
    "",
    "Calls that have ended and whose report is not on the log yet. Gates don't know what their sessions have read.",
    _EXECUTOR,
)
STOPS_STALE = Metric(
    "stoplog_stops_stale",
    Kind.GAUGE,
    "",
    "1 while the executor can't tell whether calls are revoked, and therefore runs none; otherwise 0.",
    _EXECUTOR,
)

# What a token service does.
TOKENS_ISSUED = Metric(
    "stoplog_tokens_issued_total", Kind.COUNTER, "", "Tokens that were issued, each with a session.", _TOKENS
)
TOKEN_REFUSALS = Metric(
    "stoplog_token_refusals_total",
    Kind.COUNTER,
    "",
    "Requests that were refused, by endpoint and reason.",
    _TOKENS,
    (_listed("endpoint", ENDPOINTS), _listed("reason", TokenReason)),
)
TOKEN_SECONDS = Metric(
    "stoplog_token_request_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long it took to answer a request, refusals included.",
    _TOKENS,
    (_listed("endpoint", ENDPOINTS),),
    LATENCY_BUCKETS_S,
)

# What the service for security events does.
EVENTS_RECEIVED = Metric(
    "stoplog_security_events_received_total",
    Kind.COUNTER,
    "",
    "Tokens with security events that were accepted: `processed`, or `repeated` if they had been processed before.",
    _EVENTS,
    (_listed("result", ("processed", "repeated")),),
)
EVENTS_REFUSED = Metric(
    "stoplog_security_event_refusals_total",
    Kind.COUNTER,
    "",
    "Tokens with security events that were not accepted, by reason. After `rate_limited`, `busy` and `unavailable` the "
    "sender tries again.",
    _EVENTS,
    (_listed("reason", EVENT_REFUSALS),),
)
EVENT_SECONDS = Metric(
    "stoplog_security_event_request_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "How long it took to answer a request with security events, refusals included.",
    _EVENTS,
    (),
    LATENCY_BUCKETS_S,
)
EVENTS_PUSHED = Metric(
    "stoplog_security_event_pushes_total",
    Kind.COUNTER,
    "",
    "Attempts to push an event to a receiver: `accepted`, `failed` if it is tried again, or `rejected` for good.",
    _EVENTS,
    (Label("receiver", limit=RECEIVERS_MAX), _listed("result", ("accepted", "failed", "rejected"))),
)
EVENTS_UNSENT = Metric(
    "stoplog_security_events_unsent_offsets",
    Kind.GAUGE,
    "offsets",
    "How many offsets of `agent.revocation.v1` a receiver does not know yet.",
    _EVENTS,
    (Label("receiver", limit=RECEIVERS_MAX),),
)

# What the service for questions to people does.
QUESTIONS_SENT = Metric(
    "stoplog_question_webhooks_total",
    Kind.COUNTER,
    "",
    "Attempts to send a question to a webhook: `accepted`, `failed` if it is tried again, `rejected` for good, or "
    "`expired` if nobody could answer it any more.",
    _QUESTIONS,
    (Label("webhook", limit=RECEIVERS_MAX), _listed("result", ("accepted", "failed", "rejected", "expired"))),
)
QUESTIONS_DROPPED = Metric(
    "stoplog_questions_dropped_total",
    Kind.COUNTER,
    "",
    "Questions that can still be answered, but no longer here, because the service has no room for more.",
    _QUESTIONS,
)
ANSWERS = Metric(
    "stoplog_question_answers_total",
    Kind.COUNTER,
    "",
    "Answers to questions that were sent here: `recorded`, or the HTTP status that refuses them.",
    _QUESTIONS,
    (_listed("result", ("recorded", "400", "401", "403", "404", "422", "429", "503")),),
)

# What the desk does.
DESK_ALERTS = Metric(
    "stoplog_desk_records_total",
    Kind.COUNTER,
    "",
    "Alerts and statuses that the desk has read: `taken`, `old` if they were there long before the desk, `unproven` if "
    "nobody has signed a status who may, or `rejected` to the dead-letter topic.",
    _DESK,
    (_listed("result", ("taken", "old", "unproven", "rejected")),),
)
DESK_DELIVERIES = Metric(
    "stoplog_desk_deliveries_total",
    Kind.COUNTER,
    "",
    "Attempts to send a message to a sink: `delivered`, `failed` if it is tried again, or `set_aside` if the sink "
    "can't take it.",
    _DESK,
    (_SINK, _listed("result", ("delivered", "failed", "set_aside"))),
)
DESK_WAITING = Metric(
    "stoplog_desk_waiting_messages",
    Kind.GAUGE,
    "",
    "Messages that a sink has not accepted yet.",
    _DESK,
    (_SINK,),
)
DESK_SET_ASIDE = Metric(
    "stoplog_desk_set_aside_messages",
    Kind.GAUGE,
    "",
    "Messages that a sink can't take, and that are not tried again before `stoplog desk retry`.",
    _DESK,
    (_SINK,),
)
DESK_OWED = Metric(
    "stoplog_desk_owed_incidents",
    Kind.GAUGE,
    "",
    "Incidents for which a sink gets messages only after it has taken others, because too many wait for it.",
    _DESK,
    (_SINK,),
)
DESK_OLDEST_SECONDS = Metric(
    "stoplog_desk_oldest_message_seconds",
    Kind.GAUGE,
    "seconds",
    "The age of the oldest message that a sink has not accepted yet.",
    _DESK,
    (_SINK,),
)
DESK_INCIDENTS = Metric(
    "stoplog_desk_incidents",
    Kind.GAUGE,
    "",
    "Incidents of the last 30 days by how far people are with them.",
    _DESK,
    (_listed("state", ("open", "acknowledged", "closed")),),
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order of the reference page."""
