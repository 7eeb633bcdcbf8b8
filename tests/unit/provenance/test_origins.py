"""The best source of a value."""

from __future__ import annotations

import pytest

from streams.model.verdict import ValueOrigin
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.sources.memory import Entry, Seen
from streams.provenance.sources.origins import NOWHERE, built_on, is_composed, trace

NAME = Found(AtomKind.TEXT, "kim")
ADDRESS = Found(AtomKind.ADDRESS, "kim@x.example")


def look(**flags: int):
    return lambda kind, _value: Entry(b"12345678", flags[kind.value]) if kind.value in flags else None


@pytest.mark.parametrize(
    ("date", "seen", "origin"),
    [
        ("2026-04-15", {"--04-15": Seen.USER}, ValueOrigin.USER),
        ("2026-04-15T10:00", {"--04-15": Seen.USER, "T10:00": Seen.USER}, ValueOrigin.USER),
        ("2026-04-15T10:00", {"2026-04-15": Seen.USER, "T10:00": Seen.USER}, ValueOrigin.USER),
        ("2026-04-15", {"--04-15": Seen.USER, "2026-04-15": Seen.TEXT | Seen.PLAIN}, ValueOrigin.USER),
        ("2026-04-15T10:00", {"--04-15": Seen.USER}, ValueOrigin.NOWHERE),
        ("2026-04-15T10:00", {"--04-15": Seen.USER, "T10:00": Seen.TEXT | Seen.PLAIN}, ValueOrigin.NOWHERE),
        ("2026-04-15", {"--04-15": Seen.TEXT | Seen.PLAIN}, ValueOrigin.NOWHERE),
        ("2026-04-15T10:00", {"2026-04-15": Seen.TEXT | Seen.PLAIN}, ValueOrigin.NOWHERE),
        ("2026-04-15T10:00", {"2026-04-15": Seen.TEXT | Seen.PLAIN, "T10:00": Seen.USER}, ValueOrigin.TEXT),
        ("2026-04-15T10:00", {"2026-04-15": Seen.FIELD | Seen.PLAIN}, ValueOrigin.NOWHERE),
        (
            "2036-04-15",
            {"--04-15": Seen.USER, "2036-04-15": Seen.TEXT | Seen.PLAIN | Seen.INSTRUCTED},
            ValueOrigin.TEXT,
        ),
    ],
)
def test_a_date_is_the_users_if_he_has_said_its_day_and_its_time(
    date: str, seen: dict[str, int], origin: ValueOrigin
) -> None:
    kept = {value: Entry(b"12345678", flags) for value, flags in seen.items()}
    assert trace([Found(AtomKind.DATE, date)], lambda _, value: kept.get(value)).origin is origin


@pytest.mark.parametrize("url", ["evil.example/x", "ftp:evil.example/x", "ftp:a.evil.example:21", "evil.example:8443"])
def test_an_address_is_built_on_the_host_of_others_behind_any_scheme(url: str) -> None:
    kept = {"evil.example": Entry(b"12345678", Seen.TEXT | Seen.PLAIN)}
    built = built_on([Found(AtomKind.URL, url)], lambda _, value: kept.get(value))
    assert built is not None
    assert built.flags & Seen.BUILT


@pytest.mark.parametrize(
    ("flags", "origin"),
    [
        (Seen.USER | Seen.TEXT | Seen.INSTRUCTED, ValueOrigin.USER),
        (Seen.TRUSTED | Seen.FIELD, ValueOrigin.TRUSTED),
        (Seen.FIELD | Seen.PLAIN, ValueOrigin.FIELD),
        (Seen.FIELD, ValueOrigin.TEXT),
        (Seen.TEXT | Seen.PLAIN, ValueOrigin.TEXT),
    ],
)
def test_the_best_source_wins(flags: int, origin: ValueOrigin) -> None:
    assert trace([ADDRESS], look(address=flags)).origin is origin


def test_a_value_of_several_kinds_has_the_best_of_their_sources() -> None:
    traced = trace([ADDRESS, NAME], look(address=Seen.TEXT | Seen.PLAIN, text=Seen.USER))
    assert traced.origin is ValueOrigin.USER
    assert trace([ADDRESS], look()) is NOWHERE


def test_a_disguise_is_told_from_plain_text() -> None:
    assert trace([ADDRESS], look(address=int(Seen.TEXT))).is_decoded
    assert not trace([ADDRESS], look(address=Seen.TEXT | Seen.PLAIN)).is_decoded


def test_a_value_of_parts_that_the_user_named_is_his() -> None:
    assert is_composed("reports/march", lambda _part: True)
    assert not is_composed("reports/march", lambda part: part == "march")


@pytest.mark.parametrize(
    ("text", "is_users"),
    [
        ("reports/03/05/a", True),
        ("reports/../../etc/ssl", False),
        ("..\\..\\bin\\reports", False),
        ("reports..old/a", True),
        ("Rent 123 456 789", False),
        ("Rent 1 2 3 4 5 6 7 8", False),
        ("Rent 123 456", True),
    ],
)
def test_short_parts_neither_lead_elsewhere_nor_make_a_number(text: str, is_users: bool) -> None:
    """Of the parts, the user has named those that have more than three characters."""
    named = ("reports", "Rent", "reports..old")
    assert is_composed(text, lambda part: part in named) is is_users


@pytest.mark.parametrize("text", ["march", "a/b", "", "x" * 1_000, "/".join(f"part{n}" for n in range(100))])
def test_what_has_no_parts_or_too_many_is_composed_of_nothing(text: str) -> None:
    assert not is_composed(text, lambda _part: True)


@pytest.mark.parametrize(
    ("text", "is_accused", "is_users"),
    [("Max Okafor", False, True), ("Max Okafor", True, False), ("Okafor/17", True, True)],
)
def test_a_short_word_says_something_where_others_name_all_of_it_in_an_instruction(
    text: str, is_accused: bool, is_users: bool
) -> None:
    found = is_composed(text, lambda part: part == "Okafor", is_accused=is_accused)
    assert found is is_users
