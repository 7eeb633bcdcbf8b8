"""A fleet over some weeks: everyday work with drift and releases, odd but honest work, and attacks."""

from __future__ import annotations

from random import Random  # noqa: TID251 - everything of a fleet is drawn from one seeded source
from typing import NamedTuple

from simulation.fleet.agents import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, Agent, Planned
from simulation.fleet.attacks import ATTACKS, NEEDS, PREFERRED_SHARE, Scene
from simulation.fleet.habits import OFFICE, Habits
from simulation.fleet.odd import MORE_ODD, ODD
from simulation.fleet.roles import ROLES
from streams.behaviour.activity import Activity

LOUD = 1.0
STEALTHY = 0.25


class Plan(NamedTuple):
    """How large a fleet is.

    Attributes:
        agents_count: how many agents there are.
        days_count: how many days it works.
        quiet_days_count: how many of the first days are without attacks.
        odd_per_agent_day: how much odd work there is.
        attacks_each: how many attacks of each kind and strength there are.
        habits: what the fleet is like.
    """

    agents_count: int = 30
    days_count: int = 28
    quiet_days_count: int = 14
    odd_per_agent_day: float = 0.06
    attacks_each: int = 2
    habits: Habits = OFFICE


PLAN = Plan()


def make_fleet(seed: int, plan: Plan = PLAN) -> list[Planned]:
    """Return everything that a fleet does, in order of time."""
    rng = Random(seed)  # noqa: S311 - a simulation that has to be repeatable
    shared = {role.name: [f"{role.name}-shared-{n}.example" for n in range(role.regulars_count)] for role in ROLES}
    agents = []
    for number in range(plan.agents_count):
        role = ROLES[number % len(ROLES)]
        own_rng = Random(rng.getrandbits(64))  # noqa: S311 - likewise
        agents.append(Agent(f"{role.name}-{number}", role, own_rng, shared[role.name], plan.habits))
    found = _everyday(agents, plan, rng)
    found += _odd(agents, plan, rng)
    found += _attacks(agents, plan, rng)
    return sorted(found, key=lambda each: (each.activity.time_ms, each.activity.event_id))


def _everyday(agents: list[Agent], plan: Plan, rng: Random) -> list[Planned]:
    found: list[Planned] = []
    habits, begins = plan.habits, _beginnings(agents, plan)
    for day in range(plan.days_count):
        is_off = day % 7 in habits.days_off
        # Some days are busy for everybody.
        busy = rng.choice(habits.busy)
        for agent in agents:
            role, agent.day = agent.role, day
            if rng.random() < habits.releases_per_day and day > 2:
                agent.release()
            if day in habits.together_days:
                agent.release()
            if day in habits.rollout_days:
                agent.roll_out(day)
            if rng.random() < 0.05:
                agent.adopt(f"{role.name}-{rng.getrandbits(40):x}.example")
            if day < begins.get(agent.name, 0):
                continue
            wanted = role.sessions_per_day * agent.activity_factor * busy * (role.weekend if is_off else 1.0)
            for _ in range(_poisson(rng, wanted)):
                hour = rng.choices(range(24), role.hours)[0] + agent.shift_hours
                start_ms = START_MS + day * DAY_MS + hour * HOUR_MS + rng.randrange(HOUR_MS)
                found += [Planned(call) for call in _task(agent, rng, start_ms)]
    return found + _jobs(agents, plan)


def _beginnings(agents: list[Agent], plan: Plan) -> dict[str, int]:
    """Return the days on which agents begin that were not there from the beginning."""
    share = plan.habits.joiners_share
    count, first = round(share * len(agents)), plan.quiet_days_count // 2
    return {agent.name: first + 3 * at for at, agent in enumerate(agents[:count])}


def _jobs(agents: list[Agent], plan: Plan) -> list[Planned]:
    """Return the nightly jobs that some agents have from a day in the middle on."""
    found = list[Planned]()
    for at, agent in enumerate(agents[: round(plan.habits.jobs_share * len(agents))]):
        for day in range(plan.quiet_days_count + at % 5, plan.days_count):
            agent.day, start_ms = day, START_MS + day * DAY_MS + 2 * HOUR_MS + at * 7 * MINUTE_MS
            found += [Planned(call) for call in agent.work(agent.session(), start_ms, 12)]
    return found


def _task(agent: Agent, rng: Random, start_ms: int) -> list[Activity]:
    session = agent.session()
    length = agent.role.calls_per_session * agent.version.length
    calls = agent.work(session, start_ms, 1 + _poisson(rng, max(0.0, length - 1)))
    if agent.role.helpers and rng.random() < 0.3:
        for _ in range(rng.randint(1, agent.role.helpers)):
            helper = agent.session(session.root, depth=2)
            calls += agent.work(helper, start_ms + rng.randrange(5 * MINUTE_MS), rng.randint(2, 6))
    return calls


def _odd(agents: list[Agent], plan: Plan, rng: Random) -> list[Planned]:
    found, kinds = list[Planned](), {**ODD, **MORE_ODD} if plan.habits.is_odder else ODD
    names = list(kinds)
    for number in range(_poisson(rng, plan.odd_per_agent_day * plan.days_count * plan.agents_count)):
        kind, agent = rng.choice(names), rng.choice(agents)
        start_ms = _at_work(agent, rng, rng.randrange(plan.days_count))
        calls = kinds[kind](agent, rng, max(start_ms, START_MS))
        found += [Planned(call, f"odd-{number}", kind) for call in calls]
    return found


def _attacks(agents: list[Agent], plan: Plan, rng: Random) -> list[Planned]:
    found, number = list[Planned](), 0
    for kind, make in ATTACKS.items():
        for strength in (LOUD, STEALTHY):
            for _ in range(plan.attacks_each):
                able = [each for each in agents if not NEEDS.get(kind, set()) or NEEDS[kind] & set(each.role.flow)]
                agent = rng.choice(able if rng.random() < PREFERRED_SHARE else agents)
                other = rng.choice([each for each in agents if each is not agent])
                day = rng.randrange(
                    plan.quiet_days_count, plan.days_count - 6 if plan.days_count > 20 else plan.days_count
                )
                number += 1
                for call in make(Scene(agent, other, rng, _at_work(agent, rng, day), strength)):
                    found.append(Planned(call, f"attack-{number}", kind, True, strength))
    return found


def _at_work(agent: Agent, rng: Random, day: int) -> int:
    """Return an instant at which the agent works, on a day or, if that is one of a weekend, two days before it."""
    day -= (day % 7 >= 5) * 2
    agent.day = day
    return START_MS + day * DAY_MS + int(rng.uniform(9, 17) * HOUR_MS) + agent.shift_hours * HOUR_MS


def _poisson(rng: Random, mean: float) -> int:
    """Return a Poisson variable, by counting arrivals."""
    count, time = -1, 0.0
    while time < mean:
        time += rng.expovariate(1.0)
        count += 1
    return count
