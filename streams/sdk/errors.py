"""The errors of the SDK: one class for each operation, with one base class."""

from __future__ import annotations

from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.outcome import IntentOutcome


class SdkError(StoplogError):
    """The base class of the SDK's errors."""


class PublishError(SdkError):
    """A record could not be stored on the log, or it is not known whether it was stored."""


class ProposalError(SdkError):
    """A call cannot be proposed; nothing was sent."""


class DelegationError(SdkError):
    """A grant cannot be delegated as asked: the session has none, the result would be wider, or the key is missing."""


class OutcomeReadError(SdkError):
    """Outcomes cannot be read; the intent may have been judged."""


class OutcomeTimeoutError(SdkError):
    """No (final) outcome came in time. The intent may still be judged; `Agent.resend` sends it again.

    Attributes:
        intent: the intent that was sent.
        interim: the newest outcome that is not final, if any.
    """

    def __init__(self, text: str, intent: Intent, interim: IntentOutcome | None) -> None:
        super().__init__(text)
        self.intent = intent
        self.interim = interim


class VerdictReadError(SdkError):
    """A verdict did not come in time, or verdicts cannot be read."""


class TokenServiceError(SdkError):
    """The token service cannot do what was asked."""


class SingleUseError(SdkError):
    """The record of used verdicts cannot be read or written, so nothing may run."""


class ExecutorError(SdkError):
    """The executor cannot continue. The calls that it had begun are in its single-use store."""


class ReportError(ExecutorError):
    """A call has run, but its report is not on the log yet; the executor reports it when it recovers."""


class McpServerError(SdkError):
    """An MCP server cannot be started or reached, or violates the protocol."""


def refuse_text(name: str, values: object, error: type[SdkError]) -> None:
    """Refuse a text in place of several: its characters would count as the values, as in `("mail:send")`.

    Args:
        name: of the argument.
        values: what was given.
        error: what is raised.
    """
    if isinstance(values, (str, bytes)):
        raise error(f"`{name}` must be a sequence of texts, not one text: write `({values!r},)`")
