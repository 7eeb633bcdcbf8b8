"""Proves or refutes claims about rules, for every possible intent, with the solver z3.

The idea: the negation of a claim is translated to a formula over the facts. If the formula has no solution the claim is
proven, because a formula never excludes facts for which the claim is false (see `smt`). A solution is only a candidate,
since formulas are approximations: the claim is refuted only if the exact evaluator confirms the solution. In all other
cases, and if the solver takes too long, the result is unknown. Testing with random facts was rejected as the only
method, because it can't prove anything; examples are still tried first, because they are cheap.

z3 is an optional dependency (`stoplog[lint]`).
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome, tool_of
from streams.policy.authoring.transplant import RuleForm, Transplants, form_of
from streams.policy.errors import PolicyError
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.compile import CheckedRule
from streams.policy.language.fact_types import Facts, Struct
from streams.policy.language.globs import named_tools
from streams.policy.language.schema import ENTITIES
from streams.policy.language.tool_types import UNTYPED
from streams.policy.results import RuleEffect
from streams.policy.runtime.explain import as_json

if TYPE_CHECKING:
    from streams.policy.authoring.smt.translate import Formula, Translator

Question = Callable[[], tuple[Sequence[Any], Mapping[str, Any]]]
"""Makes the formulas of a question: those that are demanded, and those by the id of the rule that they come from."""

EFFORT_MAX = 2_000_000
"""The solver's limit of work for one question, in units of z3 that are the same on every machine; about a second."""

TIME_MS_MAX = 5_000
"""The limit of time for one question, in case the limit of work does not apply."""

QUESTIONS_MAX = 5_000
"""The number of questions to the solver for one bundle; after that, only examples can decide a question."""

BUNDLE_EFFORT_MAX = 25 * EFFORT_MAX
"""The limit of work for all questions of one bundle together, in the same units. It is counted, not timed, so that the
same bundle has the same findings on every machine."""

UNKNOWNS_MAX = 100
"""How often the solver may find no answer to the same question about rules of the same form; then it is no longer asked
that question about others like them, so that questions are left for other rules."""

RULES_MAX = 60
"""The number of rules in one question."""

EXAMPLES_MAX = 2_000
"""The number of given examples that are tried before the solver is asked. The starter packs have half as many cases."""

SOLUTIONS_MAX = 400
"""The number of solutions of the solver that are kept as further examples."""

STOPPING_EFFECTS = frozenset({RuleEffect.DENY, RuleEffect.QUARANTINE})
"""The effects of rules that stop a call."""

_STOPPING_OUTCOMES = frozenset({RuleOutcome.TRUE, RuleOutcome.ERROR})
_NOT_MATCHED = frozenset({RuleOutcome.FALSE, RuleOutcome.NOT_FOR_TOOL, RuleOutcome.NOT_FOR_CALLER})


class SolverMissingError(PolicyError):
    """z3 is not installed."""


class ProofStatus(StrEnum):
    """What is known about a claim."""

    PROVEN = "proven"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


class ProofResult(NamedTuple):
    """The result for a claim.

    Attributes:
        status: what is known.
        by: the rules that a proof needed.
        facts: facts that refute the claim, or an example for a proof, or None.
        is_asked: False if the result is unknown because of a limit, without asking the solver.
    """

    status: ProofStatus
    by: tuple[str, ...] = ()
    facts: Facts | None = None
    is_asked: bool = True


_UNKNOWN = ProofResult(ProofStatus.UNKNOWN)
_NOT_ASKED = ProofResult(ProofStatus.UNKNOWN, is_asked=False)


def solver_is_installed() -> bool:
    """Return whether z3 is installed."""
    return importlib.util.find_spec("z3") is not None


class _TranslatedRule:
    """A rule for the exact evaluator, and its match and condition as formulas, which are made when they are needed.

    In a large bundle, examples answer most questions, so that most rules need no formulas.
    """

    def __init__(self, rule: CheckedRule, exact_rule: ExactRule, translator: Translator) -> None:
        self.rule = rule
        self.exact_rule = exact_rule
        self._translator = translator

    @cached_property
    def match(self) -> Formula:
        rule = self.rule.rule
        return self._translator.match(rule.match, is_permit=rule.effect is RuleEffect.PERMIT)

    @cached_property
    def condition(self) -> Formula:
        return self._translator.condition(self.rule.checked.tree)

    @property
    def id(self) -> str:
        return self.rule.rule.id

    @property
    def yes(self) -> list[Any]:
        """Return the formulas which together mean that the rule applies to a call and its condition is true."""
        return [self.match.truth.yes, self.condition.truth.yes]


class Prover:
    """Proves or refutes claims about the rules of one bundle. Not thread-safe.

    Args:
        rules: the rules of the bundle.
        constants: the named lists, by full name.
        history: the type of the fact `history`.
        examples: facts of intents, for example of test cases; they can refute claims without the solver.
        entities: the type of the fact `entities`.

    Raises:
        SolverMissingError: z3 is not installed.
    """

    def __init__(
        self,
        rules: Iterable[CheckedRule],
        constants: Mapping[str, Sequence[Any]],
        history: Struct,
        examples: Iterable[Facts] = (),
        entities: Struct = ENTITIES,
    ) -> None:
        if not solver_is_installed():
            raise SolverMissingError("the solver z3 is not installed: run `pip install 'stoplog[lint]'`")
        from streams.policy.authoring.smt.translate import Translator  # noqa: PLC0415 - z3 is optional, and slow to load

        self.questions_count = 0
        self.effort_count = 0
        self._own = (history, entities)
        self._translator = Translator(structs_by_type_name(UNTYPED.args, *self._own), constants)
        self._examples: dict[tuple[str, str], list[Facts]] = {}
        self._solutions_count = 0
        for facts in islice(examples, EXAMPLES_MAX):
            self._keep_example(facts)
        self._rules = {rule.rule.id: rule for rule in rules}
        self._constants = constants
        self._translated_rules: dict[str, _TranslatedRule] = {}
        self._forms: dict[str, RuleForm] = {}
        self._unknowns: Counter[tuple[object, ...]] = Counter()
        self._maybe_never_true: set[str] = set()
        self._roots: dict[tuple[object, ...], frozenset[str]] = {}
        self._transplants = Transplants()

    @property
    def is_exhausted(self) -> bool:
        """Return whether `QUESTIONS_MAX` or `BUNDLE_EFFORT_MAX` is reached, so that the solver is no longer used."""
        return self.questions_count >= QUESTIONS_MAX or self.effort_count >= BUNDLE_EFFORT_MAX

    def _translated(self, rule_id: str) -> _TranslatedRule:
        subject = self._translated_rules.get(rule_id)
        if subject is None:
            rule = self._rules[rule_id]
            subject = self._translated_rules[rule_id] = _TranslatedRule(
                rule,
                ExactRule(rule, self._constants),
                self._translator,
            )
        return subject

    def never_true(self, rule_id: str) -> ProofResult:
        """Decide whether a rule matches no intent at all."""
        rule = self._translated(rule_id)

        def refutes(facts: Facts) -> bool:
            return self._outcome(rule, facts) is RuleOutcome.TRUE

        answer = self._decide("never true", [rule], lambda: (rule.yes, {}), refutes)
        if answer.status is ProofStatus.UNKNOWN:
            self._maybe_never_true.add(rule_id)
        return answer

    def never_false(self, rule_id: str) -> ProofResult:
        """Decide whether a rule matches, or is in error, for every intent that it applies to."""
        rule = self._translated(rule_id)

        def refutes(facts: Facts) -> bool:
            return self._outcome(rule, facts) is RuleOutcome.FALSE

        def question() -> tuple[Sequence[Any], Mapping[str, Any]]:
            return [rule.match.truth.yes, rule.condition.truth.no], {}

        return self._decide("never false", [rule], question, refutes)

    def always_stopped(self, rule_id: str, stop_ids: Sequence[str]) -> ProofResult:
        """Decide whether other rules stop every intent that a rule matches. A stopping rule in error stops too.

        A proof names the stopping rules that it needed, and has an example if there is one.
        """
        rule, stops = self._translated(rule_id), [self._translated(stop_id) for stop_id in stop_ids[:RULES_MAX]]

        def question() -> tuple[Sequence[Any], Mapping[str, Any]]:
            return rule.yes, {stop.id: self._silent(stop) for stop in stops}

        def refutes(facts: Facts) -> bool:
            return self._outcome(rule, facts) is RuleOutcome.TRUE and all(
                self._outcome(self._translated(stop_id), facts) in _NOT_MATCHED for stop_id in stop_ids
            )

        answer = self._decide("always stopped", [rule, *stops], question, refutes)
        return self._with_example(answer, rule)

    def implied(self, rule_id: str, other_ids: Sequence[str]) -> ProofResult:
        """Decide whether other rules of the same kind have the effect of a rule whenever it matches.

        Errors count too: an error of a permit has no effect, and an error of any other rule denies the call.
        """
        rule, others = self._translated(rule_id), [self._translated(other_id) for other_id in other_ids[:RULES_MAX]]
        is_permit = rule.rule.rule.effect is RuleEffect.PERMIT

        def question() -> tuple[Sequence[Any], Mapping[str, Any]]:
            import z3  # noqa: PLC0415 - optional

            fails = z3.Bool("#fails")
            case = z3.If(fails, rule.condition.truth.failed, rule.condition.truth.yes)
            demands = [rule.match.truth.yes, case, *([z3.Not(fails)] if is_permit else [])]
            passes = {other.id: z3.If(fails, self._error_counts(other), z3.Not(z3.And(*other.yes))) for other in others}
            return demands, passes

        def refutes(facts: Facts) -> bool:
            came = self._outcome(rule, facts)
            if came is not RuleOutcome.TRUE and (is_permit or came is not RuleOutcome.ERROR):
                return False
            return not any(self._covers(self._translated(other_id), facts, came) for other_id in other_ids)

        answer = self._decide("implied", [rule, *others], question, refutes)
        return self._with_example(answer, rule)

    def never_permitted(self, rule_id: str, permit_ids: Sequence[str]) -> ProofResult:
        """Decide whether no permit matches any intent that a rule stops."""
        if len(permit_ids) > RULES_MAX:
            return _UNKNOWN
        rule, permits = self._translated(rule_id), [self._translated(permit_id) for permit_id in permit_ids]

        def question() -> tuple[Sequence[Any], Mapping[str, Any]]:
            import z3  # noqa: PLC0415 - optional

            permitted = z3.Or(*(z3.And(*permit.yes) for permit in permits))
            return [rule.match.truth.yes, z3.Not(rule.condition.truth.no), permitted], {}

        def refutes(facts: Facts) -> bool:
            return self._outcome(rule, facts) in _STOPPING_OUTCOMES and any(
                self._outcome(permit, facts) is RuleOutcome.TRUE for permit in permits
            )

        return self._decide("never permitted", [rule, *permits], question, refutes)

    def example(self, rule_id: str, facts: Facts) -> tuple[tuple[str, str], ...]:
        """Return the paths of the facts that a rule reads and their values as JSON, or `missing`."""
        rule = self._translated(rule_id)
        match = rule.rule.rule.match
        is_for_all = not match.servers and any(pattern.text == "*" for pattern in match.tools)
        paths = sorted(rule.condition.paths | (set() if is_for_all else {("tool", "id")}))
        leaves = [path for path in paths if not any(other[: len(path)] == path != other for other in paths)]
        return tuple((".".join(path), _shown(facts, path)) for path in leaves)

    def share_facts(self, one_id: str, other_id: str) -> bool:
        """Return whether two rules read a common fact. If not, neither implies the other, unless one is constant."""
        return not self._roots_of(one_id).isdisjoint(self._roots_of(other_id))

    def _roots_of(self, rule_id: str) -> frozenset[str]:
        """Return the top-level facts in the formula of a condition. Rules of the same form have the same."""
        rule = self._translated(rule_id)
        form = self._form(rule).form
        roots = self._roots.get(form)
        if roots is None:
            roots = self._roots[form] = frozenset(path[0] for path in rule.condition.paths)
        return roots

    def _silent(self, rule: _TranslatedRule) -> Any:
        import z3  # noqa: PLC0415 - optional

        return z3.Or(z3.Not(rule.match.truth.yes), rule.condition.truth.no)

    def _error_counts(self, rule: _TranslatedRule) -> Any:
        """Return the formula which means that this rule does not cover the error of another rule of its kind."""
        import z3  # noqa: PLC0415 - optional

        if rule.rule.rule.effect in STOPPING_EFFECTS:
            return self._silent(rule)
        return z3.Not(z3.And(rule.match.truth.yes, rule.condition.truth.failed))

    def _covers(self, other: _TranslatedRule, facts: Facts, came: RuleOutcome) -> bool:
        """Return whether a rule has, for these facts, the effect of another one whose outcome is `came`."""
        said = self._outcome(other, facts)
        return said is came or (said is RuleOutcome.TRUE and other.rule.rule.effect in STOPPING_EFFECTS)

    def _outcome(self, rule: _TranslatedRule, facts: Facts) -> RuleOutcome:
        return rule.exact_rule.outcome(facts)[0]

    def _with_example(self, answer: ProofResult, rule: _TranslatedRule) -> ProofResult:
        """Return the result, to which a proof adds facts for which the rule is true."""
        if answer.status is not ProofStatus.PROVEN:
            return answer
        return answer if rule.id in self._maybe_never_true else answer._replace(facts=self.never_true(rule.id).facts)

    def _decide(
        self,
        kind: str,
        rules: Sequence[_TranslatedRule],
        question: Question,
        refutes: Callable[[Facts], bool],
    ) -> ProofResult:
        """Prove that the formulas of a question can't all be true together, or refute it.

        Args:
            kind: the kind of the claim.
            rules: the rules whose variables the formulas contain. The claim says nothing about intents to which the
                first one does not apply.
            question: makes the formulas, if examples don't refute the claim.
            refutes: tells whether facts refute the claim, according to the exact evaluator.
        """
        forms = [self._form(rule) for rule in rules]
        for facts in self._transplants.candidates(kind, forms):
            if refutes(facts):
                return ProofResult(ProofStatus.REFUTED, (), facts)
        for facts in self._examples_for(rules[0]):
            if refutes(facts):
                return ProofResult(ProofStatus.REFUTED, (), facts)
        like = (kind, *(form.form for form in forms))
        if self.is_exhausted or self._unknowns[like] >= UNKNOWNS_MAX:
            return _NOT_ASKED
        self.questions_count += 1
        answer = self._solve(rules, *question(), refutes)
        if answer.status is ProofStatus.REFUTED and answer.facts is not None:
            self._transplants.keep(kind, forms, answer.facts)
        self._unknowns[like] += answer.status is ProofStatus.UNKNOWN
        return answer

    def _form(self, rule: _TranslatedRule) -> RuleForm:
        form = self._forms.get(rule.id)
        if form is None:
            form = self._forms[rule.id] = form_of(rule.rule)
        return form

    def _examples_for(self, rule: _TranslatedRule) -> Iterator[Facts]:
        """Yield the examples whose tool the rule may apply to."""
        tools = named_tools(rule.rule.rule.match)
        if tools is None:
            yield from (facts for examples in tuple(self._examples.values()) for facts in tuple(examples))
        else:
            for tool in tools:
                yield from tuple(self._examples.get(tool, ()))

    def _keep_example(self, facts: Facts) -> None:
        self._examples.setdefault(tool_of(facts)[:2], []).append(facts)

    def _solve(
        self, rules: Sequence[_TranslatedRule], demands: Sequence[Any], passes: Mapping[str, Any], refutes: Any
    ) -> ProofResult:
        import z3  # noqa: PLC0415 - optional

        from streams.policy.authoring.smt.witness import facts_of  # noqa: PLC0415 - likewise

        solver = z3.Solver()
        solver.set("rlimit", EFFORT_MAX)
        solver.set("timeout", TIME_MS_MAX)
        formulas = [formula for rule in rules for formula in (rule.match, rule.condition)]
        axioms = {axiom.get_id(): axiom for formula in formulas for axiom in formula.axioms}
        solver.add(*axioms.values(), *demands)
        due = {f"#{rule_id}": rule_id for rule_id in passes}
        for rule_id, formula in passes.items():
            solver.add(z3.Implies(z3.Bool(f"#{rule_id}"), formula))
        before = _effort_of(solver)
        try:
            found = solver.check(*(z3.Bool(name) for name in due))
        except z3.Z3Exception:
            return _UNKNOWN
        finally:
            self.effort_count += _effort_of(solver) - before
        if found == z3.unsat:
            return ProofResult(ProofStatus.PROVEN, tuple(sorted(due[str(name)] for name in solver.unsat_core())))
        if found != z3.sat:
            return _UNKNOWN
        paths = {path for formula in formulas for path in formula.paths}
        translator = self._translator
        facts = facts_of(solver.model(), translator.variables, translator.members, paths, self._own)
        if not refutes(facts):
            return _UNKNOWN
        if self._solutions_count < SOLUTIONS_MAX:
            self._solutions_count += 1
            self._keep_example(facts)
        return ProofResult(ProofStatus.REFUTED, (), facts)


def _effort_of(solver: Any) -> int:
    """Return the work that z3 has done in this process, in the units of `EFFORT_MAX`."""
    return int(solver.statistics().get_key_value("rlimit count"))


def _shown(facts: Facts, path: Sequence[str]) -> str:
    value: Any = facts
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return "missing"
        value = value[part]
    return as_json(value)
