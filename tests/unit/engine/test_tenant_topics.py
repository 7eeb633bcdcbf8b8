"""Topics of tenants come and go while a worker runs, and looking for them holds up nobody."""

from __future__ import annotations

import threading

from streams.engine.startup import check_topics
from streams.engine.tenant_topics import TenantTopics
from streams.history.workers import create_topics
from streams.inmemory.admin import MemoryAdmin
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import outcome_topic
from streams.ports import Admin, RetriableLogError, TopicSpec
from streams.topology import BUDGETS, GATE
from tests.waiting import until

PARTITIONS = 3
WAIT_S = 20.0


def made_log(*tenants: str) -> MemoryLog:
    log = MemoryLog(ManualClock(0))
    for spec in (GATE, BUDGETS):
        create_topics(log, spec, PARTITIONS)
    for tenant in tenants:
        make(log, tenant)
    return log


def make(log: MemoryLog, tenant: str) -> None:
    log.create(TopicSpec(outcome_topic(tenant).name, PARTITIONS, {}))


def test_those_that_exist_are_known_from_the_start_and_none_must_exist() -> None:
    assert outcome_topic("acme").name not in check_topics(GATE, made_log().admin())
    assert check_topics(GATE, made_log("acme").admin())[outcome_topic("acme").name] == PARTITIONS
    # The allocator writes no outcomes.
    assert outcome_topic("acme").name not in check_topics(BUDGETS, made_log("acme").admin())


def test_new_ones_are_found_and_those_that_are_gone_are_forgotten() -> None:
    log, first, second = made_log("acme"), outcome_topic("acme").name, outcome_topic("zeta").name
    counts = check_topics(GATE, log.admin())
    others = {name: count for name, count in counts.items() if name != first}
    topics = TenantTopics(GATE, log.admin, counts)
    make(log, "zeta")
    topics.look()
    until(lambda: counts.get(second) == PARTITIONS)
    del log._topics[first]
    topics.look()
    until(lambda: counts[first] == 0)
    assert {name: count for name, count in counts.items() if name in others} == others


def test_a_log_that_does_not_answer_holds_up_nobody_and_is_asked_again_later() -> None:
    log, name = made_log(), outcome_topic("acme").name
    counts, answers, asked = check_topics(GATE, log.admin()), threading.Event(), []

    class Slow(MemoryAdmin):
        def partition_counts(self, prefix: str) -> dict[str, int]:
            asked.append(prefix)
            answers.wait(WAIT_S)
            if len(asked) == 1:
                raise RetriableLogError("no answer in time")
            return super().partition_counts(prefix)

    def open_admin() -> Admin:
        return Slow(log)

    topics = TenantTopics(GATE, open_admin, counts)
    make(log, "acme")
    for _ in range(3):
        topics.look()
    assert name not in counts
    answers.set()

    def found() -> bool:
        topics.look()
        return counts.get(name) == PARTITIONS

    until(found)
    assert len(asked) >= 2
