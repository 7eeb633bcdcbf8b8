"""Questions of a run over a history: decisions wait for them, and `approve` answers them with yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.model.approval import ApprovalRequest
from streams.model.verdict import Verdict
from streams.operations.trial import TryReport, run_history
from streams.operations.trial_answers import EVERY_RULE
from streams.operations.trial_engine import Tried
from streams.wiring.settings_loading import load_settings
from streams.wiring.trials import plan_trial

ROOT_KEY = b"a root key of a history, 32 bytes"
START_MS = 1_764_061_200_000
AGENT = {"iss": "https://id.example", "sub": "helper", "sub_profile": "AI_AGENT"}
RULES = """
apiVersion: rules/v1
pack: p
rules:
  - {id: P-001, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - id: P-010
    effect: require_approval
    match: {tools: [mail.send]}
    when: args.to != "bob"
    approval: {group: leads, quorum: 2, ttl: 10m}
    reason: two leads must say so
  - id: P-020
    effect: require_approval
    match: {tools: [mail.send]}
    when: args.to == "carol"
    approval: {group: security, ttl: 10m}
    reason: security must say so, too
"""


@pytest.fixture(autouse=True)
def without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line(record: str, value: dict[str, Any], after_ms: int) -> str:
    return json.dumps({"record": record, "key": "acme|s-1", "time_ms": START_MS + after_ms, "value": value})


def opened() -> str:
    value = {"type": "SESSION_ESTABLISHED", "sub": "alice", "act": AGENT, "expires": START_MS + 10**7}
    return line("session_event", value, 0)


def call(name: str, to: str, after_ms: int) -> str:
    tool = {"server_id": "mail", "name": "send"}
    return line("intent", {"intent_id": name, "sub": "alice", "act": AGENT, "tool": tool, "args": {"to": to}}, after_ms)


def decision(name: str, to: str, by: str, after_ms: int, **fields: Any) -> str:
    approver = {"iss": "https://id.example", "sub": by, "sub_profile": "USER"}
    value = {"intent_id": name, "args": {"to": to}, "status": "APPROVED", "approver": approver}
    return line("approval_decision", {**value, "approver_groups": ["leads", "security"], **fields}, after_ms)


def run(folder: Path, *lines: str, approve: tuple[str, ...] = ()) -> tuple[list[Tried], TryReport]:
    (folder / "rules" / "p").mkdir(parents=True)
    (folder / "rules" / "bundle.yaml").write_text('apiVersion: rules/v1\nbundle: default\nversion: "1"\npacks: [p]\n')
    (folder / "rules" / "p" / "a.rules.yaml").write_text(RULES)
    tools = [{"name": "send", "inputSchema": {"type": "object"}}]
    facts = {"send": {"destructive": False, "open_world": False, "reversible": True}}
    catalog = {"server_id": "mail", "tools": tools, "facts": facts, "reviewed_by": "ann"}
    (folder / "catalog.json").write_text(json.dumps(catalog))
    history = folder / "history.jsonl"
    history.write_text("\n".join(lines) + "\n")
    report = TryReport()
    plan = plan_trial(
        load_settings(),
        history,
        ROOT_KEY,
        catalog=folder / "catalog.json",
        rules=folder / "rules",
        approve=approve,
    )
    outputs = list(run_history(plan, report))
    assert not report.faults
    return outputs, report


def outcomes(outputs: list[Tried]) -> list[str]:
    return [tried.record.outcome.value for tried in outputs if isinstance(tried.record, Verdict)]


def letters(outputs: list[Tried]) -> list[str]:
    return [tried.letter.reason for tried in outputs if tried.letter is not None]


def test_a_decision_that_stands_before_its_question_waits_for_it(tmp_path: Path) -> None:
    lines = [
        opened(),
        decision("to-ann", "ann", "lena", 1),
        decision("to-ann", "ann", "liam", 2),
        call("to-ann", "ann", 3),
    ]
    outputs, report = run(tmp_path, *lines)
    assert outcomes(outputs) == ["REQUIRE_APPROVAL", "ALLOW"]
    assert letters(outputs) == []
    assert (report.inputs_count, report.answers.questions_count) == (4, 1)


def test_one_of_a_later_round_waits_for_that_round(tmp_path: Path) -> None:
    lines = [
        opened(),
        call("to-carol", "carol", 1),
        decision("to-carol", "carol", "sam", 2, round_no=1),
        decision("to-carol", "carol", "lena", 3),
        decision("to-carol", "carol", "liam", 4),
    ]
    outputs, _ = run(tmp_path, *lines)
    assert outcomes(outputs) == ["REQUIRE_APPROVAL", "REQUIRE_APPROVAL", "ALLOW"]


def test_a_refusal_waits_too(tmp_path: Path) -> None:
    lines = [opened(), decision("to-ann", "ann", "lena", 1, status="DENIED"), call("to-ann", "ann", 3)]
    outputs, _ = run(tmp_path, *lines)
    assert outcomes(outputs) == ["REQUIRE_APPROVAL", "DENY"]


def test_one_whose_question_never_comes_is_rejected_in_the_end(tmp_path: Path) -> None:
    outputs, _ = run(tmp_path, opened(), decision("to-bob", "bob", "lena", 1), call("to-bob", "bob", 3))
    assert outcomes(outputs) == ["ALLOW"]
    assert letters(outputs) == ["approval_not_awaited"]


def test_one_that_comes_too_late_does_not_count(tmp_path: Path) -> None:
    lines = [opened(), call("to-ann", "ann", 1), decision("to-ann", "ann", "lena", 700_000)]
    outputs, _ = run(tmp_path, *lines)
    assert outcomes(outputs) == ["REQUIRE_APPROVAL", "DENY"]
    assert letters(outputs) == ["approval_not_awaited"]


@pytest.mark.parametrize(
    ("approve", "expected", "answered"),
    [
        (("P-010",), ["REQUIRE_APPROVAL", "ALLOW", "REQUIRE_APPROVAL", "REQUIRE_APPROVAL", "DENY"], 2),
        (("P-020",), ["REQUIRE_APPROVAL", "REQUIRE_APPROVAL", "DENY", "DENY"], 0),
        ((EVERY_RULE,), ["REQUIRE_APPROVAL", "ALLOW", "REQUIRE_APPROVAL", "REQUIRE_APPROVAL", "ALLOW"], 3),
        ((), ["REQUIRE_APPROVAL", "REQUIRE_APPROVAL", "DENY", "DENY"], 0),
    ],
)
def test_questions_of_named_rules_are_answered_with_yes(
    tmp_path: Path, approve: tuple[str, ...], expected: list[str], answered: int
) -> None:
    outputs, report = run(tmp_path, opened(), call("to-ann", "ann", 1), call("to-carol", "carol", 2), approve=approve)
    assert outcomes(outputs) == expected
    assert report.answers.answered_count == answered


def test_what_the_history_answers_itself_is_left_to_it(tmp_path: Path) -> None:
    lines = [
        opened(),
        call("to-ann", "ann", 1),
        call("to-eve", "eve", 1_000_000),
        decision("to-ann", "ann", "lena", 60_000, status="DENIED"),
    ]
    ordered = [lines[0], lines[1], lines[3], lines[2]]
    outputs, _ = run(tmp_path, *ordered, approve=(EVERY_RULE,))
    assert outcomes(outputs) == ["REQUIRE_APPROVAL", "DENY", "REQUIRE_APPROVAL", "ALLOW"]


def test_questions_are_counted_once_however_many_calls_join(tmp_path: Path) -> None:
    outputs, report = run(tmp_path, opened(), *[call(f"to-{name}", name, 1) for name in ("ann", "eve", "dan")])
    written = [tried for tried in outputs if isinstance(tried.record, ApprovalRequest)]
    assert (len(written), report.answers.questions_count, report.answers.questions["P-010"]) == (3, 1, 1)
