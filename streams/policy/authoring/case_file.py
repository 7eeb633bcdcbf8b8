"""Runs the test cases of rules: `*.tests.yaml` beside the rules, with fixtures in JSON.

A case takes a fixture, sets and removes fields, and expects a verdict of the whole bundle. Its `rules` and `errors` are
those of the pack that is tested. `coverage.py` defines which cases every rule needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.policy.authoring.attack_file import AttackReport, run_attacks
from streams.policy.authoring.coverage import Coverage, Observation, RuleCoverage
from streams.policy.authoring.evaluator_comparison import EvaluatorComparison
from streams.policy.authoring.expected_verdict import ExpectedVerdict
from streams.policy.authoring.fixtures import Fixtures
from streams.policy.authoring.lint import report_missing_rules
from streams.policy.authoring.located_files import read_files
from streams.policy.authoring.possible_facts import is_always_supplied
from streams.policy.authoring.rule_names import RuleNames
from streams.policy.errors import Finding, Findings, Location, Severity
from streams.policy.language.bundle import load_bundle
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, to_python
from streams.policy.language.paths import split_path
from streams.policy.language.tool_types import ToolTypes
from streams.policy.language.yaml_mapping import MappingReader
from streams.policy.results import Effect, PolicyResult, Reason
from streams.policy.runtime.ruleset import CompiledRuleset, compile_bundle

TESTS_SUFFIX = ".tests.yaml"
CASES_MAX = 5_000
CHANGES_MAX = 50


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case expects; None if it expects nothing particular."""

    verdict: ExpectedVerdict
    rules: frozenset[str] | None = None
    errors: frozenset[str] = frozenset()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; `facts` are the facts after all changes, `unset` the paths of the fields that it removes."""

    name: str
    location: Location
    pack: str
    facts: Mapping[str, Any]
    unset: tuple[tuple[str, ...], ...]
    expect: Expectation


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of a case. It passed if there are no problems."""

    case: Case
    result: PolicyResult
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Return whether the result is as expected."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class CaseReport:
    """The results of all cases.

    Attributes:
        results: the result of each case.
        findings: errors in case files, and cases that are missing.
        rules: the coverage of each rule.
        attacks: the results of the attack corpora.
        is_complete: all case files and fixtures could be read; missing cases are reported only then.
    """

    results: tuple[CaseResult, ...]
    findings: tuple[Finding, ...]
    rules: tuple[RuleCoverage, ...] = ()
    attacks: AttackReport = field(default_factory=AttackReport)
    is_complete: bool = True

    @property
    def passed(self) -> bool:
        """Return whether every case passed and there are no errors and no missing cases."""
        return all(result.passed for result in self.results) and not any(
            finding.severity is Severity.ERROR for finding in self.findings
        )

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """Return the results of the cases that did not pass."""
        return tuple(result for result in self.results if not result.passed)


def run_case_files(
    directory: Path,
    tools: Mapping[str, ToolTypes] | None = None,
    observations: Iterable[Observation] = (),
    pack: str | None = None,
) -> CaseReport:
    """Run every test case below a directory of rules against the bundle. Blocking.

    Args:
        directory: the directory that contains `bundle.yaml`.
        tools: see `compile_bundle`.
        observations: evaluations in scenarios, which count towards the coverage of the rules, too.
        pack: the pack whose files are read, and whose rules must be covered by them; None: all.

    Raises:
        BundleError: the bundle is rejected.
        BundleReadError: its files can't be read.
    """
    root = Path(directory)
    source, findings = load_bundle(root), Findings()
    ruleset = compile_bundle(source, tools)
    report_missing_rules(source, findings)
    fixtures = Fixtures(root, ruleset, findings)
    cases = read_cases(root, ruleset, findings, fixtures, pack)
    is_complete = not findings.has_errors
    results = run_cases(ruleset, cases)
    coverage, comparison = Coverage(ruleset, pack), EvaluatorComparison(ruleset, findings)
    for result in results:
        case = result.case
        coverage.add(case.facts, case.unset, case.expect.errors, result.result)
        comparison.add(case.name, case.facts, result.result)
    for seen in observations:
        coverage.add(seen.facts, (), seen.errors, seen.result)
    # A case that can't be read may be the one that seems to be missing.
    rules = coverage.report(findings if is_complete else Findings())
    attacks = run_attacks(root, ruleset, fixtures, findings, pack)
    return CaseReport(results, findings.sorted(), rules, attacks, is_complete=is_complete)


def run_plain_cases(directory: Path) -> tuple[tuple[CaseResult, ...], tuple[Finding, ...]]:
    """Run every test case below a directory of rules, and nothing else: no coverage, no attacks. Blocking.

    Args:
        directory: the directory that contains `bundle.yaml`.

    Returns:
        The results, and the errors of the case files.

    Raises:
        BundleError: the bundle is rejected.
        BundleReadError: its files can't be read.
    """
    root = Path(directory)
    ruleset, findings = compile_bundle(load_bundle(root)), Findings()
    return run_cases(ruleset, read_cases(root, ruleset, findings)), findings.sorted()


def run_cases(ruleset: CompiledRuleset, cases: tuple[Case, ...]) -> tuple[CaseResult, ...]:
    """Judge the intent of each case and compare the result with what the case expects."""
    own = rules_by_pack(ruleset)
    # What a tool's rules are compiled to is made again when the catalog describes it differently than before. So cases
    # of tools that are described the same follow each other.
    by_tool = sorted(range(len(cases)), key=lambda number: repr(cases[number].facts.get("tool")))
    judged = {number: ruleset.judge(cases[number].facts) for number in by_tool}
    return tuple(compare(case, judged[number], own.get(case.pack, frozenset())) for number, case in enumerate(cases))


def rules_by_pack(ruleset: CompiledRuleset) -> dict[str, frozenset[str]]:
    """Return the ids of rules by pack, without packs that have no rules."""
    found: dict[str, set[str]] = {}
    for rule in ruleset.rules:
        found.setdefault(rule.rule.pack, set()).add(rule.rule.id)
    return {pack: frozenset(ids) for pack, ids in found.items()}


def compare(case: Case, result: PolicyResult, own: frozenset[str]) -> CaseResult:
    """Compare a result with what a case expects.

    Args:
        case: the case.
        result: the result of the whole bundle.
        own: the ids of the rules of the case's pack; see `rules_by_pack`.
    """
    problems = []
    if result.effect is not Effect(case.expect.verdict.upper()):
        problems.append(f"verdict is {result.effect.lower()} ({result.reason_text}), expected {case.expect.verdict}")
    if case.expect.reason is not None and result.reason is not case.expect.reason:
        problems.append(f"reason is {result.reason}, expected {case.expect.reason}")
    matched = {match.rule_id for match in result.rules} & own
    if case.expect.rules is not None and matched != case.expect.rules:
        problems.append(f"matched rules are {_names(matched)}, expected {_names(case.expect.rules)}")
    failed = {failure.rule_id: failure.text for failure in result.errors if failure.rule_id in own}
    if set(failed) != case.expect.errors:
        texts = "".join(
            f"; {rule_id}: {text}" for rule_id, text in sorted(failed.items()) if rule_id not in case.expect.errors
        )
        problems.append(f"rules in error are {_names(failed)}, expected {_names(case.expect.errors)}{texts}")
    return CaseResult(case, result, tuple(problems))


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def read_cases(
    root: Path,
    ruleset: CompiledRuleset,
    findings: Findings,
    fixtures: Fixtures | None = None,
    pack: str | None = None,
) -> tuple[Case, ...]:
    """Return the cases of every case file of a pack, or of all, and report their errors to `findings`. Blocking."""
    fixtures = fixtures or Fixtures(root, ruleset, findings)
    cases: list[Case] = []
    rules, packs = RuleNames(ruleset), {pack.name for pack in ruleset.bundle.packs}
    for path, node in read_files(root, TESTS_SUFFIX, findings, pack):
        cases.extend(_CaseFileReader(root / path, node, fixtures, findings, rules, packs).cases())
    return tuple(cases)


class _CaseFileReader:
    """Reads one case file."""

    def __init__(
        self, path: Path, node: Node, fixtures: Fixtures, findings: Findings, rules: RuleNames, packs: set[str]
    ) -> None:
        self._path = path
        self._findings = findings
        self._fixtures = fixtures
        self._rules = rules
        self._pack = path.parent.name
        self._reader = MappingReader(node, "a case file", ("tests!", "base", "cases!"), findings)
        tests = self._reader.text("tests")
        if tests is not None and not (path.parent / tests).is_file():
            self._reader.error("missing_file", self._reader.at("tests"), f"`{tests}` does not exist beside this file")
        if self._pack not in packs:
            self._reader.error("missing_pack", self._reader.location, f"`{self._pack}` is not a pack of the bundle")

    def cases(self) -> list[Case]:
        names: dict[str, Location] = {}
        found = []
        for node in self._reader.items("cases", CASES_MAX):
            case = self._case(node)
            if case is None:
                continue
            if case.name in names:
                message = f"a case with this name is already at {names[case.name]}"
                self._findings.error("duplicate_case", case.location, message)
            names.setdefault(case.name, case.location)
            found.append(case)
        return found

    def _case(self, node: Node) -> Case | None:
        reader = MappingReader(node, "a case", ("name!", "base", "set", "unset", "expect!"), self._findings)
        name, expect = reader.text("name"), self._expect(reader)
        holder = reader if reader.node("base") is not None else self._reader
        base = holder.text("base")
        if base is None:
            reader.error("missing_key", reader.location, "a case needs the key `base`, in the case or in the file")
            return None
        fixture = self._fixtures.get(self._path, base, holder.at("base"))
        changes = {key.text: to_python(value) for key, value in reader.entries("set", CHANGES_MAX)}
        unset = reader.texts("unset", CHANGES_MAX)
        if name is None or expect is None or fixture is None:
            return None
        facts = self._fixtures.changed(reader, fixture, changes, unset)
        if facts is None:
            return None
        removed = tuple(split_path(path) for path in unset)
        fails_closed = expect.errors or (expect.verdict is ExpectedVerdict.DENY and expect.rules == frozenset())
        for path in () if fails_closed else removed:
            if is_always_supplied(path):
                message = f"no gate makes these facts: every gate supplies `{'.'.join(path)}`"
                hint = "name the rules that are in error without it under `errors`, or don't unset it"
                reader.error("impossible_facts", reader.at("unset"), message, hint)
        return Case(name, reader.location, self._pack, facts, removed, expect)

    def _expect(self, reader: MappingReader) -> Expectation | None:
        node = reader.node("expect")
        if node is None:
            return None
        inner = MappingReader(node, "`expect`", ("verdict!", "rules", "errors", "reason"), self._findings)
        verdict = inner.choice("verdict", ExpectedVerdict)
        rules, errors = self._ids(inner, "rules"), self._ids(inner, "errors")
        reason = inner.choice("reason", Reason)
        return None if verdict is None else Expectation(verdict, rules, errors or frozenset(), reason)

    def _ids(self, reader: MappingReader, key: str) -> frozenset[str] | None:
        node = reader.node(key)
        if node is None:
            return None
        if isinstance(node, MappingNode | Scalar):
            reader.error("wrong_kind", node.location, f"`{key}` must be a list of rule ids")
            return None
        found = set()
        for item in node.items:
            text = item.text if isinstance(item, Scalar) else "?"
            if self._rules.check(reader, item.location, text):
                found.add(text)
        return frozenset(found)
