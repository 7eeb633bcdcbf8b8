"""Exports spans of what an executor does: of each call that has run, and of its report."""

from __future__ import annotations

from streams.metrics import trace_names as names
from streams.metrics.traces import Parent, Span, Traces, derived_id, sampled
from streams.sdk.executor.uses import CallRef, Ending

_FAULTS = frozenset({Ending.TOOL_ERROR, Ending.TOOL_TIMED_OUT, Ending.OUTCOME_UNKNOWN})


class CallTraces:
    """Exports the spans of calls whose trace is sampled. Thread-safe."""

    def __init__(self, traces: Traces | None) -> None:
        """Create it; without `traces`, it exports nothing."""
        self._traces = traces

    def executed(self, call: CallRef, ending: Ending, began_ms: int, ended_ms: int) -> None:
        """Export the span of a call that has run."""
        if self._traces is None or (parent := _parent(call, names.DECIDE)) is None:
            return
        fault = ending.value if ending in _FAULTS else ""
        attributes = _about(call) | {
            names.MCP_METHOD: names.TOOLS_CALL,
            names.ENDING: ending.value,
            names.ERROR_TYPE: fault or None,
        }
        name = f"{names.EXECUTE_TOOL} {call.tool.name}"
        span_id = derived_id(names.EXECUTE_TOOL, call.verdict_id)
        self._traces.add(Span(name, span_id, parent, began_ms, ended_ms, attributes, fault))

    def reported(self, call: CallRef, ending: Ending, ended_ms: int, now_ms: int) -> None:
        """Export the span of a report: from the end of the call until the report is on the log."""
        if self._traces is None or ending is Ending.NOT_RUN or (parent := _parent(call, names.EXECUTE_TOOL)) is None:
            return
        attributes = _about(call) | {names.ENDING: ending.value}
        span_id = derived_id(names.REPORT, call.verdict_id)
        self._traces.add(Span(names.REPORT, span_id, parent, ended_ms, now_ms, attributes))


def _parent(call: CallRef, kind: str) -> Parent | None:
    """Return the span of the call's decision or of its run; None if its trace is not sampled."""
    found = sampled(call.traceparent)
    return None if found is None else Parent(found.trace_id, derived_id(kind, call.verdict_id))


def _about(call: CallRef) -> dict[str, str | int | None]:
    return {
        names.OPERATION: names.EXECUTE_TOOL,
        names.TOOL_NAME: call.tool.name,
        names.TOOL_TYPE: names.FUNCTION,
        names.AGENT_ID: call.act.sub,
        names.CONVERSATION_ID: call.session_id,
        names.SERVER_ID: call.tool.server_id,
        names.INTENT_ID: call.intent_id,
        names.VERDICT_ID: call.verdict_id,
    }
