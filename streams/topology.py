"""Declares which topics each processor reads and writes, as data: the engine runs it, documents are made from it."""

from __future__ import annotations

import msgspec

from streams.model import topics
from streams.model.topics import Topic


class ProcessorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A processor's place in the flow.

    Attributes:
        name: the processor's name, and its consumer group's by default.
        inputs: co-partitioned topics, in the order in which records of the same instant are processed.
        broadcast: topics that every instance reads completely before its first input record.
        advisory: topics that every instance reads as far as they can be read, and never waits for
            (`streams.engine.advisory_reader`).
        changelog: the topic that makes its state durable.
        outputs: the topics that it may write to, dead letters aside.
    """

    name: str
    inputs: tuple[Topic, ...]
    broadcast: tuple[Topic, ...]
    changelog: Topic
    outputs: tuple[Topic, ...]
    advisory: tuple[Topic, ...] = ()

    @property
    def read(self) -> tuple[Topic, ...]:
        """Return the topics that the processor reads, its changelog aside."""
        return (*self.inputs, *self.broadcast, *self.advisory)

    def topics(self) -> tuple[Topic, ...]:
        """Return every topic that must exist, dead-letter topics included. Topics of tenants need not exist."""
        letters = tuple(topics.BY_NAME[topic.dlq] for topic in self.read if topic.dead_letters)
        written = tuple(topic for topic in self.outputs if topic not in topics.PER_TENANT)
        return tuple(dict.fromkeys((*self.read, self.changelog, *written, *letters)))


GATE = ProcessorSpec(
    name="gate",
    # What a session is and may do comes before what it asks for.
    inputs=(
        topics.SESSION,
        topics.REPORT,
        topics.DELEGATION,
        topics.APPROVAL_DECISION,
        topics.BUDGET_GRANT,
        topics.INTENT,
    ),
    broadcast=(topics.REVOCATION, topics.CATALOG, topics.RULESET, topics.ATTRIBUTES),
    # INVARIANT: not a broadcast topic, because watches write it in transactions. A watch that dies in one would keep
    # gates from knowing that they have read everything, and they would deny until the transaction times out (ADR 0082).
    advisory=(topics.BASELINE,),
    changelog=topics.GATE_CHANGELOG,
    # REVOCATION, because the end of a session revokes all sessions that descend from it, on whatever partition.
    outputs=(
        topics.VERDICT,
        topics.OUTCOME,
        topics.AUDIT,
        topics.AUDIT_CHECKPOINT,
        topics.ALERT,
        topics.ALERT_OCSF,
        topics.APPROVAL_REQUEST,
        topics.BUDGET_REQUEST,
        topics.REVOCATION,
        topics.CONTENT_KEY,
    ),
)

BUDGETS = ProcessorSpec(
    name="budgets",
    inputs=(topics.BUDGET_REQUEST,),
    broadcast=(),
    changelog=topics.BUDGET_CHANGELOG,
    # Its partitions are assigned apart from the gate's: on the gate's topic it would be a second writer.
    outputs=(topics.BUDGET_GRANT, topics.AUDIT_REPORTED, topics.ALERT, topics.ALERT_OCSF),
)

NOTARY = ProcessorSpec(
    name="notary",
    inputs=(topics.AUDIT_REPORTED,),
    broadcast=(),
    changelog=topics.NOTARY_CHANGELOG,
    # It reports what it could not read where it reads, so that this is sealed, too.
    outputs=(topics.AUDIT_SEAL, topics.AUDIT_REPORTED, topics.ALERT, topics.ALERT_OCSF),
)

KEYING = ProcessorSpec(
    name="keying",
    # A verdict is written before its audit record.
    inputs=(topics.VERDICT, topics.AUDIT, topics.ALERT_STATUS),
    broadcast=(),
    changelog=topics.KEYING_CHANGELOG,
    outputs=(topics.BEHAVIOUR, topics.AUDIT_REPORTED, topics.ALERT, topics.ALERT_OCSF),
)

WATCH = ProcessorSpec(
    name="watch",
    inputs=(topics.BEHAVIOUR,),
    broadcast=(),
    changelog=topics.WATCH_CHANGELOG,
    outputs=(topics.BASELINE, topics.AUDIT_REPORTED, topics.ALERT, topics.ALERT_OCSF),
)

PROCESSORS: tuple[ProcessorSpec, ...] = (GATE, BUDGETS, NOTARY)
"""The processors of a gate's process."""
