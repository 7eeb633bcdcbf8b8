"""Answers a question about rules with the answer to the same question about rules of the same form.

Large bundles have many rules that differ in names and numbers only. If facts refute a claim about one of them, the same
facts with the names and numbers of another one mostly refute the claim about that one. This is tried before the solver
is asked, which takes a hundred times as long. What is tried is only a candidate: the exact evaluator confirms it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from streams.policy.cel.tree import Const, walk
from streams.policy.cel.unparse import unparse
from streams.policy.language.bundle import Match
from streams.policy.language.compile import CheckedRule
from streams.policy.language.fact_types import Facts
from streams.policy.language.globs import literal_tool

SEEDS_MAX = 3
"""How many facts are kept for each form of question."""

FORMS_MAX = 10_000
"""How many forms of questions are remembered."""

PART_CHARS_MIN = 3
"""The shortest text that is also replaced where it is a part of another text."""

_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"|(?<![\w.])-?[0-9]+(?:\.[0-9]+)?u?')


class RuleForm(NamedTuple):
    """A rule apart from its names and numbers.

    Attributes:
        form: equal for rules that differ in these only.
        literals: these, in the order in which they occur.
    """

    form: tuple[object, ...]
    literals: tuple[Any, ...]


class _Seed(NamedTuple):
    literals: tuple[Any, ...]
    facts: Facts


class Transplants:
    """Keeps facts that have refuted a claim, by the form of the question."""

    def __init__(self) -> None:
        self._seeds: dict[tuple[object, ...], list[_Seed]] = {}

    def candidates(self, question: str, rules: Sequence[RuleForm]) -> Iterator[Facts]:
        """Yield facts that probably refute a claim about the rules.

        Args:
            question: the kind of the claim.
            rules: the forms of the rules that it is about, in a fixed order.
        """
        wanted = _literals(rules)
        for seed in self._seeds.get(_key(question, rules), ()):
            pairs = dict(_pairs(seed.literals, wanted))
            parts = [(old, new) for old, new in pairs.items() if isinstance(old, str) and len(old) >= PART_CHARS_MIN]
            yield _replaced(seed.facts, pairs, parts)

    def keep(self, question: str, rules: Sequence[RuleForm], facts: Facts) -> None:
        """Keep facts that have refuted a claim about the rules."""
        key = _key(question, rules)
        if key in self._seeds or len(self._seeds) < FORMS_MAX:
            seeds = self._seeds.setdefault(key, [])
            if len(seeds) < SEEDS_MAX:
                seeds.append(_Seed(_literals(rules), facts))


def form_of(rule: CheckedRule) -> RuleForm:
    """Return the form of a rule."""
    tree = rule.checked.tree
    literals = [node.value for node in walk(tree) if isinstance(node, Const)]
    names = _names(rule.rule.match)
    match = rule.rule.match
    form = (
        _LITERAL.sub("_", unparse(tree)),
        tuple(type(value) for value in literals),
        rule.rule.effect,
        len(names),
        tuple(pattern.text for patterns in (match.agents, match.tenants) for pattern in patterns),
    )
    return RuleForm(form, (*names, *literals))


def _names(match: Match) -> list[str]:
    """Return the names in a match: of each pattern the text, and the server and the tool if it names one."""
    names: list[str] = []
    for pattern in match.tools:
        server, tool = literal_tool(pattern) or ("", "")
        names += (pattern.text, server, tool)
    return [*names, *(pattern.text for pattern in match.servers)]


def _key(question: str, rules: Sequence[RuleForm]) -> tuple[object, ...]:
    return (question, *(rule.form for rule in rules))


def _literals(rules: Sequence[RuleForm]) -> tuple[Any, ...]:
    return tuple(value for rule in rules for value in rule.literals)


def _pairs(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for one, other in zip(old, new, strict=False):
        if one != other and not isinstance(one, bool) and type(one) is type(other):
            yield one, other


def _replaced(value: Any, pairs: Mapping[Any, Any], parts: Sequence[tuple[str, str]]) -> Any:
    """Return a fact with the old names and numbers replaced, and numbers beside an old one by those beside the new."""
    if isinstance(value, Mapping):
        return {_replaced(name, pairs, parts): _replaced(item, pairs, parts) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, pairs, parts) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return pairs[value] if value in pairs else _with_parts(value, parts)
    if isinstance(value, int | float):
        for near in (value, value - 1, value + 1):
            if type(near) is type(value) and near in pairs and isinstance(pairs[near], int | float):
                return pairs[near] + (value - near)
    return value


def _with_parts(text: str, parts: Sequence[tuple[str, str]]) -> str:
    for old, new in parts:
        if old in text:
            return text.replace(old, new)
    return text
