"""The ends of partitions are asked for in the background: whoever wants to know them goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.lookups import offset_lookup
from streams.kafka.lookups.offset_lookup import EndsLookup, OffsetLookup
from streams.kafka.settings import LOGGER, NO_SETTINGS
from streams.ports import LogError, RetriableLogError, TopicPartition
from streams.ports.open_log import PLAIN_NAMES
from tests.waiting import until

AT = TopicPartition("letters", 0)
OTHER = TopicPartition("letters", 1)
MISSING = TopicPartition("missing", 0)
WAIT_S = 30.0


@pytest.fixture
def bootstrap() -> Iterator[str]:
    """A broker of librdkafka's own, with three records in AT."""
    owner = Producer({"test.mock.num.brokers": 1, "logger": LOGGER})
    for _ in range(3):
        owner.produce(AT.topic, b"value", partition=AT.partition)
    assert owner.flush(WAIT_S) == 0
    [broker] = owner.list_topics(timeout=WAIT_S).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del owner  # the broker lives as long as this client


class SlowLookup(OffsetLookup):
    """Answers when it is told to, with what it is told."""

    def __init__(self) -> None:
        super().__init__("nowhere:9092", PLAIN_NAMES, NO_SETTINGS)
        self.may_answer = threading.Event()
        self.asked_count = 0
        self.answer: int | Exception = 3

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked_count += 1
        self.may_answer.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return dict.fromkeys(partitions, self.answer)


def awaited(ends: EndsLookup) -> dict[TopicPartition, int]:
    found: list[dict[TopicPartition, int]] = []

    def has_come() -> bool:
        answer = ends.look([AT])
        found.extend([] if answer is None else [answer])
        return bool(found)

    until(has_come)
    return found[0]


def test_it_returns_while_the_brokers_do_not_answer_and_asks_once() -> None:
    lookup = SlowLookup()
    ends = EndsLookup(lookup.ends)
    assert [ends.look([AT]) for _ in range(3)] == [None, None, None]
    lookup.may_answer.set()
    assert awaited(ends) == {AT: 3}
    assert lookup.asked_count == 1


def test_an_answer_is_given_once_and_then_it_asks_again() -> None:
    lookup = SlowLookup()
    lookup.may_answer.set()
    ends = EndsLookup(lookup.ends)
    assert awaited(ends) == {AT: 3}
    lookup.answer = 4
    assert awaited(ends) == {AT: 4}


@pytest.mark.parametrize("error", [RetriableLogError("no answer"), RuntimeError("no answer")])
def test_a_question_that_fails_says_so_and_the_next_one_is_another(error: Exception) -> None:
    lookup = SlowLookup()
    lookup.answer = error
    lookup.may_answer.set()
    ends = EndsLookup(lookup.ends)
    with pytest.raises(type(error), match="no answer"):
        awaited(ends)
    lookup.answer = 5
    assert awaited(ends) == {AT: 5}


def test_ends_are_of_all_partitions_or_of_those_that_the_brokers_know(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offset_lookup, "LOOKUP_S_MAX", 1.0)
    lookup = OffsetLookup(bootstrap, PLAIN_NAMES, NO_SETTINGS)
    assert lookup.known_ends([MISSING, AT]) == lookup.ends([AT]) == {AT: 3}
    with pytest.raises(RetriableLogError, match="`missing`"):
        lookup.ends([AT, MISSING])
    with pytest.raises(RetriableLogError, match="`missing`"):
        lookup.known_ends([MISSING])
    lookup.close()


class WrongLeader:
    """A client that keeps asking a broker that no longer leads the last partition, as librdkafka may do."""

    made_count = 0

    def __init__(self, settings: object) -> None:
        WrongLeader.made_count += 1
        self._knows_leaders = WrongLeader.made_count > 1

    def poll(self, timeout_s: float) -> None:
        """Serve nothing."""

    def offsets_for_times(self, asked: list[KafkaPartition], timeout: float) -> list[KafkaPartition]:
        for partition in asked:
            partition.offset = 3
        if not self._knows_leaders:
            asked[-1].offset = -1
        return asked


def test_a_known_partition_without_an_answer_is_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offset_lookup, "Consumer", WrongLeader)
    lookup = OffsetLookup("nowhere:1", PLAIN_NAMES, NO_SETTINGS)
    assert lookup.known_ends([AT, OTHER]) == {AT: 3, OTHER: 3}
    assert WrongLeader.made_count == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_lookup_that_is_closed_meanwhile_ends_in_peace(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    asked, released = threading.Event(), threading.Event()
    made: list[object] = []

    class Client:
        def __init__(self, _settings: object) -> None:
            made.append(self)

        def poll(self, _timeout_s: float) -> None:
            asked.set()
            released.wait(10)

        def offsets_for_times(self, places: list[KafkaPartition], timeout: float) -> list[KafkaPartition]:
            del timeout
            if fails:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            for place in places:
                place.offset = 7
            return places

    monkeypatch.setattr(offset_lookup, "Consumer", Client)
    lookup = OffsetLookup("nowhere:9092", PLAIN_NAMES, NO_SETTINGS)
    ends = EndsLookup(lookup.ends)
    assert ends.look([AT]) is None
    assert asked.wait(10)
    lookup.close()
    released.set()
    if fails:
        with pytest.raises(LogError, match="closed"):
            awaited(ends)
    else:
        assert awaited(ends) == {AT: 7}
    assert len(made) == 1
