"""A publisher that one thread closes while others use it: they get an error, and the process lives on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.kafka import publisher as publisher_module
from streams.kafka.publisher import KafkaPublisher
from streams.ports import FatalLogError, LogError, Outgoing, RetriableLogError
from tests.unit.kafka.own_broker import own_broker

ROOT = str(Path(__file__).parents[3])
NOWHERE = "127.0.0.1:1"

# Closes a publisher 30 times while others publish and flush. In a process of its own, for a crash ends it.
CLOSER = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
from streams.kafka import publisher as module
from streams.ports import FatalLogError, LogError, Outgoing, RetriableLogError

module.CLOSE_MS_MAX = 1
ended = []

def until_closed(use):
    while True:
        try:
            use()
        except FatalLogError as error:
            ended.append(error)
            return
        except LogError:
            continue

for _ in range(30):
    made = module.KafkaPublisher("127.0.0.1:1")
    uses = [lambda: made.publish(Outgoing("t", 0, None, b"value")), lambda: made.flush(1)] * 2
    threads = [threading.Thread(target=until_closed, args=(use,)) for use in uses]
    for thread in threads:
        thread.start()
    time.sleep(0.005)
    try:
        made.close()
    except LogError:
        pass
    for thread in threads:
        thread.join()
print(len(ended))
"""


def test_one_that_is_closed_says_so() -> None:
    publisher = KafkaPublisher(NOWHERE)
    publisher.close()
    with pytest.raises(FatalLogError, match="closed"):
        publisher.publish(Outgoing("letters", 0, None, b"value"))
    with pytest.raises(FatalLogError, match="closed"):
        publisher.flush(1)
    publisher.close()


def test_closing_it_ends_the_calls_of_other_threads_with_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", CLOSER, ROOT], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split()) == (0, [b"120"]), done.stderr.decode()


def test_records_that_no_broker_has_taken_in_time_may_be_stored_later() -> None:
    publisher = KafkaPublisher(NOWHERE, extra={"message.timeout.ms": 500})
    publisher.publish(Outgoing("letters", 0, None, b"value"))
    with pytest.raises(
        RetriableLogError, match=r"records were not stored: 1 to `letters` \(Local: Message timed out\)"
    ):
        publisher.flush(30_000)
    publisher.close()


def test_a_client_whose_records_time_out_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if something moves in each flush: records that time out leave the queue, too."""
    letter = Outgoing("letters", 0, None, b"value")
    made: list[Producer] = []
    with own_broker() as broker:

        def make(settings: Mapping[str, Any]) -> Producer:
            # The first client knows no broker any more, as after one that stood still.
            lost = {"bootstrap.servers": NOWHERE, "message.timeout.ms": 500}
            made.append(Producer(dict(settings) if made else {**settings, **lost}))
            return made[-1]

        monkeypatch.setattr(publisher_module, "Producer", make)
        publisher = KafkaPublisher(broker.bootstrap)
        publisher.publish(letter)
        with pytest.raises(RetriableLogError, match=r"1 to `letters` \(Local: Message timed out\)"):
            publisher.flush(30_000)
        publisher.publish(letter)
        publisher.flush(30_000)
        publisher.close()
    assert len(made) == 2


def test_a_flush_whose_client_another_one_has_replaced_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waited for was dropped with that client, and the other flush has heard of it."""
    begun, dropped = threading.Event(), threading.Event()

    class Lost(Producer):
        """A client that has lost its brokers, one of whose flushes ends when another one has replaced it."""

        def flush(self, timeout: float = -1.0) -> int:
            if threading.current_thread().name == "waiting":
                begun.set()
                assert dropped.wait(30)
                return 0
            return int(super().flush(timeout))

    monkeypatch.setattr(publisher_module, "Producer", Lost)
    publisher = KafkaPublisher(NOWHERE, extra={"message.timeout.ms": 500})
    publisher.publish(Outgoing("letters", 0, None, b"value"))
    told: list[Exception] = []

    def wait() -> None:
        try:
            publisher.flush(30_000)
        except LogError as error:
            told.append(error)

    waiting = threading.Thread(target=wait, name="waiting")
    waiting.start()
    assert begun.wait(30)
    with pytest.raises(RetriableLogError, match="timed out"):
        publisher.flush(30_000)
    dropped.set()
    waiting.join(30)
    assert [type(error) for error in told] == [RetriableLogError]
    publisher.close()
