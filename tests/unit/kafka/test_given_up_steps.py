"""A step of a transaction that was given up is not tried again: real clients, and a broker that stands still."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from streams.kafka import producer as producer_module
from streams.kafka.producer import KafkaProducer
from streams.ports import UnansweredError
from tests.waiting import until

# The library's own limit for the call: far longer than the step is waited for, once its member is to stop.
CALL_S = 4.0
PATIENCE_S = 0.1


class CountedProducer(Producer):
    """The library's producer, whose calls are counted."""

    begun: threading.Event
    limits_s: list[float]

    def init_transactions(self, timeout: float) -> None:
        self.limits_s.append(timeout)
        self.begun.set()
        super().init_transactions(timeout)


@pytest.fixture
def stalled_broker() -> Iterator[str]:
    """The address of a broker that takes connections and answers nothing, as one that was stopped by SIGSTOP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield "{}:{}".format(*listening.getsockname()[:2])


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    CountedProducer.begun, CountedProducer.limits_s = threading.Event(), []
    monkeypatch.setattr(producer_module, "Producer", CountedProducer)
    monkeypatch.setattr(producer_module, "INIT_S_MAX", CALL_S)
    monkeypatch.setattr(producer_module, "HURRIED_S_MAX", PATIENCE_S)
    monkeypatch.setattr(producer_module, "LATE_S_MAX", PATIENCE_S)


def test_its_thread_ends_with_the_call_that_was_under_way(stalled_broker: str) -> None:
    producer = KafkaProducer(stalled_broker, "given-up")

    def leave() -> None:
        CountedProducer.begun.wait()
        producer.leave()

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(UnansweredError, match="has not returned"):
        producer.init_transactions()
    leaving.join()
    assert _is_calling(), "the call has returned before it was given up"
    producer.close()
    until(lambda: not _is_calling(), "the thread ends")
    (limit_s,) = CountedProducer.limits_s
    assert 0 < limit_s <= CALL_S


def _is_calling() -> bool:
    return "stoplog producer given-up" in {thread.name for thread in threading.enumerate()}
