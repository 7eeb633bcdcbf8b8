"""State whether a process lives, and whether it is ready for work: what `/health/live` and `/health/ready` answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

LIVE_MS_MAX = 120_000
"""After how long without a turn of its loop a process counts as hanging. Longer than any wait for a log that does not
answer: to restart a process does not bring its log back."""


class Health(NamedTuple):
    """The state of a process.

    Attributes:
        hangs: why it should be restarted; empty while it lives.
        waits_for: what is missing until it is ready; empty if it is.
    """

    hangs: str = ""
    waits_for: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether its loop turns."""
        return not self.hangs

    @property
    def is_ready(self) -> bool:
        """Whether it does its work."""
        return not self.hangs and not self.waits_for


Probe = Callable[[], Health]
"""Returns the state of a process as it is now. Thread-safe, and returns at once."""


def hanging(what: str, turned_ms: int | None, now_ms: int) -> str:
    """Return why a loop counts as hanging; empty if it turns, or has not begun.

    Args:
        what: the loop's name.
        turned_ms: when its last turn began, by a clock that never goes back; None if it has not begun.
        now_ms: the time now, by the same clock.
    """
    if turned_ms is None or now_ms - turned_ms < LIVE_MS_MAX:
        return ""
    return f"the {what} has not turned for {(now_ms - turned_ms) // 1_000} s"
