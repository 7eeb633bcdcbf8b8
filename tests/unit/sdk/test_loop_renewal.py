"""An executor whose log stands still for a while: its loop goes on with a new consumer, and loses and doubles nothing.

The log is real; only how its consumers fail is told, because an embedded log never leaves one without an answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from streams.model.canonical import sha256
from streams.model.verdict import Verdict
from streams.ports import (
    Consumer,
    FatalLogError,
    FencedError,
    LogError,
    Publisher,
    Received,
    RetriableLogError,
    TopicPartition,
    UnansweredError,
)
from streams.sdk import ExecutorError, LoopSettings, RevocationWatch, Transport, renewals
from streams.sdk.executor.done_calls import REPORT_ATTEMPTS_MAX
from streams.sdk.renewals import FAILURES_MAX, HEALTHY_MS, PAUSE_FIRST_MS, PAUSE_MS_MAX, Renewals
from tests.unit.sdk.hands import FailingPublisher, TransportOf, begun_store, make_verdict
from tests.unit.sdk.loop_hand import Running, ids, put, reported
from tests.waiting import until


class FailingConsumer:
    """A consumer of the log that fails as it is told to. Once a poll has failed, it commits nothing either."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.poll_error: LogError | None = None
        self.committed_errors: list[LogError] = []
        self.has_failed = self.is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        if self.poll_error is not None:
            self.has_failed = True
            raise self.poll_error
        return self._consumer.poll(max_records, timeout_ms)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.has_failed:
            raise LogError("the coordinator refuses")
        self._consumer.commit(offsets)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        if self.committed_errors:
            raise self.committed_errors.pop()
        return self._consumer.committed(partitions)

    def close(self) -> None:
        try:
            self._consumer.close()
        finally:
            self.is_closed = True


class FailingTransport(Transport):
    """What hands out such consumers.

    Attributes:
        made: all of them.
        committed_errors: what the first ones raise, one each, when they are asked for committed offsets.
        poll_error: what all of them raise when they are polled.
        publisher_errors: what the first flushes of reports raise, one each.
    """

    made: list[FailingConsumer]
    committed_errors: list[LogError]
    poll_error: LogError | None = None
    publisher_errors: Sequence[LogError] = ()

    def open_publisher(self) -> Publisher:
        return FailingPublisher(super().open_publisher(), self.publisher_errors)

    def consumer(self, group: str, instance: str) -> Consumer:
        made = FailingConsumer(super().consumer(group, instance))
        if self.committed_errors:
            made.committed_errors.append(self.committed_errors.pop())
        made.poll_error = self.poll_error
        self.made.append(made)
        return cast("Consumer", made)


@pytest.fixture
def failing(transport_of: TransportOf) -> Iterator[FailingTransport]:
    opened = transport_of(FailingTransport)
    opened.made, opened.committed_errors = [], []
    with opened:
        yield opened


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewals, "PAUSE_FIRST_MS", 10)


def numbered(number: int, session_id: str, **changes: object) -> Verdict:
    args_json = f'{{"n":{number}}}'
    digest = sha256(args_json.encode())
    return make_verdict(session_id=session_id, args_json=args_json, args_digest=digest, **changes)


@pytest.mark.usefixtures("_soon")
def test_a_consumer_that_is_not_answered_is_replaced_and_each_call_runs_once(
    transport: Transport, failing: FailingTransport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """One call runs for longer than the former consumer waits for it, others wait behind it, and others come later."""
    free, begun = threading.Event(), threading.Event()
    ran: list[object] = []

    def call(args: Mapping[str, object]) -> str:
        if args["n"] == 0:
            begun.set()
            free.wait(20)
        ran.append(args["n"])
        return "ok"

    settings = LoopSettings(concurrency=2, finish_ms=200)
    with (
        begun_store(tmp_path) as store,
        Running(failing, store, revocations, call, settings=settings) as running,
    ):
        verdicts = [put(transport, numbered(number, f"s-{number % 2}")) for number in range(6)]
        assert begun.wait(20)
        (first,) = failing.made
        first.poll_error = UnansweredError("it has read nothing although there is more")
        until(lambda: len(failing.made) == 2 or running.ended, "there is a new consumer")
        assert running.error is None
        assert first.is_closed
        verdicts += [put(transport, numbered(number, f"s-{number % 2}")) for number in range(6, 10)]
        until(lambda: {7, 9} <= set(ran), "the calls of the other session run")
        free.set()
        until(lambda: len(reported(transport)) >= len(verdicts), "all are reported")
    assert running.error is None
    assert sorted(map(str, ran)) == [str(number) for number in range(10)]
    assert [n for n in ran if cast("int", n) % 2 == 0] == [0, 2, 4, 6, 8]
    assert reported(transport) == ids(*verdicts)


@pytest.mark.usefixtures("_soon")
def test_offsets_that_can_not_be_asked_for_are_asked_for_by_a_new_consumer(
    transport: Transport, failing: FailingTransport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    failing.committed_errors = [RetriableLogError("no coordinator") for _ in range(3)]
    verdict = put(transport, make_verdict())
    with begun_store(tmp_path) as store, Running(failing, store, revocations, calls.append) as running:
        until(lambda: running.ended or len(running.outcomes) == 1, "it has run")
    assert (running.error, len(calls), len(failing.made)) == (None, 1, 4)
    assert reported(transport) == [verdict.verdict_id]


def test_it_ends_when_it_is_told_to_between_two_consumers(
    failing: FailingTransport,
    revocations: RevocationWatch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(renewals, "PAUSE_FIRST_MS", 600_000)
    monkeypatch.setattr(renewals, "PAUSE_MS_MAX", 600_000)
    with begun_store(tmp_path) as store, Running(failing, store, revocations, lambda _: "ok") as running:
        until(lambda: len(failing.made) == 1)
        failing.made[0].poll_error = UnansweredError("no answer")
        until(lambda: failing.made[0].is_closed, "the consumer is closed")
        time.sleep(0.1)
        assert not running.ended
        assert running.loop.health().waits_for == ("partitions: the group has assigned none to this instance",)
    assert running.error is None
    assert len(failing.made) == 1
    assert "a new consumer reads on in 600000 ms: no answer" in caplog.text


def test_a_call_that_outlives_its_consumer_is_finished_before_a_stop(
    transport: Transport,
    failing: FailingTransport,
    revocations: RevocationWatch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renewals, "PAUSE_FIRST_MS", 600_000)
    begun, free = threading.Event(), threading.Event()

    def call(args: Mapping[str, object]) -> str:
        begun.set()
        free.wait(20)
        return "ok"

    settings = LoopSettings(finish_ms=2_000)
    with (
        begun_store(tmp_path) as store,
        Running(failing, store, revocations, call, settings=settings) as running,
    ):
        verdict = put(transport, make_verdict())
        assert begun.wait(20)
        failing.made[0].poll_error = UnansweredError("no answer")
        until(lambda: failing.made[0].is_closed, "the consumer is closed")
        running.ask_to_stop()
        free.set()
    assert running.error is None
    assert reported(transport) == [verdict.verdict_id]


def test_a_publisher_that_can_not_be_used_any_more_ends_the_loop_and_keeps_its_consumer(
    transport: Transport, failing: FailingTransport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """A new consumer would run new calls, and nobody would learn how they end."""
    calls: list[Mapping[str, object]] = []
    failing.publisher_errors = [FatalLogError("its records are out of order")] * 9
    with begun_store(tmp_path) as store, Running(failing, store, revocations, calls.append) as running:
        put(transport, make_verdict())
        until(lambda: running.ended, "it ends")
    assert isinstance(running.error, ExecutorError)
    assert "its records are out of order" in str(running.error)
    assert (len(calls), len(failing.made)) == (1, 1)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize(
    ("error", "count"),
    [(FencedError("another one"), FAILURES_MAX + 1), (FatalLogError("gone"), FAILURES_MAX + 1), (LogError("no"), 1)],
)
def test_what_new_consumers_do_not_help_against_ends_the_loop(
    failing: FailingTransport, revocations: RevocationWatch, tmp_path: Path, error: LogError, count: int
) -> None:
    failing.poll_error = error
    with begun_store(tmp_path) as store, Running(failing, store, revocations, lambda _: "ok") as running:
        until(lambda: running.ended, "it ends")
    assert running.error is error
    assert len(failing.made) == count
    assert all(each.is_closed for each in failing.made)


@pytest.mark.usefixtures("_soon")
def test_a_member_that_was_fenced_once_goes_on(
    transport: Transport, failing: FailingTransport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """Brokers that stood still do that to the only member of its name, too."""
    calls: list[Mapping[str, object]] = []
    with begun_store(tmp_path) as store, Running(failing, store, revocations, calls.append) as running:
        until(lambda: len(failing.made) == 1)
        failing.made[0].poll_error = FencedError("another member has the name")
        # A poll that is under way would still return the verdict.
        until(lambda: failing.made[0].has_failed)
        put(transport, make_verdict())
        until(lambda: running.ended or len(running.outcomes) == 1, "it runs")
    assert (running.error, len(calls), len(failing.made)) == (None, 1, 2)


def test_reports_wait_for_a_log_that_does_not_answer_without_a_bound(
    transport: Transport, failing: FailingTransport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    failing.publisher_errors = [RetriableLogError("no record was stored for 10 s")] * (REPORT_ATTEMPTS_MAX + 2)
    with begun_store(tmp_path) as store, Running(failing, store, revocations, calls.append) as running:
        verdict = put(transport, make_verdict())
        until(lambda: running.ended or len(running.outcomes) == 1, "it is reported")
    assert (running.error, len(calls)) == (None, 1)
    assert reported(transport) == [verdict.verdict_id]


def test_pauses_grow_to_a_bound_and_begin_anew_after_a_healthy_member() -> None:
    now_ms = 0
    pauses = Renewals(lambda: now_ms)
    pauses.begin()
    found_ms = [pauses.pause_ms(is_failure=False) or 0 for _ in range(3 * FAILURES_MAX)]
    assert found_ms[:2] == [PAUSE_FIRST_MS, 2 * PAUSE_FIRST_MS]
    assert found_ms == sorted(found_ms)
    assert found_ms[-1] == PAUSE_MS_MAX
    pauses.begin()
    now_ms = HEALTHY_MS
    assert pauses.pause_ms(is_failure=False) == PAUSE_FIRST_MS


def test_failures_in_a_row_are_bounded_unless_a_member_was_healthy() -> None:
    now_ms = 0
    renewed = Renewals(lambda: now_ms)
    for _ in range(2):
        renewed.begin()
        now_ms += HEALTHY_MS
        assert renewed.pause_ms(is_failure=True) == PAUSE_FIRST_MS
        renewed.begin()
        assert renewed.pause_ms(is_failure=False) is not None
        assert None not in [renewed.pause_ms(is_failure=True) for _ in range(FAILURES_MAX - 1)]
        assert renewed.pause_ms(is_failure=True) is None
