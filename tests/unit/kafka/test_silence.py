"""A client that reads nothing of a partition is given up only if the brokers have something of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from streams.kafka.noticing import silence
from streams.kafka.noticing.silence import ASK_PAUSE_S, QUIET_S, SILENT_S_MAX, SilenceWatch
from streams.ports import RetriableLogError, TopicPartition, UnansweredError
from tests.unit.kafka.clock import Clock

AT = TopicPartition("letters", 0)
BESIDE = TopicPartition("letters", 1)
SILENT_AFTER_S = QUIET_S + SILENT_S_MAX
LATE_S = 3 * ASK_PAUSE_S + 1
"""What questions and their pauses may add."""


class Brokers:
    """Answers with the ends that it has; None is an answer that has not come, and no ends are brokers that are away."""

    def __init__(self, high: int, stable: int) -> None:
        self.high: int | None = high
        self.stable = stable
        self.are_away = False
        self.unknown: set[TopicPartition] = set()
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
        return None if end is None else {place: end for place in places if place not in self.unknown}


class Client:
    """Polls twice a second; `read_to` is what it has read, and `delivers` what each poll returns something of."""

    def __init__(self, clock: Clock, brokers: Brokers, read_to: Mapping[TopicPartition, int | None]) -> None:
        self.clock = clock
        self.read_to = dict(read_to)
        self.delivers: list[TopicPartition] = []
        self.leaves_records = False
        self.watch = SilenceWatch("a reader", brokers.look, brokers.look_for_stable)
        self.watch.begin(read_to)

    def poll(self, duration_s: float) -> None:
        until_s = self.clock.now_s + duration_s
        while self.clock.now_s < until_s:
            self.clock.now_s += 0.5
            if self.watch.is_due:
                self.watch.check(self.read_to)
            self.watch.polled(is_empty=not self.leaves_records)
            self.watch.heard(self.delivers)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(silence, "time", made)
    return made


def silent_s(client: Client) -> float:
    """How long it takes until the client is given up."""
    began_s = client.clock.now_s
    with pytest.raises(UnansweredError, match="`letters` partition 0"):
        client.poll(600)
    return client.clock.now_s - began_s


@pytest.mark.parametrize("read_to", [5, None])
def test_a_client_that_reads_nothing_of_what_there_is_is_given_up(clock: Clock, read_to: int | None) -> None:
    client = Client(clock, Brokers(7, 7), {AT: read_to})
    assert SILENT_AFTER_S <= silent_s(client) <= SILENT_AFTER_S + LATE_S


def test_one_that_reads_nothing_of_one_partition_beside_others_likewise(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5, BESIDE: 5})
    client.delivers = [BESIDE]
    assert SILENT_AFTER_S <= silent_s(client) <= SILENT_AFTER_S + LATE_S


def test_partitions_that_fall_silent_in_turn_are_none_that_is_silent_for_long(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5, BESIDE: 5})
    for _ in range(20):
        for place in (AT, BESIDE):
            client.delivers = [place]
            client.poll(SILENT_AFTER_S - 1)


def test_one_that_falls_silent_while_another_is_has_all_of_its_time(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5, BESIDE: 5})
    client.delivers = [AT]
    client.poll(QUIET_S + SILENT_S_MAX / 2)
    client.delivers = []
    client.poll(ASK_PAUSE_S)
    client.delivers = [BESIDE]
    assert silent_s(client) >= SILENT_AFTER_S - ASK_PAUSE_S


def test_one_that_has_read_everything_is_not_and_asks_seldom(clock: Clock) -> None:
    brokers = Brokers(5, 5)
    Client(clock, brokers, {AT: 5}).poll(600)
    assert brokers.asked == ["high"] * len(brokers.asked)
    assert len(brokers.asked) <= 600 / QUIET_S


def test_one_that_has_read_an_idle_partition_beside_others_is_not(clock: Clock) -> None:
    brokers = Brokers(5, 5)
    client = Client(clock, brokers, {AT: 5, BESIDE: 5})
    client.delivers = [BESIDE]
    client.poll(600)
    assert 0 < len(brokers.asked) <= 600 / QUIET_S


def test_one_that_waits_for_an_open_transaction_is_not(clock: Clock) -> None:
    brokers = Brokers(9, 5)
    Client(clock, brokers, {AT: 5}).poll(600)
    assert "stable" in brokers.asked


def test_one_that_waits_for_brokers_is_not_before_they_answer(clock: Clock) -> None:
    brokers = Brokers(7, 7)
    client = Client(clock, brokers, {AT: 5})
    client.poll(QUIET_S + SILENT_S_MAX / 2)
    brokers.are_away = True
    client.poll(600)
    brokers.are_away = False
    assert silent_s(client) >= SILENT_S_MAX


def test_a_partition_that_the_brokers_do_not_know_hides_no_other(clock: Clock) -> None:
    brokers = Brokers(7, 7)
    brokers.unknown = {BESIDE}
    client = Client(clock, brokers, {AT: 5, BESIDE: 5})
    assert silent_s(client) <= SILENT_AFTER_S + LATE_S


def test_a_partition_that_the_brokers_did_not_know_for_a_while_has_all_of_its_time(clock: Clock) -> None:
    brokers = Brokers(7, 7)
    client = Client(clock, brokers, {AT: 5, BESIDE: None})
    client.poll(QUIET_S + SILENT_S_MAX / 2)
    client.delivers = [BESIDE]
    brokers.unknown = {AT}
    client.poll(600)
    brokers.unknown = set()
    assert silent_s(client) >= SILENT_S_MAX


def test_one_that_goes_on_is_not(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5})
    for _ in range(20):
        client.poll(SILENT_AFTER_S - 1)
        client.watch.heard([AT])


def test_a_partition_that_waits_in_the_queue_behind_others_is_not_silent(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5, BESIDE: 5})
    client.delivers, client.leaves_records = [BESIDE], True
    client.poll(600)
    client.leaves_records = False
    assert silent_s(client) >= SILENT_AFTER_S


def test_a_full_poll_now_and_then_hides_no_silence(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5, BESIDE: 5})
    client.delivers = [BESIDE]
    with pytest.raises(UnansweredError):
        poll_in_bursts(client)


def poll_in_bursts(client: Client) -> None:
    for _ in range(60):
        client.leaves_records = False
        client.poll(3)
        client.leaves_records = True
        client.poll(0.5)


def test_partitions_that_were_just_assigned_are_not_silent(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5})
    for _ in range(20):
        client.poll(SILENT_AFTER_S - 1)
        client.watch.begin([AT])


@pytest.mark.parametrize("is_assigned_again", [False, True])
def test_time_before_partitions_are_read_on_does_not_count(clock: Clock, is_assigned_again: bool) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5})
    client.poll(1)
    clock.now_s += 60
    if is_assigned_again:
        client.watch.begin([AT])
    else:
        client.watch.heard([AT])
    assert silent_s(client) >= SILENT_AFTER_S


def test_a_client_that_was_not_polled_for_long_has_all_of_its_time_after_that(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5})
    client.poll(QUIET_S - 1)
    clock.now_s += 600
    assert silent_s(client) >= SILENT_S_MAX


def test_an_answer_that_has_not_come_is_awaited(clock: Clock) -> None:
    brokers = Brokers(7, 7)
    brokers.high = None
    client = Client(clock, brokers, {AT: 5})
    client.poll(600)
    brokers.high = 7
    assert silent_s(client) <= 60


@pytest.mark.parametrize("is_assigned_again", [False, True])
def test_an_answer_to_what_was_asked_before_the_silence_does_not_count(clock: Clock, is_assigned_again: bool) -> None:
    brokers = Brokers(5, 5)
    client = Client(clock, brokers, {AT: 5})
    brokers.high = None
    client.poll(QUIET_S + 1)
    assert brokers.asked
    if is_assigned_again:
        client.watch.begin([AT])
    else:
        client.watch.heard([AT])
    # The answer says that all was read, and nothing of what has come meanwhile.
    brokers.high, brokers.stable = 5, 7
    client.poll(1)
    brokers.high = 7
    assert silent_s(client) <= SILENT_AFTER_S + LATE_S - 1


def test_what_is_not_to_be_read_does_not_count(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5})
    client.read_to = {}
    client.poll(600)


def test_a_partition_that_is_paused_beside_others_does_not_count_and_has_its_time_afterwards(clock: Clock) -> None:
    client = Client(clock, Brokers(7, 7), {AT: 5, BESIDE: 5})
    client.delivers = [BESIDE]
    client.read_to = {BESIDE: 5}
    client.poll(600)
    client.read_to = {AT: 5, BESIDE: 5}
    client.watch.heard([AT])
    assert silent_s(client) >= SILENT_AFTER_S
