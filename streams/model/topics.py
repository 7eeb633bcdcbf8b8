"""The declaration of every topic. Topic creation, ACLs, the AsyncAPI document and the docs table are made from it."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from functools import lru_cache

import msgspec

from streams.model.alert import Alert
from streams.model.alert_status import AlertStatus
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.attributes import EntityAttributes
from streams.model.audit import AuditCheckpoint, AuditEvent, Seal
from streams.model.behaviour import BehaviourEvent
from streams.model.budget import BudgetGrant, BudgetRequest
from streams.model.catalog import ToolCatalogEntry
from streams.model.content import ContentKey, ContentOrder
from streams.model.control import Baseline, RulesetBundle
from streams.model.delegation import Delegation
from streams.model.intent import Intent
from streams.model.outcome import IntentOutcome
from streams.model.revocation import Revocation
from streams.model.session import SessionEvent
from streams.model.token_use import TokenUse
from streams.model.types import Record
from streams.model.verdict import Verdict

_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_RETENTION_MS = 7 * _DAY_MS
_SEGMENT_MS = _DAY_MS
_AUDIT_RETENTION_MS = 90 * _DAY_MS
_MAX_RECORD_BYTES = 1_048_576


class Role(StrEnum):
    """The parts that read and write topics; each is a Kafka principal (or several) of the deployment."""

    AGENT = "agent"
    EXECUTOR = "executor"
    TOKEN_SERVICE = "token-service"  # noqa: S105 - a role's name
    GATE = "gate"
    WATCH = "watch"
    CONSOLE = "console"
    SOC = "soc"
    CATALOG_REVIEW = "catalog-review"
    RULE_PUBLISHING = "rule-publishing"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    CONNECTOR = "connector"
    CONTENT_READER = "content-reader"
    PRIVACY = "privacy"
    DESK = "desk"


TRANSACTIONAL = frozenset({Role.GATE, Role.TOKEN_SERVICE, Role.WATCH})
"""The roles that write in transactions. No other role may have a transactional id."""


class Spread(StrEnum):
    """How a topic's partitions relate to those of other topics."""

    CO_PARTITIONED = "co-partitioned"  # keyed by tenant|session_id; equal counts everywhere
    BROADCAST = "broadcast"  # one partition, every instance reads all of it
    OWN = "own"  # a key and a partition count of its own
    PER_TENANT = "per tenant"  # a topic of each tenant, each co-partitioned


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of a topic.

    Attributes:
        record: the class of its values; None for other values (JSON, or bytes).
        compaction_lag_ms: how long compaction leaves a record alone, also one that a newer record of its key replaces.
        compacted_within_ms: after which time at the latest a record is gone that a newer one of its key replaces; None
            leaves that to the brokers, which may take any time.
        retention_ms: how long records are kept; None keeps them forever.
        outlives_erasure: whether it has calls or the purposes of sessions in plain text, or wrapped keys of captured
            content. An erasure is complete when these are gone.
        placed_by_key: on a co-partitioned topic, records go to the partition of their key, not to that of their writer.
        keyed_input: every record must lie on the partition of its key. A processor rejects one that does not, because
            two partitions would otherwise each give a final verdict for one intent.
        dead_letters: whether there is a topic for records of this one that could not be read or accepted.
        family: of a topic that was made from another declaration (in `PER_TENANT` or `WITHIN`), that one's name.
    """

    name: str
    record: type[Record] | None
    key: str
    spread: Spread
    writers: tuple[Role, ...]
    readers: tuple[Role, ...]
    compacted: bool = False
    compaction_lag_ms: int = 0
    compacted_within_ms: int | None = None
    retention_ms: int | None = _RETENTION_MS
    outlives_erasure: bool = False
    dead_letters: bool = False
    placed_by_key: bool = False
    keyed_input: bool = False
    note: str = ""
    family: str = ""

    @property
    def shown_name(self) -> str:
        """Return the name for people; for a topic of each tenant, with a place for the tenant."""
        if self.spread is not Spread.PER_TENANT or self.family:
            return self.name
        stem, _, version = self.name.rpartition(".")
        return f"{stem}.<tenant>.{version}"

    @property
    def is_written_in_transactions(self) -> bool:
        """Whether some writer writes in transactions, whose markers take an offset each."""
        return any(role in TRANSACTIONAL for role in self.writers)

    @property
    def dlq(self) -> str:
        """Return the name of the topic for records of this one that could not be read or accepted."""
        return f"{self.name}.dlq"

    @property
    def segment_ms(self) -> int | None:
        """Return how old a segment gets before the next record begins a new one; None leaves that to the brokers."""
        if self.compacted:
            return self.compacted_within_ms
        return _SEGMENT_MS if self.outlives_erasure else None

    @property
    def gone_after_ms(self) -> int | None:
        """Return how long after it was written a record is there at most; of a compacted topic, after it was replaced.

        Brokers delete a segment when its newest record is old enough, so the oldest one is there for longer. They don't
        compact the segment that is written to: where no record begins a new one, what was replaced stays for longer.
        None if nothing limits it.
        """
        if self.segment_ms is None:
            return None
        return self.segment_ms if self.compacted else self.segment_ms + (self.retention_ms or 0)

    def config(self) -> dict[str, str]:
        """Return Kafka's topic configuration. Time is the broker's on every topic."""
        config = {
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(_MAX_RECORD_BYTES),
        }
        if self.compaction_lag_ms:
            config["min.compaction.lag.ms"] = str(self.compaction_lag_ms)
        if self.compacted_within_ms is not None:
            config["max.compaction.lag.ms"] = str(self.compacted_within_ms)
        if self.segment_ms is not None:
            config["segment.ms"] = str(self.segment_ms)
        config["retention.ms"] = "-1" if self.retention_ms is None else str(self.retention_ms)
        return config


INTENT = Topic(
    name="agent.intent.v1",
    record=Intent,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.AGENT,),
    readers=(Role.GATE,),
    outlives_erasure=True,
    dead_letters=True,
    keyed_input=True,
    note="calls that agents propose",
)
SESSION = Topic(
    name="agent.session.v1",
    record=SessionEvent,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.TOKEN_SERVICE,),
    # Whoever looks into an alert must see whose session it is, what it may do and what it has read. Arguments of calls
    # are not among that: those are in intents and verdicts.
    readers=(Role.GATE, Role.AUDITOR, Role.SOC),
    outlives_erasure=True,
    dead_letters=True,
    keyed_input=True,
    note="session life: when it begins and ends, and what it may do",
)
# INVARIANT: nobody who may write it may have a transactional id. An open transaction would stall the gate, which reads
# all its inputs read_committed (docs/adr/0032-reports-prove-their-server.md).
REPORT = Topic(
    name="agent.report.v1",
    record=SessionEvent,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.EXECUTOR, Role.AGENT),
    readers=(Role.GATE, Role.AUDITOR, Role.SOC),
    outlives_erasure=True,
    dead_letters=True,
    keyed_input=True,
    note="the outcome of allowed calls, and what sessions have read: proven, and never in a transaction",
)
DELEGATION = Topic(
    name="agent.delegation.v1",
    record=Delegation,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.TOKEN_SERVICE,),
    # A reviewer must see which rules and grants an approval makes effective.
    readers=(Role.GATE, Role.CATALOG_REVIEW, Role.SOC),
    outlives_erasure=True,
    dead_letters=True,
    keyed_input=True,
    note="grants with their complete chain, keyed to the session that receives them",
)
APPROVAL_DECISION = Topic(
    name="agent.approval.decision.v1",
    record=ApprovalDecision,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.CONSOLE,),
    readers=(Role.GATE, Role.AUDITOR),
    dead_letters=True,
    keyed_input=True,
    note="decisions of people about approvals",
)
REVOCATION = Topic(
    name="agent.revocation.v1",
    record=Revocation,
    key="kind:id",
    spread=Spread.BROADCAST,
    writers=(Role.TOKEN_SERVICE, Role.SOC, Role.GATE),
    readers=(Role.GATE, Role.EXECUTOR, Role.SOC, Role.TOKEN_SERVICE),
    compacted=True,
    # A record that must not lift a stop may not push it out before a gate has written it again.
    compaction_lag_ms=_DAY_MS,
    retention_ms=None,
    dead_letters=True,
    note="revocations; the kill switch",
)
CATALOG = Topic(
    name="agent.catalog.v1",
    record=ToolCatalogEntry,
    key="tool@version.digest",
    spread=Spread.BROADCAST,
    writers=(Role.CATALOG_REVIEW,),
    readers=(Role.GATE, Role.EXECUTOR, Role.AUDITOR, Role.CATALOG_REVIEW, Role.SOC),
    compacted=True,
    retention_ms=None,
    dead_letters=True,
    note="the tools that may be called, as reviewed and signed; each entry is complete",
)
RULESET = Topic(
    name="agent.ruleset.v1",
    record=RulesetBundle,
    key="bundle name@serial.digest",
    spread=Spread.BROADCAST,
    writers=(Role.RULE_PUBLISHING,),
    readers=(Role.GATE, Role.AUDITOR, Role.RULE_PUBLISHING, Role.CATALOG_REVIEW),
    compacted=True,
    retention_ms=None,
    dead_letters=True,
    note="publications of rules, signed; each is complete",
)
BASELINE = Topic(
    name="agent.baseline.v1",
    record=Baseline,
    key="tenant|agent/epoch",
    spread=Spread.BROADCAST,
    writers=(Role.WATCH,),
    readers=(Role.GATE, Role.AUDITOR, Role.SOC),
    compacted=True,
    # For as long as there are intents, a replay finds what was known of the agent when they were judged.
    compaction_lag_ms=_RETENTION_MS,
    retention_ms=None,
    dead_letters=True,
    note="what is usual for agents, as watches have learned it; gates use it and never wait for it",
)
# INVARIANT: its writers have no transactional id. An open transaction would keep gates from knowing that they have read
# everything, and they would deny.
ATTRIBUTES = Topic(
    name="agent.attributes.v1",
    record=EntityAttributes,
    key="tenant|kind/id",
    spread=Spread.BROADCAST,
    writers=(Role.CONNECTOR,),
    readers=(Role.GATE, Role.CONNECTOR, Role.AUDITOR),
    compacted=True,
    retention_ms=None,
    dead_letters=True,
    note="attributes of entities from outside: owner, region, tier of a customer, a document, an account",
)
# Not compacted: the first claim on a token counts, and compaction keeps the last record of a key.
# INVARIANT: kept for longer than any token can be used (`sts.sources.NAME.life_max_ms`, clocks that are off included).
TOKEN_USED = Topic(
    name="agent.token.used.v1",
    record=TokenUse,
    key="claim id",
    spread=Spread.BROADCAST,
    writers=(Role.TOKEN_SERVICE,),
    readers=(Role.TOKEN_SERVICE,),
    retention_ms=32 * _DAY_MS,
    note="tokens and proofs that were used and can be used once; the first claim on one counts for all token services",
)
VERDICT = Topic(
    name="agent.verdict.v1",
    record=Verdict,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.EXECUTOR, Role.AUDITOR, Role.WATCH),
    outlives_erasure=True,
    note="decisions, each with the exact call that was judged",
)
# A gate writes one to the verdict topic at the end of each transaction. Its schema is a subject of its own.
SEAL = Topic(
    name="agent.verdict.seal.v1",
    record=Seal,
    key="`seal`",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.EXECUTOR, Role.AUDITOR),
    note="seals of what a transaction has added to a partition's log; they lie among the verdicts",
)
SEAL_KEY = b"seal"
"""The key of seals on the verdict topic. No verdict has it: in the key of a session, a `|` follows the tenant."""

OUTCOME = Topic(
    name="agent.outcome.v1",
    record=IntentOutcome,
    key="tenant|session_id",
    spread=Spread.PER_TENANT,
    writers=(Role.GATE,),
    readers=(Role.AGENT,),
    retention_ms=_DAY_MS,
    note="what was decided, without the call, for agents of the tenant that ask for it",
)
APPROVAL_REQUEST = Topic(
    name="agent.approval.request.v1",
    record=ApprovalRequest,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.CONSOLE, Role.AUDITOR),
    outlives_erasure=True,
    note="questions to people about approvals",
)
# INVARIANT: each partition has one writer, the gate that owns it. What anybody else reports goes to `AUDIT_REPORTED`.
AUDIT = Topic(
    name="agent.audit.v1",
    record=AuditEvent,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.AUDITOR, Role.WATCH, Role.SOC, Role.CONTENT_READER, Role.PRIVACY),
    retention_ms=_AUDIT_RETENTION_MS,
    note="the audit log: what gates decided and did",
)
AUDIT_REPORTED = Topic(
    name="agent.audit.reported.v1",
    record=AuditEvent,
    key="tenant|session_id",
    spread=Spread.CO_PARTITIONED,
    # The role gate stands for the budget allocator here, which runs beside a gate and with its principal.
    writers=(Role.EXECUTOR, Role.TOKEN_SERVICE, Role.GATE, Role.WATCH, Role.CONTENT_READER, Role.PRIVACY, Role.DESK),
    # A gate decides nothing by it: the notary that runs beside the gate seals what stands here.
    readers=(Role.GATE, Role.AUDITOR, Role.WATCH, Role.SOC, Role.CATALOG_REVIEW, Role.CONTENT_READER, Role.PRIVACY),
    retention_ms=_AUDIT_RETENTION_MS,
    note="audit events of executors, token services, budget allocators and desks, and of those who read or erase "
    "content",
)
AUDIT_CHECKPOINT = Topic(
    name="agent.audit.checkpoint.v1",
    record=AuditCheckpoint,
    key="partition",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.AUDITOR, Role.EXECUTOR),
    retention_ms=None,
    note="signed heads of the audit log",
)
# A record of its own for each key, because a tombstone deletes exactly one (docs/adr/0075-sealed-content.md).
CONTENT_KEY = Topic(
    name="agent.content.key.v1",
    record=ContentKey,
    key="tenant|session_id/key id",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE, Role.PRIVACY),
    readers=(Role.CONTENT_READER, Role.PRIVACY),
    compacted=True,
    compacted_within_ms=_HOUR_MS,
    retention_ms=None,
    outlives_erasure=True,
    note="the wrapped keys of captured content; a tombstone erases what its key opens",
)
# INVARIANT: not compacted. Compaction keeps the last record of a key, so a forged end of a hold would delete the hold.
CONTENT_ORDER = Topic(
    name="agent.content.order.v1",
    record=ContentOrder,
    key="`erasure|` and the order's id, or `hold|tenant|scope|id`",
    spread=Spread.BROADCAST,
    writers=(Role.PRIVACY,),
    readers=(Role.PRIVACY, Role.CONTENT_READER, Role.AUDITOR, Role.SOC),
    retention_ms=None,
    note="legal holds, and the signed records of erasures",
)
ALERT = Topic(
    name="agent.alert.v1",
    record=Alert,
    key="dedup key",
    spread=Spread.OWN,
    writers=(Role.GATE, Role.WATCH, Role.CATALOG_REVIEW),
    readers=(Role.SOC, Role.DESK),
    retention_ms=30 * _DAY_MS,
    dead_letters=True,
    note="findings for people",
)
ALERT_OCSF = Topic(
    name="agent.alert.ocsf.v1",
    record=None,
    key="dedup key",
    spread=Spread.OWN,
    writers=(Role.GATE, Role.WATCH, Role.CATALOG_REVIEW),
    readers=(Role.SOC,),
    retention_ms=30 * _DAY_MS,
    note="the same as OCSF 1.8 JSON, and what people do with the alerts",
)
# INVARIANT: its writers have no transactional id. An open transaction would hold up the watch, which reads it together
# with verdicts.
ALERT_STATUS = Topic(
    name="agent.alert.status.v1",
    record=AlertStatus,
    key="tenant|finding uid",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.SOC,),
    readers=(Role.WATCH, Role.SOC, Role.AUDITOR, Role.DESK),
    compacted=True,
    # A record that does not count may not at once push out the one that does.
    compaction_lag_ms=_DAY_MS,
    retention_ms=None,
    dead_letters=True,
    keyed_input=True,
    note="what people have done with alerts: acknowledged, resolved, false positive; and announced work; signed",
)
BUDGET_REQUEST = Topic(
    name="agent.budget.request.v1",
    record=BudgetRequest,
    key="budget key, without the value of the budget's key",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.GATE, Role.AUDITOR),
    retention_ms=_DAY_MS,
    dead_letters=True,
    keyed_input=True,
    placed_by_key=True,
    note="gate partitions ask the budget allocators for leases, return what they do not use, and note and read "
    "memories that sessions share",
)
BUDGET_GRANT = Topic(
    name="agent.budget.grant.v1",
    record=BudgetGrant,
    key="budget key, on the partition that asked",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.GATE, Role.AUDITOR),
    retention_ms=_DAY_MS,
    dead_letters=True,
    note="budget leases, and answers about memories that sessions share, for the gate partitions that asked",
)


def _changelog(
    name: str, role: Role, note: str, *, compacted_within_ms: int | None = None, outlives_erasure: bool = False
) -> Topic:
    """Return the topic of the state of a processor, which nobody else reads or writes."""
    return Topic(
        name=name,
        record=None,
        key="store key",
        spread=Spread.CO_PARTITIONED,
        writers=(role,),
        readers=(role,),
        compacted=True,
        compacted_within_ms=compacted_within_ms,
        retention_ms=None,
        outlives_erasure=outlives_erasure,
        note=note,
    )


BUDGET_CHANGELOG = _changelog(
    "stoplog.budgets.changelog", Role.GATE, "the state of the budget allocators; private to them (msgpack rows)"
)
GATE_CHANGELOG = _changelog(
    "stoplog.gate.changelog",
    Role.GATE,
    "the gate's state; private to it (msgpack rows)",
    compacted_within_ms=_DAY_MS,
    outlives_erasure=True,
)
BEHAVIOUR = Topic(
    name="agent.behaviour.v1",
    record=BehaviourEvent,
    key="tenant|agents type, or tenant|grant uid",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.WATCH,),
    readers=(Role.WATCH,),
    retention_ms=7 * _DAY_MS,
    dead_letters=True,
    keyed_input=True,
    placed_by_key=True,
    note="decisions by the agents that are compared with each other: names, digests and measures, no arguments",
)
# What a watch has checked of `ALERT_STATUS`, brought to the agents that the alert is about. Its schema is a subject of
# its own.
FEEDBACK = Topic(
    name="agent.behaviour.feedback.v1",
    record=AlertStatus,
    key="tenant|agents type, or tenant|grant uid",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.WATCH,),
    readers=(Role.WATCH,),
    placed_by_key=True,
    note="alerts about behaviour that people have closed, and announced work; they lie among the decisions",
)
KEYING_CHANGELOG = _changelog(
    "stoplog.keying.changelog",
    Role.WATCH,
    "verdicts and audit records that wait for each other in the watch; private to it (msgpack rows)",
    compacted_within_ms=_DAY_MS,
    outlives_erasure=True,
)
WATCH_CHANGELOG = _changelog(
    "stoplog.watch.changelog", Role.WATCH, "what the watch has learned; private to it (msgpack rows)"
)
# INVARIANT: kept for as long as what it seals, so that no record that is still there has lost its seal.
AUDIT_SEAL = Topic(
    name="agent.audit.seal.v1",
    record=Seal,
    key="`seal`",
    spread=Spread.CO_PARTITIONED,
    writers=(Role.GATE,),
    readers=(Role.AUDITOR,),
    retention_ms=_AUDIT_RETENTION_MS,
    note="seals of what others put on the record (`agent.audit.reported.v1`), made by the notaries beside the gates",
)
NOTARY_CHANGELOG = _changelog(
    "stoplog.notary.changelog",
    Role.GATE,
    "how far the records of others are sealed; private to the notary (msgpack rows)",
)

DECLARED: tuple[Topic, ...] = (
    INTENT,
    SESSION,
    REPORT,
    DELEGATION,
    APPROVAL_DECISION,
    REVOCATION,
    CATALOG,
    RULESET,
    BASELINE,
    ATTRIBUTES,
    TOKEN_USED,
    VERDICT,
    SEAL,
    OUTCOME,
    APPROVAL_REQUEST,
    AUDIT,
    AUDIT_REPORTED,
    AUDIT_CHECKPOINT,
    ALERT,
    ALERT_OCSF,
    BUDGET_REQUEST,
    BUDGET_GRANT,
    GATE_CHANGELOG,
    BUDGET_CHANGELOG,
    BEHAVIOUR,
    KEYING_CHANGELOG,
    WATCH_CHANGELOG,
    CONTENT_KEY,
    CONTENT_ORDER,
    ALERT_STATUS,
    FEEDBACK,
    AUDIT_SEAL,
    NOTARY_CHANGELOG,
)


_LETTER_WRITERS = {BEHAVIOUR.name: (Role.WATCH,), ALERT_STATUS.name: (Role.WATCH,), ALERT.name: (Role.DESK,)}
"""Who reads a topic and writes its dead letters, where that is not the gate."""


def _dead_letter_topic(source: Topic) -> Topic:
    """Return the topic of dead letters of `source`: raw bytes, partitioned as the source is.

    They contain what their source contained, including arguments, and are kept no longer than it keeps that.
    """
    return Topic(
        name=source.dlq,
        record=None,
        key=f"as {source.name}",
        spread=source.spread,
        writers=_LETTER_WRITERS.get(source.name, (Role.GATE,)),
        readers=(Role.OPERATOR,),
        retention_ms=_RETENTION_MS if source.retention_ms is None else source.retention_ms,
        outlives_erasure=source.outlives_erasure,
        note=f"records of {source.name} that could not be read or accepted",
    )


PER_TENANT: tuple[Topic, ...] = tuple(topic for topic in DECLARED if topic.spread is Spread.PER_TENANT)
"""The declarations of which each tenant has a topic. Codecs and documents know the declaration by its name."""

WITHIN: dict[str, Topic] = {SEAL.name: VERDICT, FEEDBACK.name: BEHAVIOUR}
"""Declarations of records that have no topic of their own, by their names, and the topic in which such records lie."""

SEALS_AMONG_VERDICTS = msgspec.structs.replace(SEAL, name=VERDICT.name, family=SEAL.name)
"""Where seals are written: the verdict topic, with the schema and the envelope of a seal."""

FEEDBACK_AMONG_DECISIONS = msgspec.structs.replace(FEEDBACK, name=BEHAVIOUR.name, family=FEEDBACK.name)
"""Where feedback is written: the topic of decisions, with the schema and the envelope of a status."""

TOPICS: tuple[Topic, ...] = tuple(
    topic for topic in DECLARED if topic not in PER_TENANT and topic.name not in WITHIN
) + tuple(_dead_letter_topic(topic) for topic in DECLARED if topic.dead_letters)
"""All topics of which there is one, including those of dead letters."""

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}

RECORD_CLASSES: dict[str, type[Record]] = {topic.name: topic.record for topic in DECLARED if topic.record is not None}
"""The class of the records of each declaration, by its name."""

OUTCOME_PREFIX = "agent.outcome."
"""What the name of every tenant's outcome topic begins with."""

_OUTCOME_SUFFIX = ".v1"
TENANT_CHARS_MAX = 100
"""A tenant's part of a topic name: Kafka takes 249 characters, of which a deployment's prefix may have 100."""

TENANTS_CACHED_MAX = 1_024
_PLAIN = re.compile(r"[A-Za-z0-9-]")


def outcome_topic_name(tenant_uid: str) -> str:
    """Return the name of a tenant's outcome topic.

    Letters, digits and `-` stay as they are. Every other byte of the tenant's UTF-8 becomes `_` and two hex digits,
    also `.` and `_`, because Kafka counts two names as one that differ only in these. A tenant that is longer than
    `TENANT_CHARS_MAX` in this form becomes `__` and its SHA-256.

    INVARIANT: two tenants never have the same topic, whatever their names are.
    """
    return outcome_topic(tenant_uid).name


@lru_cache(maxsize=TENANTS_CACHED_MAX)
def outcome_topic(tenant_uid: str) -> Topic:
    """Return a tenant's outcome topic; see `outcome_topic_name`."""
    raw = tenant_uid.encode("utf-8", "surrogatepass")
    part = "".join(chr(byte) if _PLAIN.match(chr(byte)) else f"_{byte:02x}" for byte in raw)
    if len(part) > TENANT_CHARS_MAX:
        part = f"__{hashlib.sha256(raw).hexdigest()}"
    name = f"{OUTCOME_PREFIX}{part}{_OUTCOME_SUFFIX}"
    return msgspec.structs.replace(OUTCOME, name=name, family=OUTCOME.name)
