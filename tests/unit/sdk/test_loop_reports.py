"""Reports that the log or the store does not take, or takes slowly, and what the loop does then."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from streams.model.session import SessionEvent
from streams.model.verdict import Verdict
from streams.ports import LogError, Outgoing, Publisher
from streams.sdk import ExecutorError, LoopSettings, RevocationWatch, SingleUseError, SingleUseStore
from streams.sdk.connection.transport import Transport
from streams.sdk.executor import report_publisher
from streams.sdk.executor.uses import End, Use
from tests.unit.sdk.hands import WAIT_S, FailingPublisher, TransportOf, begun_store, make_verdict, written
from tests.unit.sdk.loop_hand import Running, ids, others, put, put_many, reported
from tests.waiting import until


class FailingTransport(Transport):
    failures = 0

    def open_publisher(self) -> Publisher:
        return FailingPublisher(super().open_publisher(), [LogError("not this time")] * self.failures)


def test_a_report_that_failed_is_made_again_without_running_the_call_again(
    transport: Transport, transport_of: TransportOf, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    failing = transport_of(FailingTransport)
    failing.failures = 3
    with (
        begun_store(tmp_path) as store,
        Running(failing, store, revocations, calls.append) as running,
    ):
        verdict = put(transport, make_verdict())
        until(lambda: len(running.outcomes) == 1, "it is reported")
    assert (len(calls), running.error) == (1, None)
    assert reported(transport) == [verdict.verdict_id]
    failing.close()


def test_a_report_that_can_not_be_made_ends_the_loop_and_is_made_at_the_next_start(
    transport: Transport, transport_of: TransportOf, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    failing = transport_of(FailingTransport)
    failing.failures = 10_000
    verdict = put(transport, make_verdict())
    with begun_store(tmp_path) as store:
        running = Running(failing, store, revocations, calls.append)
        until(lambda: running.ended, "it has given up")
        assert isinstance(running.error, ExecutorError)
        assert reported(transport) == []
    with (
        begun_store(tmp_path) as store,
        Running(transport, store, revocations, calls.append) as running,
    ):
        until(lambda: reported(transport) == [verdict.verdict_id], "it is reported")
        second = put(transport, make_verdict())
        until(lambda: len(running.outcomes) == 1, "the next one has run")
    assert len(calls) == 2
    assert reported(transport) == ids(verdict, second)
    failing.close()


class HeldPublisher:
    """A publisher whose flushes all fail, the first of them only once it may."""

    def __init__(self, publisher: Publisher, transport: HeldTransport) -> None:
        self._transport = transport
        self.close = publisher.close

    def publish(self, record: Outgoing) -> None:
        """Write nothing."""

    def flush(self, timeout_ms: int) -> None:
        self._transport.flushes_count += 1
        self._transport.go_on.wait(2 * WAIT_S)
        raise LogError("the log is away")


class HeldTransport(Transport):
    flushes_count = 0
    go_on: threading.Event

    def open_publisher(self) -> Publisher:
        return HeldPublisher(super().open_publisher(), self)


def test_a_stop_tries_to_report_for_as_long_as_it_may_wait(
    transport: Transport, transport_of: TransportOf, revocations: RevocationWatch, tmp_path: Path
) -> None:
    held = transport_of(HeldTransport)
    held.go_on = threading.Event()
    with begun_store(tmp_path) as store:
        running = Running(held, store, revocations, lambda _: "ok", settings=LoopSettings(finish_ms=0))
        put(transport, make_verdict())
        until(lambda: held.flushes_count == 1, "it is being reported")
        running.ask_to_stop()
        held.go_on.set()
        running.stop()
    assert isinstance(running.error, ExecutorError)
    assert "1 call could not be reported before the stop" in str(running.error)
    assert held.flushes_count == 2, "the attempt under way, and one more"
    held.close()


@pytest.mark.parametrize("has_to_stop", [False, True])
def test_a_publisher_that_does_not_return_ends_the_loop(
    transport: Transport,
    transport_of: TransportOf,
    revocations: RevocationWatch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_to_stop: bool,
) -> None:
    monkeypatch.setattr(report_publisher, "UNDER_WAY_MS_MAX", 300)
    monkeypatch.setattr(report_publisher, "LOOK_MS", 100)
    monkeypatch.setattr(report_publisher, "CLOSE_S_MAX", 0.1)
    held = transport_of(HeldTransport)
    held.go_on = threading.Event()
    with begun_store(tmp_path) as store:
        running = Running(held, store, revocations, lambda _: "ok")
        put(transport, make_verdict())
        until(lambda: held.flushes_count == 1, "it is being reported")
        if has_to_stop:
            running.ask_to_stop()
        until(lambda: running.ended, "it has ended")
        held.go_on.set()
    assert isinstance(running.error, ExecutorError)
    assert "the client of the log does not return" in str(running.error)
    held.close()


def test_a_store_that_fails_ends_the_loop_before_anything_runs(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    store = SingleUseStore(tmp_path / "used", "e-1")
    running = Running(transport, store, revocations, calls.append)
    put(transport, make_verdict())
    until(lambda: len(running.outcomes) == 1, "it runs")
    store.close()
    put(transport, make_verdict())
    until(lambda: running.ended, "it has ended")
    assert isinstance(running.error, ExecutorError)
    assert isinstance(running.error.__cause__, SingleUseError)
    assert len(calls) == 1


class SlowPublisher:
    """A publisher whose flushes last until they may end."""

    def __init__(self, publisher: Publisher, may_end: threading.Event) -> None:
        self._publisher = publisher
        self._may_end = may_end
        self.publish = publisher.publish
        self.close = publisher.close

    def flush(self, timeout_ms: int) -> None:
        self._may_end.wait(WAIT_S)
        self._publisher.flush(timeout_ms)


class SlowTransport(Transport):
    may_store: threading.Event

    def open_publisher(self) -> Publisher:
        return SlowPublisher(super().open_publisher(), self.may_store)


def test_a_log_that_stores_slowly_does_not_slow_reading(
    transport: Transport, transport_of: TransportOf, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """A call behind thousands of verdicts, own and others', runs while not one report is stored."""
    calls: list[Mapping[str, object]] = []
    slow = transport_of(SlowTransport)
    slow.may_store = threading.Event()
    mixed: list[Verdict] = []
    for number, other in enumerate(others(6_000)):
        mixed += [make_verdict(session_id=f"s-{number}"), other] if number % 20 == 0 else [other]
    put_many(transport, mixed)
    with begun_store(tmp_path) as store, Running(slow, store, revocations, calls.append) as running:
        until(lambda: len(calls) == 300, "all have run")
        assert running.outcomes == []
        slow.may_store.set()
        until(lambda: len(running.outcomes) == 300, "all are reported")
    assert running.error is None
    slow.close()


def test_when_the_store_fails_what_was_done_before_is_reported_and_the_rest_runs_at_the_next_start(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Mapping[str, object]] = []
    verdicts = [make_verdict(session_id=f"s-{number % 10}") for number in range(60)]
    put_many(transport, verdicts)
    finish_all = SingleUseStore.finish_all

    def failing(store: SingleUseStore, ends: Sequence[End]) -> list[Use]:
        if len(calls) > 20:
            raise SingleUseError("the disk is full")
        return finish_all(store, ends)

    with begun_store(tmp_path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(SingleUseStore, "finish_all", failing)
            # It does not wait for calls that can't be recorded.
            settings = LoopSettings(finish_ms=600_000)
            running = Running(transport, store, revocations, calls.append, settings=settings)
            until(lambda: running.ended, "it has ended")
        assert isinstance(running.error, ExecutorError)
        assert len(reported(transport)) >= 10
    with begun_store(tmp_path) as store, Running(transport, store, revocations, calls.append):
        until(lambda: reported(transport) == ids(*verdicts), "all are reported")
    results = written(transport, SessionEvent)
    assert len({event.verdict_id for event in results}) == 60
    # A call whose end was not recorded has run, and never runs again.
    assert len(calls) == 60
