"""What the functions of this package cost, in the units of `streams.policy.cel.work`.

The figures for SQL, shell text, mail addresses and lookalikes are above the times of the most expensive texts that
were tried. Those for URLs, paths, globs and versions are estimates that were not measured. What a function rejects
because of its length costs no more than to look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.policy.cel.values import LISTS
from streams.policy.cel.work import Price, Rate, by_size, charged, charged_once

UNITS_PER_BRACKETS_SQUARED = 100
"""sqlglot reads `a[1][1]...` in a time that grows with the square of the number of brackets."""

UNITS_PER_NAME = 200
UNITS_PER_SKELETON_CHAR = 5
NAME_CHARS_MAX = 1_000


def _brackets(args: tuple[Any, ...]) -> int:
    text = args[0] if args and args[0].__class__ is str else ""
    return UNITS_PER_BRACKETS_SQUARED * text.count("[") ** 2


def _lookalike(args: tuple[Any, ...]) -> int:
    """Return the price of a comparison: each domain above a name is compared, and the names of a list are read."""
    name = args[0][:NAME_CHARS_MAX] if args and args[0].__class__ is str else ""
    return UNITS_PER_SKELETON_CHAR * len(name) * name.count(".") + _names(args)


def _names(args: tuple[Any, ...]) -> int:
    """Return what reading the names of lists costs."""
    return UNITS_PER_NAME * sum(len(arg) for arg in args if arg.__class__ in LISTS)


def _version(args: tuple[Any, ...]) -> int:
    return 20 * min(sum(len(arg) for arg in args if arg.__class__ is str), 256)


_PARSERS: Mapping[str, Rate] = {
    "url": Rate(30, 8_192),
    "isUrl": Rate(30, 8_192),
    "emailAddress": Rate(30, 32_768),
    "emailAddresses": Rate(30, 32_768),
    "isEmailAddress": Rate(30, 32_768),
    "path": Rate(20, 8_192),
    "isPath": Rate(20, 8_192),
    "glob": Rate(100, 500),
    "semver": Rate(20, 256),
    "isSemver": Rate(20, 256),
    "shell": Rate(600, 4_096),
    "sql": Rate(300, 8_100, _brackets),
    "skeleton": Rate(UNITS_PER_SKELETON_CHAR, NAME_CHARS_MAX),
    "isLookalikeOf": Rate(UNITS_PER_SKELETON_CHAR, NAME_CHARS_MAX, _lookalike),
}
"""Functions that cache what they find for a text."""

_OTHERS: Mapping[str, Price] = {
    "hostWithin": _names,
    "domainWithin": _names,
    "within": _names,
    "matches": by_size,
    "compareTo": _version,
    "isLessThan": _version,
    "isGreaterThan": _version,
}


def with_prices(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return functions that count their work. Those without a price take a time that does not depend on texts."""
    priced = dict(functions)
    for name, rate in _PARSERS.items():
        priced[name] = charged_once(name, functions[name], rate)
    for name, price in _OTHERS.items():
        priced[name] = charged(functions[name], price)
    return priced
