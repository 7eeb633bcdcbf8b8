"""Keeping a gate running: on the embedded log, and with a worker that fails as it is told to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, cast

import pytest

from streams.engine.startup import StartRefusedError
from streams.engine.worker import Worker, WorkerGaveUpError
from streams.metrics import declared
from streams.metrics.declared import Exporter
from streams.metrics.health import LIVE_MS_MAX
from streams.metrics.registry import Metrics
from streams.operations.topics.application import carry_out, make_plan
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    FencedError,
    LogError,
    RetriableLogError,
    UnansweredError,
)
from streams.ports.open_log import Log
from streams.sdk import renewals
from streams.sdk.renewals import FAILURES_MAX
from streams.services.gate import runner as runner_module
from streams.services.gate.runner import (
    NOT_STARTED,
    Beside,
    GateFailedError,
    GateRunner,
    allocator,
    notary,
)
from streams.stores.memory import MemoryStores
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings
from tests.waiting import WAIT_S, until

READY_MS = 60_000
ROOT_KEY = bytes(range(64))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"state_dir": tmp_path, "topics": {"partitions": 3}})


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    with open_log(settings) as opened:
        yield opened


def make_topics(settings: Settings, log: Log) -> None:
    admin = log.admin()
    carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
    admin.close()


def gate_runner(settings: Settings, log: Log) -> GateRunner:
    codec = build_codec(settings)
    return GateRunner(lambda: build_gate(settings, log, codec, ROOT_KEY, MemoryStores()), SystemClock())


class TestOnTheEmbeddedLog:
    def test_it_serves_all_partitions_and_stops_in_good_order(self, settings: Settings, log: Log) -> None:
        make_topics(settings, log)
        runner = gate_runner(settings, log)
        runner.start()
        assert runner.wait_ready(READY_MS) == [0, 1, 2]
        assert runner.serving == [0, 1, 2]
        runner.stop()
        assert runner.serving == []

    def test_it_takes_up_work_again_after_it_was_fenced(
        self, settings: Settings, log: Log, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_topics(settings, log)
        runner = gate_runner(settings, log)
        runner.start()
        runner.wait_ready(READY_MS)
        with caplog.at_level(logging.WARNING, logger="streams.services.gate.runner"):
            # Another member of the same name takes its place in the group, and goes away again.
            usurper = log.consumer(settings.group, settings.instance)
            usurper.subscribe(["agent.intent.v1"], _Listener())
            usurper.poll(1, 0)
            until(lambda: "restart 1 of" in caplog.text)
            usurper.close()
        assert runner.wait_ready(READY_MS) == [0, 1, 2]
        runner.stop()

    def test_two_gates_tell_of_which_partitions_they_keep_standbys(self, settings: Settings, log: Log) -> None:
        make_topics(settings, log)
        told: dict[str, list[list[int]]] = {"a": [], "b": []}
        codec = build_codec(settings)

        def runner(name: str) -> GateRunner:
            own = settings.model_copy(update={"instance": name})
            return GateRunner(
                lambda: build_gate(own, log, codec, ROOT_KEY, MemoryStores()),
                SystemClock(),
                on_standing_by=told[name].append,
            )

        first, second = runner("a"), runner("b")
        first.start()
        first.wait_ready(READY_MS)
        second.start()
        until(lambda: told["a"][-1:] == [[2]] and told["b"][-1:] == [[0, 1]])
        # A standby is warm before it has read all that there is.
        until(lambda: first.standby_lags == {2: 0})
        until(lambda: second.standby_lags == {0: 0, 1: 0})
        second.stop()
        first.stop()
        assert first.standby_lags == {}

    def test_a_refused_start_is_not_tried_again(self, settings: Settings, log: Log) -> None:
        runner = gate_runner(settings, log)
        runner.start()
        with pytest.raises(StartRefusedError, match="`stoplog topics apply`"):
            runner.wait_ready(READY_MS)
        with pytest.raises(StartRefusedError):
            runner.stop()

    def test_one_that_can_not_start_ends_after_what_runs_beside_it(self, settings: Settings, log: Log) -> None:
        """Its caller closes the log next."""
        make_topics(settings, log)
        codec = build_codec(settings)

        def refuse() -> Worker:
            until(lambda: "stoplog budget allocator" in _threads())
            raise StartRefusedError(("no topic",))

        beside = [allocator(lambda: build_budgets(settings, log, codec))]
        runner = GateRunner(refuse, SystemClock(), beside=beside)
        runner.start()
        with pytest.raises(StartRefusedError):
            runner.wait_ready(READY_MS)
        assert "stoplog budget allocator" not in _threads()

    def test_stopping_before_it_has_begun(self, settings: Settings, log: Log) -> None:
        make_topics(settings, log)
        runner = gate_runner(settings, log)
        runner.request_stop()
        runner.run()
        assert runner.serving == []


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


NEVER_STARTS = -1


def caused_by(*errors: Exception) -> Exception:
    """The first of them, raised from the second, and so on."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def sleep_ms(self, duration_ms: int) -> None:
        self.ms += duration_ms


class FailingWorker:
    """Serves one partition for a number of steps, and then fails."""

    restoring = False
    waits_for = ()
    standby_lags: ClassVar[dict[int, int | None]] = {}

    def __init__(self, error: Exception, clock: Clock, life_ms: int, closed: list[int]) -> None:
        self._error = error
        self._clock = clock
        self._life_ms = life_ms
        self._closed = closed
        self.partitions: list[int] = []

    def start(self) -> None:
        if self._life_ms == NEVER_STARTS:
            raise self._error
        self.partitions = [0]

    def step(self) -> int:
        if self._life_ms:
            self._clock.ms += self._life_ms
            self._life_ms = 0
            return 1
        raise self._error

    def request_stop(self) -> None: ...

    def stop(self) -> None:
        self._closed.append(1)
        raise FatalLogError("a failed client can't leave in good order")


class TestOneReason:
    def test_what_fails_them_all_is_told_in_full_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """Two that run beside each other on a log that is away."""
        clock, fails = Clock(), threading.Barrier(2)
        away = RetriableLogError("the brokers are away")

        def build() -> Worker:
            fails.wait()
            return cast("Worker", FailingWorker(away, clock, NEVER_STARTS, []))

        runner = GateRunner(build, clock, beside=[notary(build)])
        runner.start()
        try:
            until(lambda: sum("restart 1" in text for text in caplog.messages) == 2)
        finally:
            fails.abort()
            with suppress(threading.BrokenBarrierError):
                runner.stop()
        reasons = {text.partition("ms: ")[2] for text in caplog.messages if "restart 1" in text}
        reasons -= {"for the same reason as the gate", "for the same reason as the notary"}
        assert reasons == {"the brokers are away"}
        assert sum("the brokers are away" in text for text in caplog.messages if "restart 1" in text) == 1


class TestRestarts:
    @pytest.fixture(autouse=True)
    def without_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renewals, "PAUSE_FIRST_MS", 0)

    def run(self, *lives: tuple[Exception, int]) -> tuple[Exception | None, int, int]:
        """Run workers of these lives, then one that is asked to stop.

        Returns:
            What was raised, how many workers were built, how many were closed.
        """
        clock = Clock()
        closed: list[int] = []
        built: list[int] = []

        def build() -> Worker:
            built.append(1)
            if len(built) > len(lives):
                runner.request_stop()
                return cast("Worker", _Idle())
            error, life_ms = lives[len(built) - 1]
            return cast("Worker", FailingWorker(error, clock, life_ms, closed))

        runner = GateRunner(build, clock)
        try:
            runner.run()
        except Exception as error:
            return error, len(built), len(closed)
        return None, len(built), len(closed)

    @pytest.mark.parametrize(
        "error",
        [
            FatalLogError("gone"),
            FencedError("fenced"),
            LogError("refused"),
            AbortableTransactionError("aborted"),
            WorkerGaveUpError("20 aborts"),
        ],
    )
    def test_a_lost_client_is_replaced_and_closed(self, error: Exception) -> None:
        assert self.run((error, 0)) == (None, 2, 1)

    def test_it_gives_up_after_a_bounded_number_of_restarts(self) -> None:
        error, built, closed = self.run(*[(FatalLogError("the broker is gone"), 10)] * (FAILURES_MAX + 5))
        assert isinstance(error, GateFailedError)
        assert (built, closed) == (FAILURES_MAX + 1, FAILURES_MAX + 1)
        assert "the broker is gone" in str(error)
        assert "`stoplog doctor`" in str(error)

    @pytest.mark.parametrize(
        "error",
        [
            RetriableLogError("no broker answered"),
            UnansweredError("whether it is committed is not known"),
            caused_by(
                WorkerGaveUpError("20 aborts"), AbortableTransactionError("no coordinator"), RetriableLogError("")
            ),
        ],
    )
    def test_a_log_that_does_not_answer_is_waited_for_without_a_bound(self, error: Exception) -> None:
        error_at_the_end, built, _ = self.run(*[(error, 10)] * (10 * FAILURES_MAX))
        assert error_at_the_end is None
        assert built == 10 * FAILURES_MAX + 1

    def test_crashes_add_up_even_while_the_log_does_not_always_answer(self) -> None:
        lives = [(FatalLogError("a crash"), 10), (RetriableLogError("no answer"), 10)] * (FAILURES_MAX + 5)
        error, built, _ = self.run(*lives)
        assert isinstance(error, GateFailedError)
        assert built == 2 * FAILURES_MAX + 1

    def test_a_log_that_has_never_answered_is_not_waited_for(self) -> None:
        error, built, _ = self.run(*[(RetriableLogError("no broker at this address"), NEVER_STARTS)] * 20)
        assert isinstance(error, GateFailedError)
        assert built == FAILURES_MAX + 1

    def test_a_name_that_two_gates_have_is_named_as_the_cause(self) -> None:
        error, _, _ = self.run(*[(FencedError("fenced"), 0)] * (FAILURES_MAX + 1))
        assert "--instance" in str(error)

    def test_failures_far_apart_never_add_up(self) -> None:
        lives = [(FatalLogError("now and then"), renewals.HEALTHY_MS)] * (3 * FAILURES_MAX)
        error, built, _ = self.run(*lives)
        assert error is None
        assert built == 3 * FAILURES_MAX + 1

    def test_a_bug_of_ours_is_not_tried_again(self) -> None:
        error, built, closed = self.run((ZeroDivisionError(), 0))
        assert isinstance(error, ZeroDivisionError)
        assert (built, closed) == (1, 1)

    def test_who_waits_hears_of_the_end(self) -> None:
        runner = GateRunner(lambda: _raise(StartRefusedError(("no topic",))), Clock())
        runner.start()
        with pytest.raises(StartRefusedError):
            runner.wait_ready(READY_MS)

    def test_who_ends_for_the_same_reason_says_so_in_a_line(self, caplog: pytest.LogCaptureFixture) -> None:
        """On a log without topics, a gate and what runs beside it wrote the same three times."""
        ended = threading.Event()

        def second() -> Worker:
            ended.wait(READY_MS / 1_000)
            raise StartRefusedError(("no topic",))

        def first() -> Worker:
            try:
                raise StartRefusedError(("no topic",))
            finally:
                threading.Timer(0.05, ended.set).start()

        runner = GateRunner(second, Clock(), beside=[Beside(first, "notary", "notary")])
        runner.start()
        with pytest.raises(StartRefusedError):
            runner.wait_ready(READY_MS)
        told = [record.getMessage() for record in caplog.records if "has ended" in record.getMessage()]
        assert told[0].startswith("notary has ended: refusing to start")
        assert told[1:] == ["gate has ended: for the same reason as the notary"]

    def test_who_waits_hears_of_a_panic_too(self) -> None:
        class PanicError(BaseException):
            """As libraries in Rust raise it."""

        def panic() -> Worker:
            raise PanicError

        runner = GateRunner(panic, Clock())
        runner.start()
        with pytest.raises(GateFailedError, match="PanicError"):
            runner.wait_ready(READY_MS)

    def test_a_stop_reaches_the_step_under_way_and_what_runs_beside_it(self) -> None:
        """A step that waits for the log must not wait for as long as it would at work."""
        gate, budgets = Waiting(), Waiting()
        beside = [allocator(lambda: cast("Worker", budgets))]
        runner = GateRunner(lambda: cast("Worker", gate), Clock(), beside=beside)
        runner.start()
        assert gate.is_waiting.wait(READY_MS / 1_000)
        assert budgets.is_waiting.wait(READY_MS / 1_000)
        runner.stop()
        assert gate.is_asked.is_set()
        assert budgets.is_asked.is_set()

    def test_workers_beside_it_that_hang_have_one_limit_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner_module, "STOP_TIMEOUT_MS", 2_000)
        hanging = [Hanging() for _ in range(3)]
        beside = [Beside(lambda each=each: cast("Worker", each), f"worker {n}", "w") for n, each in enumerate(hanging)]
        runner = GateRunner(lambda: cast("Worker", _Idle()), SystemClock(), beside=beside)
        asked_s: list[float] = []

        def stop_once_all_hang() -> None:
            for each in hanging:
                each.is_waiting.wait()
            asked_s.append(time.monotonic())
            runner.request_stop()

        threading.Thread(target=stop_once_all_hang, daemon=True).start()
        with pytest.raises(GateFailedError, match="worker 0 has not stopped"):
            runner.run()
        duration_s = time.monotonic() - asked_s[0]
        for each in hanging:
            each.is_asked.set()
        # Each for itself would take as many times the limit as there are workers.
        assert 1.9 < duration_s < len(hanging) * 2 - 0.1

    def test_waiting_is_bounded(self) -> None:
        runner = GateRunner(lambda: cast("Worker", _Idle()), Clock())
        runner.start()
        with pytest.raises(GateFailedError, match="no partition after 50 ms"):
            runner.wait_ready(50)
        runner.stop()


class _Idle:
    restoring = False
    waits_for = ("partitions",)
    standby_lags: ClassVar[dict[int, int | None]] = {}
    partitions: tuple[int, ...] = ()

    def start(self) -> None: ...

    def step(self) -> int:
        threading.Event().wait(0.01)
        return 0

    def request_stop(self) -> None: ...

    def stop(self) -> None: ...


class Waiting(_Idle):
    """Its step waits for the log until it is asked to stop."""

    def __init__(self) -> None:
        self.is_waiting, self.is_asked = threading.Event(), threading.Event()

    def step(self) -> int:
        self.is_waiting.set()
        self.is_asked.wait()
        return 0

    def request_stop(self) -> None:
        self.is_asked.set()


class Hanging(Waiting):
    """Its step goes on although it is asked to stop."""

    def request_stop(self) -> None: ...


class _Listener:
    def on_assigned(self, partitions: object) -> None: ...

    def on_revoked(self, partitions: object) -> None: ...

    def on_lost(self, partitions: object) -> None: ...


def _raise(error: Exception) -> Worker:
    raise error


class TestHealth:
    def test_it_is_ready_once_nothing_is_missing_and_lives_while_it_turns(self) -> None:
        clock, worker = Clock(), _Idle()
        runner = GateRunner(lambda: cast("Worker", worker), clock)
        assert runner.health().is_live
        assert runner.health().waits_for == (NOT_STARTED,)
        runner.start()
        until(lambda: runner.health().waits_for == ("partitions",))
        worker.waits_for = ()
        until(lambda: runner.health().is_ready)
        runner.stop()
        assert runner.health().waits_for == (NOT_STARTED,)
        clock.ms += LIVE_MS_MAX
        assert not runner.health().is_live
        assert runner.health().hangs == "the gate has not turned for 120 s"

    @pytest.mark.parametrize(
        ("hangs", "others", "name"), [(allocator, notary, "budget allocator"), (notary, allocator, "notary")]
    )
    def test_a_worker_beside_the_gate_that_hangs_makes_it_unhealthy(
        self, hangs: Callable[..., Beside], others: Callable[..., Beside], name: str
    ) -> None:
        clock, waiting = Clock(), Waiting()
        idle = cast("Worker", _Idle())
        beside = [others(lambda: idle), hangs(lambda: cast("Worker", waiting))]
        runner = GateRunner(lambda: cast("Worker", _Idle()), clock, beside=beside)
        runner.start()
        assert waiting.is_waiting.wait(WAIT_S)
        assert runner.health().is_live
        clock.ms = LIVE_MS_MAX
        # The others turn, and so are not late for long.
        until(lambda: runner.health().hangs == f"the {name} has not turned for 120 s")
        runner.stop()

    def test_a_notary_that_fails_ends_the_gate(self) -> None:
        def refused() -> Worker:
            raise ValueError("no notary")

        failing = GateRunner(lambda: cast("Worker", _Idle()), Clock(), beside=[notary(refused)])
        with pytest.raises(ValueError, match="no notary"):
            failing.run()

    def test_restarts_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renewals, "PAUSE_FIRST_MS", 0)
        clock, metrics = Clock(), Metrics(Exporter.GATE)
        lives = [10, 10]

        def build() -> Worker:
            if not lives:
                runner.request_stop()
                return cast("Worker", _Idle())
            return cast("Worker", FailingWorker(RetriableLogError("away"), clock, lives.pop(), []))

        runner = GateRunner(build, clock, metrics=metrics)
        runner.run()
        assert metrics.value(declared.RESTARTS, "gate") == 2
