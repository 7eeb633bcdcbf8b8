"""What the SDK raises: one class for each operation, below one root."""

from __future__ import annotations

from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.verdict import Verdict


class SdkError(StoplogError):
    """The root of the SDK's errors."""


class PublishError(SdkError):
    """A record could not be stored on the log, or it is not known whether it was."""


class ProposalError(SdkError):
    """A call that cannot be proposed at all: nothing was sent."""


class DelegationError(SdkError):
    """A grant that can't be given on as asked: the session has none, it would be wider, or the key is not there."""


class VerdictReadError(SdkError):
    """Verdicts cannot be read; the intent may have been judged."""


class VerdictTimeoutError(SdkError):
    """No (final) verdict came in time. The intent may still be judged: send it again with `Agent.resend`.

    Attributes:
        intent: what was asked.
        interim: the newest verdict that is not final, if there was one.
    """

    def __init__(self, text: str, intent: Intent, interim: Verdict | None) -> None:
        super().__init__(text)
        self.intent = intent
        self.interim = interim


class TokenServiceError(SdkError):
    """The token service cannot do what was asked."""


class SingleUseError(SdkError):
    """The record of used verdicts cannot be read or written, so nothing may run."""


class ExecutorError(SdkError):
    """The executor cannot go on. Calls that it had begun are in its single-use store."""


class ReportError(ExecutorError):
    """A call has run but its report is not on the log yet; it is reported when the executor recovers."""


class McpServerError(SdkError):
    """An MCP server cannot be started, spoken to, or does not keep to the protocol."""
