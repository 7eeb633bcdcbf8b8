"""Exports spans of what a gate decides: of the way of an intent to the log, and of its decision."""

from __future__ import annotations

from collections.abc import Sequence

from streams.metrics import trace_names as names
from streams.metrics.traces import Parent, Span, Traces, derived_id, sampled
from streams.processors.gate.judged import Judged
from streams.processors.state import PendingKind

_HAD_VERDICT = frozenset({PendingKind.APPROVAL, PendingKind.CANCEL_WINDOW})
"""What an intent waits for after an interim verdict."""


class GateTraces:
    """Exports what was committed and is sampled; see `streams.engine.worker_meter.CountNotes`."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def __call__(self, notes: Sequence[object], now_ms: int) -> None:
        """Export the spans of verdicts that were committed at `now_ms`."""
        for note in notes:
            if isinstance(note, Judged) and (parent := sampled(note.verdict.header.traceparent)) is not None:
                self._export(note, parent, now_ms)

    def _export(self, judged: Judged, parent: Parent, now_ms: int) -> None:
        asked, verdict, intent = judged.asked, judged.verdict, judged.intent
        proposed = Parent(parent.trace_id, derived_id(names.PROPOSE, f"{intent.session_id} {intent.intent_id}"))
        about: dict[str, str | int | None] = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL_NAME: intent.tool.name,
            names.TOOL_CALL_ID: intent.tool_call_id,
            names.AGENT_ID: intent.act.sub,
            names.CONVERSATION_ID: intent.conversation_id or intent.session_id,
            names.SERVER_ID: intent.tool.server_id,
            names.INTENT_ID: intent.intent_id,
        }
        if asked.held_for not in _HAD_VERDICT:
            # Its way to the log, by the agent's clock and the broker's: once, with its first verdict.
            begin_ms = min(intent.header.time, asked.received_ms)
            self._traces.add(Span(names.PROPOSE, proposed.span_id, parent, begin_ms, asked.received_ms, about))
        decided = {
            names.VERDICT_ID: verdict.verdict_id,
            names.OUTCOME: verdict.outcome.value,
            names.REASON: verdict.reason,
            names.HELD_FOR: None if asked.held_for is None else asked.held_for.name.lower(),
        }
        span_id = derived_id(names.DECIDE, verdict.verdict_id)
        self._traces.add(Span(names.DECIDE, span_id, proposed, asked.received_ms, now_ms, about | decided))
