"""A sieved pattern finds what the pattern finds: what it leaves out unread never holds a match."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.provenance.sieved import Sieved, SievedSet

_LETTERS = st.sampled_from(
    ["a", "ab", "send ", "Send", " to ", ":", "éa", "ß", "in", "\u0131", "\u0130", "\u017f", " "]
)
_ATOMS = (
    _LETTERS.map(re.escape)
    | _LETTERS.map(re.escape)
    | st.sampled_from([r"\w", r"\s", "[ab]", "[^b]", ".", r"\b", "(?!a)", "(?<!b)", r"\Z"])
)
_ONE_OR_MORE = ("+", "{2}", "{1,3}?")
_MAYBE_NONE = ("?", "*", "{0,2}?")


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})")
        | st.tuples(inner, st.sampled_from(_ONE_OR_MORE + _MAYBE_NONE)).map(lambda pair: f"(?:{pair[0]}){pair[1]}")
        | inner.map(lambda part: f"({part})")
        | inner.map(lambda part: f"(?={part})")
        | inner.map(lambda part: f"(?i:{part})")
    )


_PATTERNS = st.recursive(_ATOMS, _wider, max_leaves=12)
_TEXTS = st.lists(_LETTERS | st.sampled_from(["sEND ", "ABBA", "IN", "ss", "x"]), max_size=12).map("".join)


@example(["(?:send )?"], ["ab"], 0)
@example(["(?:send )*a"], ["a"], 0)
@example(["explain"], ["expla\u0131n", "EXPLA\u0130N"], re.IGNORECASE)
@example(["expla\u0131n", "expla\u0130n"], ["explain"], re.IGNORECASE)
@settings(max_examples=500)
@given(
    st.lists(_PATTERNS, min_size=1, max_size=4),
    st.lists(_TEXTS, min_size=1, max_size=4),
    st.sampled_from([0, re.IGNORECASE]),
)
@pytest.mark.parametrize("others", [0, 200])
def test_what_a_pattern_finds_is_found(others: int, patterns: list[str], texts: list[str], flags: int) -> None:
    # A set of many patterns asks a short text for its letters in another way.
    more = [f"q{number}" for number in range(others)]
    sieved_set = SievedSet([(re.compile(pattern), pattern) for pattern in (*patterns, *more)])
    for text in texts:
        for pattern in patterns:
            spans = [match.span() for match in re.finditer(pattern, text, flags)]
            assert [match.span() for match in Sieved(pattern, flags).finditer(text)] == spans
        matches = [(match.span(), pattern) for match, pattern in sieved_set.matches(text)]
        assert matches == [(found.span(), each) for each in patterns for found in re.finditer(each, text)]


def test_a_text_without_the_letters_that_a_pattern_needs_is_not_read() -> None:
    pattern = Sieved(r"\b(?:throw|chuck|toss) (?:\w+ ){0,2}(?:out|away)\b")
    assert not pattern.may_be_in("please send it to kim")
    assert not pattern.may_be_in("throw it to kim")
    assert pattern.may_be_in("chuck the old list away")
    assert Sieved("Throw|Chuck", re.IGNORECASE).may_be_in("THROW it")
    assert Sieved("(?i)Throw|Chuck").may_be_in("THROW it")
