"""The base class of all errors. Each operation has one class of its own below it."""

from __future__ import annotations


class StoplogError(Exception):
    """An error with a message for people: what, where, and what to do."""


class InvariantError(StoplogError):
    """Something happened that cannot happen: a bug in stoplog. The process must not continue."""


class SettingsError(StoplogError):
    """A setting is unknown or has a value that can't be used."""


class RecordError(StoplogError):
    """A record that cannot be read, or violates a rule.

    Attributes:
        reason: stable code, see docs/reference/reasons.md.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
