"""A producer whose coordinator does not answer goes on with a new client, so that its gate need not start again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka import producer as producer_module
from streams.kafka.noticing.lost_brokers import FOUND_S_MAX, SLOW_S
from streams.kafka.producer import OFFSETS_S_MAX, KafkaProducer
from streams.kafka.settings import NO_SETTINGS, Settings
from streams.kafka.timeouts import HURRIED_S_MAX
from streams.ports import AbortableTransactionError, Outgoing, TopicPartition, UnansweredError

AT = TopicPartition("letters", 0)
GROUP: Any = object()
# Far longer than a hurry in these tests, far shorter than the steps' own limits.
HUNG_S_MAX = 10.0
# Until a producer knows which brokers there are.
SETTLED_S = 0.2
# Less than what lies between two of the limits.
STARTED_S_MAX = 5.0


class Timeout(KafkaException):
    """What the library raises when a step has taken too long: the same call may be made again."""

    def __init__(self) -> None:
        super().__init__(KafkaError(KafkaError._TIMED_OUT, "no coordinator", retriable=True))


class Sent:
    """A record that was stored at offset 4."""

    def offset(self) -> int:
        return 4

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)


class Client:
    """The library's producer, which does what it is told where offsets are sent and where transactions begin."""

    made: list[Client]
    offsets: list[Callable[[float], None]]
    inits: list[Callable[[float], None]]
    ends: Callable[[float], None]
    brokers: frozenset[int]

    def __init__(self, _settings: object) -> None:
        self.calls: list[str] = []
        self.delivered: list[Callable[[None, Sent], None]] = []
        self._offsets = self.offsets.pop(0) if self.offsets else _answer
        self._init = self.inits.pop(0) if self.inits else _answer
        self.made.append(self)

    def init_transactions(self, timeout_s: float) -> None:
        self.calls.append("init")
        self._init(timeout_s)

    def begin_transaction(self) -> None:
        self.calls.append("begin")

    def produce(self, *args: Any, headers: object) -> None:
        del headers
        if args[-1] is not None:
            self.delivered.append(args[-1])

    def send_offsets_to_transaction(self, _positions: object, _group: object, timeout_s: float) -> None:
        self.calls.append("offsets")
        self._offsets(timeout_s)

    def commit_transaction(self, timeout_s: float) -> None:
        self.calls.append("commit")
        self.ends(timeout_s)
        for delivered in self.delivered:
            delivered(None, Sent())

    def abort_transaction(self, timeout_s: float) -> None:
        self.calls.append("abort")
        self.ends(timeout_s)

    def flush(self, _timeout_s: float) -> None: ...

    def list_topics(self, _topic: str | None, _timeout_s: float) -> SimpleNamespace:
        return SimpleNamespace(brokers=dict.fromkeys(self.brokers))

    def purge(self) -> None:
        self.calls.append("purge")


def _answer(_timeout_s: float) -> None: ...


def _time_out(_timeout_s: float) -> None:
    raise Timeout


@pytest.fixture
def patient_clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Those that producers make, which wait for as long as in a deployment."""
    Client.made, Client.offsets, Client.inits, Client.ends = [], [], [], staticmethod(_answer)
    Client.brokers = frozenset({1, 2, 3})
    monkeypatch.setattr(producer_module, "Producer", Client)
    return Client.made


@pytest.fixture
def clients(patient_clients: list[Client], monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    # It counts for steps that are answered, too: a thread may have to wait for the machine meanwhile.
    monkeypatch.setattr(producer_module, "OFFSETS_S_MAX", 0.5)
    monkeypatch.setattr(producer_module, "LATE_S_MAX", 0.5)
    return patient_clients


def begun(extra: Settings = NO_SETTINGS) -> KafkaProducer:
    producer = KafkaProducer("nowhere:9092", "gate-1", extra=extra)
    producer.init_transactions()
    producer.begin()
    return producer


def test_a_step_without_an_answer_is_aborted_by_a_new_client_which_goes_on(clients: list[Client]) -> None:
    Client.offsets = [_time_out]
    producer = begun()
    lost: list[int] = []
    producer.send(Outgoing("letters", 0, b"key", b"value"), lost.append)
    with pytest.raises(AbortableTransactionError, match=r"no coordinator.*a new client has ended the transaction"):
        producer.send_offsets({AT: 1}, GROUP)
    producer.abort()
    stored: list[int] = []
    producer.begin()
    producer.send(Outgoing("letters", 0, b"key", b"value"), stored.append)
    # What the former client reports late is not of this transaction.
    clients[0].delivered[0](None, Sent())
    producer.send_offsets({AT: 1}, GROUP)
    producer.commit()
    producer.close()
    assert clients[1].calls == ["init", "begin", "offsets", "commit", "purge"]
    assert "abort" not in clients[0].calls
    assert (lost, stored) == ([], [4])


def test_a_call_that_never_returns_is_left_with_its_client(clients: list[Client]) -> None:
    released, calls_ended = threading.Event(), threading.Event()

    def hang(_timeout_s: float) -> None:
        released.wait(60)
        calls_ended.set()
        raise Timeout

    Client.offsets = [hang]
    producer = begun()
    with pytest.raises(AbortableTransactionError, match="has not returned"):
        producer.send_offsets({AT: 1}, GROUP)
    producer.begin()
    released.set()
    assert calls_ended.wait(60)
    producer.send_offsets({AT: 1}, GROUP)
    producer.commit()
    producer.close()
    assert clients[0].calls == ["init", "begin", "offsets"]
    assert clients[1].calls == ["init", "begin", "offsets", "commit", "purge"]


def test_a_call_that_waits_for_a_broker_which_the_cluster_has_dropped_is_left_soon(
    patient_clients: list[Client],
) -> None:
    released = threading.Event()

    def hang(_timeout_s: float) -> None:
        Client.brokers = frozenset({1, 3})
        released.wait(60)
        raise Timeout

    Client.offsets = [_answer]
    producer = begun()
    producer.send_offsets({AT: 1}, GROUP)
    producer.commit()
    time.sleep(SETTLED_S)
    patient_clients[0]._offsets = hang
    producer.begin()
    begun_s = time.monotonic()
    with pytest.raises(AbortableTransactionError, match=r"has not returned.*a new client has ended the transaction"):
        producer.send_offsets({AT: 1}, GROUP)
    assert SLOW_S + FOUND_S_MAX <= time.monotonic() - begun_s < OFFSETS_S_MAX / 2
    producer.begin()
    producer.send_offsets({AT: 1}, GROUP)
    producer.commit()
    producer.close()
    released.set()
    assert len(patient_clients) == 2


def test_brokers_that_do_not_answer_the_new_client_either_end_the_producer(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "INIT_S_MAX", 0.05)
    Client.offsets, Client.inits = [_time_out], [_answer, _time_out]
    producer = begun()
    with pytest.raises(UnansweredError, match="no coordinator"):
        producer.send_offsets({AT: 1}, GROUP)
    producer.close()
    assert len(clients) == 2


@pytest.fixture
def hasty_clients(patient_clients: list[Client], monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Those of producers that have little time in a hurry. Otherwise they wait for as long as in a deployment."""
    monkeypatch.setattr(producer_module, "HURRIED_S_MAX", 0.05)
    monkeypatch.setattr(producer_module, "LATE_S_MAX", 0.05)
    return patient_clients


def _hang_until(released: threading.Event) -> Callable[[float], None]:
    def hang(_timeout_s: float) -> None:
        released.wait(HUNG_S_MAX)
        raise Timeout

    return hang


def test_in_a_hurry_no_new_client_is_waited_for_until_there_is_more_to_do(hasty_clients: list[Client]) -> None:
    released = threading.Event()
    Client.offsets = [_hang_until(released)]
    producer = begun()
    producer.hurry()
    begun_s = time.monotonic()
    with pytest.raises(AbortableTransactionError, match=r"has not returned.*the transaction is left open"):
        producer.send_offsets({AT: 1}, GROUP)
    producer.abort()
    assert time.monotonic() - begun_s < HUNG_S_MAX
    assert len(hasty_clients) == 1
    producer.begin()
    released.set()
    producer.send_offsets({AT: 1}, GROUP)
    producer.commit()
    producer.close()
    assert hasty_clients[0].calls == ["init", "begin", "offsets"]
    assert hasty_clients[1].calls == ["init", "begin", "offsets", "commit", "purge"]


@pytest.mark.usefixtures("hasty_clients")
def test_an_abort_without_an_answer_is_no_error_in_a_hurry() -> None:
    Client.ends = staticmethod(_time_out)
    producer = begun()
    producer.hurry()
    producer.abort()
    producer.close()
    (left,) = Client.made
    assert left.calls[:3] == ["init", "begin", "abort"]


def test_a_commit_without_an_answer_is_never_taken_for_one_that_is_left(hasty_clients: list[Client]) -> None:
    released = threading.Event()
    Client.ends = staticmethod(_hang_until(released))
    producer = begun()
    producer.send_offsets({AT: 1}, GROUP)
    producer.hurry()
    with pytest.raises(UnansweredError):
        producer.commit()
    producer.abort()
    producer.close()
    released.set()
    assert hasty_clients[0].calls == ["init", "begin", "offsets", "commit"]
    assert len(hasty_clients) == 1


def test_a_step_under_way_is_left_once_its_member_is_to_stop(hasty_clients: list[Client]) -> None:
    released, asked = threading.Event(), threading.Event()
    hang = _hang_until(released)

    def note_and_hang(timeout_s: float) -> None:
        asked.set()
        hang(timeout_s)

    Client.offsets = [note_and_hang]
    producer = begun()

    def leave() -> None:
        asked.wait()
        producer.leave()

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(AbortableTransactionError, match="the transaction is left open"):
        producer.send_offsets({AT: 1}, GROUP)
    assert not released.is_set()
    producer.abort()
    producer.close()
    released.set()
    leaving.join()
    assert hasty_clients[0].calls == ["init", "begin", "offsets"]
    assert len(hasty_clients) == 1


@pytest.mark.usefixtures("patient_clients")
def test_the_steps_of_a_hurry_have_their_time_together_and_the_next_transaction_has_all_of_its_own() -> None:
    limits: list[float] = []
    Client.offsets = [limits.append]
    Client.ends = staticmethod(limits.append)
    producer = begun()
    for hurried in (True, False):
        if hurried:
            producer.hurry()
        producer.send_offsets({AT: 1}, GROUP)
        producer.commit()
        producer.begin()
    producer.close()
    assert limits[0] <= HURRIED_S_MAX
    assert limits[1] <= limits[0]
    assert [is_about(*each) for each in zip(limits[2:4], (12.0, 20.0), strict=True)] == [True, True]


@pytest.mark.parametrize(("session_ms", "limit_s"), [(None, 12.0), ("6000", 6.0), (45_000, 12.0)])
@pytest.mark.usefixtures("patient_clients")
def test_a_step_is_tried_for_as_long_as_the_deployment_takes_to_miss_a_broker(
    session_ms: str | int | None, limit_s: float
) -> None:
    limits: list[float] = []
    Client.offsets = [limits.append]
    producer = begun({} if session_ms is None else {"session.timeout.ms": session_ms})
    producer.send_offsets({AT: 1}, GROUP)
    producer.close()
    (limit,) = limits
    assert is_about(limit, limit_s)
    assert OFFSETS_S_MAX == 12.0


def is_about(left_s: float, limit_s: float) -> bool:
    """Whether so much is left of a limit that only the thread that makes the call has taken of it."""
    return limit_s - STARTED_S_MAX < left_s <= limit_s
