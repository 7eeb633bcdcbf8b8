"""Compares the topics of a log with the declaration, and plans the steps that remove the differences. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.model.plurals import many
from streams.model.topics import DECLARED, Spread, Topic
from streams.ports import AclSpec, TopicSpec, TopicState

MIN_INSYNC = "min.insync.replicas"
"""How many replicas must have a record before it counts as stored."""

MIN_INSYNC_REPLICAS = 2
"""With fewer, a record may be on one broker alone when that broker dies; with more, one lost broker of three would stop
everything."""

REPLICATION_FOR_TWO = 3
"""From this many replicas on, two must have a record. With two replicas, losing one would stop everything."""

CONFIG_NAMES = tuple(sorted({*(name for topic in DECLARED for name in topic.config()), MIN_INSYNC}))
"""The configuration that a declaration sets, and that must therefore be read of existing topics."""

_CO_PARTITIONED = (Spread.CO_PARTITIONED, Spread.PER_TENANT)


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """A topic is missing."""

    spec: TopicSpec

    def __str__(self) -> str:
        return f"create topic `{self.spec.name}` with {many(self.spec.partitions, 'partition')}"


@dataclass(frozen=True, slots=True)
class AlterConfig:
    """A configuration value differs."""

    topic: str
    name: str
    actual: str
    wanted: str

    def __str__(self) -> str:
        return f"set `{self.name}` of topic `{self.topic}` from `{self.actual}` to `{self.wanted}`"


@dataclass(frozen=True, slots=True)
class GrantAccess:
    """A principal lacks an access entry."""

    acl: AclSpec

    def __str__(self) -> str:
        acl = self.acl
        what = acl.resource.lower().replace("_", " ")
        names = f"{what}s that begin with `{acl.name}`" if acl.prefixed else f"{what} `{acl.name}`"
        return f"allow `{acl.principal}` to {acl.operation.lower().replace('_', ' ')} {names}"


Step = CreateTopic | AlterConfig | GrantAccess


@dataclass(frozen=True, slots=True)
class Trouble:
    """A difference that no step removes: what it is, and what a person can do."""

    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}: {self.advice}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which to do them, and the differences that they don't remove.

    Attributes:
        steps: what to do.
        troubles: the differences that the steps don't remove.
        unseen: what this client may not see, and which is therefore not compared.
    """

    steps: tuple[Step, ...]
    troubles: tuple[Trouble, ...]
    unseen: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether everything that this client may see is as declared."""
        return not self.steps and not self.troubles

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.steps + other.steps, self.troubles + other.troubles, self.unseen + other.unseen)


def plan_topics(topics: Sequence[Topic], states: Mapping[str, TopicState], partitions: int, replication: int) -> Plan:
    """Plan which topics to create and which configurations to change.

    Args:
        topics: the declared topics.
        states: the existing topics, with the configuration of `CONFIG_NAMES`.
        partitions: the number of partitions of a new topic for which the declaration states none.
        replication: the number of replicas of every topic.
    """
    counts = _co_partition_counts(topics, states)
    # A new topic gets the partition count of the existing ones: with another count, no gate would start.
    common = counts.most_common(1)[0][0] if counts else partitions
    steps: list[Step] = []
    troubles = list(_count_troubles(topics, states, counts, partitions))
    for topic in topics:
        state = states.get(topic.name)
        if state is None:
            counts_of = {Spread.BROADCAST: 1, Spread.OWN: partitions}
            count = counts_of.get(topic.spread, common)
            steps.append(CreateTopic(TopicSpec(topic.name, count, {**topic.config(), **_insync_config(replication)})))
            continue
        for name, wanted in sorted((topic.config() | _missing_insync(state)).items()):
            actual = state.config.get(name, "")
            if actual != wanted:
                steps.append(AlterConfig(topic.name, name, actual, wanted))
        troubles.extend(_state_troubles(topic, state, replication))
    return Plan(tuple(steps), tuple(troubles))


def replication_warning(replication: int) -> Trouble | None:
    """Return what a cluster risks with so few replicas of each topic, and what to do; None if it survives a broker.

    Args:
        replication: the setting `topics.replication`.
    """
    if replication > 1:
        return None
    return Trouble(
        "every topic has one replica (`topics.replication` is 1): while a broker is away, its partitions stand still, "
        "and if its disk is lost, so are rules, tools, stops and the audit trail",
        f"for anything but a trial, set `topics.replication = {REPLICATION_FOR_TWO}` before the topics are created, "
        "and add replicas to existing topics with kafka-reassign-partitions",
    )


def _insync_config(replication: int) -> dict[str, str]:
    return {MIN_INSYNC: str(MIN_INSYNC_REPLICAS)} if replication >= REPLICATION_FOR_TWO else {}


def _missing_insync(state: TopicState) -> dict[str, str]:
    """Return the configuration to set on an existing topic. It depends on the replicas that the topic has, because the
    settings may state others. A stricter setting of an operator is kept.
    """
    actual = state.config.get(MIN_INSYNC, "")
    if actual.isdecimal() and int(actual) >= MIN_INSYNC_REPLICAS:
        return {}
    return _insync_config(state.replication)


def _co_partition_counts(topics: Sequence[Topic], states: Mapping[str, TopicState]) -> Counter[int]:
    return Counter(
        states[topic.name].partitions for topic in topics if topic.spread in _CO_PARTITIONED and topic.name in states
    )


def _count_troubles(
    topics: Sequence[Topic], states: Mapping[str, TopicState], counts: Counter[int], partitions: int
) -> Iterator[Trouble]:
    if len(counts) > 1:
        by_count = {
            count: sorted(
                topic.name
                for topic in topics
                if topic.spread in _CO_PARTITIONED and topic.name in states and states[topic.name].partitions == count
            )
            for count in sorted(counts)
        }
        listed = "; ".join(f"{count}: {', '.join(names)}" for count, names in by_count.items())
        yield Trouble(
            f"co-partitioned topics have unequal partition counts ({listed})",
            "partitions can't be removed, and adding partitions moves sessions: stop agents and gates, delete the "
            "topics with the wrong count (their records are lost), and run `stoplog topics apply` again",
        )
    elif counts and partitions not in counts:
        (count,) = counts
        yield Trouble(
            f"co-partitioned topics have {count} partitions, but the setting `topics.partitions` is {partitions}",
            f"set it to {count}; or, because {partitions} partitions need new topics, stop agents and gates, delete "
            "the co-partitioned topics (their records are lost), and run `stoplog topics apply` again",
        )


def _state_troubles(topic: Topic, state: TopicState, replication: int) -> Iterator[Trouble]:
    if topic.spread is Spread.BROADCAST and state.partitions != 1:
        yield Trouble(
            f"broadcast topic `{topic.name}` has {state.partitions} partitions instead of 1",
            "partitions can't be removed: export the topic's records, delete it, run `stoplog topics apply`, and "
            "publish the records again",
        )
    if state.replication < replication:
        yield Trouble(
            f"topic `{topic.name}` has {state.replication} replicas, the setting `topics.replication` is {replication}",
            "add replicas to its partitions with kafka-reassign-partitions",
        )
