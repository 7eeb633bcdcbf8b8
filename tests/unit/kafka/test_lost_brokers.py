"""A step that waits for a broker which the cluster no longer has is given up, and no other one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.noticing import lost_brokers
from streams.kafka.noticing.lost_brokers import FOUND_S_MAX, QUICK_S_MAX, BrokerWatch
from tests.waiting import until

SOON_S = 5.0


class Cluster:
    """What a cluster answers who asks for its brokers."""

    def __init__(self, *brokers: int) -> None:
        self.brokers = frozenset(brokers)
        self.asked_count = 0
        self.is_answering = True

    def listed(self) -> frozenset[int]:
        self.asked_count += 1
        if not self.is_answering:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return self.brokers


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_brokers, "SLOW_S", 0.05)
    monkeypatch.setattr(lost_brokers, "ASK_PAUSE_S", 0.01)


def answered_watch(cluster: Cluster) -> BrokerWatch:
    """A watch of a client that was answered once, and knows the cluster's brokers."""
    watch = BrokerWatch()
    watch.begin(cluster.listed)
    watch.end(are_offsets=True)
    until(lambda: cluster.asked_count == 1, timeout_s=SOON_S)
    time.sleep(0.05)
    return watch


def answer_offsets(watch: BrokerWatch, cluster: Cluster) -> None:
    """Let a quick step commit offsets."""
    watch.begin(cluster.listed)
    watch.end(are_offsets=True)


def looks(watch: BrokerWatch, duration_s: float = 0.3) -> Iterator[float | None]:
    """What a step is told that waits for this long."""
    until_s = time.monotonic() + duration_s
    while time.monotonic() < until_s:
        yield watch.left_s()
        time.sleep(0.005)


def test_a_step_that_waits_is_given_up_soon_after_a_broker_was_dropped() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
    cluster.brokers = frozenset({1, 3})
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)
    left_s = watch.left_s()
    assert left_s is not None
    assert 0 < left_s <= FOUND_S_MAX
    time.sleep(0.1)
    later_s = watch.left_s()
    assert later_s is not None
    assert later_s <= left_s - 0.1


def test_a_broker_that_was_dropped_before_the_step_waited_counts_as_well() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    cluster.brokers = frozenset({1, 3})
    watch.begin(cluster.listed)
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)


def test_a_loss_counts_once() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    cluster.brokers = frozenset({1, 3})
    watch.begin(cluster.listed)
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)
    watch.end(are_offsets=True)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}


def test_a_slow_step_waits_on_while_the_cluster_has_all_its_brokers_or_more() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
    cluster.brokers = frozenset({1, 2, 3, 4})
    assert set(looks(watch)) == {None}
    assert cluster.asked_count > 3


def test_brokers_that_do_not_answer_are_not_lost() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    cluster.is_answering = False
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
    cluster.brokers, cluster.is_answering = frozenset(), True
    assert set(looks(watch)) == {None}


def test_offsets_after_a_step_in_which_a_broker_was_dropped_get_less_time() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    watch.begin(cluster.listed)
    cluster.brokers = frozenset({1, 3})
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)
    watch.end(are_offsets=False)
    time.sleep(FOUND_S_MAX)
    watch.begin(cluster.listed)
    left_s = watch.left_s()
    assert left_s is not None
    assert left_s == pytest.approx(QUICK_S_MAX, abs=0.1)
    watch.end(are_offsets=True)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}


def test_after_a_slow_step_a_broker_that_is_dropped_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
    watch.end(are_offsets=False)
    monkeypatch.setattr(lost_brokers, "SLOW_S", 60.0)
    cluster.brokers = frozenset({1, 3})
    watch.begin(cluster.listed)
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)


def test_nobody_is_asked_where_steps_are_quick() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    for _ in range(100):
        watch.begin(cluster.listed)
        assert watch.left_s() is None
        watch.end(are_offsets=True)
    assert cluster.asked_count == 1


def test_a_broker_that_was_removed_long_before_a_slow_step_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_brokers, "REFRESH_S", 0.1)
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    cluster.brokers = frozenset({1, 3})
    for _ in range(50):
        answer_offsets(watch, cluster)
        time.sleep(0.005)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
    cluster.brokers = frozenset({1})
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)


def test_what_is_learned_after_quick_offsets_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_brokers, "REFRESH_S", 0.0)
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    cluster.brokers = frozenset({1, 3})
    answer_offsets(watch, cluster)
    until(lambda: cluster.asked_count == 2, timeout_s=SOON_S)
    time.sleep(0.05)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}


def test_brokers_are_asked_for_now_and_then_where_steps_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_brokers, "REFRESH_S", 0.1)
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    asked_count, until_s = cluster.asked_count, time.monotonic() + 0.5
    while time.monotonic() < until_s:
        answer_offsets(watch, cluster)
        time.sleep(0.005)
    assert 1 <= cluster.asked_count - asked_count <= 5


def test_brokers_that_were_known_long_before_a_slow_step_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_brokers, "KNOWN_S_MAX", 0.1)
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    cluster.brokers = frozenset({1, 3})
    time.sleep(0.1)
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
    cluster.brokers = frozenset({1})
    until(lambda: watch.left_s() is not None, timeout_s=SOON_S)


def test_an_answer_that_comes_after_offsets_were_answered_says_nothing_of_the_next_ones() -> None:
    cluster = Cluster(1, 2, 3)
    watch = answered_watch(cluster)
    is_asked, may_answer, has_answered = threading.Event(), threading.Event(), threading.Event()

    def listed_late() -> frozenset[int]:
        is_asked.set()
        assert may_answer.wait(SOON_S)
        has_answered.set()
        return frozenset({1, 3})

    watch.begin(listed_late)
    until(lambda: watch.left_s() is None and is_asked.is_set(), timeout_s=SOON_S)
    watch.end(are_offsets=True)
    may_answer.set()
    assert has_answered.wait(SOON_S)
    time.sleep(0.05)
    cluster.brokers = frozenset({1, 3})
    watch.begin(cluster.listed)
    assert set(looks(watch)) == {None}
