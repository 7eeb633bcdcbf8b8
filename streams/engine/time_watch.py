"""Applies what is known of the brokers' time to a worker: to its input, to idle partitions, to their stream times."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

from streams.engine.broker_time import TOLD_MS, BrokerTime
from streams.engine.ports import Ports
from streams.engine.settings import EngineSettings
from streams.engine.task import PartitionTask
from streams.engine.transaction import Transaction
from streams.ports import Received, TopicPartition

_log = logging.getLogger(__name__)
_time_of = attrgetter("timestamp_ms")
ASKED_MS = 1_000
"""How often brokers are asked for their time, at most."""


class TimeWatch:
    """Keeps the stream times of a worker's partitions within what brokers' clocks can show, and moves idle ones on."""

    def __init__(
        self,
        *,
        ports: Ports,
        settings: EngineSettings,
        tasks: Mapping[int, PartitionTask],
        transaction: Transaction,
        commit: Callable[[], None],
        resets_time: bool,
    ) -> None:
        """Create it.

        Args:
            ports: what the worker runs on.
            settings: how far ahead is too far, and when partitions are idle.
            tasks: the worker's partitions.
            transaction: the worker's.
            commit: commits it.
            resets_time: whether the operator wants stream times that are far ahead to be set back.
        """
        self._ports = ports
        self._clock = ports.clock
        self._pause_ms, self._margin_ms = settings.punctuate_ms, settings.idle_margin_ms
        self._time = BrokerTime(ports.clock, settings.time_ahead_max_ms)
        self._tasks = tasks
        self._transaction = transaction
        self._commit = commit
        self._resets_time = resets_time
        self._asked_ms: int | None = None
        self._told_ms: int | None = None
        self._punctuated_ms = 0
        self._last_input_ms: dict[int, int] = {}

    def committed(self) -> None:
        """Hear when brokers have stored what was committed."""
        self._time.heard(self._ports.producer.stored_ms)

    def admit(self, records: list[Received]) -> tuple[list[Received], int | None]:
        """Return what of a poll is to be processed, and the latest time that a record can have if one is later.

        INVARIANT: nothing is processed before this host's clock has agreed with a broker's. It is polled again.
        """
        if not records:
            return records, None
        if not self._time.is_known:
            self._ask()
            if not self._time.is_known:
                self._hold(records)
                return [], None
        limit_ms = self._time.limit_ms()
        if max(map(_time_of, records)) <= limit_ms:
            return records, None
        if not self._time.is_sure:
            self._ask()
            limit_ms = self._time.limit_ms()
        return records, limit_ms

    def had_input(self, partitions: Iterable[int]) -> None:
        """Note that these partitions have input now."""
        self._last_input_ms.update(dict.fromkeys(partitions, self._clock.monotonic_ms()))

    @property
    def is_due(self) -> bool:
        """Whether it is time for `punctuate` again."""
        return self._clock.monotonic_ms() - self._punctuated_ms >= self._pause_ms

    def punctuate(self, *, idle: bool) -> None:
        """Let stream time of idle partitions follow the wall clock, so that their timers fire.

        A partition is idle if all are (`idle`: the poll found nothing), or if it had no record for `idle_margin_ms`.

        INVARIANT: the wall clock does not overtake input: nothing waits in the partition's buffers, and all of its
        topics were read to their ends. Only a partition without any time takes the clock's when its buffers are full.
        """
        monotonic_ms = self._punctuated_ms = self._clock.monotonic_ms()
        now_ms = self._idle_ms()
        if now_ms is None:
            return
        for partition, task in self._tasks.items():
            is_idle = idle or monotonic_ms - self._last_input_ms.get(partition, 0) >= self._margin_ms
            if (is_idle and task.state.has_due(now_ms) and task.input.is_complete) or task.needs_time:
                self._transaction.ensure_open()
                task.advance(now_ms)

    def _idle_ms(self) -> int | None:
        """Return how far stream time may go without input, a margin behind the clocks; None if nobody knows."""
        if not self._time.is_sure:
            now_ms = self._clock.now_ms() - self._margin_ms
            if any(task.state.has_due(now_ms) for task in self._tasks.values()):
                self._ask()
            if not self._time.is_known:
                return None
        return self._time.idle_ms() - self._margin_ms

    def check(self) -> None:
        """Set back stream times that are far ahead if the operator wants it. If not, say that they are."""
        limit_ms = self._time.limit_ms()
        for task in self._tasks.values():
            if task.stream_time_ms > limit_ms:
                self._correct()
                return

    def _correct(self) -> None:
        if not self._time.is_sure:
            self._ask()
        now_ms, limit_ms = self._time.now_ms(), self._time.limit_ms()
        ahead = [task for task in self._tasks.values() if task.stream_time_ms > limit_ms]
        if self._resets_time and self._time.is_sure:
            for task in ahead:
                _log.warning("stream time of partition %d is set back by the operator to %d", task.partition, now_ms)
                self._transaction.ensure_open()
                task.reset_time(now_ms)
        elif ahead:
            self._tell(ahead, now_ms)

    def _tell(self, ahead: list[PartitionTask], now_ms: int) -> None:
        monotonic_ms = self._clock.monotonic_ms()
        if self._told_ms is not None and monotonic_ms - self._told_ms < TOLD_MS:
            return
        self._told_ms = monotonic_ms
        _log.error(
            "stream time is far ahead in partitions %s, by up to %d ms: everything counts as expired there. Run "
            "`stoplog topics time`; if the clocks are right, restart the gates once with `--reset-time`",
            ", ".join(str(task.partition) for task in ahead),
            max(task.stream_time_ms for task in ahead) - now_ms,
        )

    def _ask(self) -> None:
        """Let brokers store something, to hear their time; once in a while."""
        now_ms = self._clock.monotonic_ms()
        if not self._tasks or (self._asked_ms is not None and now_ms - self._asked_ms < ASKED_MS):
            return
        self._asked_ms = now_ms
        self._transaction.ensure_open()
        for task in self._tasks.values():
            task.write_time()
        self._commit()

    def _hold(self, records: list[Received]) -> None:
        """Let these records be polled again."""
        firsts: dict[TopicPartition, int] = {}
        for record in records:
            if record.partition in self._tasks:
                firsts.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for partition, offset in firsts.items():
            self._ports.consumer.seek(partition, offset)
        self._clock.sleep_ms(self._pause_ms)
