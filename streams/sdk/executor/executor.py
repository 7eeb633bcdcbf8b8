"""The executor: checks a verdict in every way it can, then runs exactly the judged call, once.

The order is what makes a call run at most once, and its result known to the gate:

1. check the verdict: what proves it (`seal_checks`), and the rest (`verdict_checks`); 2. claim it on disk
(`single_use`); 3. run the tool; 4. record the end on disk; 5. report result and audit record to the log; 6. return the
result to the agent.

The agent gets the result only after the report is on the log, because the gate must know what the session has read
before the agent's next intent arrives. After a crash, `recover` reports what steps 2 to 4 have left on disk.

Rejected: claiming through the log, with a transaction for each call (a broker round trip before each call, and no
answer while the broker is away).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from streams.audit.receipts import Receipt
from streams.audit.report_keys import ReportKey
from streams.audit.seal_keys import SealKeys
from streams.metrics import declared
from streams.metrics.declared import Exporter
from streams.metrics.registry import Metrics
from streams.metrics.traces import Traces
from streams.model.errors import RecordError
from streams.model.reasons import REFUSAL_TEXTS, Refusal
from streams.model.topics import VERDICT
from streams.model.verdict import Outcome, Verdict
from streams.ports import Headers, Received
from streams.ports.content import ContentSealer
from streams.sdk.connection.transport import FieldReader, Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.executor.attempts import Attempts, Ended
from streams.sdk.executor.own_reports import OwnReports
from streams.sdk.executor.revocations import RevocationWatch
from streams.sdk.executor.running_calls import RunningCalls
from streams.sdk.executor.seal_checks import NO_RECEIPT_TEXT, SealGuard, SealKeySource, Unproven
from streams.sdk.executor.setup import check_clock, keys_of, standard_of
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.executor.traces import CallTraces
from streams.sdk.executor.types import ExecutorSettings, ToolOutcome
from streams.sdk.executor.uses import Use
from streams.sdk.executor.verdict_checks import (
    Refused,
    has_own_key,
    is_for,
    refused_if_revoked,
)
from streams.sdk.started import Started
from streams.sdk.tools import ToolRunner

_FIELDS_TO_SKIP_BY = ("outcome", "tool.server_id")

ABANDONED_AFTER_MS = 60_000
"""Added to the tool's timeout: after this time, another executor's call that never ended counts as abandoned."""

_log = logging.getLogger(__name__)
_UNREADABLE = ToolOutcome(
    verdict_id="", ending=None, refusal=Refusal.UNREADABLE, text=REFUSAL_TEXTS[Refusal.UNREADABLE]
)


class Executor(Started):
    """Runs the calls of one or more servers. Thread-safe.

    Use it as a context manager, or call `start`: nothing runs before all revocations have been read.

    Attributes:
        metrics: what it counts.
        reports: what it reports of its calls.
        seals: what proves verdicts to it.
    """

    def __init__(
        self,
        transport: Transport,
        server_ids: Sequence[str],
        tools: Mapping[str, ToolRunner | Callable[[Mapping[str, object]], object]],
        single_use: SingleUseStore,
        *,
        report_keys: ReportKey | Mapping[str, ReportKey],
        seal_keys: SealKeys | SealKeySource | Unproven,
        revocations: RevocationWatch | None = None,
        source: str | None = None,
        settings: ExecutorSettings | None = None,
        entropy: Entropy = SYSTEM,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
        content_sealer: ContentSealer | None = None,
    ) -> None:
        """Create an executor that has not started yet.

        Args:
            server_ids: the operator's names of the servers whose calls run here.
            tools: `server/name` to a ToolRunner, or to a function of the arguments.
            single_use: the durable record of used verdicts; the caller closes it, after the executor.
            report_keys: the key that reports are signed with, or one key for each server. Gates count a report only if
                the catalog has the key for its server.
            seal_keys: the keys whose seals prove verdicts (`SealKeys.of({"gate": "ed25519:..."})`), or a function that
                returns those of the moment (`SealKeyFile`). `UNPROVEN` does without: then whoever may write the verdict
                topic, or hands over a verdict, decides what runs.
            revocations: a watch that is shared with other executors; by default the executor has its own.
            source: the name of this executor in its reports, as a URI reference.
            metrics: where it counts; by default in metrics of its own. Executors of one process can share them.
            traces: where spans of sampled calls are exported; the caller closes it. None exports nothing.
            content_sealer: encrypts results that gates capture for the record (`SessionSealer`). None captures none.

        Raises:
            ExecutorError: a tool does not belong to any of the servers, or a server has no report key; or the record of
                uses begins ahead of this clock.
            SingleUseError: the store can't be written.
        """
        self._transport = transport
        self._fields = transport.codec if isinstance(transport.codec, FieldReader) else None
        self._store = single_use
        self._settings = settings or ExecutorSettings()
        self._owns_revocations = revocations is None
        self._revocations = revocations or RevocationWatch(transport, entropy=entropy)
        self._standard = standard_of(server_ids, tools, self._revocations, self._settings)
        keys = keys_of(server_ids, report_keys)
        source = source or f"executor/{single_use.owner}"
        call_traces = CallTraces(traces)
        self.seals = SealGuard(seal_keys, transport.codec, single_use.heads(), transport.now_ms)
        self.metrics = metrics or Metrics(Exporter.EXECUTOR)
        self.metrics.before_scrape(self._look)
        abandoned_after_ms = self._settings.tool_timeout_ms + ABANDONED_AFTER_MS
        self.reports = OwnReports(
            transport, single_use, keys, call_traces, entropy, source=source, abandoned_after_ms=abandoned_after_ms
        )
        self._attempts = Attempts(
            transport,
            self._standard,
            single_use,
            self._settings.tool_timeout_ms,
            self.metrics,
            call_traces,
            source=source,
            content_sealer=content_sealer,
        )
        check_clock(single_use, transport.now_ms(), self._settings.clock_skew_ms)
        self._running = RunningCalls()
        self._revocations.listen(self._stop_running)
        self._start_lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Read all revocations, then report what an earlier run has left. Does nothing if already started.

        Raises:
            ExecutorError: the revocations can't be read, or a topic of the reports does not exist.
            ReportError: what was left can't be reported.
        """
        with self._start_lock:
            if self._started:
                return
            self._revocations.start()
            self.reports.check_topics()
            self.recover()
            self._started = True

    def execute(self, verdict: Receipt | Verdict, key: bytes | None = None) -> ToolOutcome:
        """Check the verdict and run its call; the report is on the log when this returns.

        Args:
            verdict: its receipt (`VerdictReader.receipt`). A verdict alone proves nothing, and is refused as
                `unproven`, unless the executor was made with `UNPROVEN`.
            key: of a verdict alone, the key of its record.

        Returns:
            The outcome; a refusal is an outcome, not an error.

        Raises:
            ReportError: the call has run, but the gate doesn't know yet what the session has read with it.
            SingleUseError: the use could not be recorded; the call has not run, or its end is not known.
            ExecutorError: the executor cannot continue.
        """
        if isinstance(verdict, Receipt):
            read = self._decoded(verdict.value, ())
            if read is None:
                return _UNREADABLE
            return self._execute(read, verdict.key, self.seals.fault_of(verdict))
        return self._execute(verdict, key, NO_RECEIPT_TEXT if self.seals.are_required else None)

    def _execute(self, verdict: Verdict, key: bytes | None, unproven: str | None) -> ToolOutcome:
        """Run `execute` on a verdict. `unproven` says why nothing proves it; None if something does."""
        self.start()
        if self.reports.are_owed:
            self.recover()
        attempted = self.attempt(verdict, key) if unproven is None else self.refused_as_unproven(verdict, key, unproven)
        if isinstance(attempted, Refused):
            self.reports.report_refusal(verdict, attempted)
            return ToolOutcome(
                verdict_id=verdict.verdict_id, ending=None, refusal=attempted.refusal, text=attempted.text
            )
        use, outcome = attempted
        if outcome.refusal is not None:
            self.reports.report_later([use])
            return outcome
        # The result goes to the agent only once the log has it: the gate must know what the session has read before
        # the agent's next intent comes.
        self.reports.report([use])
        return outcome

    def recover(self) -> int:
        """Report what earlier runs have left: ends that were not reported, and calls whose end is not known.

        Returns:
            The number of calls that were reported.

        Raises:
            SingleUseError: the store can't be read or written.
            ReportError: they can't be reported.
        """
        return self.reports.recover()

    def close(self) -> None:
        """Stop following revocations, if this executor started that."""
        self._revocations.unlisten(self._stop_running)
        if self._owns_revocations:
            self._revocations.close()

    # -- the steps, as `streams.sdk.executor.verdict_consumer` takes them, too ---------------------------------------

    def may_concern(self, received: Received) -> bool:
        """Return False if the record is certainly of no concern here; reads only as much of it as that takes.

        Most records of the verdict topic are the verdicts of other servers, so this decides how fast they are
        skipped. True promises nothing: `read` and `is_for_me` decide.
        """
        if received.value is None:
            return False
        if self._fields is None:
            return True
        try:
            outcome, server_id = self._fields.read_fields(
                VERDICT.name, received.value, received.headers, _FIELDS_TO_SKIP_BY
            )
        except RecordError:
            # `read` finds out what is wrong with it.
            return True
        return outcome is Outcome.ALLOW and server_id in self._standard.server_ids

    def read(self, received: Received) -> Verdict | None:
        """Decode the verdict in a record; return None if the record does not hold a readable verdict."""
        return None if received.value is None else self._decoded(received.value, received.headers)

    def _decoded(self, value: bytes, headers: Headers) -> Verdict | None:
        try:
            record = self._transport.codec.decode(VERDICT.name, value, headers)
        except RecordError as error:
            _log.warning("a verdict can't be read: %s", error)
            return None
        return record if isinstance(record, Verdict) else None

    def refused_as_unproven(self, verdict: Verdict, key: bytes | None, why: str) -> Refused:
        """Return the refusal of a verdict that nothing proves, and count it. It is not used up: a real one may have the
        same id.

        Args:
            verdict: the verdict.
            key: the key of its record.
            why: what is missing.
        """
        refusal = Refusal.UNPROVEN if has_own_key(verdict, key) else Refusal.KEY_MISMATCH
        self.metrics.add(declared.CALLS_REFUSED, refusal.value)
        return Refused(refusal, f"{REFUSAL_TEXTS[refusal]}: {why}")

    def is_for_me(self, verdict: Verdict) -> bool:
        """Return whether the verdict is an enforced ALLOW of a call that runs here."""
        return is_for(verdict, self._standard)

    def attempt(self, verdict: Verdict, key: bytes | None) -> Refused | tuple[Use, ToolOutcome]:
        """Check the verdict, claim it, run its call and record the end. Nothing is reported yet.

        A verdict that may never run any more is used up as well, so that what its call was charged can be returned to
        its budgets. Its outcome has a `refusal`.

        Raises:
            SingleUseError: its use could not be recorded.
            ExecutorError: too many calls hang.
        """
        return self._finished(self.run_claimed(verdict, key))

    def run_claimed(self, verdict: Verdict, key: bytes | None) -> Refused | Ended:
        """Do what `attempt` does, except for recording the end: the caller does that with `finish`.

        Raises:
            SingleUseError, ExecutorError: see `attempt`.
        """
        with self._running.begun(verdict) as cancellation:
            return self._attempts.run(verdict, key, cancellation)

    def finish(self, ended: Sequence[Ended]) -> list[Use]:
        """Record how claimed calls ended; all of them are on disk when this returns.

        Raises:
            SingleUseError: it could not be recorded.
        """
        return self._attempts.finish(ended)

    def give_up_expired(
        self, verdicts: Sequence[tuple[Verdict, bytes | None]]
    ) -> list[Refused | tuple[Use, ToolOutcome]]:
        """Use up verdicts that have expired, as `attempt` does with one, but all in one change of the store.

        Args:
            verdicts: each with the key of its record.

        Raises:
            SingleUseError: it could not be recorded.
        """
        return self._attempts.give_up_expired(verdicts)

    def listen(self, listener: Callable[[], None]) -> None:
        """See `RevocationWatch.listen`."""
        self._revocations.listen(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """See `RevocationWatch.unlisten`."""
        self._revocations.unlisten(listener)

    def refused_if_revoked(self, verdict: Verdict, key: bytes | None) -> Refused | None:
        """Return the refusal of the verdict if its call is revoked, as far as is known here.

        Args:
            verdict: the verdict.
            key: the key of its record. A verdict under the key of another session waits for its turn, which refuses it:
                it must not be used up, nor reported in a session that it may have nothing to do with.
        """
        if not has_own_key(verdict, key):
            return None
        return refused_if_revoked(verdict, self._revocations, self._transport.now_ms())

    def give_up(self, refused: Sequence[tuple[Verdict, Refused]]) -> list[Refused | tuple[Use, ToolOutcome]]:
        """Use up verdicts that are refused, at once, without waiting for their turn; all in one change of the store.

        Raises:
            SingleUseError: it could not be recorded.
        """
        return self._attempts.give_up_all(refused, self._transport.now_ms())

    def keep_heads(self) -> None:
        """Record the newest heads that seals have shown, so that the log must go on from them after a restart.

        Raises:
            SingleUseError: they could not be recorded.
        """
        heads = self.seals.new_heads()
        if heads:
            self._store.keep_heads(heads)
            self.seals.note_kept(heads)

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What is missing until this executor runs calls; empty if nothing is. May be read in any thread."""
        if not self._started:
            return ("the start of the executor",)
        if self._revocations.is_stale():
            return ("the log: it is not confirmed that all revocations are read",)
        return ()

    def _look(self) -> None:
        self.metrics.set(declared.REPORTS_PENDING, self._store.unreported_count)
        self.metrics.set(declared.STOPS_STALE, self._revocations.is_stale())

    def _stop_running(self) -> None:
        """Ask the calls that a revocation has stopped to end, where their tools support that."""
        self._running.stop(self._revocations, self._transport.now_ms())

    def _finished(self, attempted: Refused | Ended) -> Refused | tuple[Use, ToolOutcome]:
        if isinstance(attempted, Refused):
            return attempted
        return self._attempts.finish([attempted])[0], attempted.outcome
