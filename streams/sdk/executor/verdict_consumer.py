"""An executor that reads the verdict topic itself, as a member of its server's consumer group.

The topic holds the verdicts of all servers. The loop reads thousands of records at once, skips those of others
after a look at two fields, and keeps its own in a bounded queue (`own_calls`). Reports are published in a thread of
their own (`report_publisher`) after the calls have run, and an offset is committed only once every own call below it
was reported (`done_calls`). So no report is missing, and a verdict whose offset was not committed is read again and
found to be used. Calls of one session run one after the other, in the order of the log; calls of different sessions run
in parallel.

A consumer that can't be used any more is replaced, without a bound while the log does not answer. What was done is
reported first, what runs is waited for, and the next consumer reads on from the committed offsets, as after a rebalance
(docs/adr/0105-clients-that-read-nothing-more.md).

Rejected: reports and offsets in one transaction (an open one stalls the gates that read the reports, so no executor may
have transactions; docs/adr/0032-reports-prove-their-server.md), and a hint of the audience in the headers of the
record. A wrong hint would keep an allowed call from running, and two fields of the record cost hardly more than its
headers (docs/adr/0031-executors-that-follow.md).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from streams.metrics.health import Health, hanging
from streams.model.plurals import many
from streams.model.topics import VERDICT
from streams.model.verdict import Verdict
from streams.ports import Consumer, FatalLogError, LogError, Received, RetriableLogError, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import ExecutorError
from streams.sdk.executor.assigned_partitions import AssignedPartitions
from streams.sdk.executor.done_calls import RETRY_PAUSE_MS, DoneCalls, OutcomeListener
from streams.sdk.executor.executor import Executor
from streams.sdk.executor.own_calls import OwnCalls
from streams.sdk.executor.report_publisher import ReportPublisher
from streams.sdk.executor.seal_checks import is_seal
from streams.sdk.executor.verdict_jobs import Done, Job, Progress
from streams.sdk.renewals import Renewals, is_unanswered

POLL_RECORDS_MAX = 4_000
"""How many records a poll returns. Both logs also bound their bytes."""

POLL_BUSY_MS = 5
POLL_IDLE_MS = 250
POLL_FULL_MS = 500
"""How long the loop does not poll while more calls are read than may be in flight. Then it pauses its partitions: the
client drops what it has fetched for that, which is not worth it for a moment."""

IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024
EXPIRED_AT_ONCE_MAX = 256

_log = logging.getLogger(__name__)

_Part = TypeVar("_Part")


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """Limits of the loop. They count this executor's own calls alone.

    Attributes:
        concurrency: calls that run at once.
        in_flight_max: calls that are decoded before the first of them is done; at most `IN_FLIGHT_BYTES_MAX` bytes of
            them, but at least one.
        report_every_ms: how often reports are published, if there are any.
        offsets_every_ms: how often offsets are committed.
        finish_ms: how long to wait for running calls, and to try to report them, when partitions are revoked or the
            executor stops. One attempt to report is always made.
    """

    concurrency: int = 8
    in_flight_max: int = 1_000
    report_every_ms: int = 25
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
        self._entropy = entropy
        self._assigned = AssignedPartitions()
        self._calls = OwnCalls(executor, self._settings.concurrency, self._assigned.may_begin)
        self._reports = ReportPublisher(transport.open_publisher, executor.reports.mark_reported, entropy.monotonic_ms)
        self._done = DoneCalls(
            self._reports,
            self._assigned,
            entropy,
            report_every_ms=self._settings.report_every_ms,
            offsets_every_ms=self._settings.offsets_every_ms,
            keep_heads=executor.keep_heads,
            on_outcome=on_outcome,
        )
        # Own calls, as far as can be seen, that wait until there is room. At most one poll's.
        self._backlog: deque[Received] = deque()
        self._stopped_something = threading.Event()
        # Once it is to stop, all waits for calls end then.
        self._finish_by_ms: int | None = None
        self._consumer: Consumer | None = None
        self._paused = False
        self._turned_ms: int | None = None
        self._started_ms = 0
        self._polled_ms = 0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish the running calls, report them and leave the group.

        While the log does not answer, it goes on with new consumers, and tries to report for as long as that takes.

        Raises:
            ExecutorError: the executor can't continue, or not all could be reported; calls that it had begun are
                reported at its next start.
            LogError: the log refuses, or other members have this one's name again and again.
        """
        self._executor.start()
        self._executor.listen(self._stopped_something.set)
        self._started_ms = self._transport.now_ms()
        try:
            self._reports.start()
            self._calls.start()
            self._follow(stop)
            self._finish_what_is_left()
        finally:
            self._executor.unlisten(self._stopped_something.set)
            self._calls.close()
            self._reports.close()
        if self._done:
            text = "could not be reported before the stop; the next start does that"
            raise ExecutorError(f"{many(len(self._done), 'call')} {text}")

    def health(self) -> Health:
        """Return whether the loop turns, and what is missing until it runs calls. May be called in any thread."""
        missing = list(self._executor.waits_for)
        partitions = self._assigned.by_place
        if not partitions:
            missing.append("partitions: the group has assigned none to this instance")
        faults = {each.seals.fault for each in partitions.values() if each.seals}
        missing += [f"seals that count: {fault}" for fault in sorted(faults) if fault]
        return Health(hanging("executor", self._turned_ms, self._entropy.monotonic_ms()), tuple(missing))

    def waiting(self) -> list[Verdict]:
        """Return the verdicts that were read and have not had their turn. May be called in any thread.

        What waits for room among the calls in flight is not decoded, and is not returned.
        """
        return self._calls.waiting()

    # -- members of the group -------------------------------------------------------------------------------------

    def _follow(self, stop: threading.Event) -> None:
        """Read until `stop` is set, with a new member of the group whenever one can't be used any more.

        Raises:
            ExecutorError, LogError: see `run`.
        """
        renewals = Renewals(self._entropy.monotonic_ms)
        while not stop.is_set():
            renewals.begin()
            consumer = self._consumer = self._transport.consumer(self._group_name, self._instance)
            try:
                consumer.subscribe([VERDICT.name], self)
                while not stop.is_set():
                    self._turn(consumer)
                self._finish_by_ms = self._entropy.monotonic_ms() + self._settings.finish_ms
            except (RetriableLogError, FatalLogError) as error:
                pause_ms = renewals.pause_ms(is_failure=not is_unanswered(error))
                self._close_failed(consumer)
                if pause_ms is None:
                    raise
                _log.warning("a new consumer reads on in %d ms: %s", pause_ms, error)
                stop.wait(pause_ms / 1000)
            except BaseException:
                self._close_failed(consumer)
                raise
            else:
                consumer.close()

    def _close_failed(self, consumer: Consumer) -> None:
        """Close a consumer that has failed. Errors of the log are only logged, so that they don't hide the first one.

        Raises:
            ExecutorError: the executor can't continue.
        """
        try:
            consumer.close()
        except LogError as error:
            _log.warning("closing a consumer that has failed: %s", error)
        finally:
            # What it has not given up by itself: nothing is to be taken for the next one's.
            self._assigned.drop(set(self._assigned.by_place))
            self._backlog.clear()

    # -- AssignmentListener ---------------------------------------------------------------------------------------

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """See `streams.ports.AssignmentListener`."""
        consumer = self._required(self._consumer)
        generation = self._assigned.begin()
        self._paused = False
        self._backlog.clear()
        committed = consumer.committed(list(partitions))
        self._assigned.by_place = {
            place: Progress(
                generation,
                fresh=committed.get(place) is None,
                committed=committed.get(place),
                seals=self._executor.seals.of(place.partition),
            )
            for place in partitions
        }
        for progress in self._assigned.by_place.values():
            if progress.seals is not None:
                progress.seals.restart()

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """See `streams.ports.AssignmentListener`: waits for running calls, and commits their offsets.

        Raises:
            ExecutorError: a worker can't continue. What was done before is committed.
        """
        # What has not begun is left to the next member.
        self._assigned.leaving = frozenset(partitions)
        is_reported, failure = self._finish_calls()
        if is_reported:
            self._done.commit_offsets(self._required(self._consumer))
        self._assigned.drop(set(partitions))
        if failure is not None:
            raise failure

    def _finish_what_is_left(self) -> None:
        """Finish the calls of partitions that were lost, or given up with an earlier consumer, if there is time.

        Raises:
            ExecutorError: a worker can't continue.
        """
        if self._finish_by_ms is None or self._entropy.monotonic_ms() < self._finish_by_ms:
            _, failure = self._finish_calls()
            if failure is not None:
                raise failure

    def _finish_calls(self) -> tuple[bool, ExecutorError | None]:
        """Wait up to `finish_ms` for running calls, and report them; after a request to stop, that long in all.

        Returns:
            Whether everything that is done is reported, and why a worker can't continue.
        """
        deadline_ms = self._finish_by_ms
        if deadline_ms is None:
            deadline_ms = self._entropy.monotonic_ms() + self._settings.finish_ms
        failure: ExecutorError | None = None
        while len(self._calls) and (left_ms := deadline_ms - self._entropy.monotonic_ms()) > 0:
            try:
                self._collect(wait_ms=left_ms)
            except ExecutorError as error:
                # What was done is reported first.
                failure = error
        while not (is_reported := self._done.report_all()) and self._entropy.monotonic_ms() < deadline_ms:
            self._pause()
        return is_reported, failure

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See `streams.ports.AssignmentListener`: offsets can no longer be committed, but reports can."""
        self._assigned.drop(set(partitions))

    # -- one turn -------------------------------------------------------------------------------------------------

    def _turn(self, consumer: Consumer) -> None:
        self._turned_ms = self._entropy.monotonic_ms()
        self._read(consumer)
        self._admit()
        if self._stopped_something.is_set():
            self._stopped_something.clear()
            self._calls.stop_revoked()
        self._collect(wait_ms=0)
        self._done.settle_due(consumer)

    def _read(self, consumer: Consumer) -> None:
        """Read on, unless more calls wait than there is room for.

        Even then the consumer is polled from time to time, or the group would drop this member.
        """
        if self._backlog:
            if self._entropy.monotonic_ms() - self._polled_ms < POLL_FULL_MS:
                self._collect(wait_ms=POLL_BUSY_MS)
                return
            if not self._paused:
                consumer.pause(list(self._assigned.by_place))
                self._paused = True
        elif self._paused:
            consumer.resume(list(self._assigned.by_place))
            self._paused = False
        busy = len(self._calls) > 0 or self._done.is_busy
        records = consumer.poll(POLL_RECORDS_MAX, POLL_BUSY_MS if busy else POLL_IDLE_MS)
        self._polled_ms = self._entropy.monotonic_ms()
        by_place = self._assigned.by_place
        for received in records:
            progress = by_place.get(TopicPartition(received.topic, received.partition))
            if progress is None:
                continue
            progress.seen = received.offset + 1
            if is_seal(received):
                self._take_seal(received, progress)
            elif self._executor.may_concern(received):
                progress.open.add(received.offset)
                if progress.seals is None:
                    self._backlog.append(received)
                else:
                    progress.seals.hold(received, self._polled_ms)
        for progress in by_place.values():
            if progress.seals:
                self._refuse_unproven(progress.seals.overdue(self._polled_ms), progress)

    def _take_seal(self, received: Received, progress: Progress) -> None:
        """Let the calls run that a seal proves, and refuse those that it leaves out."""
        if progress.seals:
            checked = progress.seals.sealed(received)
            self._backlog.extend(checked.proven)
            self._refuse_unproven(checked.unproven, progress)

    def _refuse_unproven(self, unproven: Sequence[tuple[Received, str]], progress: Progress) -> None:
        """Report verdicts that nothing proves. They are not used up: a real one may have the same id."""
        for received, why in unproven:
            job = self._job(received)
            if job is None:
                continue
            refused = self._executor.refused_as_unproven(job.verdict, job.key, why)
            _log.error("verdict `%s` at offset %d is refused: %s", job.verdict.verdict_id, job.offset, refused.text)
            records = self._executor.reports.refusal_records(job.verdict, refused)
            progress.open.discard(received.offset)
            if records:
                self._done.add(Done(job, records))

    def _admit(self) -> None:
        """Give calls to the workers while there is room for them."""
        calls, now_ms = self._calls, self._transport.now_ms()
        expired: list[Job] = []
        while self._backlog and (
            len(calls) + len(expired) < self._settings.in_flight_max and calls.bytes_count < IN_FLIGHT_BYTES_MAX
        ):
            job = self._job(self._backlog.popleft())
            if job is None:
                continue
            if job.verdict.expires_at > now_ms:
                calls.put(job)
                continue
            expired.append(job)
            if len(expired) >= EXPIRED_AT_ONCE_MAX:
                calls.put_expired(expired)
                expired = []
        if expired:
            calls.put_expired(expired)

    def _job(self, received: Received) -> Job | None:
        """Return the call in a record; None if it is of no concern here."""
        place = TopicPartition(received.topic, received.partition)
        progress = self._assigned.by_place.get(place)
        if progress is None:
            return None
        verdict = self._executor.read(received)
        # A new group begins with a history that was not meant for it.
        if (
            verdict is None
            or not self._executor.is_for_me(verdict)
            or (progress.fresh and verdict.expires_at <= self._started_ms)
        ):
            progress.open.discard(received.offset)
            return None
        size_bytes = len(received.value or b"")
        return Job(place, received.offset, progress.generation, verdict, received.key, size_bytes)

    def _collect(self, wait_ms: int) -> None:
        """Process the calls that are done; wait up to `wait_ms` for the first.

        Raises:
            ExecutorError: a worker can't continue.
        """
        for done in self._calls.collect(wait_ms):
            progress = self._assigned.of(done.job)
            if progress is not None and not done.left:
                progress.open.discard(done.job.offset)
            if done.records:
                self._done.add(done)

    def _pause(self) -> None:
        threading.Event().wait(RETRY_PAUSE_MS / 1000)

    def _required(self, part: _Part | None) -> _Part:
        if part is None:
            msg = "the loop is not running: call `run`"
            raise ExecutorError(msg)
        return part
