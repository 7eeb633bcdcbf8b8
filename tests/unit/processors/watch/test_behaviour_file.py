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
