"""Which operations a message names, and which amounts they make of others."""

from __future__ import annotations

import pytest

from streams.provenance.atoms.arithmetic import (
    NUMBERS_MAX,
    OPERANDS_MAX,
    OPERATIONS_MAX,
    numbers_in_words,
    operands_of,
    operations_in,
    results_in,
)


@pytest.mark.parametrize(
    ("message", "operations"),
    [
        ("Send her my half.", ("times:1/2",)),
        ("Two thirds are mine.", ("times:2/3",)),
        ("A third of it is for Kim.", ("times:1/3",)),
        ("Up by 3% from April", ("times:103/100",)),
        ("Take 2,5 % off.", ("times:39/40",)),
        ("19% of what they paid", ("times:19/100",)),
        ("Pay it with a 10% tip.", ("times:11/10", "times:1/10")),
        ("Split it between the three of us.", ("times:1/3",)),
        ("Reserve it for 4 nights.", ("times:4/1",)),
        ("What is above 40000 goes to the buffer.", ("less:40000",)),
        ("Die H\u00e4lfte ist von mir", ("times:1/2",)),
        ("Half an hour ago, on the third of March, I paid the three bills of 2026.", ()),
        ("Book a double room.", ()),
        ("200% of it", ()),
        ("", ()),
    ],
)
def test_words_name_operations(message: str, operations: tuple[str, ...]) -> None:
    assert operations_in(message) == operations


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("sorry 2 and a half, and it was saturday", "2.5"),
        ("two and a half hours", "2.5"),
        ("one and a half, please", "1.5"),
        ("3\u00bd Stunden", "3.5"),
        ("zweieinhalb Stunden", "2.5"),
        ("anderthalb Stunden", "1.5"),
        ("deux heures et demie", "2.5"),
        ("trois et demi", "3.5"),
        ("dos y media", "2.5"),
        ("duas e meia", "2.5"),
        ("tre ore e mezza", "3.5"),
        ("v2 and a half of it", None),
        ("2 and half of it is mine", None),
        ("Book 3 seats and half an hour later 4", None),
    ],
)
def test_a_number_and_a_half_is_said_in_words(message: str, number: str | None) -> None:
    said = [each for each in numbers_in_words(message) if "." in each]
    assert said == ([] if number is None else [number])


@pytest.mark.parametrize(
    ("message", "results"),
    [
        ("I paid 1,260.50, send her half", ("630.25",)),
        ("890 last week and now 750, give me the difference", ("140",)),
        ("20% on 1100", ("220",)),
        ("80 plus 12.50", ("92.5",)),
        ("10, 20 and 30 in total", ("40", "50", "60")),
        ("1260, please", ()),
        ("order 10/20 and RS-300, the difference", ()),
    ],
)
def test_numbers_of_a_message_make_results(message: str, results: tuple[str, ...]) -> None:
    assert set(results_in(message)) == set(results)


@pytest.mark.parametrize(
    ("amount", "operation", "operand"),
    [
        ("630", "times:1/2", "1260"),
        ("33.33", "times:1/3", "100"),
        ("12772", "times:103/100", "12400"),
        ("140", "less:750", "890"),
        ("140", "less:890", "750"),
        ("96", "plus:12", "84"),
    ],
)
def test_operations_are_undone(amount: str, operation: str, operand: str) -> None:
    assert operand in tuple(operands_of(amount, operation))


@pytest.mark.parametrize(
    ("amount", "operation"),
    [
        ("0", "times:1/2"),
        ("0.001", "times:1/2"),
        ("5", "plus:12"),
        ("5", "pay"),
        ("5", ""),
        ("5", "times:1/0"),
        ("5", "times:a/b"),
        ("5", "less:-3"),
        ("5", "plus:1e9"),
        ("5", "times:"),
    ],
)
def test_nothing_is_undone_of_what_is_no_result(amount: str, operation: str) -> None:
    assert tuple(operands_of(amount, operation)) == ()


def test_all_of_it_is_bounded() -> None:
    message = " ".join(f"{number}% of {number}.50 plus {number}" for number in range(2, 90))
    assert len(operations_in(message)) == OPERATIONS_MAX
    assert len(results_in(message)) <= OPERATIONS_MAX * NUMBERS_MAX + NUMBERS_MAX**2
    assert len(tuple(operands_of("1", "times:1/100"))) <= OPERANDS_MAX


def test_numbers_in_words_are_numbers() -> None:
    assert numbers_in_words("Two suitcases, and zw\u00f6lf Karten; two of them are due.") == ("2", "12")
    assert numbers_in_words("One of them, the second.") == ()


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("A dozen eggs", ("12",)),
        ("half a dozen rolls", ("6",)),
        ("two dozen of them", ("24",)),
        ("a couple of seats", ("2",)),
        ("a couple more", ("2",)),
        ("twenty-five chairs", ("25",)),
        ("a hundred flyers", ("100",)),
        ("ein Dutzend Flaschen, f\u00fcnfundzwanzig Gl\u00e4ser", ("25", "12")),
        ("une douzaine d'oeufs, vingt-cinq verres", ("25", "12")),
        ("media docena, treinta y cinco", ("35", "6")),
        ("uma d\u00fazia e vinte e cinco", ("25", "12")),
        ("mezza dozzina, ventiquattro", ("24", "6")),
        ("tuzin jajek, pi\u0119\u0107 but\u0142ek", ("12", "5")),
        ("several dozen for two", ("2",)),
        ("one hundred flyers", ("100",)),
        ("soixante-dix euros", ("70",)),
        ("soixante et onze, soixante dix-huit", ("71", "78")),
        ("quatre-vingts euros", ("80",)),
        ("quatre-vingt-un, quatre-vingt-dix-neuf", ("81", "99")),
        ("dix-sept jours", ("17",)),
    ],
)
def test_larger_numbers_and_quantities_are_numbers(message: str, numbers: tuple[str, ...]) -> None:
    assert numbers_in_words(message) == numbers


@pytest.mark.parametrize(
    "message",
    [
        "The couple has left",
        "I am a hundred percent sure",
        "hundert Prozent",
        "a few of them",
        "ein paar Flaschen",
        "one of them",
        "a pair of shoes",
        "dozens of people",
        "two hundred",
        "five hundred euros",
        "two hundred and fifty",
        "a hundred and fifty",
        "half a hundred",
        "twenty-five hundred",
        "three thousand",
        "a couple of hundred",
        "cent cinquante",
        "deux cents",
        "quatre-vingt mille",
        "zwei tausend",
        "cien mil",
        "duzentos e cinquenta",
        "duecento cinquanta",
        "dwie\u015bcie pi\u0119\u0107dziesi\u0105t",
    ],
)
def test_what_counts_roughly_or_not_at_all_is_no_number(message: str) -> None:
    assert numbers_in_words(message) == ()
