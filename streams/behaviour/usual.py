"""Compare a call with what is usual for its agent, as the watch has published it.

**Idea.** A gate has no history of an agent: sessions are spread over partitions. It gets one row of what the watch has
learned, and needs no more to say that a tool, a destination, an hour or an amount is new to the agent. The numbers are
integers, because rules compare them and verdicts state them.

What is surprising is measured in bits, as by the watch's detectors: an agent that keeps bringing something new does not
surprise with one thing more (Good 1953). Silence is the answer to everything that is not known well enough: a baseline
of few calls or few days, a list that is full, an amount that was rarely seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import expm1, log1p, log2
from typing import NamedTuple

import msgspec

from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.detectors.amounts import SPREAD_FLOOR
from streams.behaviour.estimators import Median, deviations, is_number, new_bits, usual_peak
from streams.behaviour.profiles import DESTINATIONS_MAX, HOURS_PER_DAY, TOOLS_MAX, Extraction, Profile

CALLS_MIN = 200
SPAN_MS_MIN = 7 * DAY_MS
"""How many calls, over which time, a baseline must have been learned from before anything surprises."""
AMOUNTS_MIN = 30
PEAK_DAYS_MIN = 5.0
TOLD_BITS = 8
TOLD_DEVIATIONS = 4
TOLD_TIMES = 3
TOLD_PERCENT = 50
"""From where on a verdict names what is unusual."""


class Usual(NamedTuple):
    """What is usual for an agent, over all its epochs.

    Attributes:
        calls: how many calls it was learned from.
        span_ms: the time between the first and the last of them.
        tools, destinations: how often each was used.
        hours: calls by hour of the day (UTC).
        amounts: the usual amount of each tool.
        busiest: how many calls the busiest hour of a usual day has; 0 if that is not known.
        reads: where in arguments destination and amount are found.
    """

    calls: int
    span_ms: int
    tools: Mapping[str, int]
    destinations: Mapping[str, int]
    hours: tuple[int, ...]
    amounts: Mapping[str, Median]
    busiest: float
    reads: tuple[Extraction, ...]

    @property
    def is_settled(self) -> bool:
        """Whether enough is known for anything to surprise."""
        return self.calls >= CALLS_MIN and self.span_ms >= SPAN_MS_MIN


class Unusual(msgspec.Struct, frozen=True, gc=False):
    """How unusual a call is for its agent; the attributes are those of the fact `signal`."""

    learned: int = 0
    new_tool: int = 0
    new_destination: int = 0
    odd_hour: int = 0
    amount: int = 0
    rate: int = 0
    agent_risk: int = 0
    user_risk: int = 0
    peers_risk: int = 0


NOT_KNOWN = Unusual()
"""What is told about a call of an agent of which nothing is known."""


def usual_of(profiles: Iterable[Profile]) -> Usual:
    """Return what is usual for an agent.

    Args:
        profiles: what was learned in each of its epochs, the newest last. A new version of an agent is compared with
            all of them: it does the same work, and has no history of its own when that is needed most.
    """
    tools: dict[str, int] = {}
    destinations: dict[str, int] = {}
    amounts: dict[str, Median] = {}
    hours = [0] * HOURS_PER_DAY
    calls, first_ms, last_ms, busiest = 0, 0, 0, 0.0
    reads: tuple[Extraction, ...] = ()
    for it in profiles:
        first_ms = min(first_ms, it.first_ms) if calls else it.first_ms
        calls, last_ms = calls + it.calls, max(last_ms, it.last_ms)
        for counts, more in ((tools, it.tools), (destinations, it.destinations)):
            for name, count in more:
                counts[name] = counts.get(name, 0) + count
        for tool, median in it.amounts:
            if median.count >= AMOUNTS_MIN or tool not in amounts:
                amounts[tool] = median
        hours = [a + b for a, b in zip(hours, it.hours, strict=True)]
        if it.busiest.past.weight >= PEAK_DAYS_MIN:
            busiest = max(busiest, expm1(min(usual_peak(it.busiest)[0], 80.0)))
        reads = it.reads
    return Usual(calls, last_ms - first_ms, tools, destinations, tuple(hours), amounts, busiest, reads)


def compared(
    usual: Usual, tool: str, destination: str | None, amount: float | None, now_ms: int, hour_calls: int
) -> Unusual:
    """Return how unusual a call is.

    Args:
        usual: what is usual for its agent.
        tool: `server.name`.
        destination: where the call sends data; None if it states nothing of the kind.
        amount: the amount that it states; None if it states none.
        now_ms: when it is judged.
        hour_calls: how many calls the session has made in this hour, this one included.
    """
    if not usual.is_settled:
        return Unusual(learned=usual.calls)
    median = usual.amounts.get(tool)
    far = 0.0
    if is_number(amount) and median is not None and median.count >= AMOUNTS_MIN:
        far = deviations(median, log1p(abs(amount)), SPREAD_FLOOR)
    return Unusual(
        learned=usual.calls,
        new_tool=_bits(usual.tools, tool, TOOLS_MAX),
        new_destination=0 if destination is None else _bits(usual.destinations, destination, DESTINATIONS_MAX),
        odd_hour=_hour_bits(usual, now_ms),
        amount=max(0, int(far)),
        rate=int(hour_calls / usual.busiest) if usual.busiest >= 1.0 else 0,
    )


def texts_of(
    unusual: Unusual, usual: Usual, agent: str, tool: str, destination: str | None
) -> list[tuple[str, int, str]]:
    """Return what a verdict names: the signal, its number, and the sentence for people."""
    days = usual.span_ms // DAY_MS
    known = f"in {usual.calls} calls of {days} days"
    found = []
    if unusual.new_tool >= TOLD_BITS:
        found.append(("new_tool", unusual.new_tool, f"first {tool} by {agent} {known}; {unusual.new_tool} bits"))
    if unusual.new_destination >= TOLD_BITS:
        text = f"first call of {agent} to {destination} {known}; {unusual.new_destination} bits"
        found.append(("new_destination", unusual.new_destination, text))
    if unusual.odd_hour >= TOLD_BITS:
        text = f"{agent} has hardly ever worked at this hour (UTC) {known}; {unusual.odd_hour} bits"
        found.append(("odd_hour", unusual.odd_hour, text))
    if unusual.amount >= TOLD_DEVIATIONS:
        text = f"amount {unusual.amount} deviations above what {agent} usually states for {tool}"
        found.append(("amount", unusual.amount, text))
    if unusual.rate >= TOLD_TIMES:
        text = f"calls of this session in this hour: {unusual.rate} times the usual busiest hour of {agent}"
        found.append(("rate", unusual.rate, text))
    return found


def risk_texts_of(unusual: Unusual, agent: str, user: str) -> list[tuple[str, int, str]]:
    """Return what a verdict names of risks: the signal, its number, and the sentence for people."""
    risks = (
        ("agent_risk", unusual.agent_risk, agent),
        ("user_risk", unusual.user_risk, f"a session of {user}"),
        ("peers_risk", unusual.peers_risk, f"another agent of the type of {agent}"),
    )
    return [
        (name, percent, f"the risk of {whose} is at {percent}% of what is an alert")
        for name, percent, whose in risks
        if percent >= TOLD_PERCENT
    ]


def _bits(known: Mapping[str, int], name: str, names_max: int) -> int:
    """Return how surprising a name is; 0 if it is known, or if the list has had to leave names out."""
    if name in known or len(known) >= names_max:
        return 0
    once = sum(count == 1 for count in known.values())
    return int(new_bits(once, sum(known.values())))


def _hour_bits(usual: Usual, now_ms: int) -> int:
    """Return how surprising the hour is: how few of the calls were made within an hour of it."""
    hour = now_ms // HOUR_MS % HOURS_PER_DAY
    near = sum(usual.hours[(hour + step) % HOURS_PER_DAY] for step in (-1, 0, 1))
    return int(-log2(min(1.0, (near + 0.5) / (usual.calls + 1))))
