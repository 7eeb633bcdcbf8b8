"""Count the agents that appear on a partition, so that who may name agents freely can't fill the state.

**Idea.** What is counted is of a tenant. On the partition's first day, all agents are new, and only the limit of the
day counts. From then on, more than `AGENTS_PER_MINUTE_MAX` within a minute are reported, too: they are watched as any
others, but nobody usually creates so many at once. Agents beyond the limit of the day leave nothing behind. An agent
that only gives work to others counts on the partitions of its grants, where what it usually gives is remembered. There
is one alert a day, whose first window counts the rest. It is one finding on all partitions, and the count in a record
is that of one of them: partitions know nothing of each other.
"""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import DAY_MS, row_key
from streams.behaviour.pages import OpenRows

AGENTS_PER_DAY_MAX = 1_000
"""New agents of a tenant that a partition learns about on one day."""
AGENTS_PER_MINUTE_MAX = 50
"""New agents of a tenant that may appear on a partition within a minute without an alert."""
MINUTE_MS = 60_000


class NewAgents(msgspec.Struct, frozen=True, array_like=True):
    """The agents of a tenant that have appeared on a partition.

    Attributes:
        first_day: the first day on which there were any.
        day: the newest day, and `count` how many have appeared on it.
        minute: the newest minute, and `of_minute` how many have appeared in it.
        reported_ms: when that was reported on the newest day; None if it was not.
    """

    first_day: int = -1
    day: int = -1
    count: int = 0
    minute: int = -1
    of_minute: int = 0
    reported_ms: int | None = None


class Admission(msgspec.Struct, frozen=True):
    """Whether an agent is watched, and whether its appearance is to be reported."""

    is_watched: bool
    is_reported: bool = False


_KNOWN = Admission(True)


def admitted(tenant: str, agent: str, rows: OpenRows, now_ms: int, window_ms: int) -> Admission:
    """Return whether there is room for an agent; a new one takes room of the day.

    Args:
        tenant: whose agent it is.
        agent: the agent, which acts or has given work to another one.
        rows: the open rows of the partition; changed.
        now_ms: stream time.
        window_ms: for how long after the first report further ones are counted.
    """
    day, known = now_ms // DAY_MS, row_key("@agent", (tenant, agent))
    seen = rows.load(known, int)
    if seen is not None:
        if seen != day:
            # Once a day, so that it is kept for as long as the agent works, and the agent never counts as new again.
            rows.store(known, day)
        return _KNOWN
    key = row_key("@agents", (tenant,))
    before = rows.load(key, NewAgents)
    after = _one_more(before or NewAgents(first_day=day), day, now_ms // MINUTE_MS)
    is_watched = after.count <= AGENTS_PER_DAY_MAX
    is_burst = after.of_minute > AGENTS_PER_MINUTE_MAX and after.first_day != day
    reported_ms = after.reported_ms
    is_reported = (is_burst or not is_watched) and (reported_ms is None or now_ms < reported_ms + window_ms)
    if is_reported and reported_ms is None:
        after = msgspec.structs.replace(after, reported_ms=now_ms)
    rows.store(key, after)
    if is_watched:
        rows.store(known, day)
    return Admission(is_watched, is_reported)


def _one_more(before: NewAgents, day: int, minute: int) -> NewAgents:
    is_same_day = before.day >= day
    return NewAgents(
        before.first_day,
        max(before.day, day),
        before.count + 1 if is_same_day else 1,
        max(before.minute, minute),
        before.of_minute + 1 if before.minute >= minute else 1,
        before.reported_ms if is_same_day else None,
    )
