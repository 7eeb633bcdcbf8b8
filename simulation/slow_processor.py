"""Lets the records of a simulated gate take time, so that a transaction gets old while it is worked on."""

from __future__ import annotations

from collections.abc import Callable

from simulation.machine import TRANSACTION_TIMEOUT_MS
from simulation.seals import SealedProcessor
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.types import Record
from streams.ports.processor import CommitHook, Output, Processor, StateView

SLOW_RECORD_MS = 600
"""Of a slow gate. It takes longer for the records of a large poll than brokers let a transaction be open."""


class Work:
    """The time that each record takes, while brokers abort what has been open for too long, whoever works on it."""

    def __init__(self, record_ms: int, clock: ManualClock, log: MemoryLog, trace: Callable[[str], None]) -> None:
        """Create it.

        Args:
            record_ms: how long a record takes; 0: no time at all.
            clock: of everybody.
            log: whose transactions time out.
            trace: takes a line about each time-out.
        """
        self._record_ms = record_ms
        self._clock = clock
        self._log = log
        self._trace = trace

    def on_record(self) -> None:
        """Let the time of one record pass."""
        if not self._record_ms:
            return
        self._clock.advance(self._record_ms)
        for name in self._log.time_out_transactions(TRANSACTION_TIMEOUT_MS):
            self._trace(f"{name}: its transaction times out at work")


class SlowProcessor(SealedProcessor):
    """A processor with a hook that takes its time for each record."""

    def __init__(self, processor: Processor, hook: CommitHook, work: Work) -> None:
        """Add `hook` to `processor`, and let its records take the time of `work`."""
        super().__init__(processor, hook)
        self._work = work

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Pass it to the processor, but not at once."""
        self._work.on_record()
        return super().process(topic, key, record, state, received_ms, now_ms)
