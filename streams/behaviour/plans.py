"""Which detectors an activity concerns, and where their rows are.

Which these are follows from what the activity has and from its tool, and few combinations occur. So each is worked out
once, and no detector is asked about every activity (ADR 0099). What they do one after the other is then one function
(ADR 0116).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

from streams.behaviour.activity import Activity
from streams.behaviour.case import PATTERNS_MAX
from streams.behaviour.pages import Layout
from streams.behaviour.presence import presence_of
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
        self._concerned: dict[tuple[int, int, str], Concerned] = {}
        # Many kinds of activities concern the same detectors.
        self._of_plans: dict[tuple[int, ...], Concerned] = {}

    def concerned_by(self, activity: Activity, missing: int) -> Concerned:
        """Return the detectors that an activity concerns.

        Args:
            activity: the activity.
            missing: a bit for each shape of the layout of which it has no page.
        """
        kind = (presence_of(activity), missing, activity.tool if activity.tool in self._tools else "")
        return self._concerned.get(kind) or self._remember(kind, self.chosen_for(activity, missing))

    def chosen_for(self, activity: Activity, missing: int) -> tuple[Plan, ...]:
        """Return the detectors that an activity concerns, in their order; every detector is asked.

        Args:
            activity: the activity.
            missing: see `concerned_by`.
        """
        lacks, tool = ~presence_of(activity), activity.tool
        return tuple(
            plan
            for plan in self._plans
            if not (missing & plan.shapes or plan.needs & lacks)
            and (not plan.declaration.tools or tool in plan.declaration.tools)
        )

    def _remember(self, kind: tuple[int, int, str], plans: tuple[Plan, ...]) -> Concerned:
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


def _planned(detector: Detector, layout: Layout) -> Plan:
    slots = tuple(map(layout.slot, detector.places))
    return Plan(
        declaration=detector.declaration,
        faint=detector.faint,
        score=detector.score,
        learn=detector.learn if learns(detector) else None,
        slots=slots,
        shapes=sum(1 << shape for shape in {slot.shape for slot in slots}),
        needs=detector.needs,
    )
