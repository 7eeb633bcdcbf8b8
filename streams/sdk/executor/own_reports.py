"""What an executor reports of its calls, and what it owes: what the log did not take, or a crash has left."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from streams.audit.report_keys import ReportKey
from streams.model.plurals import many
from streams.model.reasons import Refusal
from streams.model.verdict import Verdict
from streams.ports import LogError, Outgoing
from streams.sdk.connection.single_records import publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import Entropy
from streams.sdk.errors import ExecutorError, PublishError, ReportError
from streams.sdk.executor.reports import Reporter
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.executor.traces import CallTraces
from streams.sdk.executor.uses import End, Ending, Use, call_of
from streams.sdk.executor.verdict_checks import Refused

_log = logging.getLogger(__name__)


class OwnReports:
    """The reports of one executor. Thread-safe.

    Attributes:
        are_owed: whether calls have run whose reports the log did not take.
    """

    def __init__(
        self,
        transport: Transport,
        store: SingleUseStore,
        keys: Mapping[str, ReportKey],
        traces: CallTraces,
        entropy: Entropy,
        *,
        source: str,
        abandoned_after_ms: int,
    ) -> None:
        """Create the reports of an executor.

        Args:
            store: the durable record of used verdicts.
            keys: the keys that reports are signed with, by server.
            source: the name of the executor in them.
            abandoned_after_ms: after this time, another executor's call that never ended counts as abandoned.
        """
        self.are_owed = False
        self._transport = transport
        self._store = store
        self._reporter = Reporter(transport, source, keys)
        self._traces = traces
        self._entropy = entropy
        self._source = source
        self._abandoned_after_ms = abandoned_after_ms

    def check_topics(self) -> None:
        """Check that the topics of the reports exist.

        Raises:
            ExecutorError: one does not.
        """
        try:
            self._reporter.check_topics()
        except LogError as error:
            raise ExecutorError(f"this executor could not report its calls: {error}") from error

    def recover(self) -> int:
        """Report what earlier runs have left; see `Executor.recover`."""
        uses = self._take_left_over()
        if uses:
            self.report(uses)
        self.are_owed = False
        return len(uses)

    def report(self, uses: Sequence[Use]) -> None:
        """Report calls that have ended.

        Raises:
            ReportError: they can't be reported. They are owed then.
            SingleUseError: it could not be recorded that they are.
        """
        try:
            publish(self._transport, [record for use in uses for record in self.outcome_records(use)])
        except (LogError, PublishError) as error:
            self._store.release([use.call.verdict_id for use in uses])
            self.are_owed = True
            raise ReportError(f"{many(len(uses), 'call')} ran, but can't be reported: {error}") from error
        self.mark_reported(uses)

    def report_later(self, uses: Sequence[Use]) -> None:
        """Report what nobody waits for; if that fails, it is reported with the next call or at the next start."""
        try:
            self.report(uses)
        except ReportError as error:
            _log.warning("%s", error)

    def report_refusal(self, verdict: Verdict, refused: Refused) -> None:
        """Report a refusal. It holds even if that fails; the failure is logged."""
        try:
            publish(self._transport, self.refusal_records(verdict, refused))
        except (LogError, PublishError) as error:
            _log.warning(
                "the refusal of verdict `%s` (%s) could not be reported: %s", verdict.verdict_id, refused.text, error
            )

    def outcome_records(self, use: Use) -> list[Outgoing]:
        """Return the records that report a call that has ended.

        Raises:
            LogError: the topics' partitions aren't known.
        """
        return self._reporter.outcome(use)

    def refusal_records(self, verdict: Verdict, refused: Refused) -> list[Outgoing]:
        """Return the records that report a refusal; none if it cannot be assigned to a session.

        Raises:
            LogError: the topics' partitions aren't known.
        """
        now_ms = self._transport.now_ms()
        if refused.refusal is Refusal.KEY_MISMATCH:
            # It is not known which of the two sessions it belongs to.
            _log.warning("verdict `%s` is refused: %s", verdict.verdict_id, refused.text)
            return []
        return self._reporter.refusal(verdict, call_of(verdict), refused, self._entropy.uuid(now_ms), now_ms)

    def mark_reported(self, uses: Sequence[Use]) -> None:
        """Record that the reports of these uses are on the log.

        Raises:
            SingleUseError: it could not be recorded.
        """
        self._store.mark_reported([use.call.verdict_id for use in uses])
        now_ms = self._transport.now_ms()
        for use in uses:
            self._traces.reported(use.call, use.ending, use.ended_ms, now_ms)

    def _take_left_over(self) -> list[Use]:
        now_ms = self._transport.now_ms()
        begun, uses = self._store.left_over(now_ms=now_ms, abandoned_after_ms=self._abandoned_after_ms)
        for call in begun:
            _log.warning("call of verdict `%s` was cut off by a crash; its outcome is unknown", call.verdict_id)
        cut_off = (End(call=call, ending=Ending.OUTCOME_UNKNOWN, now_ms=now_ms, source=self._source) for call in begun)
        return uses + self._store.finish_all(list(cut_off))
