"""The dashboard and the alert rules query metrics and labels that exist, and each alert has a runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from streams.metrics.declared import METRICS, Kind, Label, Metric

ROOT = Path(__file__).resolve().parents[3]
ALERTS = ROOT / "ops" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "ops" / "grafana" / "stoplog.json"
RUNBOOK = ROOT / "docs" / "how-to" / "run-in-production.md"
DOCS = '{{ or $externalLabels.stoplog_docs "docs" }}'
"""Where the documentation is: an external label says so, by default it is a folder of the repository."""
SCRAPED = {"instance", "job", "le"}
"""Labels that Prometheus adds."""
FOREIGN = {"process_cpu_seconds_total", "process_resident_memory_bytes", "up"}
"""Metrics of Prometheus and its client library."""

Selectors = list[tuple[str, dict[str, tuple[str, str]]]]


def series() -> dict[str, Metric]:
    """What can be queried, by name."""
    found: dict[str, Metric] = {}
    for metric in METRICS:
        parts = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {f"{metric.name}{part}": metric for part in parts}
    return found


SERIES = series()


def selectors(expression: str) -> Selectors:
    """The metrics that a PromQL expression selects, with their matchers. It must be valid."""
    promql_parser.parse(expression)
    found: Selectors = []
    for name, matchers in re.findall(r"\b((?:stoplog|process|python)_\w+|up)(?:\{([^}]*)\})?", expression):
        pairs = re.findall(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"", matchers)
        found.append((name, {label: (operator, value) for label, operator, value in pairs}))
    return found


def grouped(expression: str) -> set[str]:
    """The labels by which an expression groups."""
    return {
        name.strip()
        for names in re.findall(r"\b(?:by|on|group_left|without)\s*\(([^)]*)\)", expression)
        for name in names.split(",")
        if name.strip()
    }


def faults(expression: str) -> Iterator[str]:
    found = selectors(expression)
    if not found:
        yield f"no metric in `{expression}`"
    labels: dict[str, Label] = {}
    for name, matchers in found:
        if name in FOREIGN:
            continue
        metric = SERIES.get(name)
        if metric is None:
            yield f"`{name}` does not exist"
            continue
        labels |= {label.name: label for label in metric.labels}
        for label, (operator, value) in matchers.items():
            own = next((each for each in metric.labels if each.name == label), None)
            if own is None and label not in SCRAPED:
                yield f"`{name}` has no label `{label}`"
            elif own is not None and own.values is not None:
                values = value.split("|") if operator in ("=~", "!~") else [value]
                yield from (f"`{name}` has no {label} `{each}`" for each in values if each not in own.values)
    yield from (f"nothing has a label `{label}`" for label in grouped(expression) - labels.keys() - SCRAPED)


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    """Each panel's title and query."""
    board = json.loads(DASHBOARD.read_text("utf-8"))
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]


def as_prometheus_reads(query: str) -> str:
    """A query with Grafana's variables filled in."""
    return query.replace("$__rate_interval", "5m").replace("$instance", ".*")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
class TestEveryAlert:
    def test_it_queries_what_exists(self, rule: dict[str, Any]) -> None:
        assert list(faults(rule["expr"])) == []

    def test_it_says_what_is_wrong_and_leads_to_its_runbook(self, rule: dict[str, Any]) -> None:
        name = rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
        page, _, section = rule["annotations"]["runbook_url"].removeprefix(DOCS).rpartition("#")
        assert ROOT / "docs" / page.lstrip("/") == RUNBOOK
        assert section == name.lower()
        text = RUNBOOK.read_text("utf-8")
        found = re.search(rf"^### {name}\n\n(.+?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
        assert found is not None, f"`{RUNBOOK}` has no section `{name}`"
        assert len(found[1].split()) > 25

    def test_its_summary_uses_labels_that_its_result_has(self, rule: dict[str, Any]) -> None:
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        outer = re.match(r"\s*(?:sum|max|min) by \(([^)]*)\)", rule["expr"])
        if outer is not None:
            assert used <= {name.strip() for name in outer[1].split(",")}


def test_alerts_that_are_tested_exist() -> None:
    tests = yaml.safe_load((ALERTS.parent / "alerts.test.yaml").read_text("utf-8"))["tests"]
    tested = {each["alertname"] for test in tests for each in test["alert_rule_test"]}
    assert tested <= {rule["alert"] for rule in alerts()}
    for test in tests:
        for given in test["input_series"]:
            assert list(faults(given["series"])) == []


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    sections = re.findall(r"^### (Stoplog\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert sections == [rule["alert"] for rule in alerts()]


@pytest.mark.parametrize(("title", "query"), queries())
def test_every_panel_queries_what_exists(title: str, query: str) -> None:
    assert title
    assert list(faults(as_prometheus_reads(query))) == []
    shown = {name for name, _ in selectors(as_prometheus_reads(query))}
    assert shown


def test_every_metric_is_on_the_dashboard_or_needs_no_place_there() -> None:
    shown = {
        SERIES[name].name
        for _, query in queries()
        for name, _ in selectors(as_prometheus_reads(query))
        if name in SERIES
    }
    elsewhere = {
        "stoplog_build_info",  # it names the processes in the dashboard's variable
        "stoplog_turns_total",  # an alert
        "stoplog_restarts_total",  # an alert
        "stoplog_control_offset",  # an alert
        "stoplog_control_changed_timestamp_seconds",
        "stoplog_restored_records_total",
        "stoplog_announced_calls_total",  # what was announced is on the record
        "stoplog_call_seconds",  # the tools' own time
        "stoplog_attributes_unclear_entities",  # each of them is a dead letter
    }
    assert {metric.name for metric in METRICS} - shown == elsewhere


def test_panels_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("stoplog_intents_helt > 0", "`stoplog_intents_helt` does not exist"),
        ("stoplog_verdict_latency_seconds > 0", "`stoplog_verdict_latency_seconds` does not exist"),
        ('stoplog_intents_held{waits_for="aproval"}', "`stoplog_intents_held` has no waits_for `aproval`"),
        ('stoplog_intents_held{tenant="a"}', "`stoplog_intents_held` has no label `tenant`"),
        ("sum by (session) (stoplog_intents_held)", "nothing has a label `session`"),
        ("vector(1)", "no metric in `vector(1)`"),
    ],
)
def test_wrong_queries_are_found(expression: str, fault: str) -> None:
    assert list(faults(expression)) == [fault]


def test_a_query_that_is_no_query_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        selectors("sum by (")


def test_the_rules_have_the_form_that_prometheus_reads() -> None:
    """`promtool` says so where Prometheus is installed; without it, keys, names and durations are compared here."""
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    assert all(set(group) == {"name", "rules"} for group in groups)
    assert all({"alert", "expr", "labels", "annotations"} <= set(rule) for rule in alerts())
    assert all(set(rule) <= {"alert", "expr", "for", "labels", "annotations"} for rule in alerts())
    assert all(re.fullmatch(r"[1-9]\d*[smh]", rule.get("for", "1m")) for rule in alerts())
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())
    if shutil.which("promtool") is not None:
        folder = ALERTS.parent
        for command in (
            ["check", "rules", str(ALERTS)],
            ["check", "config", str(folder / "prometheus.yaml")],
            ["test", "rules", str(folder / "alerts.test.yaml")],
        ):
            done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
