"""Single records: each writer learns of its own failures, however many threads share the publisher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from streams.model.topics import AUDIT_REPORTED
from streams.ports import Outgoing, Publisher
from streams.sdk.connection.single_records import publish
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import PublishError
from tests.unit.sdk.hands import WAIT_S, TransportOf, raw_records

REFUSED = Outgoing("no.such.topic", 0, b"acme|s-1", b"refused")
STORED = Outgoing(AUDIT_REPORTED.name, 0, b"acme|s-2", b"stored")


class InterruptedPublisher:
    """A publisher with which something else happens once, between the first record and its flush."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.flush = publisher.flush
        self.close = publisher.close
        self.meanwhile: Callable[[], None] | None = None

    def publish(self, record: Outgoing) -> None:
        self._publisher.publish(record)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


class InterruptedTransport(Transport):
    interrupted: InterruptedPublisher | None = None

    def publisher(self) -> Publisher:
        if self.interrupted is None:
            self.interrupted = InterruptedPublisher(super().publisher())
        return self.interrupted


@pytest.fixture
def shared(transport_of: TransportOf) -> Iterator[InterruptedTransport]:
    with transport_of(InterruptedTransport) as made:
        yield made


def in_another_thread(work: Callable[[], None]) -> None:
    failures: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


def test_a_failure_that_the_flush_of_another_thread_was_told_is_told_to_the_writer(
    shared: InterruptedTransport,
) -> None:
    shared.publisher()
    assert shared.interrupted is not None
    shared.interrupted.meanwhile = lambda: in_another_thread(lambda: publish(shared, [STORED]))
    with pytest.raises(PublishError, match=r"no\.such\.topic"):
        publish(shared, [REFUSED])
    assert {received.value for received in raw_records(shared, AUDIT_REPORTED)} == {b"stored"}


def test_a_failure_of_earlier_records_says_nothing_of_later_ones(shared: InterruptedTransport) -> None:
    with pytest.raises(PublishError):
        publish(shared, [REFUSED])
    publish(shared, [STORED])
    assert [received.value for received in raw_records(shared, AUDIT_REPORTED)] == [b"stored"]


def test_a_writer_waits_for_the_flush_of_another_no_longer_than_for_its_own(shared: InterruptedTransport) -> None:
    shared.publisher()
    assert shared.interrupted is not None
    flush, is_flushing, may_end = shared.interrupted.flush, threading.Event(), threading.Event()

    def held(timeout_ms: int) -> None:
        is_flushing.set()
        assert may_end.wait(WAIT_S)
        flush(timeout_ms)

    shared.interrupted.flush = held
    other = threading.Thread(target=publish, args=(shared, [STORED]))
    other.start()
    assert is_flushing.wait(WAIT_S)
    with pytest.raises(PublishError, match="not stored after 10 ms"):
        publish(shared, [STORED], timeout_ms=10)
    may_end.set()
    other.join()
