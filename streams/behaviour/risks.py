"""The risks of whom an activity is about: signals raise them, and time lowers them (see `detectors.risk`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.behaviour.case import Case
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import RISK
from streams.behaviour.detectors.risk import RiskRow, accumulated, risk_of
from streams.behaviour.findings import Finding, finding_of
from streams.behaviour.pages import Layout, Place
from streams.behaviour.signals import Signal, explained


class RaisedRisk(NamedTuple):
    """A risk after an activity that has raised it.

    Attributes:
        key: the fields of whom it is the risk, as declared.
        share: the risk as a share of its threshold.
        half_life_ms: how fast it fades.
    """

    key: tuple[str, ...]
    share: float
    half_life_ms: int


class RisksAfter(NamedTuple):
    """The risks after an activity.

    Attributes:
        findings: those that are to be reported.
        scores: each of them, as correlations name it.
        raised: those that are above zero.
    """

    findings: list[Finding]
    scores: Mapping[str, float]
    raised: tuple[RaisedRisk, ...] = ()


NONE_RAISED = RisksAfter([], {})
"""Without signals there is no risk to be raised. Nobody changes it."""


def risk_places(declared: Iterable[Declaration]) -> dict[Place, Declaration]:
    """Return the declared risks, each by where its row is."""
    return {Place(each.key, each.name, is_required=False): each for each in declared if each.kind == RISK}


class Risks:
    """The declared risks. Their rows are in the pages of a case."""

    def __init__(self, places: Mapping[Place, Declaration], layout: Layout, incidents: Mapping[str, str]) -> None:
        """Args:
        places: the declared risks (`risk_places`).
        layout: has their places.
        incidents: the names of the incidents that detectors find.
        """
        self._risks = tuple((each, layout.slot(place)) for place, each in places.items())
        self._incidents = incidents

    def evidence(self, case: Case) -> list[tuple[RiskRow | None, int]]:
        """Return the evidence for each risk before the activity, with how fast it fades."""
        return [(case.row(slot), risk.half_life_ms) for risk, slot in self._risks]

    def add(self, case: Case, signals: tuple[Signal, ...]) -> RisksAfter:
        """Add signals to the risks of whom the activity is about.

        Args:
            case: the activity; its rows of risks are changed.
            signals: what detectors say about it, as it counts in risk.
        """
        found, scores, risen, activity = [], {}, [], case.activity
        for it, slot in self._risks:
            row = accumulated(case.row(slot), signals, activity.time_ms, it.half_life_ms)
            case.put(slot, row)
            risk = risk_of(row, activity.time_ms, it.half_life_ms, it.allowance, self._incidents)
            scores[f"risk.{it.name}"] = risk.total
            if risk.total > 0:
                risen.append(RaisedRisk(it.key, risk.total / it.threshold, it.half_life_ms))
            if it.alerts and risk.total >= it.threshold:
                words = {"sum": risk.total, "causes": ", ".join(risk.causes)}
                text = "; ".join([explained(it.explain, activity, words), *(each.explain for each in signals[:3])])
                found.append(finding_of(it, risk.total, text, activity, case.events))
        return RisksAfter(found, scores, tuple(risen))
