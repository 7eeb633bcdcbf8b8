"""Runs a gate: its steps, its restarts after fatal errors of the log, and its graceful stop."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.engine.worker import Worker, WorkerGaveUpError
from streams.metrics import declared
from streams.metrics.health import Health, hanging
from streams.metrics.registry import Metrics
from streams.model.errors import StoplogError
from streams.policy.ext.table import load_libraries
from streams.ports import Clock, FencedError, LogError
from streams.sdk.renewals import FAILURES_MAX, Renewals, is_unanswered

_log = logging.getLogger(__name__)

STOP_TIMEOUT_MS = 30_000
"""A gate and all that runs beside it get this long together to end, from when they were asked to."""
STANDBYS_NOTED_MS = 1_000
"""How often it is looked how far the standbys are."""

WARM_LAG_MAX = 10_000
"""A standby that is behind by this many offsets at most is warm: the rest is restored within a second."""

NOT_STARTED = "the log: stops, tools and rules are not read yet"
_MS_PER_S = 1_000

BuildWorker = Callable[[], Worker]
OnServing = Callable[[list[int]], None]
OnStandingBy = Callable[[list[int]], None]


class GateFailedError(StoplogError):
    """A gate could not be kept running, or did not start in time."""


def _settle_memory() -> None:
    """Exclude the objects of a started gate from garbage collection: each full collection of these long-lived objects
    would delay all partitions by some 50 ms."""
    gc.collect()
    gc.freeze()


class Beside(NamedTuple):
    """A worker that runs beside another one.

    Attributes:
        build: builds it, as that of `GateRunner`.
        name: its name in errors and log lines.
        worker: its name in metrics.
    """

    build: BuildWorker
    name: str
    worker: str


def allocator(build: BuildWorker) -> Beside:
    """Return the budget allocator that runs beside a gate."""
    return Beside(build, "budget allocator", "budgets")


def notary(build: BuildWorker) -> Beside:
    """Return the notary that runs beside a gate."""
    return Beside(build, "notary", "notary")


def keying(build: BuildWorker) -> Beside:
    """Return the worker that brings decisions to the watch, beside which it runs."""
    return Beside(build, "worker that brings decisions to the watch", "keying")


class _Told:
    """Remembers the last error that a gate, or what runs beside it, has logged: they share a log, which fails them all.

    A write and a read of one attribute each: threads that do so at once tell an error twice at worst.
    """

    def __init__(self) -> None:
        """Remember none."""
        self._last: tuple[str, str] | None = None

    def text(self, teller: str, error: Exception) -> str:
        """Return the text of an error; a reference to it if another one has logged the same just before."""
        text = str(error)
        last, self._last = self._last, (teller, text)
        if last is None or last[0] == teller or last[1] != text:
            return text
        self._last = last
        return f"for the same reason as the {last[0]}"


class GateRunner:
    """Keeps one gate running. Call `run` in a thread of the caller, or `start` and `stop`, which use a new thread.

    After a fatal error of the log, a worker is no longer usable: it is closed and a new one is built, after a growing
    pause, up to `FAILURES_MAX` times in a row. After the gate has joined its group, failures because the log
    did not answer don't count: the log will come back, but a gate that has ended would not.
    """

    def __init__(
        self,
        build: BuildWorker,
        clock: Clock,
        *,
        on_serving: OnServing | None = None,
        on_standing_by: OnStandingBy | None = None,
        beside: Sequence[Beside] = (),
        name: str = "gate",
        worker: str = "gate",
        metrics: Metrics | None = None,
    ) -> None:
        """Args:
        build: builds a worker without starting it; called again for each restart, in the running thread.
        clock: for the time between restarts.
        on_serving: called with the partitions, in the running thread, whenever they have changed and are ready.
        on_standing_by: called with the partitions, in the running thread, whenever those have changed of which a warm
            standby is kept.
        beside: the workers that run for as long as this one, each in a thread of its own.
        name: its name in errors and log lines.
        worker: its name in metrics.
        metrics: where restarts are counted; None counts them nowhere.
        """
        self._build = build
        self._clock = clock
        self._on_serving = on_serving
        self._on_standing_by = on_standing_by
        self._name = name
        self._worker_name = worker
        self._metrics = metrics
        self._told = _Told()
        self._beside = [
            GateRunner(each.build, clock, name=each.name, worker=each.worker, metrics=metrics) for each in beside
        ]
        for other in self._beside:
            other._told = self._told
        self._stopping = threading.Event()
        self._stop_by_ms: int | None = None
        self._changed = threading.Condition()
        self._serving: list[int] = []
        self._standby_lags: dict[int, int | None] = {}
        self._standbys_noted_ms = 0
        self._warm: list[int] = []
        self._has_joined = False
        self._turned_ms: int | None = None
        self._waits_for: tuple[str, ...] = (NOT_STARTED,)
        self._error: Exception | None = None
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None

    @property
    def serving(self) -> list[int]:
        """Return the partitions that are being processed; empty while there are none. Thread-safe."""
        with self._changed:
            return list(self._serving)

    @property
    def standby_lags(self) -> dict[int, int | None]:
        """Return how many offsets each standby was behind when that was looked at last, by partition; None where it
        isn't known. Thread-safe."""
        return self._standby_lags

    def health(self) -> Health:
        """Return whether the gate's loop turns, and what it waits for before it decides. Thread-safe.

        It is ready once it has read stops, tools and rules to their ends, and all partitions that it was assigned are
        restored. What runs beside it must turn, too.
        """
        now_ms = self._clock.monotonic_ms()
        hangs = hanging(self._name, self._turned_ms, now_ms)
        for other in self._beside:
            hangs = hangs or hanging(other._name, other._turned_ms, now_ms)
        return Health(hangs, self._waits_for)

    def start(self) -> None:
        """Run in a new thread."""
        self._thread = threading.Thread(target=self._run_quietly, name=f"stoplog {self._name}", daemon=True)
        self._thread.start()

    def wait_ready(self, timeout_ms: int) -> list[int]:
        """Block until partitions are served, and return them.

        Raises:
            GateFailedError: no partition is served after `timeout_ms`.
            StoplogError, LogError: the gate has ended with this error.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._serving or self._error is not None, timeout_ms / _MS_PER_S)
            if self._error is not None:
                raise self._error
            if not self._serving:
                raise GateFailedError(f"the gate serves no partition after {timeout_ms} ms; run `stoplog doctor`")
            return list(self._serving)

    def request_stop(self) -> None:
        """Ask `run` to stop gracefully; return at once. May be called in a signal handler."""
        if self._stop_by_ms is None:
            self._stop_by_ms = self._clock.monotonic_ms() + STOP_TIMEOUT_MS
        self._stopping.set()
        worker = self._worker
        if worker is not None:
            worker.request_stop()
        for other in self._beside:
            other.request_stop()

    def stop(self) -> None:
        """Stop gracefully: commit, leave the group, release all resources. Blocks.

        Raises:
            GateFailedError: it has not stopped `STOP_TIMEOUT_MS` after it was first asked to.
            StoplogError, LogError: the gate has failed with this error.
        """
        self.request_stop()
        if not self._await_end():
            raise GateFailedError(f"the {self._name} has not stopped after {STOP_TIMEOUT_MS} ms")
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        """Run until `request_stop`. Blocks.

        Raises:
            GateFailedError: it failed too often.
            StoplogError: the gate can't start, or a bug in stoplog was found.
        """
        load_libraries()
        for other in self._beside:
            other.start()
        try:
            self._keep_running()
        finally:
            # Also after a failure: the caller closes the log next, which they must not use any more then.
            for other in self._beside:
                other.request_stop()
            for other in self._beside:
                other._await_end()
        for other in self._beside:
            other.stop()

    def _await_end(self) -> bool:
        """Wait until the thread has ended, if there is one, and return whether it has.

        It waits until `STOP_TIMEOUT_MS` after the first request to stop, whoever else was waited for meanwhile.
        """
        if self._thread is None:
            return True
        left_ms = 0 if self._stop_by_ms is None else self._stop_by_ms - self._clock.monotonic_ms()
        self._thread.join(max(0, left_ms) / _MS_PER_S)
        return not self._thread.is_alive()

    def _keep_running(self) -> None:
        renewals = Renewals(self._clock.monotonic_ms)
        while not self._stopping.is_set():
            renewals.begin()
            self._turned_ms = self._clock.monotonic_ms()
            try:
                self._run_worker()
            except (LogError, WorkerGaveUpError) as error:
                if self._metrics is not None:
                    self._metrics.add(declared.RESTARTS, self._worker_name)
                is_failure = not (self._has_joined and is_unanswered(error))
                pause_ms = renewals.pause_ms(is_failure=is_failure)
                if pause_ms is None:
                    raise GateFailedError(self._gave_up(error)) from error
                count = f"restart {renewals.failures_count} of {FAILURES_MAX}"
                text = count if is_failure else "the log does not answer"
                reason = self._told.text(self._name, error)
                _log.warning("%s failed, %s, trying again in %d ms: %s", self._name, text, pause_ms, reason)
                self._stopping.wait(pause_ms / _MS_PER_S)

    def _run_quietly(self) -> None:
        try:
            self.run()
        except Exception as error:
            self._fail(error)
        except BaseException as error:
            # A panic of a library in Rust is no `Exception`. The thread must not end with nobody knowing.
            failure = GateFailedError(f"the {self._name} has ended by a bug: {error!r}")
            failure.__cause__ = error
            self._fail(failure)

    def _fail(self, error: Exception) -> None:
        _log.error("%s has ended: %s", self._name, self._told.text(self._name, error))
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _run_worker(self) -> None:
        """Build a worker, and run it until it is stopped or fails."""
        worker = self._worker = self._build()
        if self._stopping.is_set():
            worker.request_stop()
        try:
            worker.start()
            self._has_joined = True
            _settle_memory()
            while not self._stopping.is_set():
                self._turned_ms = self._clock.monotonic_ms()
                worker.step()
                self._check_beside()
                self._note_serving([] if worker.restoring else worker.partitions)
                self._waits_for = worker.waits_for
                self._note_standbys(worker)
        except BaseException:
            self._close_failed(worker)
            raise
        finally:
            self._worker = None
            self._waits_for = (NOT_STARTED,)
            self._note_serving([])
            self._standby_lags, self._warm = {}, []
        worker.stop()

    def _close_failed(self, worker: Worker) -> None:
        """Close a failed worker. Errors are only logged, so that they don't hide the first one."""
        try:
            worker.stop()
        except Exception as error:
            _log.warning("closing the failed %s: %s", self._name, error)

    def _check_beside(self) -> None:
        """Fail with what runs beside the gate, because somebody must take care: without the budget allocator, no shared
        budget can be leased; without the notary, what others put on the record is not sealed.
        """
        for other in self._beside:
            if other._error is not None:
                raise other._error

    def _gave_up(self, error: Exception) -> str:
        text = f"the {self._name} failed {FAILURES_MAX + 1} times in a row, the last time: {error}"
        if isinstance(error, FencedError):
            return f"{text}; if another gate runs under the same name, give each its own (`--instance`)"
        return f"{text}; run `stoplog doctor`"

    def _note_serving(self, partitions: list[int]) -> None:
        if partitions == self._serving:
            return
        with self._changed:
            self._serving = partitions
            self._changed.notify_all()
        if partitions and self._on_serving is not None:
            self._on_serving(list(partitions))

    def _note_standbys(self, worker: Worker) -> None:
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._standbys_noted_ms < STANDBYS_NOTED_MS:
            return
        self._standbys_noted_ms = now_ms
        lags = worker.standby_lags
        self._standby_lags = lags
        warm = sorted(partition for partition, lag in lags.items() if lag is not None and lag <= WARM_LAG_MAX)
        if warm != self._warm:
            self._warm = warm
            if self._on_standing_by is not None:
                self._on_standing_by(list(warm))
