"""Shortcuts of searching: they find what a plain search for the pattern finds, and nothing else."""

from __future__ import annotations

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy.cel.required_substrings import required_substrings
from streams.policy.cel.strings import is_free_pattern, search_for, search_in_any

PIECES = r"""
ab abc b c \x20 - \. \[ \b \B \d \w [ab] [^a] []b] [[] . ^ $ \A \z * + ? {2} {0,1} {0} {1,} {,2} *? | ( ) (?: (?i)
\Q \E \x61 \pL
"""
pieces = st.sampled_from(PIECES.split())
patterns = st.lists(pieces, max_size=8).map("".join).filter(is_free_pattern)
texts = st.text(st.sampled_from("abcAB -.{}[2,\né"), max_size=8)


def found(pattern: str, text: str) -> bool:
    return re2.compile(pattern).search(text) is not None


@settings(max_examples=2_000, deadline=None)
@given(pattern=patterns, text=texts)
def test_what_a_pattern_is_found_in_holds_one_of_its_texts(pattern: str, text: str) -> None:
    required = required_substrings(pattern)
    if required and found(pattern, text):
        assert any(part in text for part in required)
    assert search_for(pattern)(text) is found(pattern, text)


@settings(max_examples=2_000, deadline=None)
@given(pattern=patterns, several=st.lists(texts, max_size=4))
def test_a_look_at_all_texts_finds_what_one_at_each_does(pattern: str, several: list[str]) -> None:
    assert search_in_any(pattern)(several) is any(found(pattern, text) for text in several)
