"""Publishers, topics and settings, and a broker that restarts, crashes or is away."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from simulation.broker.kafka import KafkaBroker
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.lookups import offset_lookup
from streams.kafka.producer import END_S_MAX, KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.ports import AclSpec, LogError, Outgoing, RetriableLogError, TopicPartition, TopicSpec
from tests.contract.kafka_log import KafkaLog
from tests.contract.log_under_test import FLUSH_MS
from tests.integration.kafka_adapter.members import WAIT_S, Member, fill, make_topics, read_all, within

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that tests may stop and kill; it has an authorizer."""
    with KafkaBroker.start(tmp_path_factory.mktemp("own-broker"), acls=True) as broker:
        yield broker


class TestPublisher:
    def test_a_flush_names_the_topics_of_what_was_not_stored(self, log: KafkaLog) -> None:
        good, small = log.unique("good"), log.unique("small")
        log.admin().create([TopicSpec(good, 1, {}), TopicSpec(small, 1, {"max.message.bytes": "1000"})], replication=1)
        publisher = log.publisher()
        publisher.publish(Outgoing(good, 0, b"k", b"stored"))
        for _ in range(2):
            publisher.publish(Outgoing(small, 0, b"k", os.urandom(5_000)))
            with pytest.raises(LogError, match=f"1 to `{small}`"):
                publisher.flush(FLUSH_MS)
        publisher.flush(FLUSH_MS)
        assert read_all(log, good) == [b"stored"]

    def test_what_can_not_be_queued_is_refused_at_once(self, log: KafkaLog) -> None:
        (topic,) = make_topics(log, "topic")
        publisher = log.publisher()
        with pytest.raises(LogError, match=topic):
            publisher.publish(Outgoing(topic, 0, None, bytes(2_000_000)))
        with pytest.raises(ValueError, match="surrogates"):
            publisher.publish(Outgoing(topic, 0, None, b"x", (("\udc80", b"y"),)))
        producer = log.producer(log.unique("id"))
        producer.init_transactions()
        producer.begin()
        with pytest.raises(LogError, match=topic) as caught:
            producer.send(Outgoing(topic, 0, None, bytes(2_000_000)))
        assert type(caught.value) is LogError
        producer.send(Outgoing(topic, 0, None, b"fits"))
        producer.commit()
        assert read_all(log, topic) == [b"fits"]

    def test_threads_share_one(self, log: KafkaLog) -> None:
        (topic,) = make_topics(log, "topic")
        publisher = log.publisher()

        def publish(thread: int) -> None:
            for number in range(50):
                publisher.publish(Outgoing(topic, 0, None, f"{thread}.{number}".encode()))
                if number % 10 == 0:
                    publisher.flush(FLUSH_MS)

        threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        publisher.flush(FLUSH_MS)
        found = [value.decode() for value in read_all(log, topic) if value is not None]
        for sender in range(4):
            mine = [value for value in found if value.startswith(f"{sender}.")]
            assert mine == [f"{sender}.{number}" for number in range(50)]


class TestOwnBroker:
    def test_its_restart_and_its_crash_lose_nothing_and_duplicate_nothing(self, own_broker: KafkaBroker) -> None:
        log = KafkaLog(own_broker.bootstrap)
        source, out = make_topics(log, "source", "out", partitions=2)
        values = fill(log, source, 2_000, partitions=2)
        member = Member(log, log.unique("group"), [source], out, "one")

        def crash() -> None:
            own_broker.kill()
            own_broker.restart()

        troubles = [own_broker.restart, crash]
        trouble: threading.Thread | None = None
        copied, next_at = 0, 500
        for _ in within(4 * WAIT_S, "all are copied, before and after"):
            copied += member.step()
            if trouble is None or not trouble.is_alive():
                if copied >= len(values):
                    break
                if copied >= next_at and troubles:
                    trouble = threading.Thread(target=troubles.pop(0))
                    trouble.start()
                    next_at = copied + 500
            elif copied >= len(values):
                values += fill(log, source, 100, partitions=2)
        assert not troubles
        assert Counter(read_all(log, out, 2)) == Counter(values)
        log.close()

    def test_access_entries(self, own_broker: KafkaBroker) -> None:
        log = KafkaLog(own_broker.bootstrap)
        admin = log.admin()
        wanted = {
            AclSpec("User:gate", "TOPIC", "agent.", "READ", prefixed=True),
            AclSpec("User:gate", "GROUP", "gate", "READ"),
            AclSpec("User:gate", "TRANSACTIONAL_ID", "gate-", "WRITE", prefixed=True),
        }
        assert admin.acls() == set()
        admin.create_acls(sorted(wanted))
        admin.create_acls(sorted(wanted))
        assert admin.acls() == wanted
        with pytest.raises(LogError, match="`CLUSTER`"):
            admin.create_acls([AclSpec("User:gate", "CLUSTER", "kafka-cluster", "READ")])
        with pytest.raises(LogError, match="`LOOK`"):
            admin.create_acls([AclSpec("User:gate", "TOPIC", "agent.", "LOOK")])
        log.close()

    def test_without_it_calls_end_in_time(self, own_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        log = KafkaLog(own_broker.bootstrap)
        (out,) = make_topics(log, "out")
        at = TopicPartition(out, 0)
        reader, producer = log.reader(), log.producer(log.unique("id"))
        # Its record waits until the broker is back, however long that takes.
        publisher = KafkaPublisher(own_broker.bootstrap, extra={"message.timeout.ms": 5 * FLUSH_MS})
        reader.assign({at: 0})
        assert reader.end_offsets([at]) == {at: 0}
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(out, 0, None, b"lost"))
        own_broker.kill()
        monkeypatch.setattr(offset_lookup, "LOOKUP_S_MAX", 1.0)
        with pytest.raises(RetriableLogError, match="end offset"):
            reader.end_offsets([at])
        monkeypatch.undo()
        assert reader.poll(10, 200) == []
        publisher.publish(Outgoing(out, 0, None, b"late"))
        with pytest.raises(RetriableLogError, match="1 record not stored"):
            publisher.flush(200)
        began_s = time.monotonic()
        producer.close()
        # It does not try for as long as at work.
        assert time.monotonic() - began_s < END_S_MAX
        own_broker.restart()
        publisher.flush(FLUSH_MS)
        publisher.close()
        assert read_all(log, out) == [b"late"]
        log.close()


class TestSettings:
    def test_the_deployment_can_not_change_what_correctness_rests_on(self) -> None:
        for extra in ({"isolation.level": "read_uncommitted"}, {"auto.commit.enable": True}, {"group.id": "other"}):
            with pytest.raises(ValueError, match=next(iter(extra))):
                KafkaConsumer("127.0.0.1:1", "group", extra=extra)
        with pytest.raises(ValueError, match="idempotence"):
            KafkaProducer("127.0.0.1:1", "id", extra={"enable.idempotence": False})

    def test_topics(self, log: KafkaLog) -> None:
        admin = log.admin()
        name = log.unique("topic")
        admin.create([TopicSpec(name, 3, {"cleanup.policy": "compact"})], replication=1)
        with pytest.raises(LogError, match=name):
            admin.create([TopicSpec(name, 3, {})], replication=1)
        admin.alter_config(name, {"retention.ms": "1000"})
        found = admin.describe([name, log.unique("none")], ["cleanup.policy", "retention.ms", "no.such"])
        assert found == {name: (name, 3, 1, {"cleanup.policy": "compact", "retention.ms": "1000"})}
        with pytest.raises(LogError, match=name):
            admin.alter_config(name, {"retention.ms": "soon"})
        assert admin.acls() is None
