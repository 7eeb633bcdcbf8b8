"""A member that waits for partitions is given up only while the group's coordinator answers."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.groups import joining
from streams.kafka.groups.joining import ASK_AFTER_S, ASK_PAUSE_S, JOIN_S_MAX, JoinWatch
from streams.kafka.groups.questions import Group, GroupQuestions, Question
from streams.kafka.settings import NO_SETTINGS
from streams.ports import UnansweredError
from tests.unit.kafka.clock import Clock

GROUP = "gates"
GIVEN_UP_AFTER_S = ASK_AFTER_S + JOIN_S_MAX


class Coordinator(GroupQuestions):
    """Answers at the second look, without a process; or is away, or takes long."""

    def __init__(self) -> None:
        super().__init__("nowhere:9092", NO_SETTINGS)
        self.is_away = False
        self.is_slow = False
        self.asked: list[str] = []
        self._looks = 0
        self._open = False

    @property
    def is_asked(self) -> bool:
        return self._open

    def ask(self, question: Question) -> None:
        self.asked.append(question.group)
        self._open, self._looks = True, 0

    def answer(self, wait_s: float = 0.0) -> Group | None:
        assert self._open
        self._looks += 1
        if self.is_slow or self._looks == 1:
            return None
        self._open = False
        if self.is_away:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return Group()

    def close(self) -> None:
        self._open = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(joining, "time", made)
    return made


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator()


@pytest.fixture
def watch(clock: Clock, coordinator: Coordinator) -> JoinWatch:
    made = JoinWatch(GROUP, coordinator)
    made.begin()
    return made


def poll(watch: JoinWatch, clock: Clock, duration_s: float) -> None:
    until_s = clock.now_s + duration_s
    while clock.now_s < until_s:
        clock.now_s += 0.5
        watch.check()


def waited_s(watch: JoinWatch, clock: Clock) -> float:
    """How long it takes until the member is given up."""
    began_s = clock.now_s
    with pytest.raises(UnansweredError, match="assigned nothing"):
        poll(watch, clock, 600)
    return clock.now_s - began_s


def test_a_member_that_waits_while_its_coordinator_answers_is_given_up(
    watch: JoinWatch, clock: Clock, coordinator: Coordinator
) -> None:
    assert GIVEN_UP_AFTER_S <= waited_s(watch, clock) <= GIVEN_UP_AFTER_S + ASK_PAUSE_S + 1
    assert set(coordinator.asked) == {GROUP}


def test_one_whose_coordinator_is_away_is_not_and_has_time_to_join_once_it_is_back(
    watch: JoinWatch, clock: Clock, coordinator: Coordinator
) -> None:
    coordinator.is_away = True
    poll(watch, clock, 600)
    coordinator.is_away = False
    assert waited_s(watch, clock) >= JOIN_S_MAX


def test_a_coordinator_that_was_away_meanwhile_ends_the_row_of_answers(
    watch: JoinWatch, clock: Clock, coordinator: Coordinator
) -> None:
    poll(watch, clock, GIVEN_UP_AFTER_S - 2 * ASK_PAUSE_S)
    coordinator.is_away = True
    poll(watch, clock, 3 * ASK_PAUSE_S)
    coordinator.is_away = False
    assert waited_s(watch, clock) >= JOIN_S_MAX


def test_an_answer_that_does_not_come_is_none(watch: JoinWatch, clock: Clock, coordinator: Coordinator) -> None:
    coordinator.is_slow = True
    poll(watch, clock, 600)


def test_one_that_is_assigned_partitions_in_time_asks_nobody(
    watch: JoinWatch, clock: Clock, coordinator: Coordinator
) -> None:
    for _ in range(20):
        poll(watch, clock, ASK_AFTER_S - 1)
        watch.end()
        poll(watch, clock, 600)
        watch.begin()
    assert not coordinator.asked


def test_an_answer_to_what_was_asked_before_the_wait_does_not_count(
    watch: JoinWatch, clock: Clock, coordinator: Coordinator
) -> None:
    coordinator.is_slow = True
    poll(watch, clock, ASK_AFTER_S + 1)
    assert len(coordinator.asked) == 1
    watch.end()
    watch.begin()
    coordinator.is_slow = False
    assert waited_s(watch, clock) >= GIVEN_UP_AFTER_S
    assert len(coordinator.asked) > 1


def test_answers_of_an_earlier_wait_do_not_count(watch: JoinWatch, clock: Clock) -> None:
    poll(watch, clock, GIVEN_UP_AFTER_S - 1)
    watch.end()
    poll(watch, clock, 600)
    watch.begin()
    assert waited_s(watch, clock) >= GIVEN_UP_AFTER_S
