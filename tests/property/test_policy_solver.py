"""Formulas admit whatever the evaluator does, and what is called proven holds of every intent of a small world."""

import itertools
import random  # noqa: TID251 - chance with a seed
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import z3

from simulation.fuzz.cel import LISTS, answer
from simulation.fuzz.expressions import ExpressionMaker, FactsMaker
from streams.policy import Finding, bundle_from_files, check_bundle, compile_bundle
from streams.policy.authoring.prover import ProofStatus, Prover
from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome
from streams.policy.authoring.smt import operators
from streams.policy.authoring.smt.fact_variables import FactVariable, Path
from streams.policy.authoring.smt.terms import ANY, Double, Sort, constant
from streams.policy.authoring.smt.translate import Formula, Translator
from streams.policy.cel.exact import compile_exact
from streams.policy.language.check import CheckError, checker_for, structs_by_type_name
from streams.policy.language.compile import list_constants
from streams.policy.language.fact_types import Kind
from streams.policy.language.tool_types import UNTYPED

Outcomes = dict[str, RuleOutcome]


# A small world: every fact that the rules below read, with every value that makes a difference to them.
RISKS = (0, 1, 2, 3)
AGENTS = ("a", "ab", "b", "")
TAINTS = (False, True)
AMOUNTS: tuple[Any, ...] = (None, 0, 1, 2, 1.5, "a", "b", True, [], {})  # None: it is not there
TOOLS = ("refund", "lookup")
SCOPES = ([], ["x"], ["x", "y"])
READ: tuple[list[dict[str, str]], ...] = ([], [{"trust": "trusted"}], [{"trust": "untrusted"}, {"trust": "trusted"}])

ATOMS = (
    "session.tainted",
    *(f"session.risk {sign} {number}" for sign in ("<", "<=", ">", ">=", "==", "!=") for number in (1, 2)),
    *(f"agent.id {sign} 'a'" for sign in ("==", "!=")),
    *(f"agent.id.{test}('{text}')" for test in ("startsWith", "endsWith", "contains") for text in ("a", "b", "ab")),
    *("agent.id in ['a', 'b']", "agent.id in lists.ids", "lists.ids.exists(i, agent.id == i)", "size(agent.id) > 1"),
    *(f"args.amount {sign} {value}" for sign in ("==", "!=", "<", ">=") for value in ("1", "2.0", "'a'")),
    *("has(args.amount)", "args.amount == session.risk", "session.risk + 1 > 2", "session.risk - args.amount < 1"),
    *("'x' in user.scopes", "size(user.scopes) == 0", "provenance.exists(p, p.trust != 'trusted')"),
    *("provenance.all(q, q.trust == 'trusted')", "size(provenance) == 0", "session.risk % 2 == 0"),
    *(
        "(session.tainted ? session.risk : 1) > 1",
        "cel.bind(r, session.risk, r * 2 > 3)",
        "-session.risk < -1",
        "agent.id.matches('^a')",
    ),
)
MATCHES = ('["*"]', '["pay.*"]', "[pay.refund]", "[pay.lookup, pay.refund]", '["pay.?ef*d"]', '["*.lookup"]')


def _world() -> list[dict[str, Any]]:
    chosen = itertools.product(RISKS, AGENTS, TAINTS, AMOUNTS, TOOLS, SCOPES, READ)
    return [
        {
            "session": {"risk": risk, "tainted": tainted},
            "agent": {"id": agent},
            "args": {} if amount is None else {"amount": amount},
            "tool": {"server_id": "pay", "name": tool, "version": "1"},
            "user": {"id": "u", "scopes": scopes},
            "provenance": read,
            "tenant": "t",
        }
        for risk, agent, tainted, amount, tool, scopes, read in chosen
    ]


WORLD = _world()


def _condition(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.2:
        atom = chance.choice(ATOMS)
        return f"!({atom})" if chance.random() < 0.3 else atom
    return f"({_condition(chance, depth - 1)} {chance.choice(('&&', '&&', '||'))} {_condition(chance, depth - 1)})"


class UnfitError(Exception):
    """Facts that are not as the schema says."""


def _found(facts: dict[str, Any], path: Path) -> tuple[bool, bool, Any]:
    """Whether there is something that can hold the field, whether it does, and the field."""
    holder: Any = facts
    for part in path[:-1]:
        if not isinstance(holder, dict) or part not in holder:
            return False, False, None
        holder = holder[part]
    if not isinstance(holder, dict):
        return False, False, None
    return True, path[-1] in holder, holder.get(path[-1])


def _pinned(place: FactVariable, facts: dict[str, Any]) -> Iterator[Any]:
    """What the variables of a place are for these facts."""
    is_held, is_there, value = _found(facts, place.path)
    if not is_held:
        return
    if z3.is_true(place.present) and not is_there:
        raise UnfitError
    if not z3.is_true(place.present):
        yield place.present if is_there else z3.Not(place.present)
    if not is_there:
        return
    sort = {bool: Sort.BOOL, int: Sort.INT, float: Sort.DOUBLE, str: Sort.STRING, list: Sort.LIST, dict: Sort.MAP}.get(
        type(value), Sort.NULL
    )
    if place.term.sort not in (Sort.ANY, sort):
        raise UnfitError
    if isinstance(value, list):
        yield place.size == len(value)
    term = place.term.value
    if place.term.sort is Sort.ANY:
        yield getattr(ANY, f"is_{sort}")(term)
        inner = {Sort.BOOL: ANY.get_bool, Sort.INT: ANY.get_int, Sort.STRING: ANY.get_string}
        if sort is Sort.DOUBLE:
            term = Double(ANY.get_nan(term), ANY.get_real(term))
        elif sort in inner:
            term = inner[sort](term)
    if sort in (Sort.BOOL, Sort.INT, Sort.STRING, Sort.DOUBLE):
        known = constant(value)
        assert known is not None
        both = zip(term, known.value, strict=True) if sort is Sort.DOUBLE else ((term, known.value),)
        yield from (one == other for one, other in both)


def _admits(formula: Formula, translator: Translator, facts: dict[str, Any], wanted: Any) -> bool:
    """Whether for these facts the formula can come to what is wanted."""
    solver = z3.Solver()
    solver.set("timeout", 5_000)
    solver.add(*formula.axioms, wanted)
    for path in formula.paths:
        solver.add(*_pinned(translator.variables[path], facts))
    return solver.check() != z3.unsat


def _disagreements(seed: int, count: int) -> tuple[int, list[str]]:
    """Of random conditions and facts: how many were compared, and those of which the formula excludes what is so."""
    chance = random.Random(seed)  # noqa: S311 - chance with a seed
    makers = ExpressionMaker(chance), FactsMaker(chance)
    lists = {**LISTS, "lists.ids": ("a", "ab")}
    translator = Translator(structs_by_type_name(UNTYPED.args), lists)
    checker = checker_for(UNTYPED.args, dict.fromkeys(lists, Kind.STRING))
    done, found = 0, []
    while done < count:
        in_world = chance.random() < 0.5
        text = _condition(chance, 2) if in_world else makers[0].make("bool", chance.randrange(2, 5))
        try:
            tree = checker.check(text).tree
        except CheckError:
            continue
        formula, exact = translator.condition(tree), compile_exact(tree, lists)
        for facts in chance.sample(WORLD, 3) if in_world else [makers[1].make() for _ in range(3)]:
            came, value = answer(exact, facts)
            truth = formula.truth
            wanted = truth.failed if came == "error" else truth.yes if value is True else truth.no
            try:
                if not _admits(formula, translator, facts, wanted):
                    found.append(f"{text} came to {value} for {facts}")
            except UnfitError:
                continue
            done += 1
    return done, found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_formula_admits_what_the_evaluator_does(seed: int) -> None:
    done, found = _disagreements(seed, 300)
    assert done >= 300
    assert found == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("equality", lambda left, right, free: operators.order("_<_", left, right, free)),
        ("negative", lambda term: term),
        ("text_test", lambda function, left, right: operators.equality(left, right, z3.Bool)),
    ],
)
def test_a_wrong_formula_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    monkeypatch.setattr(operators, name, wrong)
    assert _disagreements(3, 600)[1]


def _bundle(chance: random.Random) -> dict[str, str]:
    rules = []
    for number in range(chance.randrange(2, 5)):
        effect = chance.choice(("permit", "permit", "deny", "quarantine"))
        agents = f", agents: [{chance.choice(('a', 'b'))}]" if chance.random() < 0.2 else ""
        rules.append(
            f"  - id: R-{number}\n    effect: {effect}\n    match: {{tools: {chance.choice(MATCHES)}{agents}}}\n"
            f'    when: "{_condition(chance, 2)}"\n    reason: r\n'
        )
    pack = "apiVersion: rules/v1\npack: p\nlists: {ids: [a, ab]}\nrules:\n" + "".join(rules)
    return {"bundle.yaml": 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n', "p/p.rules.yaml": pack}


def _is_so(finding: Finding, effects: dict[str, str], outcomes: Outcomes) -> bool:
    """Whether a finding holds for one intent, of which is known what comes of each rule."""
    rule_id = finding.rule_id or ""
    mine = outcomes[rule_id]
    others = {other: came for other, came in outcomes.items() if other != rule_id}
    stopped = any(
        came in (RuleOutcome.TRUE, RuleOutcome.ERROR) for other, came in others.items() if effects[other] != "permit"
    )
    if finding.code == "unreachable":
        return mine is not RuleOutcome.TRUE
    if finding.code == "constant":
        return mine is not RuleOutcome.FALSE
    if finding.code == "shadowed":
        return mine is not RuleOutcome.TRUE or stopped
    if finding.code == "idle":
        permitted = any(came is RuleOutcome.TRUE for other, came in others.items() if effects[other] == "permit")
        return mine not in (RuleOutcome.TRUE, RuleOutcome.ERROR) or not permitted
    if finding.code in ("redundant", "duplicate"):
        if effects[rule_id] == "permit":
            same = any(came is RuleOutcome.TRUE for other, came in others.items() if effects[other] == "permit")
            return mine is not RuleOutcome.TRUE or same
        return mine not in (RuleOutcome.TRUE, RuleOutcome.ERROR) or stopped
    return True


@pytest.mark.parametrize("seed", range(6))
def test_nothing_false_is_reported(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - chance with a seed
    reported = set()
    for _ in range(6):
        files = _bundle(chance)
        source = bundle_from_files(files)
        ruleset = compile_bundle(source)
        asked = {rule.rule.id: ExactRule(rule, list_constants(ruleset.bundle)) for rule in ruleset.rules}
        effects = {rule.rule.id: str(rule.rule.effect) for rule in ruleset.rules}
        findings = [finding for finding in check_bundle(source, prove=True).findings if finding.rule_id is not None]
        reported |= {finding.code for finding in findings}
        for facts in chance.sample(WORLD, 700):
            outcomes = {rule_id: rule.outcome(facts)[0] for rule_id, rule in asked.items()}
            for finding in findings:
                assert _is_so(finding, effects, outcomes), f"{finding}\n{facts}\n{outcomes}\n{files['p/p.rules.yaml']}"
    assert reported


def test_most_questions_have_an_answer_and_refutations_come_with_facts() -> None:
    chance = random.Random(99)  # noqa: S311 - likewise
    rules = "".join(
        f'  - {{id: R-{number}, effect: deny, match: {{tools: ["*"]}}, when: "{_condition(chance, 3)}", reason: r}}\n'
        for number in range(60)
    )
    pack = "apiVersion: rules/v1\npack: p\nlists: {ids: [a, ab]}\nrules:\n" + rules
    ruleset = compile_bundle(bundle_from_files(_bundle(chance) | {"p/p.rules.yaml": pack}))
    constants = list_constants(ruleset.bundle)
    prover = Prover(ruleset.rules, constants, ruleset.history)
    counts: Counter[ProofStatus] = Counter()
    for rule in ruleset.rules:
        asked = ExactRule(rule, constants)
        for answer_of, excluded in ((prover.never_true, RuleOutcome.TRUE), (prover.never_false, RuleOutcome.FALSE)):
            found = answer_of(rule.rule.id)
            counts[found.status] += 1
            if found.status is ProofStatus.REFUTED:
                assert found.facts is not None
                assert asked.outcome(found.facts)[0] is excluded
            elif found.status is ProofStatus.PROVEN:
                assert excluded not in {asked.outcome(facts)[0] for facts in WORLD}
    assert counts[ProofStatus.REFUTED] > 50
    assert counts[ProofStatus.PROVEN] >= 2
    assert counts[ProofStatus.UNKNOWN] <= 10
