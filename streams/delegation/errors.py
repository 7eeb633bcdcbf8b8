"""The one error of this room."""

from __future__ import annotations

from streams.model.errors import StoplogError
from streams.model.reasons import REASON_TEXTS, Reason


class GrantError(StoplogError):
    """A grant that does not hold, or can't be made.

    Attributes:
        reason: the stable code of what is wrong with it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{REASON_TEXTS[reason]}: {detail}")
        self.reason = reason
