"""Correlations are written as Sigma writes them: its own reader takes the shipped ones, but for our names of tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationType

from streams.behaviour.correlations import CorrelationType
from streams.policy.language.bundle import load_detector_files

RULES = Path(__file__).parents[4] / "rules"
SOURCE = {"product": "stoplog", "service": "behaviour"}


def documents() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for text in load_detector_files(RULES).values():
        read = yaml.safe_load(text)
        found += [{**rule, "logsource": SOURCE} for rule in read.get("rules", ())]
        for correlation in read.get("correlations", ()):
            # A tag of Sigma has a namespace; those of OWASP and ATLAS are used here as they are published.
            found.append({name: value for name, value in correlation.items() if name != "tags"})
    return found


def errors_of(given: list[dict[str, Any]]) -> list[str]:
    return [str(error) for rule in SigmaCollection.from_dicts(given, collect_errors=True) for error in rule.errors]


def test_the_shipped_correlations_are_valid_sigma() -> None:
    given = documents()
    assert errors_of(given) == []
    rules = list(SigmaCollection.from_dicts(given))
    assert sum(isinstance(rule, SigmaCorrelationRule) for rule in rules) >= 2


def test_its_reader_does_refuse_something() -> None:
    given = documents()
    bad = {**given[-1], "correlation": {**given[-1]["correlation"], "type": "sometimes"}}
    assert errors_of([*given[:-1], bad])


def test_the_types_are_those_of_sigma() -> None:
    theirs = {each.name.lower() for each in SigmaCorrelationType}
    assert {each.value for each in CorrelationType} == theirs
