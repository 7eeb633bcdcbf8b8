"""Finds rules that never match and permits that never count, by comparing the syntax of their conditions.

Everything that is reported is certain, but not everything is found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeGuard

from streams.policy.authoring.overlaps import OverlapIndex
from streams.policy.authoring.proof_findings import VERBS, AlreadyReported
from streams.policy.authoring.prover import STOPPING_EFFECTS
from streams.policy.cel.simplify import simplify
from streams.policy.cel.structural_hash import structural_key
from streams.policy.cel.tree import Call, Const, Expr
from streams.policy.cel.unparse import unparse
from streams.policy.errors import Finding, Findings, Location, Severity
from streams.policy.language.bundle import BUNDLE_FILE, Match
from streams.policy.language.compile import CheckedRule
from streams.policy.language.globs import ToolMatcher, is_literal, literal_tool
from streams.policy.results import Mode, RuleEffect

PAIRS_MAX = 200_000
"""The number of pairs of rules for common tools that are compared. A note says if a bundle has more."""

EXACT_MAX = 2**53
"""Integers below this limit are represented exactly as doubles."""

_FLIPPED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_", "_==_": "_==_"}


class _Range(NamedTuple):
    """An interval of numbers; an open bound does not belong to it."""

    low: float = -math.inf
    low_open: bool = False
    high: float = math.inf
    high_open: bool = False

    def meet(self, other: _Range) -> _Range:
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        return _Range(low, low_open, high, not high_closed)

    @property
    def is_empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))


def report_unreachable(
    rules: tuple[CheckedRule, ...], reported: AlreadyReported, findings: Findings
) -> AlreadyReported:
    """Report rules whose condition is never true, and permits whose condition implies that of a deny.

    Args:
        rules: the rules of the bundle.
        reported: the rules that are already reported.
        findings: receives the findings.

    Returns:
        `reported` with the rules that were reported here.
    """
    never_true: set[str] = set()
    overruled: set[str] = set()
    for rule in rules:
        why = contradiction(rule.checked.tree)
        if why is not None:
            never_true.add(rule.rule.id)
            at = rule.rule.when.location
            findings.warning("unreachable", at, f"the condition is never true: {why}", rule_id=rule.rule.id)
    stops = {
        rule.rule.id: frozenset(structural_key(part) for part in conjuncts(rule.checked.tree))
        for rule in rules
        if rule.rule.effect in STOPPING_EFFECTS and rule.rule.mode is Mode.ENFORCE
    }
    place = {rule.rule.id: number for number, rule in enumerate(rules)}
    near = OverlapIndex(rule for rule in rules if rule.rule.id in stops)
    permits = [rule for rule in rules if rule.rule.effect is RuleEffect.PERMIT and rule.rule.mode is not Mode.OFF]
    pairs_count = 0
    for permit in permits:
        # Rules with the same condition and match are reported as a contradiction elsewhere.
        if permit.rule.id in never_true or permit.rule.id in reported.overruled:
            continue
        parts = frozenset(structural_key(part) for part in conjuncts(permit.checked.tree))
        for stop in sorted(near.of(permit), key=lambda rule: place[rule.rule.id]):
            pairs_count += 1
            if stops[stop.rule.id] < parts and covers(stop.rule.match, permit.rule.match):
                overruled.add(permit.rule.id)
                does = VERBS[stop.rule.effect]
                message = f"never counts: rule `{stop.rule.id}` {does} every call that this rule permits"
                findings.warning("shadowed", permit.rule.location, message, rule_id=permit.rule.id)
                break
        if pairs_count > PAIRS_MAX:
            message = (
                f"more than {PAIRS_MAX:,} pairs of rules: whether another rule stops the last permits is not known"
            )
            findings.add(Finding(Severity.NOTE, "unknown", Location(BUNDLE_FILE, 1, 1), message))
            break
    return reported._replace(never_true=frozenset(never_true), overruled=reported.overruled | overruled)


def conjuncts(tree: Expr) -> Iterator[Expr]:
    """Yield the operands of the outermost `&&` of a condition, or the condition itself."""
    if isinstance(tree, Call) and tree.function == "_&&_":
        for arg in tree.args:
            yield from conjuncts(arg)
    else:
        yield simplify(tree)


def contradiction(tree: Expr) -> str | None:
    """Return a description of two conjuncts that contradict each other, or None if none are found."""
    demanded: dict[Any, Expr] = {}
    excluded: dict[Any, Expr] = {}
    ranges: dict[Any, _Range] = {}
    texts: dict[Any, tuple[str, Expr]] = {}
    for part in conjuncts(tree):
        if isinstance(part, Const) and part.value is False:
            return "it requires `false`"
        negated = isinstance(part, Call) and part.function == "!_"
        shape = structural_key(part.args[0] if isinstance(part, Call) and negated else part)
        (excluded if negated else demanded).setdefault(shape, part)
        if shape in demanded and shape in excluded:
            return f"`{unparse(demanded[shape])}` contradicts `{unparse(excluded[shape])}`"
        compared = _comparison(part)
        if compared is None:
            continue
        operand, function, value = compared
        key = structural_key(operand)
        if not isinstance(value, str):
            ranges[key] = ranges.get(key, _Range()).meet(_range(function, value))
            if ranges[key].is_empty:
                return f"no value of `{unparse(operand)}` is within all of its bounds"
        elif function == "_==_":
            first = texts.setdefault(key, (value, part))
            if first[0] != value:
                return f"`{unparse(first[1])}` contradicts `{unparse(part)}`"
    return None


def _comparison(part: Expr) -> tuple[Expr, str, Any] | None:
    """Return operand, operator and constant of a comparison with a number or text, or None."""
    if not isinstance(part, Call) or part.function not in _FLIPPED or len(part.args) != 2:
        return None
    left, right = part.args
    if _is_plain(right):
        return left, part.function, right.value
    return (right, _FLIPPED[part.function], left.value) if _is_plain(left) else None


def _is_plain(node: Expr) -> TypeGuard[Const]:
    """Return whether it is a text, or a number that compares exactly with integers and doubles."""
    if not isinstance(node, Const):
        return False
    return type(node.value) is str or (type(node.value) in (int, float) and abs(node.value) < EXACT_MAX)


def _range(function: str, value: float) -> _Range:
    if function == "_==_":
        return _Range(value, False, value, False)
    if function in ("_<_", "_<=_"):
        return _Range(high=value, high_open=function == "_<_")
    return _Range(low=value, low_open=function == "_>_")


def covers(wide: Match, narrow: Match) -> bool:
    """Return whether `wide` certainly applies to every call that `narrow` applies to."""
    for key in ("servers", "agents", "tenants"):
        if getattr(wide, key) and not _texts(wide, key) >= _texts(narrow, key) > frozenset():
            return False
    if wide.tool_version is not None and (
        narrow.tool_version is None or wide.tool_version.text != narrow.tool_version.text
    ):
        return False
    patterns = _texts(wide, "tools")
    if "*" in patterns:
        return True
    if all(map(is_literal, patterns)):
        return all(pattern.text in patterns for pattern in narrow.tools)
    tools = ToolMatcher(Match(wide.tools))
    for pattern in narrow.tools:
        tool = literal_tool(pattern) if is_literal(pattern.text) else None
        known = tool is not None and tools.matches(*tool, None)
        if pattern.text not in patterns and not known:
            return False
    return True


def _texts(match: Match, key: str) -> frozenset[str]:
    return frozenset(pattern.text for pattern in getattr(match, key))
