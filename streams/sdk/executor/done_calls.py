"""Reports the calls that have run, and commits how far all were reported.

Reports are published in a thread of their own (`report_publisher`). A refusal by the log is tried again some times, and
a log that does not answer for as long as that takes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from streams.model.verdict import Verdict
from streams.ports import Consumer, RetriableLogError
from streams.sdk.entropy import Entropy
from streams.sdk.executor.assigned_partitions import AssignedPartitions
from streams.sdk.executor.report_publisher import Batch, Published, ReportPublisher, too_often
from streams.sdk.executor.types import ToolOutcome
from streams.sdk.executor.verdict_jobs import Done

REPORT_ATTEMPTS_MAX = 10
"""How often the log may refuse reports in a row. Attempts that it did not answer don't count."""

RETRY_PAUSE_MS = 200

_log = logging.getLogger(__name__)

OutcomeListener = Callable[[Verdict, ToolOutcome], None]
"""Called for each call that has run, once its report is on the log, in the loop's thread."""


class DoneCalls:
    """What is done and not reported yet. Its thread is that of the loop, but for the publisher's."""

    def __init__(
        self,
        reports: ReportPublisher,
        assigned: AssignedPartitions,
        entropy: Entropy,
        *,
        report_every_ms: int,
        offsets_every_ms: int,
        keep_heads: Callable[[], None],
        on_outcome: OutcomeListener | None,
    ) -> None:
        """Args:
        reports: publishes the reports.
        assigned: the partitions, whose offsets are committed.
        report_every_ms: how often reports are published, if there are any.
        offsets_every_ms: how often offsets are committed.
        keep_heads: keeps the heads of seals below what is committed next.
        on_outcome: called for each call that has run.
        """
        self._reports = reports
        self._assigned = assigned
        self._entropy = entropy
        self._report_every_ms = report_every_ms
        self._offsets_every_ms = offsets_every_ms
        self._keep_heads = keep_heads
        self._on_outcome = on_outcome
        self._unreported: list[Done] = []
        self._failed_count = 0
        self._report_due_ms = 0
        self._offsets_due_ms = 0

    def __len__(self) -> int:
        """Return how many calls are not reported yet."""
        return len(self._unreported)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to report, or a report on its way."""
        return bool(self._unreported) or self._reports.is_busy

    def add(self, done: Done) -> None:
        """Let a call be reported."""
        self._unreported.append(done)

    def settle_due(self, consumer: Consumer) -> None:
        """Process the last batch of reports, start the next one if it is due, and commit offsets if they are due.

        Raises:
            ExecutorError: reporting has failed too often.
            LogError: the log can't be used any more.
        """
        self._take_published(self._reports.take(wait=False))
        now_ms = self._entropy.monotonic_ms()
        if self._unreported and not self._reports.is_busy and now_ms >= self._report_due_ms:
            self._submit()
            self._report_due_ms = now_ms + self._report_every_ms
        if now_ms >= self._offsets_due_ms:
            self.commit_offsets(consumer)
            self._offsets_due_ms = now_ms + self._offsets_every_ms

    def report_all(self) -> bool:
        """Publish everything that is done, and wait for it; return False if that failed and is to be tried again.

        Raises:
            ExecutorError, LogError: see `settle_due`.
        """
        self._take_published(self._reports.take(wait=True))
        if not self._unreported:
            return True
        self._submit()
        return self._take_published(self._reports.take(wait=True))

    def _submit(self) -> None:
        self._reports.submit(Batch(list(self._unreported), self._assigned.done_offsets(), self._assigned.generation))

    def _take_published(self, published: Published | None) -> bool:
        """Process the outcome of a batch; return False if it must be published again."""
        if published is None:
            return True
        batch = published.batch
        if published.failure is not None:
            # A log that does not answer will come back, so only refusals are counted.
            self._failed_count += not isinstance(published.failure, RetriableLogError)
            if self._failed_count >= REPORT_ATTEMPTS_MAX:
                raise too_often(batch, published.failure) from published.failure
            _log.warning("reporting failed, trying again: %s", published.failure)
            self._report_due_ms = self._entropy.monotonic_ms() + RETRY_PAUSE_MS
            return False
        self._failed_count = 0
        self._assigned.note_reported(batch.offsets, batch.generation)
        del self._unreported[: len(batch.done)]
        for done in batch.done:
            if self._on_outcome is not None and done.outcome is not None:
                self._on_outcome(done.job.verdict, done.outcome)
        return True

    def commit_offsets(self, consumer: Consumer) -> None:
        """Commit how far everything is reported; what is not committed is read again, and found to be used.

        Raises:
            LogError: the member can't be used any more.
        """
        if not self._unreported and not self._reports.is_busy:
            self._assigned.note_reported(self._assigned.done_offsets(), self._assigned.generation)
        due = self._assigned.due_offsets()
        if not due:
            return
        # INVARIANT: a seal below a committed offset is not read again, so its head is kept before.
        self._keep_heads()
        try:
            consumer.commit(due)
        except RetriableLogError as error:
            _log.warning("offsets could not be committed, trying again: %s", error)
            return
        self._assigned.note_committed(due)
