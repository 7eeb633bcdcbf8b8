"""Why the service can't run, and why an answer is not accepted."""

from __future__ import annotations

from streams.model.errors import StoplogError


class ApprovalServiceError(StoplogError):
    """The service can't start, or can't continue."""


class AnswerError(StoplogError):
    """An answer is not accepted.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
