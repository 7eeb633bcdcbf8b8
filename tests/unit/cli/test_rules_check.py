"""`stoplog rules check` and `stoplog rules test`: what is told, where, and with which exit status."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Stoplog, of_kind
from tests.unit.cli.terminal import read_to_end

ROOT = Path(__file__).parents[3]
WRITER_S = 5.0
"""How long a pipe has no writer in a test."""
SHIPPED = ROOT / "rules"
HEAD = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n'
CATALOG = {
    "server_id": "pay",
    "tools": [
        {"name": "refund", "inputSchema": {"type": "object", "properties": {"amount": {"type": "integer"}}}},
        {"name": "lookup", "inputSchema": {"type": "object"}},
    ],
    "facts": {"refund": {"open_world": True}},
    "reviewed_by": "ann",
}
PERMIT = '  - {id: P-1, effect: permit, match: {tools: ["pay.*"]}, when: session.risk < 3, reason: calm}\n'
SCENARIOS = """
tools: {pay.refund: {open_world: false}}
scenarios:
  - name: a risk rises
    steps:
      - {call: pay.refund, args: {amount: 1}, expect: {verdict: allow, rules: [P-1]}}
      - {event: risk_level_change, risk: HIGH}
      - {call: pay.refund, args: {amount: 1}, expect: {verdict: deny, reason: no_permit, rules: []}}
"""
NO_SCENARIOS = dict.fromkeys(
    (
        "scenarios", "scenarios_failed", "steps", "memories", "memories_read", "budgets", "budgets_exhausted",
        "histories", "histories_failed", "histories_quiet", "history_calls",
    ),
    0,
)  # fmt: skip
LOOP = """\
apiVersion: behaviour/v1
pack: loops
detectors:
  - {name: loop, detector: loop, key: [session.id], threshold: 10, explain: "{count} times", tags: [ASI08]}
"""
HISTORIES = """\
apiVersion: histories/v1
pack: loops
calls: {a.b: {}}
histories:
  - name: a loop
    then: [{agents: [bot], days: 0, at: "09:00", session: stuck, tools: [a.b], count: 32}]
    alerts: {loop: stuck}
  - name: calm
    then: [{agents: [bot], days: 0, at: "09:00", session: calm, tools: [a.b], count: 3}]
    alerts: {}
"""
CORRELATION = """\
rules:
  - {name: stuck, title: Stuck, detection: {selection: {signal.loop|gte: 1}, condition: selection}}
correlations:
  - title: Often stuck
    name: often_stuck
    correlation: {type: event_count, rules: [stuck], group-by: [session.id], timespan: 10m, condition: {gte: 2}}
"""
ATTACKS = """
attacks: p.rules.yaml
base: ../fixtures/base.json
techniques:
  - {technique: taint, idea: a book, set: {session.tainted: true}, vary: session.risk, values: [0, 1]}
innocent:
  - {name: calm, expect: allow, vary: session.risk, values: [0]}
unclaimed: [Everything else.]
"""
CASES = """
tests: p.rules.yaml
base: ../fixtures/base.json
cases:
  - {name: calm, set: {session.risk: 2}, expect: {verdict: allow, rules: [P-1]}}
  - {name: risky, set: {session.risk: 3}, expect: {verdict: deny, rules: []}}
  - {name: blank, unset: [session.risk], expect: {verdict: deny, rules: [], errors: [P-1]}}
"""


def lay(home: Path, rules: str = PERMIT, cases: str | None = CASES) -> None:
    """A directory of rules in the current one."""
    for name in ("p", "fixtures"):
        (home / name).mkdir()
    (home / "bundle.yaml").write_text(HEAD)
    (home / "p" / "p.rules.yaml").write_text(f"apiVersion: rules/v1\npack: p\nrules:\n{rules}")
    shutil.copy(SHIPPED / "fixtures" / "refund.json", home / "fixtures" / "base.json")
    if cases is not None:
        (home / "p" / "p.tests.yaml").write_text(cases)


class TestCheck:
    def test_sound_rules_are_accepted(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        result = stoplog("rules", "check", ".")
        assert (result.status, of_kind(result, "finding")) == (0, [])
        (summary,) = of_kind(result, "summary")
        assert summary == {
            "record": "summary", "accepted": True, "errors": 0, "warnings": 0, "notes": 0, "tools": None,
            "proven": True, "rules_not_proven": 0, "findings_left_out": 0,
        }  # fmt: skip
        assert stoplog("rules", "check", ".", "--no-json").out == "accepted, no findings\n"

    def test_an_error_refuses_and_has_its_place(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, PERMIT.replace("risk < 3", "rsk < 3"))
        result = stoplog("rules", "check", ".")
        assert result.status == 1
        (finding,) = of_kind(result, "finding")
        assert (finding["code"], finding["severity"]) == ("unknown_field", "error")
        assert (finding["file"], finding["line"], finding["rule_id"]) == ("p/p.rules.yaml", 4, "P-1")
        assert finding["hint"] == "did you mean `risk`?"
        shown = stoplog("rules", "check", ".", "--no-json").out.splitlines()
        assert shown[0].startswith(f"p/p.rules.yaml:4:{finding['column']}: error: rule `P-1`: unknown field `rsk`")
        assert shown[1].endswith(PERMIT.rstrip().replace("risk", "rsk"))
        assert shown[2].index("^") - shown[1].index("- {id") + 3 == finding["column"]
        assert shown[-1] == "rejected: 1 error; gates keep the rules that they have"

    def test_warnings_fail_where_that_is_asked_for(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, PERMIT + PERMIT.replace("P-1", "P-2"), None)
        assert stoplog("rules", "check", ".").status == 0
        result = stoplog("rules", "check", ".", "--strict")
        assert result.status == 1
        assert [record["code"] for record in of_kind(result, "finding")] == ["duplicate"]
        assert of_kind(result, "summary")[0]["accepted"] is True

    def test_a_proof_comes_with_an_example(self, stoplog: Stoplog, home: Path) -> None:
        deny = '  - {id: D-1, effect: deny, match: {tools: ["*"]}, when: session.risk < 9, reason: no}\n'
        lay(home, PERMIT + deny, None)
        result = stoplog("rules", "check", ".")
        (finding,) = of_kind(result, "finding")
        assert (finding["code"], finding["rule_id"]) == ("shadowed", "P-1")
        assert int(finding["example"]["session.risk"]) < 3
        assert " = for example session.risk = " in stoplog("rules", "check", ".", "--no-json").out
        without = stoplog("rules", "check", ".", "--no-prove")
        assert of_kind(without, "finding") == []
        assert of_kind(without, "summary")[0]["proven"] is False

    def test_on_a_terminal_a_bar_shows_how_far_it_is(self, home: Path) -> None:
        lay(home)
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "streams.cli", "rules", "check", str(home), "--json"]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
        os.close(theirs)
        shown = read_to_end(ours).decode()
        written, _ = running.communicate()
        os.close(ours)
        assert running.returncode == 0
        assert "reading rules" in shown
        assert re.search(r"proving.*100%", shown)
        # It disappears at the end, and what programs read has nothing of it.
        assert shown.rstrip().endswith("\x1b[2K")
        assert [json.loads(line)["record"] for line in written.splitlines()] == ["summary"]

    def test_it_says_when_the_solver_is_missing(
        self, stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay(home)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
        assert of_kind(stoplog("rules", "check", "."), "summary")[0]["proven"] is False
        out = stoplog("rules", "check", ".", "--no-json").out
        assert out.startswith("z3 is not installed, so rules without effect were searched for by the form of")
        assert "run `pip install 'stoplog[lint]'`" in out

    def test_a_catalog_types_arguments_and_knows_the_tools(self, stoplog: Stoplog, home: Path) -> None:
        typed = "  - {id: D-1, effect: deny, match: {tools: [pay.refund]}, when: args.amount == 'x', reason: no}\n"
        nowhere = "  - {id: D-2, effect: deny, match: {tools: [pay.refnd]}, when: session.risk == 4, reason: no}\n"
        lay(home, PERMIT + typed + nowhere, None)
        (home / "catalog.json").write_text(json.dumps(CATALOG))
        assert stoplog("rules", "check", ".").status == 0
        result = stoplog("rules", "check", ".", "--catalog", "catalog.json")
        assert result.status == 1
        assert [record["code"] for record in of_kind(result, "finding")] == ["wrong_type"]
        assert of_kind(result, "summary")[0]["tools"] == 2
        (home / "p" / "p.rules.yaml").write_text(f"apiVersion: rules/v1\npack: p\nrules:\n{PERMIT}{nowhere}")
        found = of_kind(stoplog("rules", "check", ".", "--catalog", "catalog.json"), "finding")
        assert [(finding["code"], finding["line"]) for finding in found] == [("idle", 5), ("no_tool", 5)]

    def test_the_catalog_of_the_log(self, stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STOPLOG_CATALOG__ALLOW_UNSIGNED", "true")
        lay(home, PERMIT.replace("pay.*", "mail.*"), None)
        (home / "catalog.json").write_text(json.dumps(CATALOG))
        assert "there is no embedded log" in stoplog("rules", "check", ".", "--live").err
        assert stoplog("topics", "apply").status == 0
        assert stoplog("catalog", "publish", "catalog.json").status == 0
        result = stoplog("rules", "check", ".", "--live")
        assert [record["code"] for record in of_kind(result, "finding")] == ["no_tool"]
        assert of_kind(result, "summary")[0]["tools"] == 2

    @pytest.mark.parametrize("name", ["p/q.rules.yaml", "p/p.tests.yaml", "p/p.detectors.yaml"])
    def test_a_pipe_is_not_waited_for(self, stoplog: Stoplog, home: Path, name: str) -> None:
        lay(home, PERMIT, None)
        os.mkfifo(home / name)
        # Whoever waits for the pipe goes on after this time, so that the test ends.
        writer = threading.Timer(WRITER_S, lambda: os.close(os.open(home / name, os.O_WRONLY | os.O_NONBLOCK)))
        writer.start()
        try:
            result = stoplog("rules", "check", ".")
        finally:
            writer.cancel()
        assert result.status == 1
        assert f"{name}` is not a regular file" in result.out + result.err

    def test_what_a_file_says_can_not_move_the_cursor(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, '  - {id: P-1, effect: "per\\emit", match: {tools: ["*"]}, when: "x\x85", reason: r}\n', None)
        result = stoplog("rules", "check", ".", "--no-json")
        assert result.status == 1
        assert not {"\x1b", "\x85"} & set(result.out)

    @pytest.mark.parametrize(
        ("name", "text", "line", "key", "typed"),
        [
            ("p/loops.detectors.yaml", LOOP, 4, "threshold", "tresholt"),
            ("p/loops.detectors.yaml", LOOP + CORRELATION, 10, "timespan", "timspan"),
            ("p/loops.histories.yaml", HISTORIES, 6, "session", "sezion"),
            ("p/p.tests.yaml", CASES, 5, "verdict", "verdikt"),
            ("p/p.scenarios.yaml", SCENARIOS, 6, "verdict", "verdikt"),
            ("p/p.attacks.yaml", ATTACKS, 5, "idea", "idee"),
        ],
    )
    def test_errors_in_the_files_beside_the_rules_have_their_place(
        self, stoplog: Stoplog, home: Path, *, name: str, text: str, line: int, key: str, typed: str
    ) -> None:
        lay(home)
        (home / "p" / "loops.detectors.yaml").write_text(LOOP)
        (home / name).write_text(text)
        sound = stoplog("rules", "check", ".")
        assert (sound.status, of_kind(sound, "finding")) == (0, [])
        (home / name).write_text(text.replace(f"{key}:", f"{typed}:", 1))
        result = stoplog("rules", "check", ".")
        assert result.status == 1
        (finding,) = (each for each in of_kind(result, "finding") if each["code"] == "unknown_key")
        assert (finding["severity"], finding["file"], finding["line"]) == ("error", name, line)
        assert finding["hint"] == f"did you mean `{key}`?"
        (summary,) = of_kind(result, "summary")
        assert summary["accepted"] is True
        assert summary["errors"] >= 1
        shown = stoplog("rules", "check", ".", "--no-json").out.splitlines()
        (at,) = (number for number, told in enumerate(shown) if told.endswith("[unknown_key]"))
        assert shown[at].startswith(f"{name}:{line}:")
        assert f"{typed}:" in shown[at + 1]
        assert shown[-1].startswith("errors in files beside the rules: ")

    def test_a_directory_of_detectors_alone(self, stoplog: Stoplog, tmp_path: Path) -> None:
        detectors = tmp_path / "loops.detectors.yaml"
        detectors.write_text(LOOP)
        assert stoplog("rules", "check", str(tmp_path), "--no-json").out == "accepted, no findings\n"
        detectors.write_text(LOOP.replace("threshold:", "tresholt:"))
        result = stoplog("rules", "check", str(tmp_path))
        assert result.status == 1
        assert {(each["line"], each["hint"]) for each in of_kind(result, "finding")} >= {
            (4, "did you mean `threshold`?")
        }

    def test_a_directory_without_rules(self, stoplog: Stoplog, home: Path) -> None:
        result = stoplog("rules", "check", str(home))
        assert result.status == 1
        assert "contains no `bundle.yaml`" in result.err


DENY = '  - {id: D-1, effect: deny, match: {tools: ["*"]}, when: session.tainted, reason: tainted}\n'
DENY_CASES = """\
  - {name: tainted, set: {session.tainted: true}, expect: {verdict: deny, rules: [P-1, D-1]}}
  - {name: unknown, unset: [session.tainted], expect: {verdict: deny, rules: [P-1], errors: [D-1]}}
"""


class TestTest:
    def test_what_a_program_reads(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        result = stoplog("rules", "test", ".", "--mutate")
        assert result.status == 0
        (summary,) = of_kind(result, "summary")
        assert summary == {
            "record": "summary", "passed": True, "cases": 3, "failed": 0, "rules": 1, "condition_outcomes": 2,
            "condition_outcomes_seen": 2, "attacks": 0, "attacks_caught": 0, "innocent_calls": 0, **NO_SCENARIOS,
            "changes": 2, "changes_unnoticed": 0,
        }  # fmt: skip
        (row,) = of_kind(result, "rule")
        assert (row["rule_id"], row["matches"], row["does_not_match"], row["misses_a_field"]) == ("P-1", 1, 1, 1)
        assert [record["case"] for record in of_kind(result, "case")] == ["calm", "risky", "blank"]

    def test_sound_cases(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        result = stoplog("rules", "test", ".", "--mutate", "--no-json")
        assert (result.status, result.out.splitlines()) == (
            0,
            [
                "2 changes tried, each detected by a case",
                "3 cases passed, and every rule is covered (1 rule, 2 of 2 outcomes of their conditions seen)",
            ],
        )
        (row,) = stoplog("rules", "test", ".", "-v", "--no-json").out.splitlines()[1:-1]
        assert row.split() == ["P-1", "1", "1", "1", "2", "of", "2"]

    def test_histories_run_through_the_watch(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "loops.detectors.yaml").write_text(LOOP)
        histories = home / "p" / "loops.histories.yaml"
        histories.write_text(HISTORIES)
        result = stoplog("rules", "test", ".")
        assert result.status == 0
        (stuck, calm) = of_kind(result, "history")
        (alert,) = stuck["alerts"]
        assert (alert["name"], alert["session_id"], calm["alerts"]) == ("loop", "stuck", [])
        assert of_kind(result, "summary")[0]["history_calls"] == 35
        shown = stoplog("rules", "test", ".", "-v", "--no-json").out
        assert "history `a loop`" in shown
        assert "2 histories, 35 calls watched, every alert as expected" in shown
        histories.write_text(HISTORIES.replace("alerts: {}", "alerts: {loop: calm}"))
        failed = stoplog("rules", "test", ".", "--no-json")
        assert failed.status == 1
        assert "p/loops.histories.yaml:8:5: failed: history `calm`" in failed.out
        assert "no alert `loop` about session `calm`" in failed.out
        histories.write_text(HISTORIES.replace("days: 0", "days: x"))
        refused = stoplog("rules", "test", ".", "--no-json")
        assert refused.status == 1
        assert "no history was run: the files of histories have errors" in refused.out

    def test_a_directory_of_detectors_alone_needs_no_bundle(self, stoplog: Stoplog, tmp_path: Path) -> None:
        (tmp_path / "loops.detectors.yaml").write_text(LOOP)
        nothing = stoplog("rules", "test", str(tmp_path), "--no-json")
        assert nothing.status == 0
        assert "only detectors, and no history was run" in nothing.out
        histories = tmp_path / "loops.histories.yaml"
        histories.write_text(HISTORIES)
        result = stoplog("rules", "test", str(tmp_path))
        assert result.status == 0
        assert [each["history"] for each in of_kind(result, "history")] == ["a loop", "calm"]
        assert (of_kind(result, "summary")[0]["cases"], of_kind(result, "summary")[0]["histories"]) == (0, 2)
        shown = stoplog("rules", "test", str(tmp_path), "--verbose", "--no-json").out
        assert "history `a loop`" in shown
        assert "2 histories, 35 calls watched, every alert as expected" in shown
        assert "there are no rules in this folder, only detectors" in shown
        histories.write_text(HISTORIES.replace("alerts: {}", "alerts: {loop: calm}"))
        assert stoplog("rules", "test", str(tmp_path)).status == 1
        (tmp_path / "loops.detectors.yaml").write_text(LOOP.replace("threshold: 10", "threshold: x"))
        broken = stoplog("rules", "test", str(tmp_path), "--no-json")
        assert broken.status == 1
        assert "loops.detectors.yaml:4:" in broken.out

    def test_rules_without_a_bundle_are_no_directory_of_detectors(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "loops.detectors.yaml").write_text(LOOP)
        (home / "bundle.yaml").unlink()
        result = stoplog("rules", "test", ".", "--no-json")
        assert result.status != 0
        assert "contains no `bundle.yaml`" in result.err

    def test_attacks_are_told_by_technique(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "p.rules.yaml").write_text((home / "p" / "p.rules.yaml").read_text() + DENY)
        (home / "p" / "p.tests.yaml").write_text(CASES + DENY_CASES)
        (home / "p" / "p.attacks.yaml").write_text(ATTACKS)
        result = stoplog("rules", "test", ".")
        assert result.status == 0, result.out
        assert of_kind(result, "technique") == [
            {
                "record": "technique", "pack": "p", "technique": "taint", "attacks": 2, "denied": 2,
                "approval_required": 0, "passed": 0, "caught_percent": 100.0,
            }
        ]  # fmt: skip
        (summary,) = of_kind(result, "summary")
        assert (summary["attacks"], summary["attacks_caught"], summary["innocent_calls"]) == (2, 2, 1)
        shown = stoplog("rules", "test", ".", "--no-json").out.splitlines()
        assert [line.split() for line in shown if "taint" in line] == [["p", "taint", "2", "2", "0", "0", "100%"]]
        assert "2 attacks, 2 caught; 1 innocent call" in shown
        assert "what the packs do not claim to catch: 1 sentence, see them with --json" in shown
        assert of_kind(result, "unclaimed") == [{"record": "unclaimed", "pack": "p", "unclaimed": ["Everything else."]}]

    def test_attacks_that_pass(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "p.attacks.yaml").write_text(ATTACKS)
        result = stoplog("rules", "test", ".", "--no-json")
        assert result.status == 1
        assert "technique `taint`: 2 of 2 attacks pass (0% caught, at least 95% required)" in result.out
        assert "2 attacks, 0 caught; 1 innocent call" in result.out

    def test_a_case_that_fails(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, cases=CASES.replace("verdict: allow", "verdict: defer"))
        result = stoplog("rules", "test", ".")
        assert result.status == 1
        failed = [record for record in of_kind(result, "case") if not record["passed"]]
        assert [(case["case"], case["file"], case["line"]) for case in failed] == [("calm", "p/p.tests.yaml", 5)]
        assert failed[0]["problems"] == ["verdict is allow (calm), expected defer"]
        shown = stoplog("rules", "test", ".", "--mutate", "--no-json").out.splitlines()
        assert shown[0] == "p/p.tests.yaml:5:5: failed: case `calm`"
        assert shown[-2:] == [
            "3 cases, 1 failed",
            "no rule was changed: first, all cases must pass and every rule must be covered",
        ]

    def test_scenarios_run_beside_the_cases(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "p.scenarios.yaml").write_text(SCENARIOS)
        result = stoplog("rules", "test", ".")
        assert result.status == 0
        (scenario,) = of_kind(result, "scenario")
        assert scenario == {
            "record": "scenario", "scenario": "a risk rises", "pack": "p", "file": "p/p.scenarios.yaml", "line": 4,
            "passed": True, "steps": 3, "problems": [],
        }  # fmt: skip
        summary = of_kind(result, "summary")[0]
        assert (summary["scenarios"], summary["scenarios_failed"], summary["steps"]) == (1, 0, 3)
        shown = stoplog("rules", "test", ".", "--no-json").out.splitlines()
        assert [line.split() for line in shown if line.startswith("p ")] == [["p", "1", "3", "0"]]
        assert "1 scenario, 3 steps passed" in shown

    def test_a_scenario_counts_towards_the_coverage(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, cases="".join(line for line in CASES.splitlines(keepends=True) if "risky" not in line))
        assert stoplog("rules", "test", ".").status == 1
        (home / "p" / "p.scenarios.yaml").write_text(SCENARIOS)
        assert stoplog("rules", "test", ".").status == 0

    def test_a_scenario_that_fails(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "p.scenarios.yaml").write_text(SCENARIOS.replace("verdict: deny", "verdict: allow"))
        result = stoplog("rules", "test", ".", "--no-json")
        assert result.status == 1
        assert result.out.splitlines()[:2] == [
            "p/p.scenarios.yaml:8:9: failed: scenario `a risk rises`, step 3 (call pay.refund)",
            "       = the verdict is deny, expected allow: no_permit: no rule permits `pay.refund`",
        ]
        assert "1 scenario, 3 steps, 1 failed" in result.out

    def test_a_scenario_file_with_an_error(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "p" / "p.scenarios.yaml").write_text(SCENARIOS.replace("P-1", "P-11"))
        result = stoplog("rules", "test", ".")
        assert result.status == 1
        (finding,) = of_kind(result, "finding")
        assert (finding["code"], finding["file"], finding["line"]) == ("unknown_rule", "p/p.scenarios.yaml", 6)
        shown = stoplog("rules", "test", ".", "--no-json").out
        assert "no scenario was run: the scenario files have errors (1 error)" in shown

    def test_what_is_not_covered(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, cases="".join(line for line in CASES.splitlines(keepends=True) if "blank" not in line))
        result = stoplog("rules", "test", ".")
        assert result.status == 1
        assert [record["message"] for record in of_kind(result, "finding")] == [
            "no case in which a field that the rule reads is missing"
        ]
        shown = stoplog("rules", "test", ".", "--no-json").out.splitlines()
        assert shown[-1] == "2 cases passed, but not every rule is covered"
        assert any(line.split() == ["P-1", "1", "1", "0", "2", "of", "2"] for line in shown), (
            "what lacks a case is listed"
        )

    def test_a_change_that_no_case_notices(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, cases=CASES.replace("session.risk: 3", "session.risk: 4"))
        assert stoplog("rules", "test", ".").status == 0
        result = stoplog("rules", "test", ".", "--mutate")
        assert result.status == 1
        changes = [(change["before"], change["after"], change["line"]) for change in of_kind(result, "change")]
        assert changes == [("session.risk < 3", "session.risk <= 3", 4), ("session.risk < 3", "session.risk < 4", 4)]
        assert of_kind(result, "summary")[0]["changes_unnoticed"] == 2
        shown = stoplog("rules", "test", ".", "--mutate", "--no-json").out
        assert "undetected: rule `P-1`: no case fails if `session.risk < 3` becomes `session.risk <= 3`" in shown
        assert "2 changes tried, 2 not detected by any case" in shown

    def test_refused_rules_are_not_run(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, PERMIT.replace("risk", "rsk"))
        result = stoplog("rules", "test", ".")
        assert (result.status, [record["code"] for record in of_kind(result, "finding")]) == (1, ["unknown_field"])
        assert result.records[-1] == {
            "record": "summary", "passed": False, "cases": 0, "failed": 0, "rules": 0, "condition_outcomes": 0,
            "condition_outcomes_seen": 0, "attacks": 0, "attacks_caught": 0, "innocent_calls": 0, **NO_SCENARIOS,
            "changes": None,
            "changes_unnoticed": None,
        }  # fmt: skip
        assert "no case was run: the rules are invalid (1 error)" in stoplog("rules", "test", ".", "--no-json").out

    def test_a_fixture_that_is_not_there_is_told_once(self, stoplog: Stoplog, home: Path) -> None:
        lay(home)
        (home / "fixtures" / "base.json").unlink()
        result = stoplog("rules", "test", ".", "--no-json")
        assert (result.status, result.out.splitlines()) == (
            1,
            [
                "p/p.tests.yaml:3:1: error: fixture `../fixtures/base.json` does not exist [bad_fixture]",
                "       = hint: expected at `fixtures/base.json` in the folder of the rules",
                "no case was run: the case files have errors (1 error)",
            ],
        )
        assert of_kind(stoplog("rules", "test", "."), "summary")[0]["passed"] is False

    def test_what_cases_lack_is_not_told_where_some_can_not_be_read(self, stoplog: Stoplog, home: Path) -> None:
        more = "  - {name: other, base: ../fixtures/none.json, expect: {verdict: allow, rules: [P-1]}}\n"
        lay(home, cases=CASES.partition("  - {name: risky")[0] + more)
        result = stoplog("rules", "test", ".")
        assert [(finding["code"], finding["line"], finding["column"]) for finding in of_kind(result, "finding")] == [
            ("bad_fixture", 6, 19)
        ]
        shown = stoplog("rules", "test", ".", "--no-json").out.splitlines()
        assert shown[-1] == "1 case passed, but the case files have errors (1 error)"

    def test_without_cases_every_rule_lacks_them(self, stoplog: Stoplog, home: Path) -> None:
        lay(home, cases=None)
        result = stoplog("rules", "test", ".")
        assert (result.status, {finding["code"] for finding in of_kind(result, "finding")}) == (1, {"uncovered_rule"})
        shown = stoplog("rules", "test", ".", "--no-json").out.splitlines()
        assert shown[-1] == "0 cases passed, but not every rule is covered"


def test_what_the_author_of_rules_wrote_does_not_reach_the_terminal(stoplog: Stoplog, home: Path) -> None:
    lay(
        home,
        PERMIT + '  - {"\\e]0;owned\\a": 1, id: "\\e[2J", effect: "\\e[31m", when: "a.\\e[1m", reason: "\\u202e"}\n',
    )
    result = stoplog("rules", "check", ".", "--no-json")
    assert result.status != 0
    assert not any(mark in result.out + result.err for mark in ("\x1b", "\x07", "\u202e"))
    assert r"\x1b" in result.out
