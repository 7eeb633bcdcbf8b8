"""Correlations are written as Sigma writes them: its own reader takes the shipped ones, but for our names of tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationType

from streams.behaviour.correlations import CorrelationType
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour

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


EXTENDED = """
- {name: many, title: Many, correlation: {type: event_count, rules: [a], group-by: [agent.id], timespan: 1h,
   condition: {gte: 3}}}
- title: Chained
  name: chained
  level: high
  correlation:
    type: temporal_ordered
    rules: [many, b, c]
    aliases: {party: {many: object.owner, b: dest.domain, c: object.id}}
    group-by: [agent.id, party]
    timespan: 1h
    condition: many and (b or not c)
    generate: true
- title: Some
  name: some
  correlation: {type: temporal, rules: [a, b, c], group-by: [agent.id], timespan: 1h, condition: {gte: 2}}
- title: Without rules
  name: named
  correlation: {type: temporal, group-by: [agent.id], timespan: 1h, condition: a and not b}
"""


def test_aliases_chains_and_conditions_in_words_are_read_as_sigma_reads_them() -> None:
    correlations = yaml.safe_load(EXTENDED)
    rules = [
        {"name": name, "title": name, "detection": {"selection": {"tool.name": name}, "condition": "selection"}}
        for name in "abc"
    ]
    assert errors_of([*({**rule, "logsource": SOURCE} for rule in rules), *correlations]) == []
    text = yaml.safe_dump({"apiVersion": "behaviour/v1", "pack": "mine", "rules": rules, "correlations": correlations})
    made = {each.name: each for each in parse_behaviour({"a.detectors.yaml": text}).declared.correlations}
    theirs = {
        rule.name: rule
        for rule in SigmaCollection.from_dicts([*({**rule, "logsource": SOURCE} for rule in rules), *correlations])
        if isinstance(rule, SigmaCorrelationRule)
    }
    for name, rule in theirs.items():
        assert rule.generate is (name == "chained")
        referred = [each.reference for each in rule.rules or ()]
        assert not referred or [each.name for each in made[name].rules] == referred
    assert [each.name for each in made["named"].rules] == ["a", "b"]
    assert made["chained"].fields_by_rule == (
        ("agent.id", "object.owner"),
        ("agent.id", "dest.domain"),
        ("agent.id", "object.id"),
    )
