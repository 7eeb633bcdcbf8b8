"""What `topics apply`, `topics check` and readers say to a client from which access control hides a part."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.inmemory.admin import MemoryAdmin
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import ALERT_OCSF, RULESET, TOPICS, outcome_topic
from streams.operations.settings import TopicsSection
from streams.operations.topics.application import AdministratorNeededError, carry_out, make_plan
from streams.operations.topics.plan import CreateTopic, Plan
from streams.operations.topics.reader import TopicReadError, partitions_of
from streams.ports import AclSpec, DeniedLogError, LogError, TopicSpec
from streams.sdk.connection.missing_topics import why_missing
from streams.sdk.connection.transport import Transport

SECTION = TopicsSection(
    principals={"gate": ["User:gate"]}, instances={"User:gate": ["gate-1"]}, tenants={"acme": ["User:agents"]}
)


class FewRights(MemoryAdmin):
    """Sees all topics but some, no access entries, and creates nothing."""

    unseen = frozenset({ALERT_OCSF.name, RULESET.name})

    def hidden(self, topics: Sequence[str], *, configs: bool = False) -> frozenset[str]:
        return self.unseen & set(topics)

    def acls(self) -> set[AclSpec] | None:
        raise DeniedLogError("can't list the access entries: no (CLUSTER_AUTHORIZATION_FAILED)")

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        raise DeniedLogError(f"can't create the topic `{topics[0].name}`: no (TOPIC_AUTHORIZATION_FAILED)")


class ClosedLog(MemoryLog):
    """As a client with few rights sees it; the topics that are hidden aren't there."""

    def admin(self) -> MemoryAdmin:
        return FewRights(self)

    @property
    def name(self) -> str:
        return "closed log"


@pytest.fixture
def log() -> ClosedLog:
    made = ClosedLog(ManualClock(1_000_000))
    for topic in (*TOPICS, outcome_topic("acme")):
        if topic.name not in FewRights.unseen:
            made.create(TopicSpec(topic.name, 1, topic.config()))
    return made


def plan_of(log: ClosedLog) -> Plan:
    section = SECTION.model_copy(update={"partitions": 1})
    return make_plan(section, "gates", log.admin())


def test_what_is_hidden_is_named_and_neither_missing_nor_wrong(log: ClosedLog) -> None:
    plan = plan_of(log)
    assert not [step for step in plan.steps if isinstance(step, CreateTopic)]
    assert plan.troubles == ()
    assert plan.is_clean
    assert plan.unseen == (f"topic `{RULESET.name}`", f"topic `{ALERT_OCSF.name}`", "the access entries")


def test_who_may_not_see_everything_does_not_apply_and_learns_who_does(log: ClosedLog) -> None:
    with pytest.raises(AdministratorNeededError, match="run this with the credentials of an administrator"):
        carry_out(plan_of(log), log.admin(), 1, lambda step: None)
    missing = Plan((CreateTopic(TopicSpec("agent.new.v1", 1, {})),), ())
    with pytest.raises(AdministratorNeededError, match=r"`agent.new.v1`.*credentials of an administrator"):
        carry_out(missing, log.admin(), 1, lambda step: None)


def test_readers_and_writers_learn_which_role_sees_the_topic(log: ClosedLog) -> None:
    expected = r"may not see topic `agent.ruleset.v1` of the closed log: only these roles may: rule-publishing, gate"
    with pytest.raises(TopicReadError, match=expected):
        partitions_of(log, [RULESET.name])
    with (
        Transport(log, Codec(CommittedSchemas.load()), log.clock) as transport,
        pytest.raises(LogError, match=expected),
    ):
        transport.partitions(RULESET.name)


def test_of_a_topic_that_is_not_hidden_it_is_said_that_there_is_none(log: ClosedLog) -> None:
    assert why_missing("agent.outcome.zeta.v1", log.admin(), "log") == (
        "there is no topic `agent.outcome.zeta.v1` on the log: name the tenant and its agents in `topics.tenants`, "
        "and run `stoplog topics apply`"
    )


def test_agents_learn_that_a_tenant_names_them(log: ClosedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FewRights, "unseen", frozenset({"agent.outcome.zeta.v1"}))
    told = why_missing("agent.outcome.zeta.v1", log.admin(), "log")
    assert "only these roles may: gate, agent" in told
    assert "`topics.tenants`" in told
