"""How fleets differ: time zones, weekends, sizes of payments, releases, work that begins later, and what is odd.

A detector that works on one fleet may only fit its assumptions. Each set of habits changes one of them, so that what
fails shows where.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

WEST_TO_EAST = (-9, -8, -6, -5, 0, 1, 2, 3, 5, 8, 9)


class Habits(NamedTuple):
    """What a fleet is like.

    Attributes:
        shifts: by how many hours an agent's day differs from its role's, one of these.
        days_off: the days of the week on which little is done; 0 is Monday.
        busy: how busy the days are for everybody, one of these.
        amount_spread: the standard deviation of the logarithm of amounts, and `bytes_spread` of sizes.
        price_step: what amounts are multiples of; 0 for none.
        taste_spread: how much agents of a role, and versions of an agent, differ in what they do next.
        releases_per_day: how often an agent is released.
        together_days: the days on which all agents are released.
        rollout_days: the days on which all agents of a role become the same new version, with one tool more, which
            calls a service that nobody has called before, and a liking for one of the known tools.
        release_spread: how much a release changes beside tastes: how long sessions are, how much calls carry and how
            slowly they follow each other; each second one brings a tool, and each second one a liking for a known one.
            0 for nothing of it.
        joiners_share: how many agents begin in the second half of the quiet time or later.
        jobs_share: how many agents get a nightly job on a day in the middle.
        has_types: whether agents are compared with others of their role.
        is_odder: whether there are further kinds of odd work.
    """

    shifts: tuple[int, ...] = (0, 0, 0, 1, -1)
    days_off: tuple[int, ...] = (5, 6)
    busy: tuple[float, ...] = (0.8, 1.0, 1.0, 1.1, 1.6)
    amount_spread: float = 0.7
    bytes_spread: float = 0.8
    price_step: float = 0.0
    taste_spread: float = 0.25
    releases_per_day: float = 1 / 25
    together_days: tuple[int, ...] = ()
    rollout_days: tuple[int, ...] = ()
    release_spread: float = 0.0
    joiners_share: float = 0.0
    jobs_share: float = 0.0
    has_types: bool = True
    is_odder: bool = False


OFFICE = Habits()
HABITS: Mapping[str, Habits] = MappingProxyType(
    {
        "office": OFFICE,
        "time zones": Habits(shifts=WEST_TO_EAST),
        "Friday and Saturday off": Habits(days_off=(4, 5)),
        "bursty days": Habits(busy=(0.2, 0.5, 1.0, 1.0, 1.5, 2.5)),
        "wide amounts": Habits(amount_spread=1.3, bytes_spread=1.4),
        "price list": Habits(amount_spread=0.5, price_step=500.0),
        "many releases": Habits(releases_per_day=1 / 6, taste_spread=0.4, together_days=(10, 17, 21)),
        "thorough releases": Habits(releases_per_day=1 / 9, taste_spread=0.5, release_spread=0.4),
        "rollouts": Habits(rollout_days=(5, 12, 18, 23)),
        "joiners": Habits(joiners_share=0.3),
        "new nightly jobs": Habits(jobs_share=0.3),
        "no types": Habits(has_types=False),
        "more odd work": Habits(is_odder=True),
    }
)
"""Habits by name; "office" is what thresholds were chosen with."""
