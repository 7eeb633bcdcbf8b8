"""Which detectors an activity concerns, and where their rows are.

Which these are follows from what the activity has and from its tool, and few combinations occur. So each is worked out
once, and no detector is asked about every activity (ADR 0099). What they do one after the other is then one function
(ADR 0116).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import chain
from operator import or_
from typing import NamedTuple

from streams.behaviour.activity import Activity
from streams.behaviour.case import PATTERNS_MAX
from streams.behaviour.pages import Layout, Place, required_by
from streams.behaviour.signals import Detector, learns
from streams.behaviour.straight import Outcome, Pages, Plan, compiled_scoring


class Concerned(NamedTuple):
    """The detectors that an activity concerns, as functions.

    Attributes:
        learning: lets them score and learn, `scoring` lets them score alone. Both put their rows into the pages.
        plans: the detectors, in their order.
    """

    learning: Callable[[Pages, Activity], Outcome]
    scoring: Callable[[Pages, Activity], Outcome]
    plans: tuple[Plan, ...]


class Plans:
    """The detectors of a watcher."""

    def __init__(self, detectors: Iterable[Detector], layout: Layout) -> None:
        """Args:
        detectors: the detectors, in the order in which they score.
        layout: has all their places.
        """
        self._plans = tuple(_planned(each, layout) for each in detectors)
        self._tools = frozenset(chain.from_iterable(each.declaration.tools for each in self._plans))
        self._concerned: dict[tuple[int, str], Concerned] = {}
        # Many kinds of activities concern the same detectors.
        self._of_plans: dict[tuple[int, ...], Concerned] = {}

    def concerned_by(self, activity: Activity, presence: int) -> Concerned:
        """Return the detectors that an activity concerns.

        Args:
            activity: the activity.
            presence: what it has (`presence_of`).
        """
        kind = (presence, activity.tool if activity.tool in self._tools else "")
        return self._concerned.get(kind) or self._remember(kind, self.chosen_for(activity, presence))

    def chosen_for(self, activity: Activity, presence: int) -> tuple[Plan, ...]:
        """Return the detectors that an activity concerns, in their order; every detector is asked. Likewise."""
        lacks, tool = ~presence, activity.tool
        return tuple(
            plan
            for plan in self._plans
            if not plan.needs & lacks and (not plan.declaration.tools or tool in plan.declaration.tools)
        )

    def _remember(self, kind: tuple[int, str], plans: tuple[Plan, ...]) -> Concerned:
        """Return the functions of the detectors that this kind of activity concerns, and remember them."""
        # The plans live as long as this object, so their ids name them.
        ids = tuple(map(id, plans))
        made = self._of_plans.get(ids)
        if made is None:
            learning, scoring = (compiled_scoring(plans, is_taught=is_taught) for is_taught in (True, False))
            made = self._of_plans[ids] = Concerned(learning, scoring, plans)
        if len(self._concerned) >= PATTERNS_MAX:
            self._concerned.clear()
        self._concerned[kind] = made
        return made


def layout_of(detectors: Iterable[Detector], others: Iterable[tuple[Place, type]] = (), suffix: str = "") -> Layout:
    """Return the pages of some detectors.

    Args:
        detectors: the detectors.
        others: further places, with the classes of their rows.
        suffix: ends the names of the pages.
    """
    detectors = tuple(detectors)
    places = [pair for each in detectors for pair in zip(each.places, each.row_types, strict=True)]
    needs = {place: needs_of(each) for each in detectors for place in each.places}
    return Layout([*others, *places], suffix, needs)


def needs_of(detector: Detector) -> int:
    """Return bits (`presence`) of what an activity must have for a detector to concern it."""
    return reduce(or_, map(required_by, detector.places), detector.needs)


def _planned(detector: Detector, layout: Layout) -> Plan:
    return Plan(
        declaration=detector.declaration,
        faint=detector.faint,
        score=detector.score,
        learn=detector.learn if learns(detector) else None,
        slots=tuple(map(layout.slot, detector.places)),
        needs=needs_of(detector),
    )
