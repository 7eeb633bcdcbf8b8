"""What comes again and again about one agent and one tool: each alert raises what the next one needs.

**Idea.** Nothing is learned from what has alerted. So a trait that is the agent's job, such as a mail to each new
applicant, would be an alert forever. From the second alert of one detector about what an agent does with one tool on,
the next one has to be stronger than the strongest before, for a while that doubles with each alert. An alert that a
person has closed as false counts three times. One that was closed as right ends it.

**Bounds.** What is needed is never more than `SHARE_MAX` thresholds, nor `RISE_MAX` times what was reported, and not
for longer than `SPAN_MS_MAX`: a trait that stays is reported once a month, and nothing is mute. Other detectors, and
other tools of the same agent, don't know of it. So whoever wants silence has to be reported twice for what he will do.

**Rejected.** To learn from what has alerted after a while: an attacker who is not stopped would be usual
(ADR 0091, 0134). A longer latch from the first alert on: an attack would be quiet because something honest was not.
"""

from __future__ import annotations

import msgspec

from streams.behaviour import growth
from streams.behaviour.activity import DAY_MS

FREE = 1
"""How many alerts are no recurrence: latches keep one incident quiet, and the next one is an alert as before."""
SPAN_MS = 7 * DAY_MS
"""How long more is needed after the first recurrence; twice as long after each further one."""
SPAN_MS_MAX = 30 * DAY_MS
FORGOTTEN_MS = 40 * DAY_MS
"""After how long without an alert there was none: shorter than rows of agents are kept."""
RISE = 1.25
"""How many times as strong as the strongest alert so far the next one has to be, for each recurrence."""
RISE_MAX = 2.0
SHARE_MAX = 4.0
"""The share of the threshold from which on anything alerts."""
FALSE_COUNTS = 3
COUNT_MAX = 12
NEVER = frozenset({"ceiling", "two_places", growth.KIND})
"""Kinds that don't ask what is usual: somebody's decision, a session in two places, and rows that are not kept."""

replace = msgspec.structs.replace


class Recurrence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many alerts there were, when the last one was, and the strongest as a share of its threshold."""

    count: int = 0
    at_ms: int = 0
    strongest: float = 0.0


def needed(row: Recurrence | None, now_ms: int) -> float:
    """Return from which share of its threshold on a finding is an alert; 0 if it need be no stronger than ever."""
    if row is None or row.count <= FREE:
        return 0.0
    times = row.count - FREE
    span_ms = min(SPAN_MS << times - 1, SPAN_MS_MAX)
    if now_ms - row.at_ms >= span_ms:
        return 0.0
    # A row that was ended, and then counted up by another alert that was false, knows of no strength.
    return min(min(RISE**times, RISE_MAX) * max(row.strongest, 1.0), SHARE_MAX)


def reported(row: Recurrence | None, share: float, now_ms: int) -> Recurrence:
    """Return the row after an alert.

    Args:
        row: the row before it.
        share: how strong it is, as a share of the threshold.
        now_ms: when it is reported.
    """
    if row is None or now_ms - row.at_ms >= FORGOTTEN_MS:
        return Recurrence(1, now_ms, min(share, SHARE_MAX))
    strongest = max(row.strongest, min(share, SHARE_MAX))
    return Recurrence(min(row.count + 1, COUNT_MAX), max(row.at_ms, now_ms), strongest)


def called_false(row: Recurrence, now_ms: int) -> Recurrence:
    """Return the row after a person has called an alert false."""
    return replace(row, count=min(row.count + FALSE_COUNTS - 1, COUNT_MAX), at_ms=max(row.at_ms, now_ms))
