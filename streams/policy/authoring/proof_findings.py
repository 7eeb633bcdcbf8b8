"""Reports what the solver proves about the rules of a bundle: rules that never count, are redundant, or stop nothing.

Only what is proven for every possible intent is reported as a warning. A note says what the solver can't decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from streams.policy.authoring.overlaps import OverlapIndex
from streams.policy.authoring.prover import STOPPING_EFFECTS, UNKNOWNS_MAX, ProofResult, ProofStatus, Prover
from streams.policy.cel.tree import Const
from streams.policy.errors import Finding, Findings, Location, Severity
from streams.policy.language.bundle import BUNDLE_FILE, Rule
from streams.policy.language.compile import CheckedRule
from streams.policy.language.fact_types import Facts, Struct
from streams.policy.results import Mode, RuleEffect

Progress = Callable[[int, int], None]
"""Is told how many steps of the proofs are done, and of how many."""

_NAMED_MAX = 3
_EVER_TRUE = "whether it is ever true"
_CASE_HINT = "add a case that shows it"

VERBS = {
    RuleEffect.PERMIT: "permits",
    RuleEffect.DENY: "denies",
    RuleEffect.QUARANTINE: "quarantines",
    RuleEffect.REQUIRE_APPROVAL: "requires approval for",
    RuleEffect.DEFER: "defers",
}


class AlreadyReported(NamedTuple):
    """Ids of rules that the syntactic checks have already reported.

    Attributes:
        never_true: the condition is never true.
        overruled: the rule never counts, because another one stops all of its calls.
        repeated: the rule is the same as another one.
    """

    never_true: frozenset[str] = frozenset()
    overruled: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()


def report_proofs(
    rules: Iterable[CheckedRule],
    constants: Mapping[str, Sequence[Any]],
    own: tuple[Struct, Struct],
    examples: Iterable[Facts],
    reported: AlreadyReported,
    findings: Findings,
    *,
    progress: Progress | None = None,
) -> frozenset[str]:
    """Report what the solver can prove about rules.

    Args:
        rules: the rules of the bundle.
        constants: the named lists of the bundle, by full name.
        own: the types of the facts `history` and `entities`.
        examples: facts of intents, which answer some questions without the solver.
        reported: the rules that are already reported.
        findings: receives the findings.
        progress: told how many steps are done, and of how many.

    Returns:
        The rules of which something is not known because a limit of the solver was reached (`QUESTIONS_MAX`,
        `BUNDLE_EFFORT_MAX`, `UNKNOWNS_MAX`).

    Raises:
        SolverMissingError: z3 is not installed.
    """
    active = {rule.rule.id: rule for rule in rules if rule.rule.mode is not Mode.OFF}
    prover = Prover(active.values(), constants, own[0], examples, own[1])
    return _ProofReporter(active, prover, reported, findings).run(progress)


class _ProofReporter:
    def __init__(
        self, rules: Mapping[str, CheckedRule], prover: Prover, reported: AlreadyReported, findings: Findings
    ) -> None:
        self._rules = rules
        self._prover = prover
        self._reported = reported
        self._findings = findings
        self._never_true = set(reported.never_true)
        self._redundant = set(reported.repeated)
        self._unknown: dict[str, list[str]] = {}
        self._left: set[str] = set()
        self._overlaps = OverlapIndex(rules.values())

    def run(self, progress: Progress | None) -> frozenset[str]:
        steps: tuple[Callable[[CheckedRule], None], ...] = (
            self._report_constant, self._report_overruled, self._report_redundant, self._report_idle
        )  # fmt: skip
        # In reverse order, so that the later one of two equal rules is reported as redundant.
        ordered = sorted(self._rules.values(), key=lambda rule: rule.rule.id, reverse=True)
        for number, (step, rule) in enumerate(product(steps, ordered)):
            if rule.rule.id not in self._never_true:
                step(rule)
            if progress is not None:
                progress(number + 1, len(steps) * len(ordered))
        for rule_id, questions in sorted(self._unknown.items()):
            if not self._prover.is_exhausted:
                # If it is not known whether the rule is ever true, the other questions can't be decided either.
                asked = questions[:1] if questions[0] == _EVER_TRUE else questions
                message = f"the solver can't decide {', or '.join(asked)}"
                self._note("unknown", self._rules[rule_id].rule, message, _CASE_HINT)
        if self._left:
            count = self._prover.questions_count
            if self._prover.is_exhausted:
                message = f"the solver has stopped at its limit, after question {count:,}"
            else:
                message = f"the solver was asked nothing more about rules like {UNKNOWNS_MAX} that it can't decide"
            message += f": {len(self._left):,} of {len(self._rules):,} rules are not proven completely"
            self._findings.add(Finding(Severity.NOTE, "unknown", Location(BUNDLE_FILE, 1, 1), message))
        return frozenset(self._left)

    def _report_constant(self, rule: CheckedRule) -> None:
        if isinstance(rule.checked.tree, Const):
            return
        rule_id, at = rule.rule.id, rule.rule.when.location
        answer = self._prover.never_true(rule_id)
        if answer.status is ProofStatus.PROVEN:
            self._never_true.add(rule_id)
            self._findings.warning("unreachable", at, "the condition is never true, for any intent", rule_id=rule_id)
            return
        self._note_if_unknown(rule, answer, _EVER_TRUE)
        answer = self._prover.never_false(rule_id)
        if answer.status is ProofStatus.PROVEN:
            message = "the condition is never false: it excludes none of the calls that `match` selects"
            self._findings.warning("constant", at, message, rule_id=rule_id)

    def _report_overruled(self, rule: CheckedRule) -> None:
        """Report a rule that does not stop calls if other rules stop all of its calls."""
        if rule.rule.effect in STOPPING_EFFECTS or rule.rule.id in self._reported.overruled:
            return
        stops = self._others(rule, lambda other: other.effect in STOPPING_EFFECTS and other.mode is Mode.ENFORCE)
        if not stops:
            return
        does = VERBS[rule.rule.effect]
        answer = self._prover.always_stopped(rule.rule.id, stops)
        if answer.status is not ProofStatus.PROVEN:
            stop = "stops" if len(stops) == 1 else "stop"
            self._note_if_unknown(rule, answer, f"whether {_named(stops)} {stop} every call that it {does}")
            return
        if len(answer.by) == 1:
            other = self._rules[answer.by[0]].rule
            if rule.rule.effect is RuleEffect.PERMIT and self._is_opposite(rule, other):
                message = f"has the condition of rule `{other.id}` and the opposite effect: the permit never counts"
                self._warn("contradiction", rule, message, answer)
                return
            message = f"never counts: rule `{other.id}` {VERBS[other.effect]} every call that this rule {does}"
        else:
            message = f"never counts: {_named(answer.by)} together stop every call that this rule {does}"
        self._warn("shadowed", rule, message, answer)

    def _is_opposite(self, permit: CheckedRule, stop: Rule) -> bool:
        return self._prover.always_stopped(stop.id, (permit.rule.id,)).status is ProofStatus.PROVEN

    def _report_redundant(self, rule: CheckedRule) -> None:
        """Report an enforced rule if other rules have its effect whenever it matches."""
        if rule.rule.mode is not Mode.ENFORCE or rule.rule.id in self._redundant:
            return
        others = self._others(rule, lambda other: other.id not in self._redundant and _is_as_strict(other, rule.rule))
        if not others:
            return
        answer = self._prover.implied(rule.rule.id, others)
        if answer.status is ProofStatus.PROVEN and answer.by:
            self._redundant.add(rule.rule.id)
            which = _named(answer.by) if len(answer.by) == 1 else f"one of {_named(answer.by)}"
            message = f"is redundant: whenever it {VERBS[rule.rule.effect]} a call, {which} does so too"
            self._warn("redundant", rule, message, answer)
        elif answer.status is ProofStatus.UNKNOWN:
            self._note_if_unknown(rule, answer, f"whether it adds anything to {_named(others)}")

    def _report_idle(self, rule: CheckedRule) -> None:
        """Report an enforced rule that stops calls if no rule permits any of them."""
        if (
            rule.rule.effect not in STOPPING_EFFECTS
            or rule.rule.mode is not Mode.ENFORCE
            or rule.rule.id in self._redundant
        ):
            return
        permits = [one for one in self._rules.values() if one.rule.effect is RuleEffect.PERMIT]
        if not permits:
            return
        near = [one.rule.id for one in self._overlaps.of(rule) if one.rule.effect is RuleEffect.PERMIT]
        answer = self._prover.never_permitted(rule.rule.id, near) if near else ProofResult(ProofStatus.PROVEN)
        if answer.status is ProofStatus.PROVEN:
            self._note("idle", rule.rule, f"{VERBS[rule.rule.effect]} no call that a rule permits")
        else:
            self._note_if_unknown(rule, answer, "whether it stops any call that a rule permits")

    def _others(self, rule: CheckedRule, wanted: Callable[[Rule], bool]) -> list[str]:
        """Return the rules that can apply to the same calls and read common facts."""
        return [
            other.rule.id
            for other in self._overlaps.of(rule)
            if other is not rule
            and other.rule.id not in self._never_true
            and wanted(other.rule)
            and (isinstance(other.checked.tree, Const) or self._prover.share_facts(rule.rule.id, other.rule.id))
        ]

    def _note_if_unknown(self, rule: CheckedRule, answer: ProofResult, question: str) -> None:
        if answer.status is ProofStatus.UNKNOWN:
            if answer.is_asked:
                self._unknown.setdefault(rule.rule.id, []).append(question)
            if self._prover.is_exhausted or not answer.is_asked:
                self._left.add(rule.rule.id)

    def _warn(self, code: str, rule: CheckedRule, message: str, answer: ProofResult) -> None:
        example = () if answer.facts is None else self._prover.example(rule.rule.id, answer.facts)
        at = rule.rule.location
        self._findings.add(Finding(Severity.WARNING, code, at, message, rule.rule.id, example=example))

    def _note(self, code: str, rule: Rule, message: str, hint: str | None = None) -> None:
        self._findings.add(Finding(Severity.NOTE, code, rule.location, message, rule.id, hint))


def _is_as_strict(other: Rule, rule: Rule) -> bool:
    """Return whether the effect of `other` on a call is at least as strict as that of `rule`."""
    if other.mode is not Mode.ENFORCE or not all(duty in other.obligations for duty in rule.obligations):
        return False
    if rule.effect is RuleEffect.DENY:
        return other.effect in STOPPING_EFFECTS
    if other.effect is not rule.effect:
        return False
    if rule.approval is not None and other.approval is not None:
        mine, theirs = rule.approval, other.approval
        stricter = theirs.quorum >= mine.quorum and theirs.ttl_ms <= mine.ttl_ms
        return mine.group == theirs.group and stricter and set(theirs.bind) >= set(mine.bind)
    return (other.defer_ms or 0) >= (rule.defer_ms or 0)


def _named(rule_ids: Sequence[str]) -> str:
    shown = [f"`{rule_id}`" for rule_id in rule_ids[:_NAMED_MAX]]
    if len(rule_ids) > _NAMED_MAX:
        shown.append(f"{len(rule_ids) - _NAMED_MAX} more")
    if len(shown) == 1:
        return f"rule {shown[0]}"
    return f"rules {', '.join(shown[:-1])} and {shown[-1]}"
