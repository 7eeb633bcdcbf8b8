"""What the solver finds in a bundle: rules that can never count, that add nothing, that stop nothing.

Only what is proven for every intent is reported as such; where the solver can't tell, that is said, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from streams.policy.authoring.prover import ProofResult, ProofStatus, Prover
from streams.policy.cel.tree import Const
from streams.policy.errors import Finding, Findings, Location, Severity
from streams.policy.language.bundle import BUNDLE_FILE, Match, Rule
from streams.policy.language.compile import CheckedRule
from streams.policy.language.globs import ToolMatcher, is_literal, literal_tool
from streams.policy.language.schema import Facts, Struct
from streams.policy.results import Mode, RuleEffect

_NAMED_MAX = 3
_EVER_TRUE = "whether it is ever true"
_CASE_HINT = "a case can tell"
STOPPING_EFFECTS = frozenset({RuleEffect.DENY, RuleEffect.QUARANTINE})
"""Effects of rules that stop a call."""

_VERBS = {
    RuleEffect.PERMIT: "permits",
    RuleEffect.DENY: "denies",
    RuleEffect.QUARANTINE: "quarantines",
    RuleEffect.REQUIRE_APPROVAL: "asks for approval",
    RuleEffect.DEFER: "defers",
}


class AlreadyReported(NamedTuple):
    """Rules of which was said already, for the form of their conditions, that they are never true, that they can never
    count, and that they say what another says."""

    never_true: frozenset[str] = frozenset()
    overruled: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()


def report_proofs(
    rules: Iterable[CheckedRule],
    constants: Mapping[str, Sequence[Any]],
    history: Struct,
    examples: Iterable[Facts],
    reported: AlreadyReported,
    findings: Findings,
) -> None:
    """Report what the solver can prove of rules.

    Args:
        rules: of the bundle.
        constants: its named lists, by full name.
        history: the type of its fact `history`.
        examples: facts of intents, as many as there are: what they show needs no proof.
        settled: what is known without the solver.
        findings: receives what is found.

    Raises:
        SolverMissingError: z3 is not installed.
    """
    active = {rule.rule.id: rule for rule in rules if rule.rule.mode is not Mode.OFF}
    _ProofReporter(active, Prover(active.values(), constants, history, examples), reported, findings).run()


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
        self._overlaps = _OverlapIndex(rules.values())

    def run(self) -> None:
        steps: tuple[Callable[[CheckedRule], None], ...] = (
            self._report_constant, self._report_overruled, self._report_redundant, self._report_idle
        )  # fmt: skip
        for step in steps:
            # The later rule of two that say the same is the one that adds nothing.
            for rule in sorted(self._rules.values(), key=lambda rule: rule.rule.id, reverse=True):
                if rule.rule.id not in self._never_true:
                    step(rule)
        for rule_id, questions in sorted(self._unknown.items()):
            if not self._prover.is_exhausted:
                # Of a rule that may never be true, nothing else is known either.
                asked = questions[:1] if questions[0] == _EVER_TRUE else questions
                self._note("unknown", self._rules[rule_id].rule, f"can't tell {', or '.join(asked)}", _CASE_HINT)
        if self._prover.is_exhausted:
            message = "the bundle is larger than what is looked at for proofs: of some rules nothing is known"
            self._findings.add(Finding(Severity.NOTE, "unknown", Location(BUNDLE_FILE, 1, 1), message))

    def _report_constant(self, rule: CheckedRule) -> None:
        if isinstance(rule.checked.tree, Const):
            return
        rule_id, at = rule.rule.id, rule.rule.when.location
        answer = self._prover.never_true(rule_id)
        if answer.status is ProofStatus.PROVEN:
            self._never_true.add(rule_id)
            self._findings.warning("unreachable", at, "condition is never true, whatever the intent", rule_id=rule_id)
            return
        self._note_if_unknown(rule, answer, _EVER_TRUE)
        answer = self._prover.never_false(rule_id)
        if answer.status is ProofStatus.PROVEN:
            message = "condition is never false: the rule is for every call that it matches"
            self._findings.warning("constant", at, message, rule_id=rule_id)

    def _report_overruled(self, rule: CheckedRule) -> None:
        """A rule that does not stop calls, all of whose calls are stopped by others."""
        if rule.rule.effect in STOPPING_EFFECTS or rule.rule.id in self._reported.overruled:
            return
        stops = self._others(rule, lambda other: other.effect in STOPPING_EFFECTS and other.mode is Mode.ENFORCE)
        if not stops:
            return
        answer = self._prover.always_stopped(rule.rule.id, stops)
        if answer.status is not ProofStatus.PROVEN:
            self._note_if_unknown(
                rule, answer, f"whether {_named(stops)} leave{'' if len(stops) > 1 else 's'} it any call"
            )
            return
        does = _VERBS[rule.rule.effect]
        if len(answer.by) == 1:
            other = self._rules[answer.by[0]].rule
            if rule.rule.effect is RuleEffect.PERMIT and self._is_opposite(rule, other):
                message = f"permits and denies on the condition of rule `{other.id}`: the permit can never count"
                self._warn("contradiction", rule, message, answer)
                return
            message = f"can never count: wherever it {does}, rule `{other.id}` says {other.effect}"
        else:
            message = f"can never count: wherever it {does}, one of {_named(answer.by)} stops the call"
        self._warn("shadowed", rule, message, answer)

    def _is_opposite(self, permit: CheckedRule, stop: Rule) -> bool:
        return self._prover.always_stopped(stop.id, (permit.rule.id,)).status is ProofStatus.PROVEN

    def _report_redundant(self, rule: CheckedRule) -> None:
        """An enforced rule beside which others say all that it says."""
        if rule.rule.mode is not Mode.ENFORCE or rule.rule.id in self._redundant:
            return
        others = self._others(rule, lambda other: other.id not in self._redundant and _is_as_strict(other, rule.rule))
        if not others:
            return
        answer = self._prover.implied(rule.rule.id, others)
        if answer.status is ProofStatus.PROVEN and answer.by:
            self._redundant.add(rule.rule.id)
            which = _named(answer.by) if len(answer.by) == 1 else f"one of {_named(answer.by)}"
            message = f"adds nothing: wherever it {_VERBS[rule.rule.effect]}, {which} does, too"
            self._warn("redundant", rule, message, answer)
        elif answer.status is ProofStatus.UNKNOWN:
            self._note_if_unknown(rule, answer, f"whether it adds anything to {_named(others)}")

    def _report_idle(self, rule: CheckedRule) -> None:
        """An enforced deny of which no call is permitted anyway."""
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
            self._note("idle", rule.rule, f"{_VERBS[rule.rule.effect]} nothing that a rule permits")
        else:
            self._note_if_unknown(rule, answer, "whether it stops anything that a rule permits")

    def _others(self, rule: CheckedRule, wanted: Callable[[Rule], bool]) -> list[str]:
        """The rules that may be for the same calls and speak of the same facts."""
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
            self._unknown.setdefault(rule.rule.id, []).append(question)

    def _warn(self, code: str, rule: CheckedRule, message: str, answer: ProofResult) -> None:
        example = () if answer.facts is None else self._prover.example(rule.rule.id, answer.facts)
        at = rule.rule.location
        self._findings.add(Finding(Severity.WARNING, code, at, message, rule.rule.id, example=example))

    def _note(self, code: str, rule: Rule, message: str, hint: str | None = None) -> None:
        self._findings.add(Finding(Severity.NOTE, code, rule.location, message, rule.id, hint))


def _is_as_strict(other: Rule, rule: Rule) -> bool:
    """Whether a rule does, where it matches, all that another one does where that matches."""
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


class _OverlapIndex:
    """Finds the rules that may be for the same tools as a rule, without looking at all others."""

    def __init__(self, rules: Iterable[CheckedRule]) -> None:
        self._all = sorted(rules, key=lambda rule: rule.rule.id)
        self._by_tool: dict[tuple[str, str], list[CheckedRule]] = {}
        for rule in self._all:
            for tool in _tools(rule.rule.match) or ():
                self._by_tool.setdefault(tool, []).append(rule)
        self._wild = [(rule, _matcher(rule)) for rule in self._all if _tools(rule.rule.match) is None]

    def of(self, rule: CheckedRule) -> list[CheckedRule]:
        """The rules, by id; itself among them."""
        tools = _tools(rule.rule.match)
        if tools is None:
            return [other for other in self._all if _may_overlap(_matcher(rule), other)]
        found = {other.rule.id: other for tool in tools for other in self._by_tool[tool]}
        for other, matcher in self._wild:
            if any(matcher.matches(*tool, None) for tool in tools):
                found[other.rule.id] = other
        return [found[rule_id] for rule_id in sorted(found)]


def _matcher(rule: CheckedRule) -> ToolMatcher:
    return ToolMatcher(Match(rule.rule.match.tools, rule.rule.match.servers))


def _may_overlap(matcher: ToolMatcher, other: CheckedRule) -> bool:
    tools = _tools(other.rule.match)
    return tools is None or any(matcher.matches(*tool, None) for tool in tools)


def _tools(match: Match) -> frozenset[tuple[str, str]] | None:
    """The tools of a rule that names each one; None of one with wildcards."""
    if not all(is_literal(pattern.text) for pattern in match.tools):
        return None
    return frozenset(tool for pattern in match.tools if (tool := literal_tool(pattern)) is not None)
