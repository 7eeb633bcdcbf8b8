"""Which incident a finding belongs to, and whose incident that is.

What is found of a delegation is an incident of its root in any case: a storm of many agents is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from streams.behaviour import growth
from streams.behaviour.activity import MEASURES, Activity
from streams.behaviour.correlations import Correlation, value_text
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import RISK

ROOT = "delegation.root"
PLACE_FIELD = "dest.domain"
OF_PLACES = frozenset({"agent.id", PLACE_FIELD})
ABOUT_PLACES = frozenset({"new_contact", "odd_contact"})
"""Kinds whose findings are about one new place of an agent."""
SAY_PLACES = ABOUT_PLACES | {"new_terms", "dest_daily"}
"""Kinds that say of a place how new it is, or how much it gets. What correlations of these fields find by such signals
alone is about a new place as well."""
INCIDENTS: Mapping[str, str] = MappingProxyType(
    {
        "egress": "egress",
        "new_contact": "egress",
        "dest_daily": "egress",
        "fan_out": "fan_out",
        "rate_nb": "rate_nb",
        "loop": "loop",
        "arg_cusum": "creep",
        "arg_trend": "creep",
        "odd_contact": "egress",
        "returns": "creep",
    }
)
"""Kinds of which several detectors find one incident, and its name: they look at the same with windows of different
widths, find that data leaves, by how much there is and by where it goes, or what a session comes back to. Who is paid
ever more is come back to as well."""


def incident_of(name: str, kind: str) -> str:
    """Return what tells the incident of a detector or correlation apart from others about the same agent."""
    return INCIDENTS.get(kind, name)


class Incidents:
    """The incidents of what is declared.

    Attributes:
        by_name: the name of the incident that each detector and each correlation finds. That of a risk is its own name.
        of_places: the names of the detectors and correlations whose findings are about one new place.
    """

    by_name: Mapping[str, str]
    of_places: frozenset[str]

    def __init__(self, detectors: Sequence[Declaration], correlations: Sequence[Correlation], whose: str) -> None:
        """Args:
        detectors: the declared detectors, risks among them.
        correlations: the declared correlations.
        whose: the field that tells incidents apart, beside the session, unless they are of a root.
        """
        self._whose = whose
        self._kinds = {each.name: each.kind for each in detectors if each.kind != RISK}
        self._of_roots = {each.name for each in detectors if ROOT in each.key}
        self._of_roots |= {each.name for each in correlations if ROOT in each.group_by}
        self.by_name = {name: incident_of(name, kind) for name, kind in self._kinds.items()} | {
            each.name: each.incident or each.name for each in correlations
        }
        signals = frozenset(
            f"signal.{each.name}" for each in detectors if each.kind in SAY_PLACES and each.term == PLACE_FIELD
        )
        self.of_places = frozenset(name for name, kind in self._kinds.items() if kind in ABOUT_PLACES) | {
            each.name for each in correlations if _is_of_place(each, signals)
        }

    def owner_of(self, name: str, activity: Activity) -> str:
        """Return whose incident it is that something with this name has found: an agent's, or that of a root."""
        return value_text(ROOT if name in self._of_roots else self._whose, activity)

    def kind_of(self, name: str) -> str:
        """Return the kind of what has found something; that of correlations and risk makes no difference to latches."""
        return self._kinds.get(name, growth.KIND if name == growth.NAME else "correlation")


def _is_of_place(it: Correlation, signals: frozenset[str]) -> bool:
    """Return whether a correlation finds nothing but that an agent begins to call a place.

    One that also looks at something else, such as what was refused or which tool was used, tells another story of the
    place. Whoever knows that the place is new does not know that one.
    """
    asked = [{test.field for test in rule.tests} for rule in it.rules]
    # Not `|`: of a frozen set and the keys of a mapping, Python makes a set, and compiled code takes mypy's word.
    of_places = signals.union(MEASURES)
    return {*it.group_by} == OF_PLACES and all(
        not fields.isdisjoint(signals) and fields <= of_places for fields in asked
    )
