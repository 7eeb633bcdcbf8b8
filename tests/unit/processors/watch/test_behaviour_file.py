"""The files that declare behaviour: the shipped one is accepted, and every error names its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.behaviour.declarations import KINDS
from streams.policy.errors import BundleError, PolicyError
from streams.policy.language.bundle import BundleReadError, load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour

RULES = Path(__file__).parents[4] / "rules"
HEAD = "apiVersion: behaviour/v1\npack: mine\n"
LOOP = "  - {name: loop, detector: loop, key: [session.id], threshold: 10, explain: x}\n"
RULE = "rules:\n  - name: denied\n    detection: {selection: {verdict.outcome: DENY}, condition: selection}\n"


def correlation(body: str) -> str:
    return f"correlations:\n  - title: t\n    name: c\n    correlation: {{rules: [denied], timespan: 5m, {body}}}\n"


def errors_of(text: str) -> str:
    with pytest.raises(BundleError) as caught:
        parse_behaviour({"a.detectors.yaml": HEAD + text})
    return str(caught.value)


def test_the_shipped_files_declare_every_kind() -> None:
    parsed = parse_behaviour(load_detector_files(RULES))
    assert {each.kind for each in parsed.declared.detectors} == set(KINDS)
    assert all(each.explain and each.tags for each in parsed.declared.detectors if each.alerts)
    assert all(each.title for each in parsed.declared.detectors if each.alerts)


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(BundleReadError, match=r"there is no folder `.*/nowhere`"):
        load_detector_files(tmp_path / "nowhere")
    with pytest.raises(BundleReadError, match=r"contains 0 files `\*\.detectors\.yaml`: 1 to"):
        load_detector_files(tmp_path)


def test_a_correlation_may_name_a_rule_of_another_file() -> None:
    files = {
        "b.detectors.yaml": HEAD + RULE,
        "a.detectors.yaml": HEAD + correlation("type: event_count, group-by: [agent.id], condition: {gte: 3}"),
    }
    assert parse_behaviour(files).declared.correlations[0].conditions == (("gte", 3.0),)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("detectors:\n  - {detector: loops}\n", "a.detectors.yaml:4:16: error: there is no detector `loops`"),
        ("detectors:\n  - {detector: loop, name: x}\n", "needs the key `threshold`"),
        ("detectors:\n" + LOOP + LOOP, "`loop` is declared twice, first at a.detectors.yaml:4:6"),
        ("detectors:\n" + LOOP.replace("session.id", "session.ids"), "did you mean `session.id`?"),
        ("detectors:\n" + LOOP.replace("10", "many"), "`threshold` must be a number"),
        ("detectors:\n" + LOOP.replace("10", "0"), "`threshold` must be above 0"),
        ("detectors:\n" + LOOP.replace("explain: x", "explain: '{bits} bits'"), "`explain` names `bits`"),
        ("detectors:\n" + LOOP.replace("threshold", "value: call.amount, threshold"), "has no key `value`"),
        ("features:\n  amounts: []\n", "there is no feature `amounts`"),
        ("features:\n  amount: [{tools: [a.b], arg: amount}]\n", "must be a JSON pointer"),
        ("features:\n  owner: [{tools: [a.b]}]\n", "must have either `arg`, the place of an argument, or `role`"),
        ("features:\n  owner: [{tools: [a.b], arg: /a, role: OWNER}]\n", "must have either `arg`"),
        ("features:\n  owner: [{tools: [a.b], role: CUSTOMER}]\n", "`role` must be one of TARGET, DESTINATION"),
        (RULE.replace("verdict.outcome", "signal.nothing"), "there is no `signal.nothing`"),
        (RULE.replace("verdict.outcome", "verdict.outcome|like"), "there is no modifier `like`"),
        (RULE.replace("condition: selection", "condition: all of them"), "`condition` must be `selection` here"),
        (correlation("type: temporal, group-by: [agent.id]"), "there is no rule `denied`"),
        (RULE + correlation("type: sum, group-by: [agent.id]"), "`type` must be one of event_count"),
        (RULE + correlation("type: event_count, group-by: [agent.id]"), "needs a `condition`"),
        (
            RULE + correlation("type: event_count, group-by: [agent.id], condition: {gte: 5000}"),
            "must be compared with less than 256",
        ),
        (
            RULE + correlation("type: value_sum, group-by: [agent.id], condition: {gte: 5, field: tool.name}"),
            "`field` names `tool.name`",
        ),
        (
            RULE + correlation("type: value_percentile, group-by: [agent.id], condition: {gte: 5, field: call.bytes}"),
            "needs the key `percentile`",
        ),
        (
            # What it needs is forgotten by then.
            RULE + correlation("type: event_count, group-by: [agent.id], condition: {gte: 5}, x-latch: 46d"),
            "`x-latch` must be a duration up to 45d such as",
        ),
    ],
)
def test_an_error_says_what_is_wrong_and_where(text: str, wanted: str) -> None:
    found = errors_of(text)
    assert wanted in found
    assert found.startswith("declarations of behaviour rejected: ")
    assert "a.detectors.yaml:" in found


def test_a_folder_without_declarations_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"contains 0 files `\*\.detectors\.yaml`"):
        load_detector_files(tmp_path)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "mine.detectors.yaml").write_text("x: 1")
    assert load_detector_files(tmp_path) == {"pack/mine.detectors.yaml": "x: 1"}


def of_rules(body: str, *, count: int = 2, more: str = "") -> str:
    """Rules `r0`, `r1` and so on, and a correlation `c`."""
    rules = "".join(
        f"  - {{name: r{at}, detection: {{selection: {{tool.name: r{at}}}, condition: selection}}}}\n"
        for at in range(count)
    )
    found = f"  - {{title: t, name: c, correlation: {{timespan: 5m, group-by: [agent.id], {body}}}}}\n"
    return f"rules:\n{rules}correlations:\n{found}{more}"


def other(name: str, rule: str, fields: str = "agent.id") -> str:
    body = f"type: event_count, rules: [{rule}], condition: {{gte: 2}}, timespan: 5m, group-by: [{fields}]"
    return f"  - {{title: t, name: {name}, correlation: {{{body}}}}}\n"


LONG = [f"r{at}" for at in range(9)]
CHAIN = "".join(other(f"d{at}", f"d{at + 1}") for at in range(8)) + other("d8", "r0")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (of_rules("type: temporal, rules: [r0, r1], condition: r0 and r2"), "the condition names `r2`"),
        (of_rules("type: temporal, rules: [r0, r1], condition: r0"), "the condition does not name `r1`"),
        (of_rules("type: temporal, rules: [r0, r1], condition: not r0 or r1"), "would hold if no rule had matched"),
        (of_rules("type: temporal, rules: [r0, r1], condition: r0 r1"), "goes on after its end, with `r1`"),
        (of_rules("type: temporal, rules: [r0, r1], condition: (r0 and r1"), "is not closed"),
        (
            of_rules("type: temporal, rules: [r0, r1], condition: r0 and r1 or"),
            "needs the name of a rule",
        ),
        (of_rules("type: temporal, rules: [r0, r1], condition: 1 of r*"), "a condition consists of names of rules"),
        (of_rules(f"type: temporal, rules: [r0], condition: '{'(' * 40}r0{')' * 40}'"), "at most 16 levels deep"),
        (of_rules(f"type: temporal, rules: [r0], condition: {'not ' * 40}r0"), "at most 16 levels deep"),
        (of_rules(f"type: temporal, rules: [r0], condition: {' and '.join(['r0'] * 65)}"), "may name at most 64 rules"),
        (
            of_rules(f"type: temporal_ordered, rules: [{', '.join(LONG)}], condition: {' and '.join(LONG)}", count=9),
            "at most 8 rules in an order",
        ),
        (of_rules("type: temporal, rules: [r0, r1], condition: {gte: 3}"), "whole number from 1 to 2"),
        (of_rules("type: temporal_ordered, rules: [r0, r1], condition: {gt: 2}"), "whole number from 1 to 2"),
        (of_rules("type: temporal, rules: [r0, r1], condition: {eq: 0}"), "`condition` can never hold"),
        (of_rules("type: event_count, rules: [r0], condition: {eq: 0}"), "`condition` can never hold"),
        (of_rules("type: event_count, rules: [r0], condition: {gt: 5, lt: 6}"), "`condition` can never hold"),
        (of_rules("type: event_count, rules: [r0], condition: {eq: 2.5}"), "`condition` can never hold"),
        (of_rules("type: event_count, rules: [r0], condition: r0"), "`condition` must be a mapping"),
        (of_rules("type: event_count, condition: {gte: 2}"), "`correlation` needs the key `rules`"),
        (of_rules("type: temporal, rules: [r0, r1], generate: perhaps"), "`generate` must be true or false"),
        (of_rules("type: temporal, rules: [r0, r1], aliases: {who: {r0: object.owner}}"), "needs the key `r1`"),
        (of_rules("type: temporal, rules: [r0], aliases: {who: {r0: nobody}}"), "`r0` names `nobody`"),
        (of_rules("type: temporal, rules: [r0], aliases: {who: {r0: object.owner, r1: agent.id}}"), "has no key `r1`"),
        (of_rules("type: temporal, rules: [r0], aliases: {agent.id: {r0: object.owner}}"), "has the name of a field"),
        (of_rules("type: temporal, rules: [r0], aliases: {who: {r0: delegation.root}}"), "may not stand for"),
        (of_rules("type: temporal, rules: [r0, d]", more=other("d", "c")), "in a circle: c -> d -> c"),
        (of_rules("type: temporal, rules: [r0, c]"), "in a circle: c -> c"),
        (of_rules("type: temporal, rules: [r0, d0]", more=CHAIN), "at most 8 correlations may refer"),
        (
            of_rules("type: temporal, rules: [r0, d]", more=other("d", "r0", "delegation.root")),
            "must as well",
        ),
        (of_rules("type: temporal, rules: [r0, e]", more=other("d", "r0")), "there is no rule `e`"),
    ],
)
def test_a_mistake_in_what_correlations_refer_to_is_told(text: str, wanted: str) -> None:
    assert wanted in errors_of(text)


SHORTER = "".join(other(f"d{at}", f"d{at + 1}") for at in range(6)) + other("d6", "r0")


@pytest.mark.parametrize(
    "condition", ["temporal, condition: {gte: 2}", "temporal, condition: {lt: 2}", "event_count, condition: {gt: 254}"]
)
def test_a_condition_that_can_hold_is_none_that_can_not(condition: str) -> None:
    text = of_rules(f"rules: [r0, r1], type: {condition}")
    assert len(parse_behaviour({"a.detectors.yaml": HEAD + text}).declared.correlations) == 1


@pytest.mark.parametrize("more", [other("d0", "r0"), SHORTER])
def test_what_another_correlation_refers_to_comes_before_it(more: str) -> None:
    text = of_rules("type: temporal_ordered, rules: [d0, r1]", more=more)
    made = parse_behaviour({"a.detectors.yaml": HEAD + text}).declared.correlations
    places = {each.name: at for at, each in enumerate(made)}
    for each in made:
        assert all(places[rule.name] < places[each.name] for rule in each.rules if rule.is_chained)


def test_a_chain_through_many_files_is_an_error_like_any_other() -> None:
    names = [f"c{at}" for at in range(1_200)]
    files = {
        f"f{first}.detectors.yaml": HEAD
        + "correlations:\n"
        + "".join(other(name, names[at + 1]) for at, name in enumerate(names[first : first + 200], first) if at < 1_199)
        for first in range(0, 1_200, 200)
    }
    with pytest.raises(BundleError, match="at most 8 correlations may refer"):
        parse_behaviour(files)
