"""A client that reads nothing is given up only if the brokers have something for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streams.kafka import silence
from streams.kafka.silence import ASK_PAUSE_S, QUIET_S, SILENT_S_MAX, SilenceWatch
from streams.ports import RetriableLogError, TopicPartition, UnansweredError

AT = TopicPartition("letters", 0)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


class Brokers:
    """Answers with the ends that it has; None is an answer that has not come, and no ends are brokers that are away."""

    def __init__(self, high: int, stable: int) -> None:
        self.high: int | None = high
        self.stable = stable
        self.are_away = False
        self.asked: list[str] = []

    def look(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        self.asked.append("high")
        return self._answer(places, self.high)

    def look_for_stable(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        self.asked.append("stable")
        return self._answer(places, self.stable)

    def _answer(self, places: Sequence[TopicPartition], end: int | None) -> dict[TopicPartition, int] | None:
        if self.are_away:
            raise RetriableLogError("nobody answers")
        return None if end is None else dict.fromkeys(places, end)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(silence, "time", made)
    return made


def poll(watch: SilenceWatch, clock: Clock, duration_s: float, read_to: int | None = 5) -> None:
    """Polls that return nothing, for some time."""
    until_s = clock.now_s + duration_s
    while clock.now_s < until_s:
        clock.now_s += 0.5
        if watch.is_quiet:
            watch.check_reading({AT: read_to})


def watch_of(brokers: Brokers) -> SilenceWatch:
    return SilenceWatch("a reader", brokers.look, brokers.look_for_stable)


@pytest.mark.parametrize("read_to", [5, None])
def test_a_client_that_reads_nothing_of_what_there_is_is_given_up(clock: Clock, read_to: int | None) -> None:
    watch = watch_of(Brokers(7, 7))
    began_s = clock.now_s
    with pytest.raises(UnansweredError, match="`letters` partition 0"):
        poll(watch, clock, 600, read_to)
    assert QUIET_S + SILENT_S_MAX <= clock.now_s - began_s <= QUIET_S + SILENT_S_MAX + 3 * ASK_PAUSE_S + 1


def test_one_that_has_read_everything_is_not_and_asks_seldom(clock: Clock) -> None:
    brokers = Brokers(5, 5)
    poll(watch_of(brokers), clock, 600)
    assert brokers.asked == ["high"] * len(brokers.asked)
    assert len(brokers.asked) <= 600 / QUIET_S


def test_one_that_waits_for_an_open_transaction_is_not(clock: Clock) -> None:
    brokers = Brokers(9, 5)
    poll(watch_of(brokers), clock, 600)
    assert "stable" in brokers.asked


def test_one_that_waits_for_brokers_is_not_before_they_answer(clock: Clock) -> None:
    brokers = Brokers(7, 7)
    watch = watch_of(brokers)
    poll(watch, clock, QUIET_S + SILENT_S_MAX / 2)
    brokers.are_away = True
    poll(watch, clock, 600)
    brokers.are_away = False
    poll(watch, clock, SILENT_S_MAX)
    with pytest.raises(UnansweredError):
        poll(watch, clock, SILENT_S_MAX)


def test_one_that_goes_on_is_not(clock: Clock) -> None:
    watch = watch_of(Brokers(7, 7))
    for _ in range(20):
        poll(watch, clock, QUIET_S + SILENT_S_MAX - 1)
        watch.heard()


def test_an_answer_that_has_not_come_is_awaited(clock: Clock) -> None:
    brokers = Brokers(7, 7)
    brokers.high = None
    watch = watch_of(brokers)
    poll(watch, clock, 600)
    brokers.high = 7
    with pytest.raises(UnansweredError):
        poll(watch, clock, 60)


def test_what_is_not_to_be_read_does_not_count(clock: Clock) -> None:
    watch = watch_of(Brokers(7, 7))
    for _ in range(200):
        clock.now_s += 0.5
        watch.check_reading({})
