"""The error of this package."""

from __future__ import annotations

from streams.model.errors import StoplogError
from streams.model.reasons import REASON_TEXTS, Reason


class GrantError(StoplogError):
    """A grant that is not valid, or can't be made.

    Attributes:
        reason: a stable code for what is wrong with it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{REASON_TEXTS[reason]}: {detail}")
        self.reason = reason
