"""Run the call of a verdict: check it, claim it, run its tool. `Executor` reports the outcome.

An attempt has two halves. The first one claims the verdict and runs the call; the second one records how it ended. An
executor that follows the verdict topic records many ends in one change of the store, because each change waits for the
disk.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.metrics import declared
from streams.metrics.registry import Metrics
from streams.model.content import ContentField
from streams.model.reasons import REFUSAL_TEXTS, Refusal
from streams.model.verdict import Verdict
from streams.ports.content import ContentSealer, SealedContent
from streams.provenance.extraction.events import atoms_of
from streams.provenance.extraction.extract import extract_content
from streams.sdk.connection.transport import WallClock
from streams.sdk.errors import ExecutorError
from streams.sdk.executor.reports import ENDING_TEXTS, result_event_id
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.executor.traces import CallTraces
from streams.sdk.executor.types import ToolOutcome
from streams.sdk.executor.uses import CallRef, ContentRead, End, Ending, Use, call_of
from streams.sdk.executor.verdict_checks import Cleared, Refused, Standard, check, meet_obligations
from streams.sdk.tools import (
    BoundedRunner,
    Cancellation,
    HangingToolsError,
    ToolCancelledError,
    ToolNotBegunError,
    ToolResult,
    ToolRunner,
    ToolTimeoutError,
    content_digest,
    content_text,
)

ERROR_TEXT_CHARS_MAX = 2_000
_MS_PER_S = 1_000

_FOR_GOOD = frozenset({Refusal.VERDICT_EXPIRED, Refusal.REVOKED})
"""Refusals after which no executor may run the call any more."""

CANCELLED_TEXT = "it was ended early, because it was revoked while it ran; what it had done by then is not undone"
EXPIRED_MEANWHILE_TEXT = "it expired while it was checked: its server, or an obligation, took too long"
BEFORE_RECORDS_TEXT = "it may have been used before: it is older than this executor's record of uses"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A claimed call that has ended, and whose end is not on disk yet."""

    end: End
    outcome: ToolOutcome


class Attempts:
    """Runs calls, each at most once. Thread-safe."""

    def __init__(
        self,
        clock: WallClock,
        standard: Standard,
        store: SingleUseStore,
        tool_timeout_ms: int,
        metrics: Metrics,
        traces: CallTraces,
        *,
        source: str,
        content_sealer: ContentSealer | None = None,
    ) -> None:
        self._source = source
        self._content_sealer = content_sealer
        self._clock = clock
        self._traces = traces
        self._metrics = metrics
        self._standard = standard
        self._store = store
        self._tool_timeout_ms = tool_timeout_ms
        self._runner = BoundedRunner()

    def run(self, verdict: Verdict, key: bytes | None, cancellation: Cancellation) -> Refused | Ended:
        """Check the verdict, claim it and run its call. The caller records the end with `finish`.

        Raises:
            SingleUseError: its use could not be recorded, so the call was not run.
            ExecutorError: too many calls hang.
        """
        attempted = self._run(verdict, key, cancellation)
        self._count(attempted)
        return attempted

    def _run(self, verdict: Verdict, key: bytes | None, cancellation: Cancellation) -> Refused | Ended:
        now_ms = self._clock.now_ms()
        cleared = check(verdict, key, self._standard, now_ms)
        if not self._store.remembers(verdict.evaluated_at):
            # It is not used up either: nobody knows whether its call has run, and whether its charge was spent.
            return cleared if isinstance(cleared, Refused) else Refused(Refusal.ALREADY_USED, BEFORE_RECORDS_TEXT)
        if isinstance(cleared, Refused):
            return self._give_up(verdict, cleared, now_ms)
        try:
            self._runner.refuse_if_hanging()
        except HangingToolsError as error:
            raise ExecutorError(str(error)) from error
        # The checks can take long: a server that lists its tools slowly must not stretch the life of a verdict.
        now_ms = self._clock.now_ms()
        if now_ms >= verdict.expires_at:
            return self._give_up(verdict, Refused(Refusal.VERDICT_EXPIRED, EXPIRED_MEANWHILE_TEXT), now_ms)
        call = call_of(verdict)
        if not self._store.claim(call, now_ms=now_ms, expires_ms=verdict.expires_at):
            return Refused(Refusal.ALREADY_USED, REFUSAL_TEXTS[Refusal.ALREADY_USED])
        # INVARIANT: from here on the verdict is used up, whatever happens.
        refused = self._prepare(verdict, cleared)
        if refused is not None:
            return self._not_run(call, refused, self._clock.now_ms())
        began_ms = self._clock.now_ms()
        try:
            ending, result = self._run_tool(cleared.tool, cleared.args, cancellation)
        except ToolNotBegunError:
            return self._not_run(call, Refused(Refusal.REVOKED, REFUSAL_TEXTS[Refusal.REVOKED]), now_ms)
        ended = self._ended(call, ending, result, verdict)
        self._metrics.observe(declared.RUN_LATENCY, [max(0, began_ms - verdict.evaluated_at) / _MS_PER_S])
        self._traces.executed(call, ending, began_ms, ended.end.now_ms)
        self._metrics.observe(declared.CALL_SECONDS, [max(0, ended.end.now_ms - began_ms) / _MS_PER_S])
        return ended

    def _prepare(self, verdict: Verdict, cleared: Cleared) -> Refused | None:
        """Meet the obligations of a claimed call; return why it must not run."""
        if not cleared.obligations:
            return None
        refused = meet_obligations(verdict, cleared)
        if refused is None and self._clock.now_ms() >= verdict.expires_at:
            refused = Refused(Refusal.VERDICT_EXPIRED, EXPIRED_MEANWHILE_TEXT)
        return refused

    def finish(self, ended: Sequence[Ended]) -> list[Use]:
        """Record the ends of calls on disk.

        Raises:
            SingleUseError: they could not be recorded.
        """
        return self._store.finish_all([each.end for each in ended])

    def _give_up(self, verdict: Verdict, refused: Refused, now_ms: int) -> Refused | Ended:
        """Claim a verdict that is refused permanently; one that was used before stays as it is.

        Raises:
            SingleUseError: its use could not be recorded.
        """
        call = call_of(verdict)
        if refused.refusal not in _FOR_GOOD or not self._store.claim(
            call, now_ms=now_ms, expires_ms=verdict.expires_at
        ):
            return refused
        return self._not_run(call, refused, now_ms)

    def give_up_all(
        self, refused: Sequence[tuple[Verdict, Refused]], now_ms: int
    ) -> list[Refused | tuple[Use, ToolOutcome]]:
        """Use up verdicts that are refused, in one change of the store; those that are not for good stay as they are.

        Returns:
            The outcome of each, in the same order.

        Raises:
            SingleUseError: it could not be recorded.
        """
        ended = {
            number: self._not_run(call_of(verdict), each, now_ms)
            for number, (verdict, each) in enumerate(refused)
            if each.refusal in _FOR_GOOD and self._store.remembers(verdict.evaluated_at)
        }
        found: list[Refused | tuple[Use, ToolOutcome]] = [each for _, each in refused]
        for _, each in refused:
            self._count(each)
        if not ended:
            return found
        expires_ms = [refused[number][0].expires_at for number in ended]
        uses = self._store.give_up_all([each.end for each in ended.values()], expires_ms)
        for number, use in zip(ended, uses, strict=True):
            if use is not None:
                found[number] = use, ended[number].outcome
        return found

    def give_up_expired(
        self, verdicts: Sequence[tuple[Verdict, bytes | None]]
    ) -> list[Refused | tuple[Use, ToolOutcome]]:
        """Use up verdicts that have expired, in one change of the store.

        Args:
            verdicts: each with the key of its record.

        Returns, raises: see `give_up_all`.
        """
        now_ms = self._clock.now_ms()
        return self.give_up_all(
            [(verdict, self._why_expired(verdict, key, now_ms)) for verdict, key in verdicts], now_ms
        )

    def _count(self, attempted: Refused | Ended) -> None:
        """Count a call that was run, or refused."""
        refusal = attempted.refusal if isinstance(attempted, Refused) else attempted.end.refusal
        if refusal is not None:
            self._metrics.add(declared.CALLS_REFUSED, refusal.value)
        elif isinstance(attempted, Ended):
            self._metrics.add(declared.CALLS, attempted.end.ending.value)

    def _why_expired(self, verdict: Verdict, key: bytes | None, now_ms: int) -> Refused:
        refused = check(verdict, key, self._standard, now_ms)
        if isinstance(refused, Refused):
            return refused
        # The clock was set back since the caller compared. The verdict was late anyway.
        return Refused(Refusal.VERDICT_EXPIRED, REFUSAL_TEXTS[Refusal.VERDICT_EXPIRED])

    def _ended(self, call: CallRef, ending: Ending, result: ToolResult | None, verdict: Verdict) -> Ended:
        content = None if result is None else result.content
        text = ENDING_TEXTS[ending]
        if ending is Ending.TOOL_ERROR and isinstance(content, str):
            text = content[:ERROR_TEXT_CHARS_MAX]
        now_ms = self._clock.now_ms()
        sealed = None if result is None else self._sealed(call, result, now_ms)
        return Ended(
            End(
                call=call,
                ending=ending,
                now_ms=now_ms,
                content_digest=None if result is None else content_digest(content),
                source=self._source,
                read=None if result is None else _read(result, verdict),
                content=None if sealed is None else sealed.content,
                content_key=None if sealed is None else sealed.key,
            ),
            ToolOutcome(verdict_id=call.verdict_id, ending=ending, refusal=None, text=text, content=content),
        )

    def _sealed(self, call: CallRef, result: ToolResult, now_ms: int) -> SealedContent | None:
        """Return a result, encrypted for the record; None if results are not captured.

        A result that can't be encrypted is left out: its call has run, and must be reported.
        """
        text = None if self._content_sealer is None else content_text(result.content)
        if self._content_sealer is None or text is None:
            return None
        event_id = result_event_id(call.verdict_id)
        try:
            return self._content_sealer.seal(
                call.tenant_uid, call.session_id, event_id, ContentField.RESULTS, text, now_ms
            )
        except Exception:
            _log.exception("the result of verdict `%s` can't be captured", call.verdict_id)
            return None

    def _run_tool(
        self, tool: ToolRunner, args: Mapping[str, object], cancellation: Cancellation
    ) -> tuple[Ending, ToolResult | None]:
        try:
            result = self._runner.run(tool, args, self._tool_timeout_ms, cancellation)
        except (ToolTimeoutError, TimeoutError):
            return Ending.TOOL_TIMED_OUT, None
        except ToolNotBegunError:
            raise
        except ToolCancelledError:
            return Ending.TOOL_ERROR, ToolResult(content=CANCELLED_TEXT, is_error=True)
        except Exception as error:
            _log.info("a tool failed: %s", error)
            return Ending.TOOL_ERROR, ToolResult(content=f"{type(error).__name__}: {error}", is_error=True)
        return (Ending.TOOL_ERROR if result.is_error else Ending.DONE), result

    def _not_run(self, call: CallRef, refused: Refused, now_ms: int) -> Ended:
        """Return the end of a claimed call that will never run."""
        end = End(
            call=call,
            ending=Ending.NOT_RUN,
            now_ms=now_ms,
            refusal=refused.refusal,
            text=refused.text[:ERROR_TEXT_CHARS_MAX],
            source=self._source,
        )
        outcome = ToolOutcome(verdict_id=call.verdict_id, ending=None, refusal=refused.refusal, text=refused.text)
        return Ended(end, outcome)


def _read(result: ToolResult, verdict: Verdict) -> ContentRead | None:
    """Return what a result holds, if the gate asks for it with a key. The operator's type goes before the tool's."""
    if verdict.atom_key is None:
        return None
    text = content_text(result.content)
    if text is None:
        return None
    content_type = verdict.content_type or result.content_type
    extraction = extract_content(text, content_type)
    return ContentRead(
        atoms=atoms_of(extraction, verdict.atom_key),
        complete=extraction.has_all,
        lacks_words_only=extraction.lacks_words_only,
        has_text=extraction.has_text,
        instructed=extraction.instructed,
        content_type=content_type,
    )
