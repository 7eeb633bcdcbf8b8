"""The values in what the agent says that it would do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.model.session import SessionEventType
from streams.provenance.extraction.events import extraction_for
from streams.provenance.requests.proposed import OUTPUT_CHARS_MAX, PROPOSED_MAX, SORT_PATH, extract_proposal


def by_sort(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in extract_proposal(text).found:
        assert each.path.startswith(SORT_PATH)
        found.setdefault(each.path.removeprefix(SORT_PATH), set()).add(each.value)
    return found


def test_each_value_has_its_sort() -> None:
    text = "Refund $42.50 for two bags of HV-1004 on 26 June at 9:00, and write to anna@home.example?"
    found = by_sort(text)
    assert found["money"] == {"42.5 usd", "42.5"}
    assert found["count"] == {"2"}
    assert found["id:a-0"] == {"hv1004"}
    assert found["day"] == {"--06-26"}
    assert found["time"] == {"T09:00"}
    assert found["address"] == {"anna@home.example"}


def test_a_date_is_known_with_its_year_and_without() -> None:
    assert by_sort("First on 2026-08-24T10:00?") == {"day": {"2026-08-24", "--08-24"}, "time": {"T10:00"}}


def test_an_id_that_may_be_that_of_a_content_has_no_sort() -> None:
    assert by_sort("Shall I change the order in m-7001?") == {"": {"m7001"}}


@pytest.mark.parametrize(
    "text",
    [
        "From 26 June to tomorrow?",
        "From Friday, June 26 to Monday?",
        "Vom 26. Juni auf morgen?",
        "Du 26 juin \u00e0 lundi ?",
        "Del 26 de junio a ma\u00f1ana?",
        "De 26 de junho para segunda-feira?",
        "Dal 26 giugno a domani?",
    ],
)
def test_a_day_beside_one_that_is_told_apart_has_no_sort(text: str) -> None:
    found = by_sort(text)
    assert "day" not in found
    assert "--06-26" in found[""]


def test_what_something_goes_from_and_to_has_a_sort() -> None:
    assert by_sort("From SAV-1001 to CHK-2002?") == {"id:a-0": {"sav1001", "chk2002"}}


def test_names_of_several_words_are_names() -> None:
    assert by_sort("The Spa Day Package, or the sauna?")["name"] == {"thespadaypackage", "spadaypackage"}
    assert "romancebytheriver" in by_sort("Does Romance by the River include the wine?")["name"]
    assert "romancebytheriver" in by_sort("Romance by the River includes the wine.")["mentioned"]


def test_what_is_only_mentioned_has_no_sort() -> None:
    found = by_sort("On 12 July, HV-1009 costs $900 for 7 bags, and HV-1004 is full. Shall I move HV-1004 to 26 June?")
    assert found["id:a-0"] == {"hv1004"}
    assert found["day"] == {"--06-26"}
    assert found[""] >= {"hv1009", "--07-12", "900 usd", "900", "7"}
    assert "hv1004" not in found[""]
    assert not {"money", "count"} & found.keys()


def test_the_day_of_the_week_of_a_day_that_is_only_mentioned_is_known() -> None:
    assert by_sort("HV-1004 is on Friday, July 3. Shall I move your dinner to 26 June?")["day"] == {"--06-26"}


def test_a_date_with_a_point_ends_no_sentence() -> None:
    assert by_sort("Passt HV-1004 am 26. Juni?").keys() == {"id:a-0", "day"}


@pytest.mark.parametrize("word", ["a", "an", "de", "al", "e", "Xx", "Xx an"])
def test_words_that_are_repeated_are_read_in_a_time_that_grows_with_their_number(word: str) -> None:
    # With two ways to read a word, sixty of them would be read in more ways than can ever be tried.
    assert extract_proposal("Xx" + f" {word}" * 60 + " x").complete
    extract_proposal("Xx" + f" {word}" * 2_000 + " x")


def test_of_what_is_too_long_nothing_is_listed() -> None:
    many = extract_proposal(" ".join(f"HV-{1_000 + number}" for number in range(PROPOSED_MAX + 1)))
    long = extract_proposal("HV-1004" + " " * OUTPUT_CHARS_MAX)
    for extraction in (many, long):
        assert extraction.found == ()
        assert not extraction.has_all
    few = extract_proposal(" ".join(f"HV-{1_000 + number}" for number in range(PROPOSED_MAX)))
    assert len(few.found) == PROPOSED_MAX
    assert few.has_all


@given(st.text(max_size=400))
def test_any_output_is_read_alike_each_time(text: str) -> None:
    first = extract_proposal(text)
    assert first == extraction_for(SessionEventType.MODEL_OUTPUT, text, None)
    assert len({(each.kind, each.value, each.path) for each in first.found}) == len(first.found) <= PROPOSED_MAX
