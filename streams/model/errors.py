"""The root of our error family. Each operation has one class of its own below it."""

from __future__ import annotations


class StoplogError(Exception):
    """An error that a person may read: what, where, and what to do."""


class InvariantError(StoplogError):
    """Something that cannot be was: a bug of ours. The process must not go on."""


class SettingsError(StoplogError):
    """A setting is unknown or has a value that can't be used."""


class RecordError(StoplogError):
    """A record that cannot be read or is not what it must be.

    Attributes:
        reason: stable code, see docs/reference/reasons.md.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
