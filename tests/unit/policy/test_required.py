"""The texts that a pattern needs."""

from typing import Any

import pytest

from streams.policy.cel import strings
from streams.policy.cel.required_substrings import required_substrings
from streams.policy.cel.strings import search_for, search_in_any


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("-----BEGIN [A-Z ]*PRIVATE KEY-----", ("PRIVATE KEY-----",)),
        (r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[a-z]{36}", ("AKIA", "ASIA", "gh")),
        (r"[sr]k_live_[A-Za-z0-9]{20}", ("k_live_",)),
        ("(?:one|two)+", ("one", "two")),
        ("(one|two)?three", ("three",)),
        ("(one|two)?x", ()),
        ("(one){0}", ()),
        ("(one){0,3}", ()),
        ("ab*", ()),
        ("abc|", ()),
        ("abc|x", ()),
        ("(?i)abc", ()),
        (r"\Qa|b\Eabc", ()),
        (r"a\.b\-c", ("a.b-c",)),
        ("", ()),
        ("|".join(f"word{number}" for number in range(40)), ()),
    ],
)
def test_required_texts(pattern: str, texts: tuple[str, ...]) -> None:
    assert required_substrings(pattern) == texts


def test_deep_nesting_asks_for_nothing() -> None:
    assert required_substrings("(" * 5_000 + "abc" + ")" * 5_000) == ()


def test_a_text_without_a_utf8_form_is_an_error_whether_or_not_it_holds_one() -> None:
    for text in ("\ud800", "needle \ud800"):
        with pytest.raises(UnicodeEncodeError):
            search_for("needle")(text)
        with pytest.raises(UnicodeEncodeError):
            search_in_any("needle")(["a", text])


class CountingPattern:
    """A compiled pattern that counts its searches."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self.searches = 0

    def search(self, data: bytes) -> Any:
        self.searches += 1
        return self._pattern.search(data)


@pytest.mark.parametrize(
    ("pattern", "searches"),
    [("(?i)x[0-9]", 1), ("(?i)x[^0-9]", 1), (r"(?i)^x|y", 3), (r"(?i)\[^x|y", 3), ("(?i)x$", 3), (r"(?i)x\z", 3)],
)
def test_texts_are_searched_together_unless_the_pattern_may_have_an_anchor(
    pattern: str, searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = CountingPattern(strings.compile_pattern(pattern))
    monkeypatch.setattr(strings, "compile_pattern", lambda _: counting)
    assert search_in_any(pattern)(["a", "b", "c"]) is False
    assert counting.searches == searches
