"""What an executor is set up with, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.model.reasons import Refusal
from streams.sdk.executor.uses import Ending
from streams.sdk.executor.verdict_checks import CLOCK_SKEW_MS_MAX, ObligationHandler
from streams.sdk.tools import TOOL_TIMEOUT_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolOutcome:
    """The outcome of a verdict.

    Attributes:
        ending: how the call ended; None if it was refused.
        refusal: why it was not run; None if it was run.
        text: an explanation for people, or for the model.
        content: what the tool returned; None without a result.
    """

    verdict_id: str
    ending: Ending | None
    refusal: Refusal | None
    text: str
    content: object = None

    @property
    def ran(self) -> bool:
        """Return whether the tool ran to its end without an error."""
        return self.ending is Ending.DONE


@dataclass(frozen=True, kw_only=True)
class ExecutorSettings:
    """Limits of an executor; durations in ms.

    Attributes:
        tool_timeout_ms: how long a call may run before it counts as timed out.
        clock_skew_ms: how far ahead of this clock a verdict may have been made.
        audiences: names besides the server ids that verdicts may be addressed to.
        obligations: handlers by type; a verdict with an obligation of any other type is refused.
    """

    tool_timeout_ms: int = TOOL_TIMEOUT_MS
    clock_skew_ms: int = CLOCK_SKEW_MS_MAX
    audiences: Sequence[str] = ()
    obligations: Mapping[str, ObligationHandler] = field(default_factory=dict)
