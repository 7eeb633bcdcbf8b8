"""The base class of all errors. Each operation has one class of its own below it."""

from __future__ import annotations


class StoplogError(Exception):
    """An error with a message for people: what, where, and what to do."""


class AdvisedError(StoplogError):
    """An error whose message ends with what to do.

    Attributes:
        fault: the message without that, for somebody who needs other advice.
    """

    def __init__(self, fault: str, advice: str = "") -> None:
        super().__init__(f"{fault}; {advice}" if advice else fault)
        self.fault = fault


class InvariantError(StoplogError):
    """Something happened that cannot happen: a bug in stoplog. The process must not continue."""


class SettingsError(StoplogError):
    """A setting is unknown or has a value that can't be used."""


class FormError(StoplogError):
    """Something that a person has typed has no valid form, whatever the log and the settings say.

    Operations that take such texts have an error of their own that is also this one: a command line with such a text is
    as invalid as one with an unknown option.
    """


class RecordError(StoplogError):
    """A record that cannot be read, or violates a rule.

    Attributes:
        reason: stable code, see docs/reference/reasons.md.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
