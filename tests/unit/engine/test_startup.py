"""A processor starts only on topics that are as they must be."""

from __future__ import annotations

import pytest

from streams.engine.startup import StartRefusedError, check_topics
from streams.history.workers import create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import AUDIT_REPORTED, INTENT, REVOCATION, SESSION, TOPICS
from streams.ports import TopicSpec
from streams.topology import BUDGETS, GATE


def broken(topic: str, partitions: int, **config: str) -> tuple[str, ...]:
    """What is found where one topic is made like this, and the others as they should be."""
    log = MemoryLog(ManualClock(0))
    declared = next(each for each in GATE.topics() if each.name == topic)
    wanted = {**declared.config(), **{name.replace("_", "."): value for name, value in config.items()}}
    log.create(TopicSpec(topic, partitions, wanted))
    create_topics(log, GATE, 3)
    with pytest.raises(StartRefusedError) as refused:
        check_topics(GATE, log.admin())
    return refused.value.findings


def test_counts_are_told_when_all_is_well() -> None:
    log = MemoryLog(ManualClock(0))
    create_topics(log, GATE, 3)
    counts = check_topics(GATE, log.admin())
    assert (counts[INTENT.name], counts[REVOCATION.name]) == (3, 1)
    assert counts.keys() == {topic.name for topic in GATE.topics()}


def test_on_a_log_that_nobody_has_set_up_one_line_says_so() -> None:
    """A gate and what runs beside it say the same then: it is told once, where it was 42 lines."""
    for spec in (GATE, BUDGETS):
        with pytest.raises(StartRefusedError) as refused:
            check_topics(spec, MemoryLog(ManualClock(0)).admin())
        assert refused.value.findings == ("none of its topics exists",)
        assert "stoplog topics apply" in str(refused.value)


def test_missing_topics_are_all_named() -> None:
    log = MemoryLog(ManualClock(0))
    log.create(TopicSpec(SESSION.name, 1, SESSION.config()))
    with pytest.raises(StartRefusedError) as refused:
        check_topics(GATE, log.admin())
    advisory = [name for topic in GATE.advisory for name in (topic.name, topic.dlq)]
    assert len(refused.value.findings) == len(GATE.topics()) - len(advisory) - 1
    assert not any(f"`{name}`" in finding for name in advisory for finding in refused.value.findings)
    assert "stoplog topics apply" in str(refused.value)


def test_a_log_of_the_version_before_lacks_one_topic() -> None:
    """Where the allocator beside the gate reports what it could not process."""
    log = MemoryLog(ManualClock(0))
    for topic in TOPICS:
        if topic is not AUDIT_REPORTED:
            log.create(TopicSpec(topic.name, 1, topic.config()))
    check_topics(GATE, log.admin())
    with pytest.raises(StartRefusedError) as refused:
        check_topics(BUDGETS, log.admin())
    assert refused.value.findings == ("topic `agent.audit.reported.v1` does not exist",)


def test_unequal_counts_are_refused() -> None:
    (finding,) = broken(INTENT.name, 4)
    assert "unequal partition counts" in finding
    assert INTENT.name in finding


def test_a_broadcast_topic_has_one_partition() -> None:
    (finding,) = broken(REVOCATION.name, 2)
    assert finding == f"broadcast topic `{REVOCATION.name}` has 2 partitions; it must have 1"


def test_time_must_be_the_brokers() -> None:
    (finding,) = broken(SESSION.name, 3, message_timestamp_type="CreateTime")
    assert "`message.timestamp.type` = `CreateTime`; it must be `LogAppendTime`" in finding


def test_the_changelog_must_be_compacted() -> None:
    (finding,) = broken(GATE.changelog.name, 3, cleanup_policy="delete")
    assert "`cleanup.policy` = `delete`; it must be `compact`" in finding
