"""Reference pages that are made from the code are current, and say what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import reference
from scripts.topics_page import topics_page
from streams.codec.schema_types import parse_record
from streams.metrics.declared import METRICS
from streams.model.reasons import DeadLetterReason, Reason, Refusal
from streams.model.topics import PER_TENANT, TOPICS
from streams.model.verdict import Outcome
from streams.operations.topics.asyncapi import render_asyncapi

PAGES = (
    "reasons.md",
    "alerts.md",
    "topics.md",
    "metrics.md",
    "commands.md",
    "desk.md",
    "settings.md",
    "facts.md",
    "functions.md",
    "starter-packs.md",
    "behaviour-packs.md",
    "asyncapi.json",
)


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """All pages, made once: those of the packs run every attack and every history."""
    return reference.render_all()


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_current(name: str, rendered: dict[str, str]) -> None:
    assert (reference.FOLDER / name).read_text("utf-8") == rendered[name], "run `make docs`"


def test_every_page_is_compared(rendered: dict[str, str]) -> None:
    assert set(PAGES) == set(rendered)


def test_every_code_is_there() -> None:
    page = reference.render_reasons()
    for code in (*Outcome, *Reason, *DeadLetterReason, *Refusal):
        assert f"| `{code}` |" in page


def test_every_topic_is_there() -> None:
    page = topics_page()
    for topic in (*TOPICS, *PER_TENANT):
        assert page.count(f"| `{topic.shown_name}` |") >= 2


def test_every_metric_is_there_with_its_labels() -> None:
    page = reference.render_metrics()
    for metric in METRICS:
        labels = ", ".join(f"`{label.name}`" for label in metric.labels)
        row = f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"
        assert page.count(row) == max(1, len(metric.exporters))


def test_tables_have_as_many_cells_as_heads() -> None:
    for page in (reference.render_reasons(), topics_page(), reference.render_metrics()):
        for block in page.split("\n\n"):
            rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
            assert len({row.count("|") for row in rows}) <= 1


class TestAsyncApi:
    DOCUMENT: Any = render_asyncapi()

    def test_every_topic_is_a_channel(self) -> None:
        assert list(self.DOCUMENT["channels"]) == [topic.name for topic in (*TOPICS, *PER_TENANT)]
        of_tenants = self.DOCUMENT["channels"]["agent.outcome.v1"]
        assert of_tenants["address"] == "agent.outcome.{tenant}.v1"
        assert list(of_tenants["parameters"]) == ["tenant"]
        for topic in TOPICS:
            channel = self.DOCUMENT["channels"][topic.name]
            assert channel["address"] == topic.name
            assert channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] in (["compact"], ["delete"])

    def test_every_role_has_its_operations(self) -> None:
        operations = self.DOCUMENT["operations"]
        assert len(operations) == sum(len(topic.writers) + len(topic.readers) for topic in (*TOPICS, *PER_TENANT))
        assert operations["gate-send-agent.verdict.v1"]["action"] == "send"
        assert operations["executor-receive-agent.verdict.v1"]["action"] == "receive"

    def test_a_topic_has_all_kinds_of_its_records(self) -> None:
        assert list(self.DOCUMENT["channels"]["agent.verdict.v1"]["messages"]) == ["Verdict", "Seal"]
        reading = self.DOCUMENT["operations"]["executor-receive-agent.verdict.v1"]["messages"]
        assert [each["$ref"].rpartition("/")[2] for each in reading] == ["Verdict", "Seal"]
        assert self.DOCUMENT["components"]["messages"]["Seal"]["headers"]["properties"]["ce_type"]["const"] == (
            "agentstream.v1.Seal"
        )

    def test_references_lead_somewhere(self) -> None:
        found = list(references(self.DOCUMENT))
        assert len(found) > len(TOPICS)
        for target in found:
            node = self.DOCUMENT
            for step in target.removeprefix("#/").split("/"):
                node = node[step]

    def test_payloads_are_the_schemas(self) -> None:
        messages = self.DOCUMENT["components"]["messages"]
        for topic in TOPICS:
            if topic.record is not None:
                payload = messages[topic.record.__name__]["payload"]
                assert parse_record(json.dumps(payload["schema"])).name == f"agentstream.v1.{topic.record.__name__}"


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [target for value in node.values() for target in references(value)]
    if isinstance(node, list):
        return [target for item in node for target in references(item)]
    return []


def test_pages_are_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rendered: dict[str, str]) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    monkeypatch.setattr(reference, "render_all", lambda: rendered)
    assert reference.main() == 0
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == rendered


def test_there_is_nothing_to_rewrite_without_a_source_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "none")
    assert reference.main() == 1
    assert "generated in a source tree" in capsys.readouterr().err
