"""An executor that reads the verdict topic itself, as a member of its server's consumer group.

Reports and offsets are committed in one transaction, after the calls have run. So a report is on the log once, and a
verdict that was not reported is read again and found to be used. Calls of one session run one after the other, in the
order of the log; calls of different sessions run in parallel.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from streams.model.reasons import Refusal
from streams.model.topics import VERDICT
from streams.model.verdict import Verdict
from streams.ports import (
    AbortableTransactionError,
    Consumer,
    GroupMetadata,
    LogError,
    Outgoing,
    Producer,
    Received,
    RetriableLogError,
    TopicPartition,
)
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import ExecutorError
from streams.sdk.executor import Executor
from streams.sdk.executor_types import ToolOutcome
from streams.sdk.single_use import Use
from streams.sdk.transport import Transport
from streams.sdk.verdict_checks import Refused
from streams.sdk.verdict_jobs import Done, Job, Progress

POLL_BUSY_MS = 10
POLL_IDLE_MS = 250
TRANSACTION_ATTEMPTS_MAX = 10
RETRY_PAUSE_MS = 200

_log = logging.getLogger(__name__)

_Part = TypeVar("_Part")

OutcomeListener = Callable[[Verdict, ToolOutcome], None]
"""Called for each call that has run, once its report is on the log, in the loop's thread."""


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """Limits of the loop.

    Attributes:
        concurrency: calls that run at once.
        in_flight_max: verdicts that are read before the first of them is done.
        offsets_every_ms: how often offsets are committed when there is nothing to report.
        finish_ms: how long to wait for running calls when partitions are revoked or the executor stops.
    """

    concurrency: int = 8
    in_flight_max: int = 64
    offsets_every_ms: int = 1_000
    finish_ms: int = 30_000


class VerdictLoop:
    """Feeds an executor from the verdict topic. `run` blocks its thread; call nothing else meanwhile."""

    def __init__(
        self,
        executor: Executor,
        transport: Transport,
        *,
        group: str,
        instance: str,
        settings: LoopSettings | None = None,
        on_outcome: OutcomeListener | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Create a loop; `run` starts it.

        Args:
            group: the consumer group; one for each server (or set of servers) whose calls run here.
            instance: this member's stable name in the group.
            on_outcome: called for each call that has run.
        """
        self._executor = executor
        self._transport = transport
        self._group_name = group
        self._instance = instance
        self._settings = settings or LoopSettings()
        self._on_outcome = on_outcome
        self._entropy = entropy
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._in_flight: dict[int, Job] = {}
        self._stopped_something = threading.Event()
        # By session key: calls that wait for the running call of their session.
        self._chains: dict[bytes | None, deque[Job]] = {}
        self._generation = 0
        self._progress: dict[TopicPartition, Progress] = {}
        self._to_report: list[Done] = []
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._group: GroupMetadata | None = None
        self._paused = False
        self._failed_count = 0
        self._started_ms = 0
        self._offsets_due_ms = 0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish the running calls, report them and leave the group.

        Raises:
            ExecutorError: the executor can't continue; calls that it had begun are reported at its next start.
            LogError: the log can't be used any more.
        """
        self._executor.start()
        self._executor.listen(self._stopped_something.set)
        self._started_ms = self._transport.now_ms()
        self._producer = self._transport.producer(f"{self._group_name}-{self._instance}")
        self._consumer = self._transport.consumer(self._group_name, self._instance)
        workers = [
            threading.Thread(target=self._work, name=f"stoplog-executor-{number}", daemon=True)
            for number in range(self._settings.concurrency)
        ]
        try:
            self._producer.init_transactions()
            self._consumer.subscribe([VERDICT.name], self)
            for worker in workers:
                worker.start()
            while not stop.is_set():
                self._turn(self._consumer)
        finally:
            self._executor.unlisten(self._stopped_something.set)
            try:
                self._consumer.close()
            finally:
                for _ in workers:
                    self._jobs.put(None)
                self._producer.close()

    def waiting(self) -> list[Verdict]:
        """Return how many verdicts were read and have not had their turn. May be called in any thread."""
        return [job.verdict for job in list(self._in_flight.values()) if not job.begun.locked()]

    # -- AssignmentListener ---------------------------------------------------------------------------------------

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """See `streams.ports.AssignmentListener`."""
        consumer = self._required(self._consumer)
        self._generation += 1
        self._group = consumer.group_metadata()
        self._paused = False
        committed = consumer.committed(list(partitions))
        self._progress = {
            place: Progress(self._generation, fresh=committed.get(place) is None, committed=committed.get(place))
            for place in partitions
        }

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """See `streams.ports.AssignmentListener`: waits for running calls, and commits their offsets."""
        going = set(partitions)
        deadline_ms = self._entropy.monotonic_ms() + self._settings.finish_ms
        while self._in_flight and self._is_open(going) and (left_ms := deadline_ms - self._entropy.monotonic_ms()) > 0:
            self._collect(wait_ms=left_ms)
        for _ in range(TRANSACTION_ATTEMPTS_MAX):
            if self._commit():
                break
            self._pause()
        self._drop(going)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See `streams.ports.AssignmentListener`: offsets can no longer be committed, but reports can."""
        self._drop(set(partitions))

    def _drop(self, going: set[TopicPartition]) -> None:
        # A new dictionary, never a changed one: the workers look into it.
        self._progress = {place: progress for place, progress in self._progress.items() if place not in going}

    def _is_open(self, places: set[TopicPartition]) -> bool:
        return any(progress.open for place, progress in self._progress.items() if place in places)

    # -- one turn -------------------------------------------------------------------------------------------------

    def _turn(self, consumer: Consumer) -> None:
        self._regulate(consumer)
        room = max(1, self._settings.in_flight_max - len(self._in_flight))
        busy = bool(self._in_flight) or bool(self._to_report)
        for received in consumer.poll(room, POLL_BUSY_MS if busy else POLL_IDLE_MS):
            self._take(received)
        if self._stopped_something.is_set():
            self._stop_waiting()
        self._collect(wait_ms=0)
        if self._to_report or self._entropy.monotonic_ms() >= self._offsets_due_ms:
            if not self._commit():
                self._pause()
            self._offsets_due_ms = self._entropy.monotonic_ms() + self._settings.offsets_every_ms

    def _regulate(self, consumer: Consumer) -> None:
        """Fetch no more while too many calls are in flight. Polling continues, or the group would drop this member."""
        full = len(self._in_flight) >= self._settings.in_flight_max
        if full and not self._paused:
            consumer.pause(list(self._progress))
        elif self._paused and not full:
            consumer.resume(list(self._progress))
        self._paused = full

    def _take(self, received: Received) -> None:
        place = TopicPartition(received.topic, received.partition)
        progress = self._progress.get(place)
        if progress is None:
            return
        progress.seen = received.offset + 1
        verdict = self._executor.read(received)
        if verdict is None or not self._executor.is_for_me(verdict):
            return
        if progress.fresh and verdict.expires_at <= self._started_ms:
            # A new group begins with a history that was not meant for it.
            return
        progress.open.add(received.offset)
        job = Job(place, received.offset, progress.generation, verdict, received.key)
        self._in_flight[id(job)] = job
        chain = self._chains.get(job.key)
        if chain is None:
            self._chains[job.key] = deque()
            self._jobs.put(job)
        else:
            chain.append(job)

    def _collect(self, wait_ms: int) -> None:
        """Process what the workers have finished; wait up to `wait_ms` for the first.

        Raises:
            ExecutorError: a worker can't continue.
        """
        timeout_s = wait_ms / 1000
        while True:
            try:
                done = self._done.get(timeout=timeout_s) if timeout_s > 0 else self._done.get_nowait()
            except queue.Empty:
                return
            timeout_s = 0.0
            self._in_flight.pop(id(done.job), None)
            if done.had_turn:
                self._go_on(done.job.key)
            if done.error is not None:
                # Its offset is not committed, so it is read again; what it has used up stays used.
                raise ExecutorError(f"the executor can't continue: {done.error}") from done.error
            progress = self._progress.get(done.job.place)
            if progress is not None and progress.generation == done.job.generation:
                progress.open.discard(done.job.offset)
            if done.records:
                self._to_report.append(done)

    def _stop_waiting(self) -> None:
        """End waiting calls that a revocation stops, without waiting for their turn."""
        self._stopped_something.clear()
        for job in list(self._in_flight.values()):
            if not self._executor.is_revoked(job.verdict) or not job.begun.acquire(blocking=False):
                continue
            chain = self._chains.get(job.key, deque())
            had_turn = job not in chain
            if not had_turn:
                chain.remove(job)
            try:
                attempted = self._executor.stop_if_revoked(job.verdict)
                done = Done(job) if attempted is None else self._ended(job, attempted)
            except Exception as error:
                done = Done(job, error=error)
            self._done.put(replace(done, had_turn=had_turn))

    def _go_on(self, key: bytes | None) -> None:
        """Start the next call of the session, if one waits."""
        chain = self._chains[key]
        if chain:
            self._jobs.put(chain.popleft())
        else:
            del self._chains[key]

    def _commit(self) -> bool:
        """Commit reports and offsets in one transaction; return False if that failed and is to be tried again.

        Raises:
            ExecutorError: it has failed too often.
            LogError: the producer can't be used any more.
        """
        offsets = self._due_offsets()
        reports = list(self._to_report)
        if not reports and not offsets:
            return True
        producer = self._required(self._producer)
        try:
            producer.begin()
            for done in reports:
                for record in done.records:
                    producer.send(record)
            if offsets and self._group is not None:
                producer.send_offsets(offsets, self._group)
            producer.commit()
        except (RetriableLogError, AbortableTransactionError) as error:
            producer.abort()
            self._failed_count += 1
            if self._failed_count >= TRANSACTION_ATTEMPTS_MAX:
                raise ExecutorError(f"{len(reports)} reports could not be stored: {error}") from error
            _log.warning("reporting failed, trying again: %s", error)
            return False
        self._failed_count = 0
        self._settle(reports, offsets)
        return True

    def _due_offsets(self) -> dict[TopicPartition, int]:
        due: dict[TopicPartition, int] = {}
        for place, progress in self._progress.items():
            done = progress.done_up_to()
            if done is not None and done != progress.committed:
                due[place] = done
        return due

    def _settle(self, reports: list[Done], offsets: dict[TopicPartition, int]) -> None:
        for place, offset in offsets.items():
            self._progress[place].committed = offset
        del self._to_report[: len(reports)]
        self._executor.mark_reported([done.use for done in reports if done.use is not None])
        for done in reports:
            if self._on_outcome is not None and done.outcome is not None:
                self._on_outcome(done.job.verdict, done.outcome)

    def _pause(self) -> None:
        threading.Event().wait(RETRY_PAUSE_MS / 1000)

    def _required(self, part: _Part | None) -> _Part:
        if part is None:
            msg = "the loop is not running: call `run`"
            raise ExecutorError(msg)
        return part

    # -- the workers ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.begun.acquire(blocking=False):
                continue
            try:
                done = self._attempt(job)
            except Exception as error:
                done = Done(job, error=error)
            self._done.put(done)

    def _attempt(self, job: Job) -> Done:
        progress = self._progress.get(job.place)
        if progress is None or progress.generation != job.generation:
            # Its partition has moved to another member, which reads it again.
            return Done(job)
        return self._ended(job, self._executor.attempt(job.verdict, job.key))

    def _ended(self, job: Job, attempted: Refused | tuple[Use, ToolOutcome]) -> Done:
        """Return what there is to report about a call that has ended."""
        if not isinstance(attempted, Refused):
            use, outcome = attempted
            ran = outcome if outcome.refusal is None else None
            return Done(job, self._records(lambda: self._executor.outcome_records(use)), use, ran)
        if attempted.refusal is Refusal.ALREADY_USED:
            # Verdicts are repeated for repeated intents, and read again after a crash.
            _log.debug("verdict `%s` was used before", job.verdict.verdict_id)
            return Done(job)
        return Done(job, self._records(lambda: self._executor.refusal_records(job.verdict, attempted)))

    def _records(self, make: Callable[[], list[Outgoing]]) -> list[Outgoing]:
        """Return the reports as records; the log may fail for a moment to return the topics' partition counts."""
        attempt = 1
        while True:
            try:
                return make()
            except LogError:
                if attempt == TRANSACTION_ATTEMPTS_MAX:
                    raise
                attempt += 1
                self._pause()
