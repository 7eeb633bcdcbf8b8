"""What the solver finds in a bundle, and what it says where it can't tell."""

import importlib.util
from typing import Any

import pytest

from streams.policy import BundleSource, Finding, Severity, check_bundle
from streams.policy.authoring import proof_findings as proving
from streams.policy.authoring import prover as solving
from streams.policy.authoring.prover import SolverMissingError
from streams.policy.authoring.smt.translate import Translator
from tests.unit.policy.rulefiles import HEAD, facts, rule, source

LISTS = "lists: {ids: [a, b], more: [a, b, c]}\n"


def proven(rules: str, before: str = "", examples: Any = ()) -> list[Finding]:
    """What is found, less what needs no solver."""
    made = source(rules, before=before)
    without = {(finding.code, finding.rule_id) for finding in check_bundle(made).findings}
    report = check_bundle(made, prove=True, examples=examples)
    assert report.is_proven
    return [finding for finding in report.findings if (finding.code, finding.rule_id) not in without]


def codes(rules: str, before: str = "") -> list[tuple[str, str | None]]:
    return [(finding.code, finding.rule_id) for finding in proven(rules, before)]


def when(text: str) -> str:
    return '"' + text + '"'


@pytest.mark.parametrize(
    "condition",
    [
        "session.risk > 3 && !(session.risk > 2)",
        "session.risk + 1 < 1 && session.risk >= 0",
        "agent.id.startsWith('ab') && agent.id.startsWith('b')",
        "agent.id.startsWith('long-name') && size(agent.id) < 4",
        "agent.id.endsWith('@x.test') && !agent.id.contains('@')",
        "agent.id in lists.ids && !(agent.id in lists.more)",
        "lists.ids.exists(i, agent.id == i) && lists.more.all(i, agent.id != i)",
        "!has(args.n) && args.n > 1",
        "has(args.a.b) && args.a == 1",
        "args.n > 1 && args.n == 'x'",
        "args.n + 1 > 9223372036854775807 && session.tainted",
        "session.risk / 0 == 1 || session.risk % 0 == 1",
        "session.risk % 2 == 3",
        "!has(session.model) && session.model == 'a'",
        "size(provenance) == 0 && provenance.exists(p, p.trust != 'trusted')",
        "provenance.exists(p, p.trust != 'x') && provenance.all(q, q.trust == 'x')",
        "cel.bind(r, session.risk, r > 1 && r < 1)",
        "(session.tainted ? session.risk : 0) > 3 && !session.tainted",
        "(session.tainted && agent.id.matches('^a')) && (!session.tainted || !agent.id.matches('^a'))",
        "'x' in user.scopes && size(user.scopes) == 0",
        "double(session.risk) > 0.5 && 1.0 - double(session.risk) == 0.5 && !(double(session.risk) >= 0.25)",
        "session.risk - 1 > session.risk",
        "-session.risk > 0 && session.risk > 0",
    ],
)
def test_conditions_that_are_never_true(condition: str) -> None:
    used = LISTS if "lists." in condition else ""
    found = [code for code in codes(rule(when=when(condition)), used) if code[0] not in ("unused_list", "unguarded")]
    assert found == [("unreachable", "R-1")]


@pytest.mark.parametrize(
    "condition",
    [
        "session.risk > 3 && session.risk < 5",
        "args.n > 1 && args.n < 1.5",
        "args.n == 1 && args.n == 1.0",
        "args.n != 1 && args.n != 'x'",
        "args.n == 'x' || args.n > 1",
        "has(args.n) && !has(args.m)",
        "args['n'] == 1 && args.n < 2",
        "'n' in args && args.n == null",
        "session.calls['pay.refund'] > 2 && 'pay.refund' in session.calls",
        "agent.id.startsWith('a') && agent.id.endsWith('a') && size(agent.id) == 1",
        "agent.id == 'a\\\\\\\\u{41}' && agent.id != 'aA'",
        "tenant != agent.id && tenant + agent.id == 'ab'",
        "session.risk * session.risk == 9",
        "-7 / 2 == -3 && -7 % 2 == -1 && session.risk / 2 == -3",
        "'x' in user.scopes && size(user.scopes) == 1",
        "has(session.model) && session.model != 'a'",
        "tool.server_id == 'pay' && tool.name != 'refund'",
        "args.n.m == 3",
    ],
)
def test_conditions_that_an_example_makes_true(condition: str) -> None:
    assert codes(rule(when=when(condition))) == []


def test_a_condition_that_is_never_false() -> None:
    (finding,) = proven(rule(when=when("session.risk > 3 || session.risk <= 3")))
    assert (finding.code, str(finding.location)) == ("constant", "p/p.rules.yaml:7:11")
    assert codes(rule(when=when("args.n > 3 || args.n <= 3"))) == [("constant", "R-1")]
    assert codes(rule(when=when("args.n == 3 || args.n != 3 || session.tainted"))) == [("constant", "R-1")]


def test_the_match_counts() -> None:
    assert codes(rule(match="{tools: [pay.refund]}", when=when("tool.name == 'lookup'"))) == [("unreachable", "R-1")]
    assert codes(rule(match='{tools: ["pay.re*"]}', when=when("tool.name.startsWith('x')"))) == [("unreachable", "R-1")]
    assert codes(rule(match='{tools: ["p?y.*d"]}', when=when("!tool.name.endsWith('d')"))) == [("unreachable", "R-1")]
    agents = '{tools: ["*"], agents: ["bot-*"]}'
    assert codes(rule(match=agents, effect="permit", when=when("agent.id == 'a'"))) == [("unreachable", "R-1")]


def test_a_permit_that_a_deny_always_overrules() -> None:
    permit = rule(id="P-1", effect="permit", when=when("session.risk == 4 && agent.id == 'a'"))
    found = proven(permit + rule(id="D-1", when=when("session.risk > 3")))
    (finding,) = [finding for finding in found if finding.rule_id == "P-1"]
    assert finding.code == "shadowed"
    assert finding.message == "never counts: rule `D-1` denies every call that this rule permits"
    assert finding.example == (("agent.id", '"a"'), ("session.risk", "4"))
    assert "; for example agent.id = " in str(finding)


def test_denies_that_overrule_a_permit_between_them() -> None:
    rules = rule(id="P-1", effect="permit", when=when("session.risk > 1"))
    rules += rule(id="D-1", when=when("session.risk < 4")) + rule(id="D-2", when=when("session.risk >= 3"))
    found = [finding for finding in proven(rules) if finding.code == "shadowed"]
    assert [finding.rule_id for finding in found] == ["P-1"]
    assert found[0].message == "never counts: rules `D-1` and `D-2` together stop every call that this rule permits"


@pytest.mark.parametrize(
    ("changes", "shadowed"),
    [
        ({}, True),
        ({"mode": "shadow"}, False),
        ({"match": "{tools: [pay.lookup]}"}, False),
        ({"match": '{tools: ["pay.*"]}'}, True),
        ({"match": '{tools: ["pay.r*", "mail.*"]}'}, True),
        ({"match": '{tools: ["*"], agents: ["*x*"]}'}, True),
        ({"match": '{tools: ["*"], agents: ["y"]}'}, False),
        ({"match": '{tools: ["*"], tool_version: "1"}'}, False),
        # In error it denies as well.
        ({"when": when("session.risk > 3 && args.n > 1 || session.risk > 3 && args.n <= 1")}, True),
        ({"when": when("session.risk > 3 && args.n > 1")}, False),
        ({"when": when("session.risk > 5")}, False),
    ],
)
def test_whom_a_deny_overrules(changes: dict[str, str], shadowed: bool) -> None:
    permit = rule(
        id="P-1",
        effect="permit",
        match='{tools: [pay.refund], agents: ["axb"]}',
        when=when("session.risk > 4 && agent.id != ''"),
    )
    deny = rule(**({"id": "D-1", "when": when("session.risk > 3")} | changes))
    assert (("shadowed", "P-1") in codes(permit + deny)) is shadowed


def test_approvals_and_waits_that_nobody_gets_to() -> None:
    asks = rule(id="A-1", effect="require_approval", approval="{group: g}", when=when("session.risk > 3"))
    waits = rule(id="W-1", effect="defer", defer="5s", when=when("session.risk > 4"))
    permit = rule(id="P-1", effect="permit", when=when("session.risk >= 0"))
    found = proven(asks + waits + permit + rule(id="D-1", when=when("session.risk >= 3")))
    assert {(finding.code, finding.rule_id) for finding in found} == {("shadowed", "A-1"), ("shadowed", "W-1")}
    assert "rule `D-1` denies every call that this rule requires approval for" in str(found[0])


def test_permit_and_deny_on_what_is_one_condition() -> None:
    permit = rule(id="P-1", effect="permit", when=when("session.risk > 3"))
    found = proven(permit + rule(id="D-1", effect="quarantine", when=when("!(session.risk <= 3)")))
    assert [(finding.code, finding.rule_id) for finding in found] == [("contradiction", "P-1")]


class TestRedundant:
    def found(self, one: dict[str, str], other: dict[str, str], **both: str) -> list[tuple[str, str | None]]:
        first = rule(**({"id": "A-1", "effect": "permit", "when": when("session.risk == 2")} | both | one))
        second = rule(**({"id": "B-1", "effect": "permit", "when": when("session.risk < 4")} | both | other))
        return [code for code in codes(first + second) if code[0] == "redundant"]

    def test_a_rule_that_another_implies(self) -> None:
        assert self.found({}, {}) == [("redundant", "A-1")]
        assert self.found({}, {}, effect="deny") == [("redundant", "A-1")]
        assert self.found({"effect": "deny"}, {"effect": "quarantine"}) == [("redundant", "A-1")]

    def test_of_two_that_say_the_same_the_later(self) -> None:
        assert self.found({"when": when("!(session.risk >= 4)")}, {}) == [("redundant", "B-1")]

    def test_what_one_of_them_does_besides(self) -> None:
        assert self.found({"effect": "permit"}, {"effect": "deny"}) == []
        assert self.found({"mode": "shadow"}, {}) == []
        assert self.found({}, {"mode": "shadow"}) == []
        assert self.found({"effect": "quarantine"}, {"effect": "deny"}) == []
        assert self.found({"obligations": "[{id: log, type: t}]"}, {}) == []
        assert self.found({}, {"obligations": "[{id: log, type: t}]"}) == [("redundant", "A-1")]
        assert self.found({"match": '{tools: ["*"]}'}, {"match": '{tools: ["pay.*"]}'}) == []

    @pytest.mark.parametrize(
        ("mine", "theirs", "redundant"),
        [
            ("{group: g}", "{group: g}", True),
            ("{group: g}", "{group: h}", False),
            ("{group: g, quorum: 2}", "{group: g}", False),
            ("{group: g}", "{group: g, quorum: 2}", True),
            ("{group: g, ttl: 5m}", "{group: g, ttl: 10m}", False),
            ("{group: g, bind: [tool, args, session, model]}", "{group: g}", False),
        ],
    )
    def test_an_approval_by_another_as_strict(self, mine: str, theirs: str, redundant: bool) -> None:
        found = self.found({"approval": mine}, {"approval": theirs}, effect="require_approval")
        assert found == ([("redundant", "A-1")] if redundant else [])

    def test_a_wait_by_a_longer_one(self) -> None:
        assert self.found({"defer": "5s"}, {"defer": "10s"}, effect="defer") == [("redundant", "A-1")]
        assert self.found({"defer": "15s"}, {"defer": "10s"}, effect="defer") == []

    def test_its_errors_count(self) -> None:
        error = when("session.risk == 2 || args.n > 1 && args.n < 1")
        assert self.found({"when": error}, {}) == [("redundant", "A-1")]  # a permit in error permits nothing
        assert self.found({"when": error}, {}, effect="deny") == []

    def test_several_cover_one(self) -> None:
        rules = rule(id="A-1", when=when("session.risk > 1 && session.risk < 9"))
        rules += rule(id="B-1", when=when("session.risk >= 3")) + rule(id="C-1", when=when("session.risk < 3"))
        (finding,) = [finding for finding in proven(rules) if finding.code == "redundant"]
        assert str(finding).startswith(
            "p/p.rules.yaml:4:5: warning: rule `A-1`: is redundant: whenever it denies a call, "
        )
        assert "one of rules `B-1` and `C-1` does so too; for example session.risk = " in str(finding)

    def test_leaving_out_all_that_are_reported_leaves_what_they_say(self) -> None:
        rules = "".join(rule(id=f"D-{n}", when=when(f"session.risk > {n} || session.risk == {n}")) for n in (3, 2, 2))
        rules = rules.replace("D-2", "D-1", 1)
        assert [code for code in codes(rules) if code[0] in ("redundant", "duplicate")] == [("redundant", "D-3")]


def test_a_deny_that_stops_nothing_that_is_permitted() -> None:
    permit = rule(id="P-1", effect="permit", when=when("session.risk < 2"))
    idle = proven(permit + rule(id="D-1", when=when("session.risk > 2")))
    assert [(finding.code, finding.severity.value) for finding in idle] == [("idle", "note")]
    assert codes(permit + rule(id="D-1", when=when("session.risk > 1 || session.tainted"))) == []
    elsewhere = rule(id="P-1", effect="permit", match="{tools: [mail.send]}", when=when("session.risk < 2"))
    assert codes(elsewhere + rule(id="D-1", match="{tools: [pay.refund]}")) == [("idle", "D-1")]
    assert codes(rule(id="D-1", when=when("session.risk > 2"))) == []  # no rule permits anything: not a whole bundle


class TestUnknown:
    OPEN = when("ip(agent.id).family() == 4 && agent.id != '1.2.3.4'")

    def test_it_is_said_never_that_all_is_well(self) -> None:
        (finding,) = proven(rule(when=self.OPEN))
        assert (finding.code, finding.severity.value) == ("unknown", "note")
        assert finding.message == "the solver can't decide whether it is ever true"
        assert str(finding.location) == "p/p.rules.yaml:4:5"

    def test_an_example_tells(self) -> None:
        assert proven(rule(when=self.OPEN), examples=[facts(agent={"id": "10.0.0.1"})]) == []

    def test_an_example_tells_after_those_of_many_other_rules(self) -> None:
        others = [facts(agent={"id": "somebody"})] * 1_500
        assert proven(rule(when=self.OPEN), examples=[*others, facts(agent={"id": "10.0.0.1"})]) == []

    def test_what_is_not_understood_can_be_reasoned_about_all_the_same(self) -> None:
        permit = rule(id="P-1", effect="permit", when=when("ip(agent.id).family() == 4 && session.risk > 1"))
        deny = rule(id="D-1", when=when("session.risk > 0 && ip(agent.id).family() == 4"))
        assert ("shadowed", "P-1") in codes(permit + deny)

    def test_hard_questions_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(solving, "EFFORT_MAX", 5_000)
        hard = when("args.a * args.a * args.a + args.b * args.b * args.b == args.c * args.c * args.c && args.a > 3")
        permit = rule(id="P-1", effect="permit", when=hard)
        assert codes(permit) == [("unknown", "P-1")]

    def test_large_bundles_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(solving, "QUESTIONS_MAX", 3)
        rules = "".join(rule(id=f"D-{n}", when=when(f"session.risk > {n} && args.n != {n}")) for n in range(9))
        (finding,) = [finding for finding in proven(rules) if finding.rule_id is None]
        assert (finding.code, finding.location.path) == ("unknown", "bundle.yaml")

    def test_the_work_on_a_bundle_ends_and_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        solve = solving.Prover._solve
        monkeypatch.setattr(solving.Prover, "_solve", lambda self, *args: asked.append(1) or solve(self, *args))
        monkeypatch.setattr(solving, "BUNDLE_EFFORT_MAX", 1)
        rules = "".join(rule(id=f"D-{n}", when=when(f"session.risk > {n} && size(args.a{n}) > 1")) for n in range(9))
        report = check_bundle(source(rules), prove=True)
        assert len(asked) == 1
        (finding,) = [finding for finding in report.findings if finding.rule_id is None]
        assert finding.message.startswith("the solver has stopped at its limit, after question 1: ")
        assert report.unproven
        assert check_bundle(source(rules), prove=True).findings == report.findings


class TestManyRules:
    """Rules that differ in names and numbers only, as large bundles have them."""

    def bundle(self, count: int) -> BundleSource:
        return source(
            "".join(
                rule(
                    id=f"D-{n:03}",
                    match=f"{{tools: [pay.t{n}]}}",
                    when=when(f"args.to.endsWith('@evil{n}.example') && args.n > {n}00"),
                )
                for n in range(count)
            )
        )

    def test_what_refutes_a_claim_about_one_refutes_it_about_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        solve = solving.Prover._solve
        monkeypatch.setattr(solving.Prover, "_solve", lambda self, *args: asked.append(1) or solve(self, *args))
        few = check_bundle(self.bundle(3), prove=True)
        count = len(asked)
        many = check_bundle(self.bundle(60), prove=True)
        assert len(asked) - count <= count + 2
        assert [finding for finding in few.findings if finding.severity is not Severity.NOTE] == []
        assert [finding for finding in many.findings if finding.severity is not Severity.NOTE] == []

    def test_rules_that_examples_answer_for_need_no_formulas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[object] = []
        condition = Translator.condition
        monkeypatch.setattr(Translator, "condition", lambda self, tree: made.append(tree) or condition(self, tree))
        check_bundle(self.bundle(60), prove=True)
        assert len(made) <= 4

    def test_one_that_is_never_true_is_found_among_them(self) -> None:
        odd = rule(
            id="D-999",
            match="{tools: [pay.t999]}",
            when=when("args.to.endsWith('@evil999.example') && args.n > 99900 && args.n + 1 < 99901"),
        )
        many = "".join(
            rule(
                id=f"D-{n:03}",
                match=f"{{tools: [pay.t{n}]}}",
                when=when(f"args.to.endsWith('@evil{n}.example') && args.n > {n}00 && args.n + 1 < {n + 9}00"),
            )
            for n in range(9)
        )
        assert ("unreachable", "D-999") in codes(many + odd)

    def test_rules_of_which_not_everything_is_proven_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(solving, "QUESTIONS_MAX", 1)
        rules = "".join(
            rule(id=f"D-{n}", when=when(f"session.risk > {n} && ip(agent.id).family() == {n}")) for n in (1, 2)
        )
        report = check_bundle(source(rules), prove=True)
        assert "D-1" in report.unproven

    def test_what_can_not_be_decided_uses_up_no_questions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(solving, "UNKNOWNS_MAX", 2)
        monkeypatch.setattr(solving, "QUESTIONS_MAX", 8)
        alike = "".join(
            rule(id=f"D-{n}", match=f"{{tools: [pay.t{n}]}}", when=when(f"args.n > {n} && ip(agent.id).family() == 4"))
            for n in range(9)
        )
        other = rule(id="A-1", match="{tools: [pay.other]}", when=when("args.n > 5 && args.n < 3"))
        report = check_bundle(source(alike + other), prove=True)
        found = {(finding.code, finding.rule_id): finding.message for finding in report.findings}
        assert ("unreachable", "A-1") in found
        assert {rule_id for code, rule_id in found if code == "unknown"} == {None, "D-8", "D-7"}
        assert report.unproven == {f"D-{n}" for n in range(7)}
        assert found["unknown", None].endswith("7 of 10 rules are not proven completely")

    def test_progress_is_told_step_by_step(self) -> None:
        told: list[tuple[int, int]] = []
        check_bundle(self.bundle(5), prove=True, progress=lambda done, total: told.append((done, total)))
        assert told == [(done, 20) for done in range(1, 21)]


def test_rules_that_are_off_are_left_alone() -> None:
    assert codes(rule(mode="off", when=when("session.risk > 3 && !(session.risk > 2)"))) == []


def test_without_the_solver_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not check_bundle(source()).is_proven
    with pytest.raises(SolverMissingError, match="pip install 'stoplog\\[lint\\]'"):
        check_bundle(source(rule()), prove=True)


def test_a_bundle_with_errors_is_not_proven() -> None:
    report = check_bundle(source(rule(when="session.foo"), head=HEAD), prove=True)
    assert not report.ok
    assert not report.is_proven


def test_names_in_messages_are_bounded() -> None:
    assert proving._named([f"R-{n}" for n in range(9)]) == "rules `R-0`, `R-1`, `R-2` and 6 more"
    assert proving._named(["R-0"]) == "rule `R-0`"
