"""The cluster of three brokers that faults are tried on: secured, replicated, and it outlives any one broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from simulation.broker.cluster import KafkaCluster
from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.groups import joining
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.ports import LogError, Outgoing, TopicPartition, TopicSpec
from tests.contract.log_under_test import Recorder
from tests.waiting import until

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with KafkaCluster.start(tmp_path_factory.mktemp("cluster") / "nodes", users={"stranger": "secret"}) as running:
        with closing(KafkaAdmin(running.bootstrap, extra=running.client_settings())) as admin:
            admin.create([TopicSpec("letters", 3, {"min.insync.replicas": "2"})], 3)
        yield running


# Longer than it takes the cluster to miss a broker that was killed (9 s) and to elect others.
WRITE_MS = 30_000


def _write(cluster: KafkaCluster, user: str, *, password: str | None = None, write_ms: int = WRITE_MS) -> None:
    settings = {**cluster.client_settings(user), "message.timeout.ms": str(write_ms)}
    if password is not None:
        settings["sasl.password"] = password
    with closing(KafkaPublisher(cluster.bootstrap, extra=settings)) as publisher:
        for partition in range(3):
            publisher.publish(Outgoing("letters", partition, b"key", b"value"))
        publisher.flush(write_ms + 10_000)


def test_only_those_with_a_right_may_write(cluster: KafkaCluster) -> None:
    _write(cluster, "admin")
    with pytest.raises(LogError, match=r"(?i)authoriz"):
        _write(cluster, "stranger")


def test_a_wrong_password_lets_nobody_in(cluster: KafkaCluster) -> None:
    with pytest.raises(LogError):
        _write(cluster, "admin", password="guessed", write_ms=2_000)


def test_it_takes_records_with_any_one_broker_gone(cluster: KafkaCluster) -> None:
    cluster.kill(0)
    try:
        _write(cluster, "admin")
    finally:
        cluster.restart(0)
    _write(cluster, "admin")


def test_controllers_on_nodes_of_their_own_take_no_partition_with_them(tmp_path: Path) -> None:
    with KafkaCluster.start(tmp_path / "nodes", users={}, nodes=1, controllers=3) as running:
        with closing(KafkaAdmin(running.bootstrap, extra=running.client_settings())) as admin:
            admin.create([TopicSpec("letters", 3, {})], 1)
        controller = running.active_controller()
        assert controller >= running.brokers == 1
        running.kill(controller)
        _write(running, "admin")
        running.restart(controller)
        _write(running, "admin")


def test_who_has_a_transaction_open_is_named_over_an_encrypted_connection(cluster: KafkaCluster) -> None:
    letters = TopicPartition("letters", 1)
    settings = cluster.client_settings("admin")
    with closing(KafkaProducer(cluster.bootstrap, "stands-still", extra=settings)) as hanging:
        hanging.init_transactions()
        hanging.begin()
        with closing(KafkaReader(cluster.bootstrap, extra=settings)) as reader:
            begin = reader.end_offsets([letters])[letters]
            assert reader.oldest_transaction(letters) is None
            hanging.send(Outgoing("letters", 1, b"key", b"never visible"))
            hanging._client.flush(WRITE_MS / 1_000)
            found = reader.oldest_transaction(letters)
        assert found is not None
        assert (found.start_offset, found.transactional_id) == (begin, "stands-still")
        guessed = {**settings, "sasl.password": "guessed"}
        with closing(KafkaReader(cluster.bootstrap, extra=guessed)) as reader, pytest.raises(LogError):
            reader.oldest_transaction(letters)
        assert not [thread.name for thread in threading.enumerate() if "kafka-io" in thread.name]
        hanging.abort()


AWAY_S = 6.0
"""Less than it takes the cluster to miss a broker (9 s), so that nobody else coordinates its groups."""


def test_a_member_whose_coordinator_is_away_is_not_given_up(
    cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = cluster.client_settings()
    group, coordinator = _group_coordinated_beside_its_partition(cluster)
    held = Recorder()
    with closing(KafkaConsumer(cluster.bootstrap, group, extra=settings)) as consumer:
        with monkeypatch.context() as patch:
            for name, value in {"ASK_AFTER_S": 0.3, "ASK_PAUSE_S": 0.1, "JOIN_S_MAX": 1.0}.items():
                patch.setattr(joining, name, value)
            cluster.freeze(coordinator)
            try:
                consumer.subscribe(["letters"], held)
                until_s = time.monotonic() + AWAY_S
                while time.monotonic() < until_s:
                    consumer.poll(1, 100)
                assert not held.assigned
            finally:
                cluster.thaw(coordinator)

        def has_joined() -> bool:
            consumer.poll(1, 100)
            return bool(held.assigned)

        until(has_joined)


def _group_coordinated_beside_its_partition(cluster: KafkaCluster) -> tuple[str, int]:
    """Return a group and the node that coordinates it, which does not lead the first partition of `letters`."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, **cluster.client_settings()})
    leader = admin.list_topics("letters", timeout=WRITE_MS / 1_000).topics["letters"].partitions[0].leader
    found: list[tuple[str, int]] = []

    def is_found() -> bool:
        for group, described in admin.describe_consumer_groups([f"readers-{number}" for number in range(20)]).items():
            # A cluster has no coordinators before the first question.
            with suppress(KafkaException):
                coordinator = described.result(WRITE_MS / 1_000).coordinator.id
                if coordinator != leader:
                    found.append((group, coordinator - 1))
        return bool(found)

    until(is_found)
    return found[0]
