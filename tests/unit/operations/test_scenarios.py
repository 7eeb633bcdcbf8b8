"""Scenarios: what a step may do and expect, run by the real gate, and how a difference is told."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from streams.operations.scenarios.run import ScenarioReport, run_scenarios
from streams.policy.authoring.file_schema import file_schema
from streams.wiring.codecs import build_offline_codec

RULES = """apiVersion: rules/v1
pack: p
history:
  to_account: {keep: count, on: allowed, match: {tools: [pay.refund]}, key: args.account, within: 24h}
  since_failure: {keep: last, on: failed}
  purged: {keep: any, on: ran, match: {tools: [data.purge]}}
  lists: {keep: count, on: allowed, match: {tools: [crm.list]}, per: user, window: 1h}
entities:
  customer: {key: args.customer, match: {tools: [crm.note]}, fields: {tier: string}}
budgets:
  total: {per: user, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100, window: 24h}
  own: {per: session, measure: {distinct: args.account}, match: {tools: [pay.refund]}, limit: 2}
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: '"pay" in user.scopes', reason: may pay}
  - id: P-2
    effect: require_approval
    match: {tools: [pay.refund]}
    when: history.to_account >= 2
    approval: {group: finance, ttl: 10m}
    reason: the third one
  - {id: P-3, effect: deny, match: {tools: [mail.send]}, when: session.tainted, reason: untrusted data}
  - {id: P-4, effect: quarantine, match: {tools: [data.purge]}, when: history.purged, reason: once is enough}
  - {id: P-5, effect: defer, match: {tools: [mail.slow]}, when: "true", defer: 60s, reason: slowly}
  - {id: P-6, effect: deny, match: {tools: [mail.slow]}, when: has(history.since_failure), reason: something failed}
  - {id: P-7, effect: deny, match: {tools: [mail.late]}, when: now.hour >= 12, reason: too late}
  - {id: P-8, effect: deny, match: {tools: [mail.send]}, when: args.to == "", reason: to nobody}
  - {id: P-9, effect: deny, match: {tools: [crm.note]}, when: 'entities.customer.tier != "gold"', reason: for gold only}
  - {id: P-10, effect: deny, match: {tools: [crm.list]}, when: history.lists >= 2, reason: twice an hour}
"""
HEAD = """tools:
  pay.refund: {open_world: false, output: trusted private}
  mail.send: {output: trusted public}
  mail.slow: {output: trusted public}
  mail.late: {output: trusted public}
  web.read: {read_only: true}
  data.purge: {open_world: false, output: trusted private}
  crm.note: {open_world: false, output: trusted private}
  crm.list: {open_world: false, output: trusted private}
entities:
  customer/C-1: {tier: gold}
sessions:
  desk: {scopes: [pay]}
  other: {scopes: [pay], user: bob, agent: helper}
  again: {scopes: [pay]}
scenarios:
  - name: one
    steps:
"""


def run(tmp_path: Path, *steps: str, rules: str = RULES, head: str = HEAD) -> ScenarioReport:
    (tmp_path / "p").mkdir(exist_ok=True)
    (tmp_path / "bundle.yaml").write_text('apiVersion: rules/v1\nbundle: b\nversion: "1"\n')
    (tmp_path / "p" / "p.rules.yaml").write_text(rules)
    (tmp_path / "p" / "p.scenarios.yaml").write_text(head + "".join(f"      - {step}\n" for step in steps))
    return run_scenarios(tmp_path, build_offline_codec())


def problems(report: ScenarioReport) -> list[tuple[int, str, str]]:
    """Line, step and sentence of each difference."""
    errors = [str(finding) for finding in report.findings if finding.severity == "error"]
    assert errors == []
    assert len(report.results) == 1
    return [
        (problem.location.line, problem.step, difference)
        for problem in report.results[0].problems
        for difference in problem.differences
    ]


def errors(report: ScenarioReport) -> list[tuple[str, int, str]]:
    """Code, line and hint or message of each error."""
    assert report.results == ()
    assert not report.passed
    return [(f.code, f.location.line, f.hint or f.message) for f in report.findings if f.severity == "error"]


REFUND = "call: pay.refund, args: {account: A, amount: 30}"
LINE = HEAD.count("\n") + 1


STORIES: dict[str, tuple[str, ...]] = {
    "memories and shared budgets": (
        f"{{{REFUND}, expect: {{verdict: allow, rules: [P-1], memories: {{to_account: 0}}}}}}",
        f"{{{REFUND}, as: second, expect: {{verdict: allow, memories: {{to_account: 1}}, budgets: {{total: 60}}}}}}",
        "{not_run: second}",
        "{call: pay.refund, args: {account: B, amount: 71}, expect: {verdict: deny, reason: budget_exhausted}}",
        "{call: pay.refund, args: {account: B, amount: 70}, expect: {verdict: allow, budgets: {total: 100}}}",
    ),
    "the budget of another user": (
        "{call: pay.refund, args: {account: A, amount: 100}, expect: allow}",
        "{call: pay.refund, session: other, args: {account: A, amount: 100}, expect: {verdict: allow, "
        "memories: {to_account: 0}, budgets: {total: 100}}}",
    ),
    "distinct values": (
        f"{{{REFUND}, expect: {{verdict: allow, budgets: {{own: 1}}}}}}",
        f"{{{REFUND}, expect: {{verdict: allow, budgets: {{own: 1}}}}}}",
        "{call: pay.refund, args: {account: B, amount: 1}, expect: {verdict: allow, budgets: {own: 2}}}",
        "{call: pay.refund, args: {account: C, amount: 1}, expect: {verdict: deny, reason: budget_exhausted, "
        "budgets: {own: 2}}}",
    ),
    "a window ends": (
        "{call: pay.refund, args: {account: A, amount: 100}, expect: allow}",
        "{at: +16h}",
        "{open: other}",
        "{call: pay.refund, session: other, user: bob, args: {account: A, amount: 1}, "
        "expect: {verdict: allow, budgets: {total: 1}}}",
    ),
    "an approval": (
        "{call: pay.refund, args: {account: A, amount: 1}, repeat: 2, expect: allow}",
        "{call: pay.refund, as: third, args: {account: A, amount: 1}, expect: require_approval}",
        "{approve: third, by: alice, expect: {dead_letters: [approval_not_valid]}}",
        "{approve: third, groups: [others], expect: {dead_letters: [approval_not_valid]}}",
        "{approve: third, expect: {verdict: allow, reason: permitted, rules: [P-1, P-2], budgets: {total: 3}}}",
        "{approve: third, expect: {dead_letters: [approval_not_awaited]}}",
    ),
    "a refusal, and a question that nobody answers": (
        "{call: pay.refund, args: {account: A, amount: 1}, repeat: 2, expect: allow}",
        "{call: pay.refund, as: third, args: {account: A, amount: 1}, expect: require_approval}",
        "{refuse: third, expect: {verdict: deny, reason: approval_denied}}",
        "{call: pay.refund, as: fourth, args: {account: A, amount: 1}, expect: require_approval}",
        "{at: +9m}",
        "{at: +1m, expect: {calls: {fourth: {verdict: deny, reason: approval_expired}}}}",
    ),
    "taint": (
        "{call: mail.send, args: {to: bob}, expect: allow}",
        "{call: web.read, expect: allow}",
        "{call: mail.send, args: {to: bob}, expect: {verdict: deny, rules: [P-1, P-3], alerts: [P-3]}}",
        "{call: mail.send, session: other, args: {to: bob}, expect: {verdict: allow, alerts: []}}",
    ),
    "a label in a report": (
        "{call: mail.send, as: mail, args: {to: bob}, expect: allow}",
        "{result: mail, label: untrusted public}",
        "{call: mail.send, args: {to: bob}, expect: {verdict: deny, rules: [P-1, P-3]}}",
    ),
    "an event that says what was read": (
        "{event: retrieval, tool: pay.refund, label: untrusted public}",
        "{call: mail.send, args: {to: bob}, expect: {verdict: deny, rules: [P-1, P-3]}}",
    ),
    "quarantine and release": (
        "{call: data.purge, expect: {verdict: allow, memories: {purged: false}}}",
        "{result: data.purge}",
        "{call: data.purge, expect: {verdict: quarantine, memories: {purged: true}, alerts: [P-4]}}",
        "{call: mail.send, args: {to: bob}, expect: {verdict: deny, reason: session_frozen}}",
    ),
    "deferral": (
        "{call: mail.slow, expect: {verdict: defer, memories: {since_failure: null}}}",
        "{at: +59s}",
        "{at: +1s, expect: {calls: {mail.slow: allow}}}",
        "{result: mail.slow, error: true}",
        "{call: mail.slow, at: +5s, expect: {verdict: deny, rules: [P-1, P-5, P-6], memories: {since_failure: 5000}}}",
    ),
    "a deferral is cancelled": (
        "{call: mail.slow, expect: defer}",
        "{refuse: mail.slow, expect: {verdict: deny, reason: deferral_cancelled}}",
    ),
    "stops and releases": (
        "{call: mail.slow, as: slow, expect: defer}",
        "{stop: {agent: assistant}, reason: odd, expect: {calls: {slow: {verdict: deny, reason: revoked_agent}}}}",
        "{call: mail.send, args: {to: bob}, expect: {verdict: deny, reason: revoked_agent}}",
        "{call: mail.send, session: other, args: {to: bob}, expect: allow}",
        "{release: {agent: assistant}}",
        "{call: mail.send, args: {to: bob}, expect: allow}",
        "{stop: {tool: mail.send}}",
        "{call: mail.send, args: {to: bob}, expect: {verdict: deny, reason: revoked_tool}}",
        "{stop: {session: desk}}",
        "{call: web.read, expect: {verdict: deny, reason: session_revoked}}",
        "{stop: {user: bob}}",
        "{call: web.read, session: other, expect: {verdict: deny, reason: revoked_subject}}",
        "{stop: all}",
    ),
    "ends of sessions": (
        "{event: token_claims_change, scopes: []}",
        "{call: web.read, expect: {verdict: deny, reason: no_permit, rules: []}}",
        "{event: session_ended, session: other}",
        "{call: web.read, session: other, expect: {verdict: deny, reason: session_ended}}",
    ),
    "a session that opens later": (
        "{call: web.read, session: other, expect: none}",
        "{open: other, expect: {calls: {web.read: allow}}}",
    ),
    "the time of day": (
        "{call: mail.late, expect: allow}",
        "{at: +30m}",
        "{call: web.read, at: +29m, expect: allow}",
        "{call: web.read, at: +59m, expect: allow}",
        "{call: web.read, at: +59m, expect: allow}",
        "{call: mail.late, at: +10m, expect: {verdict: deny, rules: [P-1, P-7]}}",
    ),
    "rules in error, and calls in another name": (
        "{call: mail.send, expect: {verdict: deny, reason: rule_error, errors: [P-8]}}",
        "{call: web.read, user: eve, expect: {verdict: deny, reason: subject_mismatch, alerts: [subject_mismatch]}}",
        "{call: web.read, agent: mallory, expect: {verdict: deny, reason: actor_mismatch}}",
    ),
    "records of other kinds": (
        "{record: {record: revocation, value: {kind: TENANT, id: acme, effective_at: 1767603600000, reason: drill, "
        "initiating_entity: soc}}}",
        "{call: web.read, expect: {verdict: deny, reason: revoked_tenant}}",
    ),
    "attributes of entities": (
        "{call: crm.note, args: {customer: C-1}, expect: allow}",
        "{call: crm.note, args: {customer: C-2}, expect: {verdict: deny, reason: rule_error, errors: [P-9]}}",
        "{entity: customer/C-2, attributes: {tier: gold}}",
        "{call: crm.note, args: {customer: C-2}, expect: allow}",
        "{entity: customer/C-1, attributes: {tier: basic}}",
        "{call: crm.note, args: {customer: C-1}, expect: {verdict: deny, rules: [P-1, P-9]}}",
    ),
    "a memory that sessions share": (
        "{call: crm.list, expect: {verdict: allow, memories: {lists: 0}}}",
        "{call: crm.list, session: again, expect: {verdict: allow, memories: {lists: 1}}}",
        "{call: crm.list, session: other, expect: {verdict: allow, memories: {lists: 0}}}",
        "{call: crm.list, session: again, expect: {verdict: deny, rules: [P-1, P-10], memories: {lists: 2}}}",
    ),
    "parallel calls": (
        "{call: web.read, as: a, expect: allow}",
        "{call: mail.send, at: +0s, args: {to: bob}, expect: {verdict: deny, reason: rule_denied}}",
    ),
}


class TestStories:
    """Each of these passes as it stands, and fails if one expectation is another."""

    @pytest.mark.parametrize("name", STORIES)
    def test_it_passes_as_it_stands(self, name: str, tmp_path: Path) -> None:
        report = run(tmp_path, *STORIES[name])
        assert problems(report) == []
        assert report.passed
        assert report.steps_count == len(STORIES[name])

    @pytest.mark.parametrize("name", STORIES)
    def test_it_fails_if_a_verdict_is_another(self, name: str, tmp_path: Path) -> None:
        steps = list(STORIES[name])
        changed = [index for index, step in enumerate(steps) if re.search(r"\b(allow|deny)\b", step)]
        index = changed[-1]
        steps[index] = re.sub(
            r"\b(allow|deny)\b", lambda found: {"allow": "deny", "deny": "allow"}[found[0]], steps[index]
        )
        found = problems(run(tmp_path, *steps))
        assert {line for line, _, _ in found} == {LINE + index}
        assert any("the verdict is" in difference for _, _, difference in found)


class TestDifferences:
    @pytest.mark.parametrize(
        ("step", "difference"),
        [
            (f"{{{REFUND}, expect: deny}}",
             "the verdict is allow, expected deny: permitted; rules: P-1 (permit: may pay)"),
            (f"{{{REFUND}, expect: none}}",
             "the verdict is allow, expected none: permitted; rules: P-1 (permit: may pay)"),
            (f"{{{REFUND}, expect: {{verdict: allow, reason: no_permit}}}}",
             "reason is permitted, expected no_permit: permitted; rules: P-1 (permit: may pay)"),
            (f"{{{REFUND}, expect: {{verdict: allow, rules: [P-2]}}}}", "matched rules are P-1, expected P-2"),
            (f"{{{REFUND}, expect: {{verdict: allow, rules: []}}}}", "matched rules are P-1, expected none"),
            (f"{{{REFUND}, expect: {{verdict: allow, errors: [P-2]}}}}", "rules in error are none, expected P-2"),
            ("{call: mail.send, expect: deny}", "rules in error are P-8, expected none; P-8: no such key: to"),
            (f"{{{REFUND}, expect: {{verdict: allow, memories: {{to_account: 1}}}}}}",
             "memory `to_account` is 0, expected 1"),
            (f"{{{REFUND}, expect: {{verdict: allow, memories: {{to_account: null}}}}}}",
             "memory `to_account` is 0, expected without a value"),
            (f"{{{REFUND}, expect: {{verdict: allow, memories: {{purged: false}}}}}}",
             "memory `purged` is read by no rule for pay.refund; expect it where a rule reads it"),
            (f"{{{REFUND}, expect: {{verdict: allow, budgets: {{total: 31}}}}}}",
             "budget `total` has 30 used, expected 31"),
            ("{call: web.read, expect: {verdict: allow, budgets: {total: 0}}}",
             "budget `total` is not charged for this call (its budgets are none)"),
            (f"{{{REFUND}, expect: {{verdict: allow, alerts: [P-3]}}}}", "alerts are none, expected P-3"),
            (f"{{{REFUND}, expect: {{verdict: allow, dead_letters: [report_of_no_call]}}}}",
             "dead letters are none, expected report_of_no_call"),
            ("{call: web.read, session: other, user: x, expect: {verdict: deny, budgets: {total: 0}}}",
             "its budgets are not known, because the rules did not judge it in this step"),
        ],
    )  # fmt: skip
    def test_each_is_a_sentence(self, step: str, difference: str, tmp_path: Path) -> None:
        found = problems(run(tmp_path, step))
        assert [(line, text) for line, _, text in found] == [(LINE, difference)]
        assert found[0][1].startswith("step 1 (call ")

    def test_what_nobody_expects_must_not_happen(self, tmp_path: Path) -> None:
        report = run(
            tmp_path,
            "{call: mail.slow, as: slow, expect: defer}",
            "{at: +60s}",
            "{call: mail.slow, as: again, expect: defer}",
            "{not_run: again}",
            "{stop: {agent: assistant}}",
        )
        expected = "but the step expects no verdict on it"
        (passed, unreported, stopped) = problems(report)
        assert passed[:2] == (LINE + 1, "step 2 (time passes)")
        assert passed[2].startswith(f"call `slow`: the verdict is allow, {expected}: permitted; rules: P-1")
        assert unreported[:2] == (LINE + 3, "step 4 (not_run again)")
        assert unreported[2].startswith(
            "dead letters are report_of_no_call, expected none; report_of_no_call: no verdict"
        )
        assert stopped == (
            LINE + 4,
            "step 5 (stop agent)",
            f"call `again`: the verdict is deny, {expected}: revoked_agent: the agent has been revoked",
        )

    def test_a_call_that_waits_is_said_to(self, tmp_path: Path) -> None:
        steps = ("{call: web.read, session: other, expect: allow}", "{open: other, expect: {calls: {web.read: allow}}}")
        ((_, _, difference),) = problems(run(tmp_path, *steps))
        assert difference == "there is no verdict, expected allow: it waits, or was decided before"

    def test_the_repetition_is_named(self, tmp_path: Path) -> None:
        report = run(tmp_path, "{call: pay.refund, args: {account: A, amount: 1}, repeat: 5, expect: allow}")
        ((_, step, _),) = problems(report)
        assert step == "step 1 (call pay.refund, time 3 of 5)"

    def test_a_record_that_is_none(self, tmp_path: Path) -> None:
        report = run(tmp_path, "{record: {record: revocation, value: {kindd: TENANT}}}", f"{{{REFUND}, expect: allow}}")
        ((_, step, difference),) = problems(report)
        assert step == "step 1 (record)"
        assert difference.startswith("the step can't be made: ")
        assert "`kind`" in difference


class TestErrors:
    @pytest.mark.parametrize(
        ("step", "code", "told"),
        [
            ("{cal: pay.refund, expect: allow}", "missing_key", "did you mean `call`?"),
            ("{call: pay.refund, arg: {}, expect: allow}", "unknown_key", "did you mean `args`?"),
            ("{call: pay.refnd, expect: allow}", "unknown_tool", "did you mean `pay.refund`?"),
            ("{call: pay.refund}", "expects_nothing",
             "this `call` step expects nothing; state its verdict (or `none`)"),
            ("{call: pay.refund, expect: {}}", "expects_nothing", "`expect` needs the key `verdict`"),
            ("{call: pay.refund, expect: {rules: []}}", "expects_nothing", "`expect` needs the key `verdict`"),
            ("{call: pay.refund, expect: alow}", "wrong_value", "did you mean `allow`?"),
            ("{call: pay.refund, expect: {verdict: allow, rule: []}}", "unknown_key", "did you mean `rules`?"),
            ("{call: pay.refund, expect: {verdict: allow, rules: [P-11]}}", "unknown_rule", "did you mean `P-1`?"),
            ("{call: pay.refund, expect: {verdict: allow, memories: {to_acount: 1}}}", "unknown_memory",
             "did you mean `to_account`?"),
            ("{call: pay.refund, expect: {verdict: allow, budgets: {totl: 1}}}", "unknown_budget",
             "did you mean `total`?"),
            ("{call: pay.refund, expect: {verdict: allow, budgets: {total: x}}}", "wrong_value",
             "the value of a budget must be a whole number"),
            ("{call: pay.refund, expect: {verdict: allow, calls: {x: allow}}}", "unknown_call",
             "no step up to this one has the call `x`"),
            ("{call: pay.refund, expect: {verdict: deny, dead_letters: [report_of_no_cal]}}", "wrong_value",
             "did you mean `report_of_no_call`?"),
            ("{call: pay.refund, session: dsk, expect: allow}", "unknown_session", "did you mean `desk`?"),
            ("{result: pay.refund}", "unknown_call", "no step before this one has the call `pay.refund`"),
            ("{at: 5m}", "wrong_value", "write `+5m`"),
            ("{at: +5m, expect: {}}", "expects_nothing", "`expect` is empty"),
            ("{at: +5m, expect: allow}", "wrong_kind",
             "a `wait` step is about no call that gets a verdict; write {calls: {NAME: VERDICT}}"),
            ("{entity: customer, attributes: {}}", "wrong_value",
             "`entity` must be an entity, as `KIND/ID`, found `customer`"),
            ("{entity: customer/C-1}", "missing_key", "an `entity` step needs the key `attributes`"),
            ("{stop: {agnt: x}}", "unknown_key", "did you mean `agent`?"),
            ("{stop: {agent: x, tool: y}}", "wrong_kind",
             "`stop` must be `all`, or one kind and a name such as {agent: helper}"),
            ("{event: user_mesage}", "wrong_value", "did you mean `user_message`?"),
            ("{call: pay.refund, result: pay.refund, expect: allow}", "many_verbs", "make a step of each"),
            ("{call: pay.refund, model: {nme: x, provider: y}, expect: allow}", "unknown_key", "did you mean `name`?"),
            ("{event: retrieval, label: bad}", "wrong_value",
             "`label` must be a label such as `untrusted private`, found `bad`"),
            ("{stop: {agent: helper}}", "expects_nothing", "no step of this scenario expects anything"),
        ],
    )  # fmt: skip
    def test_each_has_its_place_and_advice(self, step: str, code: str, told: str, tmp_path: Path) -> None:
        found = errors(run(tmp_path, step))
        assert (code, told) in [(found_code, text) for found_code, _, text in found]
        line = LINE if code != "expects_nothing" or "no step" not in told else LINE - 2
        assert {found_line for _, found_line, _ in found} == {line}

    @pytest.mark.parametrize(
        ("before", "after", "code"),
        [
            ("open_world", "open_wrld", "unknown_key"),
            ("read_only: true", "read_only: yes", "wrong_kind"),
            ("scopes: [pay]}", "scope: [pay]}", "unknown_key"),
            ("trusted public", "trusted pubic", "wrong_value"),
            ("customer/C-1", "customer", "wrong_value"),
            ("{tier: gold}", "gold", "wrong_kind"),
            ("    steps:\n", "    start: yesterday\n    steps:\n", "bad_scenario"),
            ("    steps:\n", "    history: x.jsonl\n    steps:\n", "missing_key"),
            ("    steps:\n", "    catalog: none.json\n    steps:\n", "bad_scenario"),
            ("    steps:\n", "    catalog: ../../none.json\n    steps:\n", "bad_scenario"),
        ],
    )
    def test_errors_outside_of_steps(self, before: str, after: str, code: str, tmp_path: Path) -> None:
        report = run(tmp_path, f"{{{REFUND}, expect: allow}}", head=HEAD.replace(before, after, 1))
        assert code in {found for found, _, _ in errors(report)}

    def test_a_rule_that_is_off(self, tmp_path: Path) -> None:
        rules = RULES.replace("{id: P-1, effect: permit,", '{id: P-1, effect: permit, mode: "off",')
        report = run(tmp_path, f"{{{REFUND}, expect: {{verdict: allow, rules: [P-1]}}}}", rules=rules)
        ((code, _, hint),) = errors(report)
        assert code == "rule_off"
        assert hint.startswith("expect it no longer, or set its `mode` to `shadow`")

    def test_two_scenarios_of_one_name(self, tmp_path: Path) -> None:
        step = f"{{{REFUND}, expect: allow}}"
        again = f"  - name: one\n    steps:\n      - {step}\n"
        report = run(tmp_path, f"{step}\n{again.rstrip()}")
        assert [code for code, _, _ in errors(report)] == ["duplicate_scenario"]

    def test_a_history_outside_of_the_rules(self, tmp_path: Path) -> None:
        head = "scenarios:\n  - {name: one, history: ../../x.jsonl, expect: []}\n"
        assert [code for code, _, _ in errors(run(tmp_path, head=head))] == ["outside"]

    def test_a_file_beside_no_pack(self, tmp_path: Path) -> None:
        (tmp_path / "q").mkdir()
        run(tmp_path, f"{{{REFUND}, expect: allow}}")
        (tmp_path / "p" / "p.scenarios.yaml").rename(tmp_path / "q" / "q.scenarios.yaml")
        report = run_scenarios(tmp_path, build_offline_codec())
        assert [code for code, _, _ in errors(report)] == ["missing_pack"]


class TestCounts:
    def test_memories_and_budgets_without_a_scenario_are_warned_of(self, tmp_path: Path) -> None:
        report = run(tmp_path, f"{{{REFUND}, expect: allow}}", f"{{{REFUND}, expect: allow}}")
        assert report.passed
        assert (report.memories_count, report.memories_read) == (4, {"to_account"})
        assert (report.budgets_count, report.budgets_exhausted) == (2, frozenset())
        assert [(f.code, f.severity, f.message.split("`")[1]) for f in report.findings] == [
            ("untested_memory", "warning", "since_failure"),
            ("untested_memory", "warning", "purged"),
            ("untested_memory", "warning", "lists"),
            ("untested_budget", "warning", "total"),
            ("untested_budget", "warning", "own"),
        ]

    def test_every_evaluation_is_an_observation(self, tmp_path: Path) -> None:
        report = run(
            tmp_path,
            "{call: web.read, expect: allow}",
            "{call: mail.send, args: {to: bob}, expect: deny}",
            "{call: mail.send, expect: {verdict: deny, errors: [P-8]}}",
        )
        seen = [({match.rule_id for match in each.result.rules}, each.errors) for each in report.observations]
        assert seen == [({"P-1"}, frozenset()), ({"P-1", "P-3"}, frozenset()), ({"P-1", "P-3"}, {"P-8"})]

    def test_the_same_every_time(self, tmp_path: Path) -> None:
        steps = STORIES["memories and shared budgets"]
        assert run(tmp_path, *steps) == run(tmp_path, *steps)


SHARED_RULES = """apiVersion: rules/v1
pack: p
history:
  refused: {keep: count, on: denied, per: agent, window: 24h, fresh: 1s}
budgets:
  customers:
    per: tenant
    key: args.customer
    keys_max: 2
    measure: {sum: args.amount}
    match: {tools: [pay.refund]}
    limit: 10000
    window: 24h
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: '"pay" in user.scopes', reason: may pay}
  - id: P-2
    effect: require_approval
    match: {tools: [mail.send]}
    when: history.refused >= 2
    approval: {group: security, ttl: 10m}
    reason: refused too often today
"""


def test_a_story_of_customers_and_of_other_sessions(tmp_path: Path) -> None:
    head = HEAD.replace("  other:", "  third: {scopes: [pay], user: carol}\n  other:")
    denied = "expect: {verdict: deny, reason:"
    report = run(
        tmp_path,
        "{call: pay.refund, args: {customer: ann, amount: 6000}, expect: {verdict: allow, budgets: {customers: 6000}}}",
        f"{{call: pay.refund, session: other, args: {{customer: ann, amount: 4001}}, {denied} budget_exhausted}}}}",
        "{call: pay.refund, session: other, args: {customer: ann, amount: 4000}, expect: allow}",
        "{call: pay.refund, args: {customer: bob, amount: 100}, expect: {verdict: allow, budgets: {customers: 100}}}",
        f"{{call: pay.refund, args: {{customer: eve, amount: 1}}, {denied} budget_keys_exhausted}}}}",
        "{call: pay.refund, args: {amount: 1}, expect: {verdict: deny, reason: budget_key_invalid}}",
        "{at: +2s}",
        "{call: mail.send, session: third, args: {to: a}, expect: {verdict: require_approval, memories: {refused: 2}}}",
        "{call: mail.send, session: other, args: {to: a}, expect: {verdict: allow, memories: {refused: 1}}}",
        rules=SHARED_RULES,
        head=head,
    )
    assert problems(report) == []
    assert [str(finding) for finding in report.findings] == []


class TestFactsOfTools:
    RULES = """apiVersion: rules/v1
pack: p
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - id: P-2
    effect: deny
    match: {tools: [mail.send]}
    when: tool.sink_args == ["/recipients/*"] && act.kind == "send"
    reason: as the file says
"""

    @staticmethod
    def head(fact: str) -> str:
        return HEAD.replace("mail.send: {output: trusted public}", f"mail.send: {{output: trusted public, {fact}}}")

    def test_a_file_can_state_all_that_an_operator_states(self, tmp_path: Path) -> None:
        facts = (
            'sink_args: ["/recipients/*"], kind: send, arg_roles: {/recipients/*: destination}, owner_args: [/-], '
            "content_type: text/plain, compensating_tool: recall, compensating_args: {/id: /result/id}"
        )
        call = "{call: mail.send, session: desk, args: {to: a}, expect: {verdict: deny, rules: [P-1, P-2]}}"
        report = run(tmp_path, call, rules=self.RULES, head=self.head(facts))
        assert [result.problems for result in report.results] == [()]

    @staticmethod
    def fits_schema(text: str) -> bool:
        return jsonschema_rs.validator_for(file_schema()).is_valid(yaml.safe_load(text))

    @pytest.mark.parametrize("sets", ["[[/to], [/cc, /body]]", "[/to, /cc]", "[[/to]]"])
    def test_a_file_can_state_sets_of_arguments_that_identify(self, tmp_path: Path, sets: str) -> None:
        call = "{call: mail.send, session: desk, args: {to: a}, expect: deny}"
        head = self.head(f"identifying_args: {sets}")
        assert [finding for finding in run(tmp_path, call, head=head).findings if finding.severity == "error"] == []
        assert self.fits_schema(f"{head}      - {call}\n")

    @pytest.mark.parametrize("sets", ["[[/to], []]", "[[/to], /cc]", "[[/to, [/cc]]]", "[{/to: /cc}]", "[[/to], [3]]"])
    def test_sets_of_another_form_are_an_error(self, tmp_path: Path, sets: str) -> None:
        call = "{call: mail.send, session: desk, args: {to: a}, expect: deny}"
        head = self.head(f"identifying_args: {sets}")
        report = run(tmp_path, call, head=head)
        assert "`identifying_args`" in " ".join(finding.message for finding in report.findings)
        assert not self.fits_schema(f"{head}      - {call}\n")

    def test_a_wrong_fact_is_an_error_that_names_the_tool(self, tmp_path: Path) -> None:
        report = run(
            tmp_path, "{call: mail.send, session: desk, expect: deny}", rules=self.RULES, head=self.head("kind: sned")
        )
        told = " ".join(finding.message for finding in report.findings)
        assert "tool `mail.send`: `kind`: `sned` is not a kind of act; did you mean `send`?" in told
