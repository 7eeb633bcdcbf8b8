"""What can have happened before a record was read that the log does not say: the guesses of a replay."""

from __future__ import annotations

from typing import NamedTuple

from streams.history.recording import Expected


class Hint(NamedTuple):
    """What may have happened just before a record was read.

    Attributes:
        lead_ms: up to when stream time had followed the clock; 0 if it had not.
        is_ahead: whether it had done so before broadcast topics were read.
        is_behind: whether nothing was read of broadcast topics that no verdict asks for.
        is_loose: whether the next verdict does not say how far they were read.
        is_brief: whether the partition had followed them by one step only.
    """

    lead_ms: int = 0
    is_ahead: bool = False
    is_behind: bool = False
    is_loose: bool = False
    is_brief: bool = False


NO_HINT = Hint()
PAUSES = [
    Hint(is_ahead=is_ahead, is_behind=is_behind, is_brief=is_brief)
    for is_brief in (False, True)
    for is_behind in (False, True)
    for is_ahead in (False, True)
]
"""What can have happened while nothing was read, the likeliest first."""


class Failed(NamedTuple):
    """Where an order turned out to be wrong: at the record of the index `at`, before which it was `time_ms`.

    `head` is the verdict that was expected there.
    """

    at: int
    time_ms: int
    head: Expected | None


def hints_for(failed: Failed) -> list[Hint]:
    """Return what else can have happened before the record at which an order turned out to be wrong."""
    hints = [
        Hint(is_behind=True),
        Hint(is_loose=True),
        Hint(is_brief=True),
        Hint(is_behind=True, is_loose=True),
        Hint(is_behind=True, is_loose=True, is_brief=True),
    ]
    head = failed.head
    if head is None or head.is_repeated or head.stated.evaluated_at <= failed.time_ms:
        return hints
    lead = Hint(lead_ms=head.stated.evaluated_at)
    leads = [lead, lead._replace(is_ahead=True), lead._replace(is_behind=True), lead._replace(is_brief=True)]
    return [*leads, *hints]
