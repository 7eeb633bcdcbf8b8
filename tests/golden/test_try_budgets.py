"""A recorded history with memories and a shared budget: the gate and the owner beside it, the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.codec.jsonform import named_uuid
from streams.model.budget import BudgetOp, BudgetRequest
from streams.model.verdict import Verdict
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, TryReport, run_history
from streams.wiring.settings_loading import load_settings
from streams.wiring.trials import plan_trial

FOLDER = Path(__file__).parent / "try_budgets"
EXPECTED = {
    "first": ["permitted"],
    "second": ["permitted"],
    "other session": ["permitted"],
    "too much": ["budget_exhausted"],
    "fits again": ["permitted"],
    "third to it": ["approval_required", "approval_expired"],
    "too much for anybody to be asked": ["budget_exhausted"],
}


@pytest.fixture(autouse=True)
def without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run() -> tuple[dict[str, list[str]], list[BudgetRequest], list[str | None]]:
    report = TryReport()
    plan = plan_trial(
        load_settings(),
        FOLDER / "history.jsonl",
        DEVELOPMENT_ROOT_KEY,
        catalog=FOLDER / "catalog.jsonl",
        rules=FOLDER / "rules",
    )
    tried = list(run_history(plan, report))
    assert report.faults == []
    reasons: dict[str, list[str]] = {}
    for each in tried:
        if isinstance(each.record, Verdict):
            reasons.setdefault(each.record.intent_id, []).append(each.record.reason)
    asked = [each.record for each in tried if isinstance(each.record, BudgetRequest)]
    return reasons, asked, [each.history_line() for each in tried]


def test_what_happened() -> None:
    reasons, asked, _ = run()
    assert reasons == {named_uuid(name): expected for name, expected in EXPECTED.items()}
    assert asked[0].op is BudgetOp.ASK
    assert {request.budget_key for request in asked} == {'["refunds","sum","user","acme","alice"]'}


def test_the_same_every_time() -> None:
    assert run()[2] == run()[2]
