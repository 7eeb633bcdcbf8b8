"""Patterns that are compiled when they are used."""

import re
from importlib import import_module

import pytest

from streams.model.lazy_patterns import _LazyPattern, lazy_pattern


def test_it_does_what_the_compiled_pattern_does() -> None:
    made, same = lazy_pattern(r"(a+)b", re.IGNORECASE), re.compile(r"(a+)b", re.IGNORECASE)
    for text in ("xAAb", "aab", "b", ""):
        for method in ("match", "fullmatch", "search"):
            ours, theirs = getattr(made, method)(text), getattr(same, method)(text)
            assert (ours and ours.span()) == (theirs and theirs.span())
    assert made.sub("-", "aabab") == same.sub("-", "aabab") == "--"
    assert (made.pattern, made.flags) == (same.pattern, same.flags)


def test_nothing_is_compiled_before() -> None:
    wrong = lazy_pattern("(")
    with pytest.raises(re.error):
        wrong.match("x")


@pytest.mark.parametrize(
    "module",
    [
        *("policy.ext.urls", "policy.ext.hosts", "policy.ext.versions", "policy.ext.sql", "policy.cel.times"),
        *("policy.cel.required_substrings", "policy.language.error_hints", "policy.language.check"),
        *("provenance.instructions", "provenance.formats"),
    ],
)
def test_every_pattern_can_be_compiled(module: str) -> None:
    patterns = [each for each in vars(import_module(f"streams.{module}")).values() if isinstance(each, _LazyPattern)]
    assert patterns
    assert all(each.pattern for each in patterns)
