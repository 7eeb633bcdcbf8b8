"""Severities have the numbers and the words of OCSF, and a number that it has not stays readable."""

from __future__ import annotations

import pytest

from streams.model.alert import Severity, severity_word

WORDS = ("unknown", "informational", "low", "medium", "high", "critical", "fatal")


def test_the_numbers_and_words_are_those_of_ocsf() -> None:
    assert [severity.value for severity in Severity] == list(range(len(WORDS)))
    assert tuple(severity_word(number) for number in range(len(WORDS))) == WORDS


@pytest.mark.parametrize("number", [-1, 7, 99])
def test_a_number_without_a_word_is_shown_itself_or_as_the_caller_says(number: int) -> None:
    assert severity_word(number) == str(number)
    assert severity_word(number, "Other") == "Other"
