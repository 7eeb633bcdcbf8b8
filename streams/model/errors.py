"""The root of our error family. Each operation has one class of its own below it."""

from __future__ import annotations


class StoplogError(Exception):
    """An error that a person may read: what, where, and what to do."""


class InvariantError(StoplogError):
    """Something that cannot be was: a bug of ours. The process must not go on."""


class RecordError(StoplogError):
    """A record that cannot be read or is not what it must be.

    Attributes:
        reason: stable code, see docs/reference/reasons.md.
        keeps_state: what was written to the state for it stays, although it is set aside: it must not pass as if it
            had never come.
    """

    def __init__(self, reason: str, text: str, *, keeps_state: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.keeps_state = keeps_state
