"""Recorded histories, and what the whole engine makes of them: the same, every time.

Of what was recorded only the verdicts' digests are left out: they are those of bytes of the wire, and so change with
every schema. Two runs must not differ in a single byte.

`python -m tests.golden.test_try` writes the expected outputs anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from streams.codec.history import parse_line
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, TryReport, run_history
from streams.operations.trial_engine import Tried
from streams.wiring.settings_loading import load_settings
from streams.wiring.trials import plan_trial

FOLDER = Path(__file__).parent / "try"
HISTORIES = ("honest", "hijacked", "garbage")
HASH_SEEDS = ("0", "1", "4242")


def run(name: str) -> tuple[str, list[Tried], TryReport]:
    """What comes out of a history: as lines, as records, and what there is to say of it."""
    report = TryReport()
    plan = plan_trial(
        load_settings(),
        FOLDER / f"{name}.jsonl",
        DEVELOPMENT_ROOT_KEY,
        catalog=FOLDER / "catalog.jsonl",
        rules=FOLDER / "rules",
    )
    outputs = list(run_history(plan, report))
    lines = [tried.history_line() for tried in outputs]
    return "".join(f"{line}\n" for line in lines if line is not None), outputs, report


run_once = cache(run)


def steady(output: str) -> str:
    """The output without what depends on the wire's schemas."""
    return re.sub(r'"verdict_digest":"[0-9a-f]{64}",', "", output)


def expected_path(name: str) -> Path:
    return FOLDER / f"{name}.out.jsonl"


@pytest.fixture(autouse=True)
def without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", HISTORIES)
def test_the_output_is_what_was_recorded(name: str) -> None:
    assert steady(run_once(name)[0]) == expected_path(name).read_text()


@pytest.mark.parametrize("name", HISTORIES)
def test_a_second_run_gives_the_same_bytes(name: str) -> None:
    assert run(name)[0] == run_once(name)[0]


@pytest.mark.parametrize("name", HISTORIES)
def test_every_output_is_itself_a_line_of_a_history(name: str) -> None:
    for line_no, line in enumerate(run_once(name)[0].splitlines(), start=1):
        assert parse_line(line, line_no, name).time_ms > 0


@pytest.mark.parametrize("seed", HASH_SEEDS)
def test_the_same_whatever_the_order_of_sets_and_in_another_process(seed: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "streams.cli", "try", str(FOLDER / "hijacked.jsonl")]
    command += ["--catalog", str(FOLDER / "catalog.jsonl"), "--rules", str(FOLDER / "rules")]
    done = subprocess.run(
        command,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PYTHONHASHSEED": seed},
        check=False,
    )
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.stdout.decode() == run_once("hijacked")[0]


def verdicts(name: str) -> dict[str, list[tuple[str, str]]]:
    """Outcome and reason of each verdict, by intent, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for tried in run_once(name)[1]:
        if isinstance(tried.record, Verdict):
            verdict = tried.record
            found.setdefault(verdict.intent_id, []).append((verdict.outcome.value, verdict.reason))
    return found


@pytest.mark.parametrize("name", HISTORIES)
def test_every_intent_has_one_final_verdict(name: str) -> None:
    """A redelivered intent gets the same one again."""
    final = {outcome.value for outcome in FINAL_OUTCOMES}
    for intent_id, stages in verdicts(name).items():
        assert stages[-1][0] in final, intent_id
        assert len({stage for stage in stages if stage[0] in final}) == 1, intent_id


def test_what_happened_to_the_honest_session() -> None:
    assert list(verdicts("honest").values()) == [
        [("ALLOW", "permitted")],
        [("ALLOW", "permitted")],
        [("ALLOW", "permitted")],
        [("REQUIRE_APPROVAL", "approval_required"), ("ALLOW", "permitted")],
        [("DEFER", "deferred_by_rule"), ("ALLOW", "permitted")],
        [("DENY", "session_ended")],
    ]


def test_what_happened_to_the_hijacked_session() -> None:
    assert sorted(verdicts("hijacked").values()) == sorted(
        [
            [("ALLOW", "permitted")],
            [("DENY", "rule_denied"), ("DENY", "rule_denied")],
            [("DENY", "tool_not_approved")],
            [("REQUIRE_APPROVAL", "approval_required"), ("DENY", "session_revoked")],
            [("DENY", "subject_mismatch")],
            [("DENY", "session_revoked")],
            [("QUARANTINE", "quarantined_by_rule")],
            [("DENY", "session_frozen")],
            [("DENY", "session_unknown")],
        ]
    )


def test_bad_lines_are_named_and_the_rest_is_run() -> None:
    report = run_once("garbage")[2]
    assert [fault.line for fault in report.faults] == [3, 4, 5, 6, 7, 8]
    assert report.inputs_count == 6
    assert report.outputs_left_out_count == 1


def test_what_is_set_aside_is_on_the_record() -> None:
    events: list[dict[str, Any]] = [json.loads(line) for line in run_once("garbage")[0].splitlines()]
    reasons = [
        event["value"]["reason"]
        for event in events
        if event["record"] == "audit_event" and event["value"]["event_type"] == "DEAD_LETTER"
    ]
    assert reasons == ["key_mismatch", "event_from_future"]


if __name__ == "__main__":
    for history in HISTORIES:
        expected_path(history).write_text(steady(run(history)[0]))
