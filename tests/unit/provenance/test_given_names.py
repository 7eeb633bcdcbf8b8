"""Given names of persons in records, which people call them by."""

from __future__ import annotations

import pytest

from streams.provenance.extraction.extract import extract_content
from streams.provenance.requests.given_names import GIVEN, given_name


@pytest.mark.parametrize(
    ("text", "field", "given"),
    [
        ("Owen Pryce", "with", "owen"),
        ("Ben Adeyemi", "name", "ben"),
        ("Anne-Marie de Vries", "customer_name", ""),
        ("Anne-Marie Vries", "customer_name", "annemarie"),
        ("\u00c1ngela Ruiz Soler", "buyer", "\u00e1ngela"),
        ("Maja O'Neill", "sender", "maja"),
        ("Owen Pryce", "subject", ""),
        ("Owen", "with", ""),
        ("owen pryce", "with", ""),
        ("Mark Reed", "buyer", ""),
        ("May Chen", "buyer", ""),
        ("Will Carter", "buyer", ""),
        ("Owen Pryce wrote this", "with", ""),
    ],
)
def test_who_is_named_in_full_has_a_given_name(text: str, field: str, given: str) -> None:
    assert given_name(text, field) == given


def test_a_record_states_the_given_name_below_its_field() -> None:
    found = extract_content('[{"with": "Owen Pryce", "subject": "Where Is It"}]').found
    assert [each.value for each in found if each.path.endswith(f"/with/{GIVEN}")] == ["owen"]
    assert sum(each.path.endswith(GIVEN) for each in found) == 1
