"""`stoplog try`: what it writes and where, and how bad lines are told. What the engine decides is in tests/golden."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest

from streams.codec.history import format_line, parse_line
from streams.model.intent import Intent
from streams.model.proof import make_hmac, proof_message, session_secret
from streams.operations.root_key import make_root_key
from tests.unit.cli.conftest import Stoplog

HISTORIES = Path(__file__).parents[2] / "golden" / "try"
CATALOG = ("--catalog", str(HISTORIES / "catalog.jsonl"))
RULES = ("--rules", str(HISTORIES / "rules"))
ACT = {"iss": "https://issuer.example", "sub": "helper"}
START_MS = 1_764_061_200_000


def history(name: str) -> str:
    return str(HISTORIES / f"{name}.jsonl")


def write(path: Path, *lines: object) -> str:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def opened(key: str = "acme|s-1", **value: object) -> dict[str, object]:
    given = {"type": "SESSION_ESTABLISHED", "sub": "alice", "act": ACT, "scopes": ["git:read"], **value}
    return {"record": "session_event", "key": key, "time_ms": START_MS, "value": {"expires": START_MS + 10**7, **given}}


def intent(time_ms: int = START_MS + 1_000, **value: object) -> dict[str, object]:
    given: dict[str, object] = {"sub": "alice", "act": ACT, "tool": {"server_id": "git", "name": "git_show"}}
    given |= {"args": {"repo_path": "/r", "revision": "HEAD"}, **value}
    return {"record": "intent", "key": "acme|s-1", "time_ms": time_ms, "value": given}


def test_it_needs_no_set_up_and_leaves_nothing(stoplog: Stoplog, home: Path) -> None:
    result = stoplog("try", history("honest"), *CATALOG)
    assert (result.status, result.err) == (0, "")
    assert {record["record"] for record in result.records} >= {"verdict", "audit_event"}
    assert list(home.iterdir()) == []


def test_the_starter_rules_let_honest_reading_through(stoplog: Stoplog, home: Path) -> None:
    # The git pack lets agents work in its list of folders only.
    text = (HISTORIES / "honest.jsonl").read_text().replace("/srv/notes", "/workspace/notes")
    records = stoplog("try", write(home / "honest.jsonl", *text.splitlines()), *CATALOG).records
    verdicts = {record["value"]["tool"]["name"]: record["value"]["outcome"] for record in records[:4]}
    assert verdicts["git_show"] == "ALLOW"


def test_outputs_go_to_a_file_instead(stoplog: Stoplog, home: Path) -> None:
    printed = stoplog("try", history("hijacked"), *CATALOG, *RULES)
    written = stoplog("try", history("hijacked"), *CATALOG, *RULES, "--out", "out.jsonl")
    assert (written.status, written.out) == (0, "")
    assert (home / "out.jsonl").read_text() == printed.out
    # What came out can be put in: it is left out, since an engine writes it.
    again = stoplog("try", "out.jsonl", *CATALOG, *RULES)
    assert again.status == 1
    assert "has no record that can be processed" in again.err


def test_what_it_writes_is_its_owners_alone(stoplog: Stoplog, home: Path) -> None:
    old_mask = os.umask(0o022)
    try:
        stoplog("try", history("hijacked"), *CATALOG, *RULES, "--out", "out.jsonl", "--write-expect", "expect.yaml")
    finally:
        os.umask(old_mask)
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in ("out.jsonl", "expect.yaml")} == {0o600}


def test_a_person_sees_a_line_for_each_and_a_summary(stoplog: Stoplog) -> None:
    result = stoplog("try", history("hijacked"), *CATALOG, *RULES, "--no-json")
    assert result.status == 0
    lines = result.out.splitlines()
    assert any("DENY" in line and "mail/send" in line and "rule_denied" in line for line in lines)
    assert lines[-1].endswith("final verdicts: 1 ALLOW, 8 DENY, 1 QUARANTINE")


def test_the_command_that_an_alert_names_explains_it_from_the_history(stoplog: Stoplog) -> None:
    """The alert itself names commands that ask a log, and there is none."""
    lines = stoplog("try", history("hijacked"), *CATALOG, *RULES, "--no-json").out.splitlines()
    commands = [shlex.split(line) for line in lines if line.strip().startswith("stoplog ")]
    assert commands
    for program, *arguments in commands:
        explained = stoplog(*arguments, "--no-json")
        assert (program, explained.status, explained.err) == ("stoplog", 0, ""), arguments
        assert arguments[-1] in explained.out
        assert "verdict: " in explained.out


def test_bad_lines_are_told_with_their_numbers_and_the_rest_is_run(stoplog: Stoplog) -> None:
    result = stoplog("try", history("garbage"), *CATALOG, *RULES)
    assert result.status == 1
    errors = result.err.splitlines()
    assert [error.partition(" ")[2].split(":")[1] for error in errors] == ["3", "4", "5", "6", "7", "8"]
    assert all(error.startswith("error: ") for error in errors)
    assert len(result.records) == len((HISTORIES / "garbage.out.jsonl").read_text().splitlines())


def test_a_file_of_another_kind_fills_no_screen(stoplog: Stoplog, home: Path) -> None:
    (home / "notes.md").write_text("no record\n" * 5_000)
    errors = stoplog("try", "notes.md").err.splitlines()
    assert errors[0] == "error: notes.md:1: is not JSON: expecting value (column 1)"
    assert errors[19:] == [
        "error: notes.md:20: is not JSON: expecting value (column 1)",
        "error: 4,980 further bad lines",
        "error: notes.md: has no record that can be processed",
    ]


def test_a_record_that_no_topic_takes_is_a_bad_line(stoplog: Stoplog, home: Path) -> None:
    huge = intent(args={"repo_path": "x" * 1_100_000, "revision": "HEAD"})
    result = stoplog("try", write(home / "h.jsonl", opened(), huge, intent(START_MS + 2_000)), *CATALOG, *RULES)
    assert result.status == 1
    assert result.err.startswith(f"error: {home}/h.jsonl:2: can't be processed: record of 1100")
    kinds = [(record["record"], record["value"].get("event_type")) for record in result.records]
    # The history is over before its session, which ends by itself.
    assert kinds == [("verdict", None), ("audit_event", "VERDICT"), ("audit_event", "SESSION")]


def test_a_time_that_goes_back_is_a_bad_line(stoplog: Stoplog, home: Path) -> None:
    file = write(home / "h.jsonl", opened(), intent(START_MS + 2_000), intent(START_MS + 1_500))
    result = stoplog("try", file, *CATALOG, *RULES)
    assert result.status == 1
    assert result.err.startswith(
        f"error: {home}/h.jsonl:3: `time_ms` goes back by 500 ms: sort the lines by their time"
    )
    assert [record["record"] for record in result.records].count("verdict") == 1


@pytest.mark.parametrize("content", ["", "# nothing\n", "no json\n"])
def test_a_history_without_records(stoplog: Stoplog, home: Path, content: str) -> None:
    (home / "h.jsonl").write_text(content)
    result = stoplog("try", "h.jsonl")
    assert result.status == 1
    assert "h.jsonl: has no record that can be processed" in result.err


def test_a_truncated_line_is_told_also_where_it_is_the_only_one(stoplog: Stoplog, home: Path) -> None:
    (home / "h.jsonl").write_text('# cut off\n{"record": "intent", "key"')
    result = stoplog("try", "h.jsonl")
    assert result.status == 1
    assert result.err.index("h.jsonl:2: ") < result.err.index("h.jsonl: has no record that can be processed")


def test_a_history_that_is_not_there(stoplog: Stoplog) -> None:
    result = stoplog("try", "none.jsonl")
    assert result.status == 1
    assert result.err.startswith("error: none.jsonl: can't be read: No such file")
    assert stoplog("try", "none.jsonl", "--no-json").out == "", "not even the head of a table"


def test_rules_that_are_refused_are_told_with_their_place(stoplog: Stoplog, home: Path) -> None:
    (home / "bundle.yaml").write_text("rules: [\n")
    (home / "p").mkdir()
    (home / "p" / "p.rules.yaml").write_text("apiVersion: rules/v1\npack: p\nrules: []\n")
    result = stoplog("try", history("honest"), *CATALOG, "--rules", ".")
    assert result.status == 1
    assert "bundle.yaml:2:1: error:" in result.err
    assert [(r["record"], r["code"], r["line"]) for r in result.records] == [("finding", "yaml_syntax", 2)]
    shown = stoplog("try", history("honest"), *CATALOG, "--rules", ".", "--no-json")
    assert "yaml_syntax" not in shown.out


def test_a_historys_own_rules_count_unless_others_are_named(stoplog: Stoplog, home: Path) -> None:
    files = [
        {"path": path.relative_to(HISTORIES / "rules").as_posix(), "content": path.read_text()}
        for path in sorted((HISTORIES / "rules").rglob("*.yaml"))
    ]
    digest = "0" * 64
    bundle = {"name": "own", "version": "1", "serial": 7, "digest": digest, "files": files, "published_by": "a"}
    line = {"record": "ruleset", "time_ms": START_MS, "value": bundle}
    path = write(home / "h.jsonl", line, opened(), intent())
    # A bundle whose digest is not that of its files is refused, so nothing is in force.
    (verdict,) = [r for r in stoplog("try", path, *CATALOG).records if r["record"] == "verdict"]
    assert verdict["value"]["reason"] == "no_ruleset"
    named = [r for r in stoplog("try", path, *CATALOG, *RULES).records if r["record"] == "verdict"]
    assert named[0]["value"]["outcome"] == "ALLOW"
    line["value"] = bundle | {"digest": named[0]["value"]["ruleset_digest"]}
    change, own, *_ = stoplog("try", write(home / "h.jsonl", line, opened(), intent()), *CATALOG).records
    assert change["value"]["reason"] == "rules_published"
    assert own["value"]["outcome"] == "ALLOW"


def test_intents_are_pinned_and_proven_only_where_they_state_nothing(stoplog: Stoplog, home: Path) -> None:
    tool = {"server_id": "git", "name": "git_show"}
    lines = [
        opened(),
        intent(intent_id="a"),
        intent(intent_id="b", tool={**tool, "definition_digest": "1" * 64}),
        intent(intent_id="c", proof=None),
        intent(intent_id="d", proof={"alg": "HMAC_SHA256", "value": "AAAA"}),
    ]
    records = stoplog("try", write(home / "h.jsonl", *lines), *CATALOG, *RULES).records
    verdicts = [record["value"]["reason"] for record in records if record["record"] == "verdict"]
    assert verdicts == ["permitted", "tool_definition_changed", "proof_missing", "proof_invalid"]


def test_a_recorded_intent_that_was_not_pinned_stays_so(stoplog: Stoplog, home: Path) -> None:
    """Its proof stands in the line, so it says what it says: nothing is added to it."""
    key = home / "root.key"
    root_key = make_root_key(key)
    line = parse_line(json.dumps(intent()), 1, "h")
    secret = session_secret(root_key, "acme", "s-1")
    assert isinstance(line.record, Intent)
    proof = base64.b64encode(make_hmac(secret, proof_message(line.record))).decode()
    recorded = json.loads(format_line(line.topic, line.key, line.time_ms, line.record))
    recorded["value"]["proof"] = {"alg": "HMAC_SHA256", "value": proof}
    path = write(home / "h.jsonl", opened(), recorded)
    records = stoplog("try", path, *CATALOG, *RULES, "--root-key", str(key)).records
    assert records[0]["value"]["reason"] == "tool_definition_unstated"
    # Under another root key it is nobody's.
    assert stoplog("try", path, *CATALOG, *RULES).records[0]["value"]["reason"] == "proof_invalid"


def test_what_waits_comes_to_its_end(stoplog: Stoplog, home: Path) -> None:
    (verdict, _audit) = stoplog("try", write(home / "h.jsonl", intent()), *CATALOG, *RULES).records
    assert verdict["value"]["reason"] == "session_unknown"
    assert verdict["time_ms"] == START_MS + 1_000 + 2_000


def test_the_outcome_is_written_as_an_expectation_which_then_holds(stoplog: Stoplog, home: Path) -> None:
    for name in ("honest", "hijacked"):
        written = stoplog("try", history(name), *CATALOG, *RULES, "--write-expect", "expect.yaml")
        assert written.status == 0
        again = stoplog("try", history(name), *CATALOG, *RULES, "--expect", "expect.yaml", "--no-json")
        assert (again.status, again.err) == (0, "")
        assert again.out.splitlines()[-1] == "every line has the expected result"
        # It compares, and leaves the output as it is.
        assert stoplog("try", history(name), *CATALOG, *RULES, "--expect", "expect.yaml").out == written.out


def test_a_name_with_a_line_end_writes_no_expectation_of_its_own(stoplog: Stoplog, home: Path) -> None:
    tool = {"server_id": "git", "name": "show\n  - {line: 2, verdict: allow}\u2028# \x85"}
    path = write(home / "h.jsonl", opened(), intent(tool=tool))
    assert stoplog("try", path, *CATALOG, *RULES, "--write-expect", "expect.yaml").status == 0
    lines = (home / "expect.yaml").read_text().splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("  - {line: 2, verdict: deny, reason: tool_unknown")
    assert stoplog("try", path, *CATALOG, *RULES, "--expect", "expect.yaml").status == 0


def test_each_line_with_another_result_is_told_with_its_reason(stoplog: Stoplog, home: Path) -> None:
    stoplog("try", history("honest"), *CATALOG, *RULES, "--write-expect", "expect.yaml")
    lines = (home / "expect.yaml").read_text().splitlines()
    assert lines[:3] == [
        "history: honest.jsonl",
        "expect:",
        "  - {line: 4, verdict: allow, reason: permitted, rules: [OFF-003]}  # call mail.send",
    ]
    lines[2] = lines[2].replace("allow", "deny")
    del lines[3]
    lines.append("  - {line: 99, verdict: allow}")
    (home / "expect.yaml").write_text("\n".join(lines))
    result = stoplog("try", history("honest"), *CATALOG, *RULES, "--expect", "expect.yaml", "--no-json")
    assert result.status == 1
    assert result.out.splitlines()[-1] == "3 lines with another result than expected"
    told = result.err.splitlines()
    assert told[0].startswith("expect.yaml:3:5: failed: line 4 (call mail.send at 2025-11-25T09:00:02.000Z)")
    assert told[1].startswith("       = the verdict is allow, expected deny: permitted; rules: OFF-003 (permit: ")
    assert told[2].startswith(f"{history('honest')}:5: failed: line 5 (call git.git_show at ")
    assert told[3].startswith(
        "       = the verdict is allow, but the step expects no verdict on it: permitted; rules: "
    )
    assert told[4:] == [
        f"expect.yaml:{len(lines)}:5: failed: line 99",
        "       = the history has no record in this line that is processed",
    ]


def test_a_file_of_expectations_with_errors_runs_nothing(stoplog: Stoplog, home: Path) -> None:
    (home / "expect.yaml").write_text("expect:\n  - {line: 4, verdct: allow}\n  - {line: 4}\n")
    result = stoplog("try", history("honest"), *CATALOG, *RULES, "--expect", "expect.yaml")
    assert (result.status, result.out) == (1, "")
    assert "expect.yaml:2:15: error: an expectation has no key `verdct` (did you mean `verdict`?)" in result.err
    assert "expect.yaml:3:5: error: the line expects nothing" in result.err


def test_a_recorded_history_can_be_a_scenario_of_the_rules(stoplog: Stoplog, home: Path) -> None:
    shutil.copytree(HISTORIES / "rules", home / "rules")
    for name in ("hijacked", "catalog"):
        shutil.copy(HISTORIES / f"{name}.jsonl", home / "rules" / "office")
    stoplog("try", history("hijacked"), *CATALOG, *RULES, "--write-expect", "expect.yaml")
    expected = "".join(f"    {line}\n" for line in (home / "expect.yaml").read_text().splitlines()[1:])
    head = "scenarios:\n  - name: hijacked\n    catalog: catalog.jsonl\n    history: hijacked.jsonl\n"
    path = home / "rules" / "office" / "hijacked.scenarios.yaml"
    path.write_text(head + expected)
    (scenario,) = [each for each in stoplog("rules", "test", "rules").records if each["record"] == "scenario"]
    assert (scenario["passed"], scenario["steps"], scenario["problems"]) == (True, 11, [])
    path.write_text(head + expected.replace("verdict: quarantine", "verdict: deny"))
    (scenario,) = [each for each in stoplog("rules", "test", "rules").records if each["record"] == "scenario"]
    assert [problem["step"].partition(" (")[0] for problem in scenario["problems"]] == ["line 13"]


def test_leases_of_budgets_are_for_programs_alone(stoplog: Stoplog) -> None:
    folder = HISTORIES.parent / "try_budgets"
    args = ("try", str(folder / "history.jsonl"), "--catalog", str(folder / "catalog.jsonl"), "--rules")
    lines = stoplog(*args, str(folder / "rules"))
    assert "budget_request" in {record["record"] for record in lines.records}
    shown = stoplog(*args, str(folder / "rules"), "--no-json").out
    assert "budget_exhausted" in shown
    assert "BudgetRequest" not in shown


def test_memories_and_budgets_of_a_history_are_compared(stoplog: Stoplog, home: Path) -> None:
    folder = HISTORIES.parent / "try_budgets"
    command = ("try", str(folder / "history.jsonl"), "--catalog", str(folder / "catalog.jsonl"))
    command += ("--rules", str(folder / "rules"), "--expect")
    assert stoplog(*command, str(folder / "expect.yaml")).status == 0
    text = (folder / "expect.yaml").read_text()
    (home / "expect.yaml").write_text(text.replace("refunds: 60", "refunds: 61").replace("account: 2", "account: 3"))
    result = stoplog(*command, "expect.yaml")
    assert result.status == 1
    assert [line for line in result.err.splitlines() if line.startswith("       = ")] == [
        "       = budget `refunds` has 60 used, expected 61",
        "       = memory `refunds_to_account` is 2, expected 3",
    ]


def test_a_history_that_causes_nothing_has_an_empty_expectation(stoplog: Stoplog, home: Path) -> None:
    quiet = write(home / "quiet.jsonl", opened())
    assert stoplog("try", quiet, *CATALOG, *RULES, "--write-expect", "expect.yaml").status == 0
    assert (home / "expect.yaml").read_text() == "history: quiet.jsonl\nexpect: []\n"
    assert stoplog("try", quiet, *CATALOG, *RULES, "--expect", "expect.yaml").status == 0
    write(home / "quiet.jsonl", opened(), intent(args={"repo_path": "/r", "revision": "HEAD"}))
    assert stoplog("try", quiet, *CATALOG, *RULES, "--expect", "expect.yaml").status == 1


def test_expectations_that_can_not_be_written_are_told_without_a_traceback(stoplog: Stoplog) -> None:
    result = stoplog("try", history("honest"), *CATALOG, *RULES, "--write-expect", "nowhere/expect.yaml")
    assert result.status == 1
    assert "nowhere/expect.yaml" in result.err
    assert "Traceback" not in result.err


def test_questions_can_be_answered_and_are_counted(stoplog: Stoplog) -> None:
    result = stoplog("try", history("hijacked"), *CATALOG, *RULES, "--no-json", "--approve", "all", "--approve", "X-1")
    assert result.status == 0
    assert "1 question to people: OFF-020 1; 1 answered with yes (--approve)" in result.out
    assert "rule `X-1` of --approve has asked nothing" in result.out


LOOP = """\
apiVersion: behaviour/v1
pack: loops
detectors:
  - {name: loop, detector: loop, key: [session.id], threshold: 10, title: It loops, explain: "{count} times"}
"""


def test_the_watch_runs_over_a_history_if_asked_to(stoplog: Stoplog, home: Path) -> None:
    shutil.copytree(HISTORIES / "rules", home / "rules")
    (home / "rules" / "loops").mkdir()
    (home / "rules" / "loops" / "loops.detectors.yaml").write_text(LOOP)
    ids = [f"00000000-0000-8000-8000-{number:012x}" for number in range(32)]
    calls = [intent(START_MS + 1_000 * (at + 1), intent_id=name) for at, name in enumerate(ids)]
    lines = write(home / "loop.jsonl", opened(), *calls)
    args = ("try", lines, *CATALOG, "--rules", "rules")
    alerts = [record for record in stoplog(*args, "--watch").records if record["record"] == "alert"]
    (alert,) = [each["value"] for each in alerts if each["value"]["analytic_uid"] == "behaviour/loop"]
    assert (alert["session_id"], alert["title"]) == ("s-1", "It loops: helper")
    assert "behaviour/loop" not in stoplog(*args).out
    assert "It loops: helper" in stoplog(*args, "--watch", "--no-json").out


def test_a_watch_needs_detectors(stoplog: Stoplog) -> None:
    result = stoplog("try", history("honest"), *CATALOG, *RULES, "--watch")
    assert result.status == 1
    assert "contains 0 files `*.detectors.yaml`" in result.err
