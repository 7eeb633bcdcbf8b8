"""A broker that vanishes while it is asked: the question fails, and the process lives on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from confluent_kafka import Producer

from simulation.broker.kafka import KafkaBroker
from streams.kafka import producer as producer_module
from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import CLOSE_S_MAX, OFFSETS_S_MAX, KafkaProducer
from streams.kafka.reader import KafkaReader
from streams.ports import (
    AbortableTransactionError,
    Outgoing,
    TopicPartition,
    TopicSpec,
    UnansweredError,
)
from tests.contract.log_under_test import Recorder, committed, poll_values
from tests.integration.deployment import ROOT, environment_of
from tests.waiting import until

pytestmark = pytest.mark.broker

PARTITIONS = 6
# Longer than an attempt of a lookup may take.
FROZEN_S = 3.0
THAWED_S = 1.0
GROUPS = 3
KILLS = 2
END_S_MAX = 30


class Asking(NamedTuple):
    """A process that asks a broker, and how to talk to it."""

    process: subprocess.Popen[str]
    questions: IO[str]
    answers: IO[str]


@contextmanager
def asking(module: str, *arguments: str) -> Iterator[Asking]:
    """A module of this folder in a process of its own, which has to end in peace when it is asked nothing more."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.integration.{module}", *arguments],
        cwd=ROOT,
        env=environment_of({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Asking(process, process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait(END_S_MAX) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_lookup_outlives_a_broker_that_stands_still_and_then_ends(tmp_path: Path) -> None:
    with KafkaBroker.start(tmp_path / "kafka") as broker:
        with closing(KafkaAdmin(broker.bootstrap)) as admin:
            admin.create([TopicSpec("letters", PARTITIONS, {})], 1)
        with asking("offsets_process", broker.bootstrap, "letters", str(PARTITIONS)) as child:
            assert child.answers.readline() == f"answer {[0] * PARTITIONS}\n"
            broker.freeze()
            time.sleep(FROZEN_S)
            broker.kill()
            line = child.answers.readline()
            while line.startswith("answer"):
                line = child.answers.readline()
            assert line.startswith("none: can't look up the end offsets of `letters`"), (line, child.process.poll())
            broker.restart()
            while not line.startswith("answer"):
                line = child.answers.readline()
                assert line, f"the process has ended with status {child.process.wait()}"


def test_asking_for_members_outlives_a_broker_that_vanishes(tmp_path: Path) -> None:
    """librdkafka (2.16) aborts the process that asks, at the first of these kills (its issue 4605)."""
    with (
        KafkaBroker.start(tmp_path / "kafka") as broker,
        asking("members_process", broker.bootstrap, str(GROUPS)) as child,
    ):
        for number in range(KILLS + 1):
            child.questions.write("\n")
            child.questions.flush()
            assert child.answers.readline() == "answer\n", f"it has ended with status {child.process.poll()}"
            if number < KILLS:
                broker.kill()
                broker.restart()


def test_a_producer_without_an_answer_is_closed_without_asking_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The commit is given up sooner than in a gate; what follows it is the same.
    monkeypatch.setattr(producer_module, "END_S_MAX", 1.0)
    with KafkaBroker.start(tmp_path / "kafka") as broker:
        with closing(KafkaAdmin(broker.bootstrap)) as admin:
            admin.create([TopicSpec("letters", PARTITIONS, {})], 1)
        producer = KafkaProducer(broker.bootstrap, "writer")
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing("letters", 0, b"key", b"value"))
        broker.freeze()
        with pytest.raises(UnansweredError):
            producer.commit()
        begun_s = time.monotonic()
        producer.abort()
        producer.close()
        assert time.monotonic() - begun_s < CLOSE_S_MAX
        broker.kill()


def test_a_producer_whose_coordinator_stands_still_goes_on_with_a_new_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It counts for the offsets that are sent afterwards, too, to a broker that has just begun to answer again.
    monkeypatch.setattr(producer_module, "OFFSETS_S_MAX", 3.0)
    # Otherwise the broker is busy with its own registration when it goes on.
    with KafkaBroker.start(tmp_path / "kafka", properties={"broker.session.timeout.ms": "60000"}) as broker:

        class Client(Producer):
            """The library's producer. Once there is a second one, the broker goes on, a little later."""

            made_count = 0

            def __init__(self, settings: object) -> None:
                super().__init__(settings)
                Client.made_count += 1
                if Client.made_count == 2:
                    thawing.start()

        monkeypatch.setattr(producer_module, "Producer", Client)
        thawing = threading.Timer(THAWED_S, broker.thaw)
        with closing(KafkaAdmin(broker.bootstrap)) as admin:
            admin.create([TopicSpec("letters", 1, {}), TopicSpec("copies", 1, {})], 1)
        at, to = TopicPartition("letters", 0), TopicPartition("copies", 0)
        consumer = KafkaConsumer(broker.bootstrap, "copying", instance="one")
        recorder = Recorder()
        consumer.subscribe(["letters"], recorder)
        until(lambda: not consumer.poll(1, 100) and bool(recorder.assigned))
        producer = KafkaProducer(broker.bootstrap, "writer")
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(*to, b"key", b"lost"))
        broker.freeze()
        with pytest.raises(AbortableTransactionError, match="a new client has ended the transaction"):
            producer.send_offsets({at: 1}, consumer.group_metadata())
        producer.abort()
        producer.begin()
        producer.send(Outgoing(*to, b"key", b"kept"))
        producer.send_offsets({at: 2}, consumer.group_metadata())
        producer.commit()
        thawing.join()
        # Of a new client: that of a member whose broker stood still may answer nothing more (ADR 0105).
        with closing(KafkaConsumer(broker.bootstrap, "copying")) as another:
            assert committed(another, at) == {at: 2}
        with closing(KafkaReader(broker.bootstrap)) as reader:
            reader.assign({to: 0})
            assert poll_values(reader, 1) == [b"kept"]
        producer.close()
        consumer.close()


def test_a_member_that_gives_way_leaves_a_transaction_that_is_not_answered(tmp_path: Path) -> None:
    with KafkaBroker.start(tmp_path / "kafka") as broker:
        with closing(KafkaAdmin(broker.bootstrap)) as admin:
            admin.create([TopicSpec("letters", 1, {}), TopicSpec("copies", 1, {})], 1)
        at, to = TopicPartition("letters", 0), TopicPartition("copies", 0)
        consumer = KafkaConsumer(broker.bootstrap, "copying", instance="one")
        recorder = Recorder()
        consumer.subscribe(["letters"], recorder)
        until(lambda: not consumer.poll(1, 100) and bool(recorder.assigned))
        producer = KafkaProducer(broker.bootstrap, "writer")
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(*to, b"key", b"lost"))
        broker.freeze()
        begun_s = time.monotonic()
        producer.hurry()
        with pytest.raises(AbortableTransactionError, match="the transaction is left open"):
            producer.send_offsets({at: 1}, consumer.group_metadata())
        producer.abort()
        # Others wait for it. At work, the offsets alone would have taken longer.
        assert time.monotonic() - begun_s < OFFSETS_S_MAX
        broker.thaw()
        producer.begin()
        producer.send(Outgoing(*to, b"key", b"kept"))
        producer.send_offsets({at: 2}, consumer.group_metadata())
        producer.commit()
        assert committed(consumer, at) == {at: 2}
        with closing(KafkaReader(broker.bootstrap)) as reader:
            reader.assign({to: 0})
            assert poll_values(reader, 1) == [b"kept"]
        producer.close()
        consumer.close()
