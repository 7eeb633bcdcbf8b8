"""Simulates a machine: a disk that stays, and a process that comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source

from simulation.faults import FaultPlan, ProcessKilled
from simulation.host_clock import HostClock
from streams.engine.recovery import Restored
from streams.engine.worker import Worker, WorkerGaveUpError
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.log import MemoryLog
from streams.ports import LogError, StoreError

SESSION_TIMEOUT_MS = 10_000
TRANSACTION_TIMEOUT_MS = 10_000
RESTART_MS_MAX = 3_000

BuildWorker = Callable[[str, Disk], Worker]


def go_on_meanwhile(machines: Sequence[Machine], log: MemoryLog) -> list[str]:
    """Let everybody else act while a process waits for records, for instance behind an open transaction: its owner
    commits it, or the broker aborts what was open for too long.

    Returns:
        The producers whose transactions timed out.
    """
    for machine in machines:
        machine.time_out()
    late = log.time_out_transactions(TRANSACTION_TIMEOUT_MS)
    log.write_markers()
    for machine in machines:
        machine.go_on()
    return late


class Machine:
    """Runs one process after the other, as a supervisor would, on a disk that each crash may damage.

    Attributes:
        name: the instance name of the process.
        disk: its stores.
        clock: what its processes see.
        busy: whether a call of the process is under way; nobody else may touch it meanwhile.
        stopped_until_ms: until when the process stands still, or is not started.
    """

    def __init__(
        self,
        name: str,
        *,
        rng: Random,
        plan: FaultPlan,
        clock: ManualClock,
        log: MemoryLog,
        group: str,
        build: BuildWorker,
        trace: Callable[[str], None],
    ) -> None:
        self.name = name
        self.disk = Disk()
        self.clock = HostClock(clock)
        self.busy = False
        self.stopped_until_ms = 0
        self._rng = rng
        self._plan = plan
        self._clock = clock
        self._log = log
        self._group = group
        self._build = build
        self._trace = trace
        self._worker: Worker | None = None
        self._silent_since_ms: int | None = None
        self._restored: dict[int, Restored] = {}

    @property
    def is_running(self) -> bool:
        """Whether there is a process that does not stand still."""
        return self._worker is not None and self._clock.now_ms() >= self.stopped_until_ms

    @property
    def is_serving(self) -> bool:
        """Whether there is a process that has restored all of its partitions."""
        return self._worker is not None and not self._worker.restoring

    def new_restores(self) -> dict[int, Restored]:
        """Return how partitions were restored that the process has taken over since the last call."""
        restored = {} if self._worker is None else dict(self._worker.restored)
        new = {number: how for number, how in restored.items() if how is not self._restored.get(number)}
        self._restored = restored
        return new

    @property
    def partitions(self) -> list[int]:
        """The partitions that it processes."""
        return [] if self._worker is None else self._worker.partitions

    def go_on(self) -> int:
        """Start the process if it is time, or let it take a step. Return how many records it polled."""
        if self.busy or self._clock.now_ms() < self.stopped_until_ms:
            return 0
        self._silent_since_ms = None
        self.busy = True
        try:
            if self._worker is not None:
                return self._worker.step()
            self._start()
        except ProcessKilled:
            self.died()
        except (LogError, StoreError, WorkerGaveUpError) as error:
            self._trace(f"{self.name}: ends: {type(error).__name__}: {error}")
            self._end_badly()
        finally:
            self.busy = False
        return 0

    def stop(self) -> None:
        """Stop the process cleanly, as far as that is possible. It is started again later."""
        if self._worker is None or self.busy:
            return
        self._trace(f"{self.name}: stops cleanly")
        self.busy = True
        self._end_badly()
        self.busy = False

    def kill(self) -> None:
        """Kill the process between two steps."""
        if self._worker is not None and not self.busy:
            self._trace(f"{self.name}: killed between steps")
            self.died()

    def stand_still(self, duration_ms: int) -> None:
        """Give the process no time for `duration_ms`."""
        self._trace(f"{self.name}: stands still for {duration_ms} ms")
        self.stopped_until_ms = self._clock.now_ms() + duration_ms
        self._silent_since_ms = self._clock.now_ms()

    def died(self) -> None:
        """Drop the process, which the broker does not know yet, and perhaps damage its disk."""
        self._worker = None
        self.disk.lose_process()
        for partition in self.disk.partitions():
            self._hurt(partition)
        now_ms = self._clock.now_ms()
        self._silent_since_ms = now_ms
        self.stopped_until_ms = now_ms + self._rng.randint(0, RESTART_MS_MAX)
        if self._rng.random() < 0.2:
            self.stopped_until_ms += SESSION_TIMEOUT_MS + TRANSACTION_TIMEOUT_MS

    def time_out(self) -> None:
        """Let the broker time out a process that was silent for too long."""
        since_ms, now_ms = self._silent_since_ms, self._clock.now_ms()
        if since_ms is None:
            return
        if now_ms - since_ms >= SESSION_TIMEOUT_MS and self._log.put_out(self._group, self.name):
            self._trace(f"{self.name}: put out of the group")
        if now_ms - since_ms >= TRANSACTION_TIMEOUT_MS and self._log.time_out_transaction(self.name):
            self._trace(f"{self.name}: its transaction times out")

    def wake(self) -> None:
        """Let the process run again at once."""
        self.stopped_until_ms = 0

    def _start(self) -> None:
        self._trace(f"{self.name}: starts")
        self._worker = self._build(self.name, self.disk)
        self._worker.start()

    def _end_badly(self) -> None:
        """Stop the process as the runner of a gate does after a failure, whatever `stop` raises."""
        worker, self._worker = self._worker, None
        try:
            if worker is not None:
                worker.stop()
        except ProcessKilled:
            self.died()
            return
        except (LogError, StoreError) as error:
            self._trace(f"{self.name}: stop failed as well: {error}")
        self.disk.lose_process()
        self.stopped_until_ms = self._clock.now_ms() + self._rng.randint(0, RESTART_MS_MAX)

    def _hurt(self, partition: int) -> None:
        plan, rng = self._plan, self._rng
        if plan.tail_lost and rng.random() < plan.tail_lost:
            self.disk.lose_tail(partition, rng.randint(1, 4))
        if plan.wiped and rng.random() < plan.wiped:
            self.disk.wipe(partition)
        elif plan.damaged and rng.random() < plan.damaged:
            self.disk.damage(partition)
