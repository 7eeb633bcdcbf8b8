"""Checks the topics of a processor before it starts."""

from __future__ import annotations

from collections.abc import Iterable

from streams.model import topics
from streams.model.errors import StoplogError
from streams.model.topics import Spread, Topic
from streams.ports import Admin, TopicState
from streams.topology import ProcessorSpec

_TIMESTAMP_TYPE = "message.timestamp.type"
_CLEANUP_POLICY = "cleanup.policy"
CHECKED_CONFIG = (_TIMESTAMP_TYPE, _CLEANUP_POLICY)


class StartRefusedError(StoplogError):
    """The topics are not as they must be.

    Attributes:
        findings: a line for each fault.
    """

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__(
            "refusing to start:\n  " + "\n  ".join(findings) + "\nrun `stoplog topics apply` to repair what it can"
        )
        self.findings = findings


def check_topics(spec: ProcessorSpec, admin: Admin) -> dict[str, int]:
    """Check the topics of a processor.

    Returns:
        The partition counts by topic name, those of the tenants' topics that exist included.

    Raises:
        StartRefusedError: a topic is missing that is not advisory, co-partitioned topics have unequal counts, a
            broadcast topic has more than one partition, time is not the broker's, or a compacted topic isn't compacted.
    """
    wanted = {topic.name: topic for topic in spec.topics()}
    states = admin.describe(list(wanted), CHECKED_CONFIG)
    for topic in spec.advisory:
        # A gate of this version must start before somebody has created the topics of this version.
        if topic.name not in states:
            del wanted[topic.name]
            wanted.pop(topic.dlq, None)
    # On a log that nobody has set up, a gate and what runs beside it would list all topics between them.
    findings = tuple(topic_faults(wanted.values(), states)) if states else ("none of its topics exists",)
    if findings:
        raise StartRefusedError(findings)
    return {name: state.partitions for name, state in states.items()} | tenant_topics(spec, admin)


def tenant_topics(spec: ProcessorSpec, admin: Admin) -> dict[str, int]:
    """Return the partition counts of the existing topics of tenants that the processor may write to, by name.

    Raises:
        LogError: the log does not answer, or refuses.
    """
    if topics.OUTCOME not in spec.outputs:
        return {}
    return admin.partition_counts(topics.OUTCOME_PREFIX)


def topic_faults(declared: Iterable[Topic], states: dict[str, TopicState]) -> list[str]:
    """Return what is wrong with these topics, a line each: what, where, and what it should be.

    Args:
        declared: the topics, as they are declared.
        states: as they are on the log, by name.
    """
    faults: list[str] = []
    counts: dict[int, list[str]] = {}
    for topic in declared:
        state = states.get(topic.name)
        if state is None:
            faults.append(f"topic `{topic.name}` does not exist")
            continue
        if topic.spread is Spread.CO_PARTITIONED:
            counts.setdefault(state.partitions, []).append(topic.name)
        faults.extend(_faults_of(topic, state))
    if len(counts) > 1:
        listed = "; ".join(f"{count}: {', '.join(sorted(names))}" for count, names in sorted(counts.items()))
        faults.append(f"co-partitioned topics have unequal partition counts ({listed}); make them equal")
    return faults


def _faults_of(topic: Topic, state: TopicState) -> list[str]:
    faults = []
    if topic.spread is Spread.BROADCAST and state.partitions != 1:
        faults.append(f"broadcast topic `{topic.name}` has {state.partitions} partitions; it must have 1")
    for name in CHECKED_CONFIG:
        wanted, actual = topic.config()[name], state.config.get(name)
        if actual != wanted:
            faults.append(f"topic `{topic.name}` has `{name}` = `{actual}`; it must be `{wanted}`")
    return faults
