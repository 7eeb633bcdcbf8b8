"""Measures CPU time by stage, by wrapping the ports of a gate. The engine does not depend on it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from streams.engine.worker import Worker
from streams.ports import Admin, Consumer, Producer, Publisher, Reader, Store, StoreProvider
from streams.ports.open_log import Log

# The stage for everything else: order, transactions, timers, control state.
ENGINE = "engine"
_CALIBRATION_CALLS = 20_000


class Stages:
    """Sums up the CPU time of the thread by stage. A stage inside another one is counted only once."""

    def __init__(self) -> None:
        self._stack = [ENGINE]
        self._at_ns = time.thread_time_ns()
        self.reset()

    def reset(self) -> None:
        """Set all times to zero."""
        self._ns: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._calls_made: Counter[str] = Counter()

    def wrap(self, target: object, **stage_of: str) -> None:
        """Measure methods of an object; `stage_of` has the stage of each method."""
        for method, stage in stage_of.items():
            setattr(target, method, self._timed(getattr(target, method), stage))

    def us_per(self, count: int) -> dict[str, float]:
        """Return the microseconds by stage for each of `count` records, without the cost of the measurement."""
        own_ns, caller_ns = self._cost_ns()
        self._switch()
        spent = {
            stage: ns - own_ns * self._calls[stage] - caller_ns * self._calls_made[stage]
            for stage, ns in self._ns.items()
        }
        return {stage: max(0.0, ns / 1_000 / count) for stage, ns in spent.items()}

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._calls[stage] += 1
            self._calls_made[self._stack[-1]] += 1
            self._stack.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._stack.pop()

        return call

    def _switch(self) -> None:
        now_ns = time.thread_time_ns()
        self._ns[self._stack[-1]] += now_ns - self._at_ns
        self._at_ns = now_ns

    def _cost_ns(self) -> tuple[float, float]:
        """Return what one wrapped call costs its own stage, and that of its caller."""
        probe = Stages()
        call = probe._timed(int, "probe")
        probe.reset()
        for _ in range(_CALIBRATION_CALLS):
            call()
        probe._switch()
        return probe._ns["probe"] / _CALIBRATION_CALLS, probe._ns[ENGINE] / _CALIBRATION_CALLS


class StagedLog(Log):
    """A log whose consumer and producer are timed."""

    def __init__(self, inner: Log, stages: Stages) -> None:
        self._inner = inner
        self._stages = stages

    @property
    def name(self) -> str:
        """Return what the inner log does."""
        return self._inner.name

    def admin(self) -> Admin:
        """Return what the inner log does."""
        return self._inner.admin()

    def consumer(self, group: str, instance: str, *, positioned: bool = False) -> Consumer:
        """Timed."""
        consumer = self._inner.consumer(group, instance, positioned=positioned)
        self._stages.wrap(consumer, poll="consume")
        return consumer

    def producer(self, transactional_id: str, *, gathers: bool = False) -> Producer:
        """Timed."""
        producer = self._inner.producer(transactional_id, gathers=gathers)
        self._stages.wrap(producer, send="produce", begin="commit", send_offsets="commit", commit="commit")
        return producer

    def publisher(self) -> Publisher:
        """Return what the inner log does."""
        return self._inner.publisher()

    def reader(self) -> Reader:
        """Return what the inner log does."""
        return self._inner.reader()

    def close(self) -> None:
        """Close the inner log."""
        self._inner.close()


class StagedStores:
    """Stores that are timed."""

    def __init__(self, inner: StoreProvider, stages: Stages) -> None:
        self._inner = inner
        self._stages = stages

    def open(self, partition: int) -> Store:
        """Timed: reads are `state`, the write after the commit is `store`."""
        store = self._inner.open(partition)
        self._stages.wrap(store, get="state", apply="store")
        return store

    def wipe(self, partition: int) -> None:
        """Wipe what the inner provider wipes."""
        self._inner.wipe(partition)


def stage_worker(worker: Worker, stages: Stages) -> None:
    """Time the worker's processor and wire, from outside: hence the private names."""
    stages.wrap(worker._processor, process="decide", on_timer="decide")
    stages.wrap(worker._assignment._job.wire, headers="encode")
