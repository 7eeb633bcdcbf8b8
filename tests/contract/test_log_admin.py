"""What topic set-up promises."""

from __future__ import annotations

import pytest

from streams.ports import Admin, LogError, TopicSpec
from tests.contract.log_under_test import LogUnderTest

CONFIG = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "86400000",
    "max.message.bytes": "2000000",
}

CHANGES = 50


def config_of(admin: Admin, topic: str) -> dict[str, str]:
    found = admin.describe([topic], [*CONFIG])[topic].config
    return {key: found[key] for key in CONFIG}


def test_created_topic_is_described_as_asked(log: LogUnderTest) -> None:
    admin = log.admin()
    plain, special, missing = log.unique("plain"), log.unique("special"), log.unique("missing")
    admin.create([TopicSpec(plain, 1, {}), TopicSpec(special, 3, CONFIG)], replication=1)
    states = admin.describe([plain, special, missing], [*CONFIG])
    assert states.keys() == {plain, special}
    assert (states[plain].name, states[plain].partitions, states[plain].replication) == (plain, 1, 1)
    assert states[special].partitions == 3
    assert {key: states[special].config[key] for key in CONFIG} == CONFIG
    assert states[plain].config["cleanup.policy"] == "delete"
    assert states[plain].config["message.timestamp.type"] == "CreateTime"
    admin.close()


def test_altered_config_keeps_the_rest(log: LogUnderTest) -> None:
    admin = log.admin()
    topic = log.unique("altered")
    admin.create([TopicSpec(topic, 1, CONFIG)], replication=1)
    for number in range(CHANGES):
        admin.alter_config(topic, {"retention.ms": f"{3_600_000 + number}"})
        # At once: a gate that is started now must not refuse the former value.
        assert config_of(admin, topic) == {**CONFIG, "retention.ms": f"{3_600_000 + number}"}
    admin.close()


def test_creating_an_existing_topic_is_an_error(log: LogUnderTest) -> None:
    admin = log.admin()
    topic = log.unique("twice")
    admin.create([TopicSpec(topic, 2, {})], replication=1)
    with pytest.raises(LogError, match=topic):
        admin.create([TopicSpec(topic, 2, {})], replication=1)
    assert admin.describe([topic], [])[topic].partitions == 2
    admin.close()


@pytest.mark.parametrize(
    "spec",
    [
        TopicSpec("no spaces allowed", 1, {}),
        TopicSpec("..", 1, {}),
        TopicSpec("", 1, {}),
        TopicSpec("x" * 250, 1, {}),
        TopicSpec("bad-retention", 1, {"retention.ms": "soon"}),
        TopicSpec("bad-policy", 1, {"cleanup.policy": "burn"}),
        TopicSpec("bad-time", 1, {"message.timestamp.type": "Yesterday"}),
    ],
)
def test_topic_that_can_not_be_is_refused(log: LogUnderTest, spec: TopicSpec) -> None:
    admin = log.admin()
    with pytest.raises(LogError):
        admin.create([spec], replication=1)
    admin.close()


def test_altering_what_is_not_there_or_can_not_be_is_an_error(log: LogUnderTest) -> None:
    admin = log.admin()
    with pytest.raises(LogError):
        admin.alter_config(log.unique("missing"), {"retention.ms": "1000"})
    topic = log.unique("kept")
    admin.create([TopicSpec(topic, 1, {"retention.ms": "1000"})], replication=1)
    with pytest.raises(LogError):
        admin.alter_config(topic, {"retention.ms": "soon"})
    assert admin.describe([topic], ["retention.ms"])[topic].config["retention.ms"] == "1000"
    admin.close()


def test_access_entries_are_a_set_or_there_is_no_authorizer(log: LogUnderTest) -> None:
    admin = log.admin()
    assert admin.acls() is None or isinstance(admin.acls(), set)
    admin.close()


def test_topics_are_counted_by_the_beginning_of_their_names(log: LogUnderTest) -> None:
    admin = log.admin()
    first, second = f"{log.unique('counted')}.a", log.unique("other")
    beginning = first.removesuffix("a")
    admin.create([TopicSpec(first, 1, {}), TopicSpec(f"{beginning}b", 3, {}), TopicSpec(second, 2, {})], replication=1)
    assert admin.partition_counts(beginning) == {first: 1, f"{beginning}b": 3}
    assert admin.partition_counts(log.unique("missing")) == {}
    admin.close()


def test_nothing_is_hidden_from_those_who_may_do_everything(log: LogUnderTest) -> None:
    admin = log.admin()
    topic = log.unique("visible")
    admin.create([TopicSpec(topic, 1, {})], replication=1)
    missing = log.unique("missing")
    assert admin.hidden([]) == frozenset()
    assert admin.hidden([topic, missing]) == frozenset()
    assert admin.hidden([topic, missing], configs=True) == frozenset()
    admin.close()
