"""`ops/siem`: the Sigma rules find what they are for in events of a real gate, and the other forms ask for the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.rule import SigmaRule
from sigma.types import SigmaCompareExpression, SigmaExists, SigmaNumber, SigmaString

from simulation.records import ruleset
from streams.model.alert import Severity
from streams.model.analytics import ANALYTICS
from streams.model.topics import ALERT_OCSF, INTENT, RULESET
from streams.processors.dead_letters import UNREADABLE_TOLD_FROM
from tests.kit import BUNDLE, GATE_SETTINGS, MAIL_SEND, GateBench
from tests.ocsf import faults
from tests.unit.processors.gate.test_alerts import ATTACKER, RULES

FOLDER = Path(__file__).resolve().parents[3] / "ops" / "siem"
NAMES = sorted(path.stem for path in (FOLDER / "sigma").iterdir())
Event = dict[str, Any]


def denied(bench: GateBench) -> None:
    bench.propose(MAIL_SEND, ATTACKER)


def forged(bench: GateBench) -> None:
    bench.propose(unproven={"turn": 77})


def tampered(bench: GateBench) -> None:
    bench.driver.pipe(RULESET.name, b"default", msgspec.structs.replace(ruleset({"bundle.yaml": BUNDLE}), serial=-1))


def flooded(bench: GateBench) -> None:
    for _ in range(30):
        bench.propose(MAIL_SEND, ATTACKER)


def exhausted(bench: GateBench) -> None:
    for _ in range(3):
        bench.propose(MAIL_SEND, {"to": "bob@example.com"})


def garbled(bench: GateBench) -> None:
    for _ in range(UNREADABLE_TOLD_FROM):
        bench.driver.pipe(INTENT.name, bench.session.key, b"nonsense")


STORIES: dict[str, tuple[Callable[[GateBench], None], int]] = {
    "stoplog-call-denied": (denied, 1),
    "stoplog-exfiltration-attempt": (denied, 1),
    "stoplog-forged-request": (forged, 1),
    "stoplog-control-tampering": (tampered, 1),
    "stoplog-flood": (flooded, 1),
    "stoplog-budget-or-rule-fault": (exhausted, 1),
    "stoplog-own-fault": (garbled, 1),
}
"""What each rule is for, and how many of the events it finds."""


@cache
def events_of(story: Callable[[GateBench], None]) -> tuple[Event, ...]:
    bench = GateBench(with_rules=False)
    bench.driver.pipe(RULESET.name, b"default", ruleset({"bundle.yaml": BUNDLE, "testing/t.rules.yaml": RULES}))
    story(bench)
    bench.wait(GATE_SETTINGS.alert_window_ms)
    events = tuple(json.loads(found.value or b"") for found in bench.driver.read_raw(ALERT_OCSF.name))
    assert events
    assert [faults(event) for event in events] == [[] for _ in events]
    return events


@cache
def sigma_rule(name: str) -> SigmaRule:
    (rule,) = SigmaCollection.from_yaml((FOLDER / "sigma" / f"{name}.yml").read_text()).rules
    assert isinstance(rule, SigmaRule)
    assert rule.errors == []
    return rule


def values_at(found: object, path: list[str]) -> Iterator[object]:
    """The values at a path; of a list, those of all items."""
    if isinstance(found, list):
        for item in found:
            yield from values_at(item, path)
    elif not path:
        yield found
    elif isinstance(found, dict) and path[0] in found:
        yield from values_at(found[path[0]], path[1:])


def holds(condition: object, event: Event) -> bool:
    if isinstance(condition, ConditionAND):
        return all(holds(each, event) for each in condition.args)
    if isinstance(condition, ConditionOR):
        return any(holds(each, event) for each in condition.args)
    if isinstance(condition, ConditionNOT):
        return not any(holds(each, event) for each in condition.args)
    assert isinstance(condition, ConditionFieldEqualsValueExpression), condition
    found, value = list(values_at(event, condition.field.split("."))), condition.value
    if isinstance(value, SigmaExists):
        return bool(found) is bool(value)
    if isinstance(value, SigmaCompareExpression):
        assert value.op is SigmaCompareExpression.CompareOperators.GTE
        return any(isinstance(each, int) and each >= value.number.number for each in found)
    if isinstance(value, SigmaNumber):
        return value.number in found
    assert isinstance(value, SigmaString), value
    return any(str(each).lower() == str(value).lower() for each in found)


def hits(name: str, story: Callable[[GateBench], None]) -> list[Event]:
    (condition,) = sigma_rule(name).detection.parsed_condition
    return [event for event in events_of(story) if holds(condition.parsed, event)]


def terms(condition: object) -> Iterator[tuple[str, str]]:
    """The field and the value of every comparison."""
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        value = condition.value
        if isinstance(value, SigmaExists):
            yield condition.field, "*"
        elif isinstance(value, SigmaCompareExpression):
            yield condition.field, f">={value.number}"
        else:
            yield condition.field, str(value)
        return
    assert isinstance(condition, (ConditionAND, ConditionOR, ConditionNOT))
    for each in condition.args:
        yield from terms(each)


def sigma_terms(name: str) -> set[tuple[str, str]]:
    (condition,) = sigma_rule(name).detection.parsed_condition
    return set(terms(condition.parsed))


_SPL = re.compile(r'([a-z_.{}]+)(?:=("[^"]*"|[^\s"]+)|(>=)(\d+)| IN \(([^)]*)\))')
_KQL = re.compile(r'([a-z_.]+)(?:: ("[^"]*"|[^\s"(]+)| (>=) (\d+)|: \(([^)]*)\))')


def text_terms(pattern: re.Pattern[str], text: str) -> set[tuple[str, str]]:
    found = set()
    for field, value, op, number, several in pattern.findall(text):
        name = field.replace("{}", "")
        values = re.findall(r'"([^"]*)"', several) if several else [f"{op}{number}" if op else value.strip('"')]
        found.update((name, each) for each in values)
    return found


@cache
def saved_searches() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(FOLDER / "splunk" / "savedsearches.conf")
    return parser


def test_every_rule_has_a_story_and_every_form() -> None:
    assert set(STORIES) == set(NAMES) == set(saved_searches().sections())
    assert {path.stem for path in (FOLDER / "elastic").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_valid_and_finds_what_it_is_for(name: str) -> None:
    rule = sigma_rule(name)
    assert (rule.logsource.product, rule.logsource.service) == ("stoplog", "ocsf")
    story, count = STORIES[name]
    assert len(hits(name, story)) == count


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_nothing_in_what_others_are_for(name: str) -> None:
    own, _ = STORIES[name]
    overlapping = {denied, flooded} if own in {denied, flooded} else {own}
    for story, _ in STORIES.values():
        if story not in overlapping:
            assert hits(name, story) == [], story


@pytest.mark.parametrize("name", NAMES)
def test_splunk_and_elastic_ask_for_the_same(name: str) -> None:
    search, _, shown = saved_searches()[name]["search"].partition("|")
    assert text_terms(_SPL, search) == sigma_terms(name)
    assert text_terms(_KQL, (FOLDER / "elastic" / f"{name}.kql").read_text()) == sigma_terms(name)
    # Each field that is shown is in the events.
    (event, *_) = hits(name, STORIES[name][0])
    fields = [field.strip() for field in shown.removeprefix(" table ").split(",")]
    missing = [f for f in fields if f != "_time" and not list(values_at(event, f.replace("{}", "").split(".")))]
    assert missing in ([], ["evidences{}.actor.app_name"])


def test_what_counts_as_forged_is_what_the_code_says() -> None:
    forgeries = {uid for uid, kind in ANALYTICS.items() if kind.severity_id == Severity.HIGH and "ASI03" in kind.types}
    assert {
        value for field, value in sigma_terms("stoplog-forged-request") if field.endswith("analytic.uid")
    } == forgeries
