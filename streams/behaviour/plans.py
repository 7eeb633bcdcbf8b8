"""Which detectors an activity concerns, and where their rows are.

Which these are follows from what the activity has and from its tool, and few combinations occur. So each is worked out
once, and no detector is asked about every activity (ADR 0099).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from streams.behaviour.activity import Activity
from streams.behaviour.case import PATTERNS_MAX
from streams.behaviour.declarations import Declaration
from streams.behaviour.pages import Layout
from streams.behaviour.presence import presence_of
from streams.behaviour.signals import Detector, Rows, Scored, learns


class Plan(NamedTuple):
    """A detector, and where its rows are.

    Attributes:
        faint: the score from which on it is reported.
        score: how it scores, and `learn` how it learns; None if it does not.
        rows_of: finds its rows among the rows of all pages of an activity.
        positions: where its rows stand there.
        shapes: a bit for each shape of its pages.
        needs: a bit for each thing that an activity must have.
    """

    declaration: Declaration
    faint: float
    score: Callable[[Rows, Activity], Scored]
    learn: Callable[[Rows, Activity, Any], Rows] | None
    rows_of: Callable[[list[Any]], Rows]
    positions: tuple[int, ...]
    shapes: int
    needs: int


class Concerned(NamedTuple):
    """The detectors that an activity concerns.

    Attributes:
        plans: the detectors.
        rows_of: finds their rows among the rows of all pages, one after the other.
        page_bits: a bit for the page of each of these rows.
        put_back: makes, of their rows one after the other and of all rows as they were, all rows as they are.
    """

    plans: tuple[Plan, ...]
    rows_of: Callable[[list[Any]], Rows]
    page_bits: tuple[int, ...]
    put_back: Callable[[list[Any]], tuple[Any, ...]]


class Plans:
    """The detectors of a watcher."""

    def __init__(self, detectors: Iterable[Detector], layout: Layout) -> None:
        """Args:
        detectors: the detectors, in the order in which they score.
        layout: has all their places.
        """
        self._plans = tuple(_planned(each, layout) for each in detectors)
        self._tools = frozenset(chain.from_iterable(each.declaration.tools for each in self._plans))
        self._page_bits = tuple(
            1 << number for number, (start, end) in enumerate(layout.spans) for _ in range(start, end)
        )
        self._concerned: dict[tuple[int, int, str], Concerned] = {}

    def concerned_by(self, activity: Activity, missing: int) -> Concerned:
        """Return the detectors that an activity concerns.

        Args:
            activity: the activity.
            missing: a bit for each shape of the layout of which it has no page.
        """
        kind = (presence_of(activity), missing, activity.tool if activity.tool in self._tools else "")
        return self._concerned.get(kind) or self._concerned_by_all_of(kind)

    def _concerned_by_all_of(self, kind: tuple[int, int, str]) -> Concerned:
        """Return the detectors that this kind of activity concerns, and remember them."""
        has, missing, tool = kind
        plans = tuple(
            plan
            for plan in self._plans
            if not (missing & plan.shapes or plan.needs & ~has)
            and (not plan.declaration.tools or tool in plan.declaration.tools)
        )
        positions = [position for plan in plans for position in plan.positions]
        where = {position: at for at, position in enumerate(positions)}
        put_back = itemgetter(*(where.get(at, len(positions) + at) for at in range(len(self._page_bits))))
        if len(self._concerned) >= PATTERNS_MAX:
            self._concerned.clear()
        page_bits = tuple(self._page_bits[position] for position in positions)
        made = self._concerned[kind] = Concerned(plans, _reader(positions), page_bits, put_back)
        return made


def _planned(detector: Detector, layout: Layout) -> Plan:
    slots = tuple(map(layout.slot, detector.places))
    positions = tuple(slot.position for slot in slots)
    return Plan(
        declaration=detector.declaration,
        faint=detector.faint,
        score=detector.score,
        learn=detector.learn if learns(detector) else None,
        rows_of=_reader(positions),
        positions=positions,
        shapes=sum(1 << shape for shape in {slot.shape for slot in slots}),
        needs=detector.needs,
    )


def _reader(positions: Sequence[int]) -> Callable[[list[Any]], Rows]:
    """Return what reads the rows at some positions."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda flat: tuple([flat[position] for position in positions])
