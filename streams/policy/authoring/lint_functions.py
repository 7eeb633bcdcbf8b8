"""Finds constant arguments that a function rejects, such as an invalid URL, a relative root or a wildcard in a list.

A rule with such an argument is in error whenever it is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.tree import Call, Const, Expr, Ident, MakeList, walk
from streams.policy.errors import EvaluationError, Findings
from streams.policy.language.compile import CheckedRule
from streams.policy.language.extension_declarations import GLOB, PATH

_TRIAL_CALLS: dict[str, Callable[[Any], Any]] = {
    "hostWithin": lambda value: FUNCTIONS["hostWithin"](FUNCTIONS["url"]("https://a.test"), value),
    "domainWithin": lambda value: FUNCTIONS["domainWithin"](FUNCTIONS["emailAddress"]("a@a.test"), value),
    "within": lambda value: FUNCTIONS["within"](FUNCTIONS["path"]("/a"), value),
    "isLookalikeOf": lambda value: FUNCTIONS["isLookalikeOf"]("a", value),
    "compareTo": FUNCTIONS["semver"],
    "isLessThan": FUNCTIONS["semver"],
    "isGreaterThan": FUNCTIONS["semver"],
    **{name: FUNCTIONS[name] for name in ("url", "emailAddress", "emailAddresses", "glob", "semver", "shell")},
}
"""Calls that test whether a function accepts its last argument."""


def report_bad_arguments(rules: Sequence[CheckedRule], lists: Mapping[str, Sequence[Any]], findings: Findings) -> None:
    """Warn about constants and named lists that a function rejects.

    Args:
        rules: the checked rules.
        lists: the values of the named lists, by full name.
        findings: receives the warnings.
    """
    for rule in rules:
        parts = ((rule.expanded, rule.checked), *((part.expanded, part.checked) for part in rule.explain))
        for expanded, checked in parts:
            for node in walk(checked.tree):
                problem = _problem(node, lists) if isinstance(node, Call) and node.args else None
                if problem is not None and isinstance(node, Call):
                    at = expanded.at(max(node.args[-1].offset, 0))
                    message = f"`{node.function}` fails with this argument: {problem}"
                    findings.warning("bad_argument", at, message, rule_id=rule.rule.id)


def _problem(call: Call, lists: Mapping[str, Sequence[Any]]) -> str | None:
    trial_call = _TRIAL_CALLS.get(call.function)
    value = _constant(call.args[-1], lists)
    if call.function == "matches" and call.args[0].type.kind == PATH:
        trial_call = FUNCTIONS["glob"]
    elif call.function == "path":
        value = _constant(call.args[0], lists)
        folder = _constant(call.args[-1], lists)
        trial_call = (lambda text: FUNCTIONS["path"](text, folder)) if len(call.args) == 2 else FUNCTIONS["path"]
        if not isinstance(value, str) or not isinstance(folder, str):
            return None
    elif call.function == "sql" and len(call.args) == 2:
        trial_call = _try_dialect
    if trial_call is None or value is None:
        return None
    try:
        trial_call(value)
    except EvaluationError as error:
        return str(error)
    return None


def _try_dialect(value: Any) -> None:
    FUNCTIONS["sql"]("select 1", value)


def _constant(node: Expr, lists: Mapping[str, Sequence[Any]]) -> Any:
    """Return the value of a constant, of a list of constants or of a named list, or None for other expressions."""
    if isinstance(node, Const):
        return node.value
    if isinstance(node, MakeList) and all(isinstance(item, Const) for item in node.items):
        return tuple(item.value for item in node.items if isinstance(item, Const))
    return lists.get(node.name) if isinstance(node, Ident) else None


PATTERN_RECEIVERS = frozenset((PATH, GLOB))
"""Types of receivers for which the pattern of `matches` is a glob and not a regular expression."""
