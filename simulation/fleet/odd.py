"""Honest work that looks odd: what alerts should stay quiet about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp
from random import Random  # noqa: TID251 - everything of a fleet is drawn from one seeded source
from types import MappingProxyType

from simulation.fleet.agents import DAY_MS, MINUTE_MS, Agent, replace
from streams.behaviour.activity import Activity

Make = Callable[[Agent, Random, int], list[Activity]]


def paging(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Read a long list page by page."""
    session, tool = agent.session(), agent.next_tool("")
    return [
        replace(
            agent.call(session, tool, start_ms + page * rng.randint(800, 3_000)),
            call=f"{tool}/page/{page}",
            object=None,
        )
        for page in range(rng.randint(12, 45))
    ]


def polling(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Ask for the state of a job until it is done."""
    session, every_ms = agent.session(), rng.randint(10_000, 60_000)
    calls = agent.work(session, start_ms, 3)
    job, tool = rng.getrandbits(32), agent.next_tool("")
    return calls + [
        replace(agent.call(session, tool, calls[-1].time_ms + each * every_ms), call=f"job/{job}", object=f"job-{job}")
        for each in range(1, rng.randint(4, 9))
    ]


def late_work(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Finish something late in the evening."""
    late_ms = start_ms - start_ms % DAY_MS + ((21 + agent.shift_hours) * 60 + rng.randrange(120)) * MINUTE_MS
    return agent.work(agent.session(), late_ms, rng.randint(4, 12))


def new_partner(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Begin to write to a new partner, and go on."""
    partner = f"partner-{rng.getrandbits(40):x}.example"
    calls = agent.work(agent.session(), start_ms, rng.randint(5, 10))
    agent.adopt(partner)
    return [replace(call, destination=partner) if call.tool == "mail.send" else call for call in calls]


def large_payment(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Pay a large invoice."""
    session = agent.session()
    calls = agent.work(session, start_ms, 6)
    factor = exp(rng.uniform(0.9, 1.7))
    if agent.role.amount:
        large = agent.call(session, agent.paying_tool, calls[-1].time_ms + 20_000)
        calls.append(replace(large, amount=round(agent.usual_amount * factor, 2)))
    return calls


def bulk_review(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Go through many records at the end of a month."""
    calls: list[Activity] = []
    for part in range(rng.randint(2, 4)):
        calls += agent.work(agent.session(), start_ms + part * 12 * MINUTE_MS, rng.randint(12, 25))
    return calls


def shared_case(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Work on a case that concerns two or three customers."""
    calls = agent.work(agent.session(), start_ms, rng.randint(8, 14))
    others = [f"c-{rng.randrange(3_000)}" for _ in range(rng.randint(1, 2))]
    return [replace(call, owner=rng.choice(others)) if call.owner and rng.random() < 0.4 else call for call in calls]


def retries(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Be denied a few times, until a grant has been extended."""
    calls = agent.work(agent.session(), start_ms, rng.randint(6, 10))
    return [
        replace(call, outcome="DENY", reason="no_grant") if 1 <= at <= rng.randint(1, 3) else call
        for at, call in enumerate(calls)
    ]


def failover(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Move to another instance in the middle of a session."""
    calls, other = agent.work(agent.session(), start_ms, rng.randint(6, 12)), f"{agent.name}/spare"
    middle = len(calls) // 2
    return [replace(call, instance=other) if at >= middle else call for at, call in enumerate(calls)]


def backfill(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Go through all records once, after a change of their form."""
    session, tool, found = agent.session(), agent.next_tool(agent.next_tool("")), list[Activity]()
    pace_ms = rng.randint(1_500, 6_000)
    for at in range(rng.randint(60, 400)):
        call = agent.call(session, tool, start_ms + at * pace_ms)
        thing = f"{agent.role.name}-all-{at}"
        # Each call has arguments of its own, even if the tool names no object.
        found.append(replace(call, object=thing if call.object else None, call=f"{tool}/{thing}", outcome="ALLOW"))
    return found


def on_call(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Look into an incident at any hour: the same few questions again and again, until it is over."""
    at_ms = start_ms - start_ms % DAY_MS + rng.randrange(24 * 60) * MINUTE_MS
    session, tools = agent.session(), [agent.next_tool("") for _ in range(rng.randint(1, 3))]
    found = list[Activity]()
    for turn in range(rng.randint(8, 16)):
        for tool in tools:
            found.append(replace(agent.call(session, tool, at_ms), call=f"{tool}/incident/{session.id}"))
            at_ms += rng.randint(5_000, 40_000)
        at_ms += min(turn, 5) * 30_000
    return found


def failing_tool(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Try the same call again with growing pauses, because the tool fails."""
    calls = agent.work(agent.session(), start_ms, rng.randint(3, 7))
    last, at_ms = calls[-1], calls[-1].time_ms
    for turn in range(rng.randint(4, 9)):
        at_ms += 2_000 * 2 ** min(turn, 6)
        calls.append(replace(last, event_id=f"{last.event_id}/again/{turn}", time_ms=at_ms))
    return calls


def month_end(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Do three days' work in one, until late."""
    found = list[Activity]()
    for part in range(rng.randint(8, 16)):
        found += agent.work(agent.session(), start_ms + part * 25 * MINUTE_MS, rng.randint(8, 16))
    return found


def holiday_cover(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Do the work of an absent colleague: other partners, other customers, the same tools."""
    partners = [f"cover-{rng.getrandbits(40):x}.example" for _ in range(rng.randint(2, 5))]
    found = list[Activity]()
    for part in range(rng.randint(2, 4)):
        found += agent.work(agent.session(), start_ms + part * 40 * MINUTE_MS, rng.randint(6, 12))
    return [replace(call, destination=rng.choice(partners)) if call.destination else call for call in found]


def clean_up(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    """Delete what a test has left behind, where the agent deletes at all."""
    calls = agent.work(agent.session(), start_ms, rng.randint(4, 8))
    if "files.delete" not in agent.role.flow:
        return calls
    session, at_ms = agent.session(), calls[-1].time_ms + 60_000
    for _ in range(rng.randint(3, 6)):
        calls.append(replace(agent.call(session, "files.delete", at_ms), outcome="ALLOW"))
        at_ms += rng.randint(2_000, 20_000)
    return calls


ODD: Mapping[str, Make] = MappingProxyType(
    {
        "paging": paging,
        "polling": polling,
        "late_work": late_work,
        "new_partner": new_partner,
        "large_payment": large_payment,
        "bulk_review": bulk_review,
        "shared_case": shared_case,
        "retries": retries,
        "failover": failover,
    }
)
"""The kinds of odd work in every fleet."""

MORE_ODD: Mapping[str, Make] = MappingProxyType(
    {
        "backfill": backfill,
        "on_call": on_call,
        "failing_tool": failing_tool,
        "month_end": month_end,
        "holiday_cover": holiday_cover,
        "clean_up": clean_up,
    }
)
"""Further kinds, that thresholds were not chosen with."""
