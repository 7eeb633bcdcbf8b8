"""A bureau over some weeks: everyday work on schedules, odd but honest work, and attacks."""

from __future__ import annotations

from math import pi, sin
from random import Random  # noqa: TID251 - everything of a bureau is drawn from one seeded source
from typing import NamedTuple

from simulation.bureau.desks import DESKS
from simulation.bureau.extras import ABUSES, ODD, Plot
from simulation.bureau.workers import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, Worker
from simulation.fleet.agents import Planned
from streams.behaviour.activity import Activity

LOUD, STEALTHY = 1.0, 0.25


class Size(NamedTuple):
    """How large a bureau is: agents of each desk, days, days without attacks, odd work of an agent and day, attacks of
    each kind and strength, and whether one desk begins to work at night with a release."""

    agents_each: int = 4
    days: int = 28
    quiet_days: int = 14
    odd_per_agent_day: float = 0.05
    attacks_each: int = 2
    has_new_nights: bool = False


SIZE = Size()


def make_bureau(seed: int, size: Size = SIZE) -> list[Planned]:
    """Return everything that a bureau does, in order of time."""
    rng = Random(seed)  # noqa: S311 - a simulation that has to be repeatable
    workers = []
    for desk in DESKS:
        partners = [f"{desk.name}-partner{n}.example.net" for n in range(14)]
        for number in range(size.agents_each):
            own = Random(rng.getrandbits(64))  # noqa: S311 - likewise
            workers.append(Worker(f"{desk.name}{number}", desk, own, rng.sample(partners, 8)))
    found = [Planned(call) for day in range(size.days) for call in _day(workers, rng, day, size)]
    for number in range(int(size.odd_per_agent_day * size.days * len(workers))):
        kind, worker = rng.choice(list(ODD)), rng.choice(workers)
        calls = ODD[kind](worker, _daytime(worker, rng, rng.randrange(2, size.days - 4)))
        found += [Planned(call, f"odd {number}", kind) for call in calls]
    number = 0
    for kind, make in ABUSES.items():
        for strength in (LOUD, STEALTHY):
            for _ in range(size.attacks_each):
                it, number = rng.choice(workers), number + 1
                other = rng.choice([each for each in workers if each is not it])
                day = rng.randrange(size.quiet_days, size.days - 6)
                calls = make(Plot(it, other, _daytime(it, rng, day), strength))
                found += [Planned(call, f"abuse {number}", kind, True, strength) for call in calls]
    return sorted(found, key=lambda each: (each.activity.time_ms, each.activity.event_id))


def _day(workers: list[Worker], rng: Random, day: int, size: Size) -> list[Activity]:
    found, mood = list[Activity](), rng.lognormvariate(0.0, 0.2)
    begin_ms = START_MS + day * DAY_MS
    for worker in workers:
        desk = worker.desk
        if day > 3 and rng.random() < 1 / 20:
            worker.release()
        # Mondays are full, and there is a little more to do every day.
        share = desk.weekend if day % 7 >= 5 else 1.3 if day % 7 == 0 else 1.0
        wanted = desk.cases_per_day * worker.pace * mood * share * 1.01**day
        count = max(0, round(rng.gauss(wanted, wanted**0.5)))
        for _ in range(count):
            found += worker.work(begin_ms + _hour_ms(worker, rng))
        if size.has_new_nights and desk.name == "insight" and day >= size.quiet_days + 2:
            if day == size.quiet_days + 2:
                worker.release()
            for part in range(3):
                found += worker.work(begin_ms + 3 * HOUR_MS + part * 4 * MINUTE_MS + rng.randrange(MINUTE_MS))
    return found


def _hour_ms(worker: Worker, rng: Random) -> int:
    """Return a time of the day: in the hours of the desk with a rest at noon, or around the clock."""
    desk = worker.desk
    if desk.opens == desk.closes:
        return rng.randrange(24) * HOUR_MS + rng.randrange(HOUR_MS)
    length = desk.closes - desk.opens
    while True:
        part = rng.random()
        if rng.random() < 0.35 + 0.65 * abs(sin(2 * pi * part)):
            return int((desk.opens + worker.early_hours + part * length) * HOUR_MS)


def _daytime(worker: Worker, rng: Random, day: int) -> int:
    """Return an instant at which an agent works, on a day or, if that is one of a weekend, two days before it."""
    day -= 2 * (day % 7 >= 5)
    return START_MS + day * DAY_MS + _hour_ms(worker, rng)
