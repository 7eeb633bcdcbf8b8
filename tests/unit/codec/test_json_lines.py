"""JSON for programs: valid whatever a hostile record holds."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec.json_lines import json_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=VALUES)
def test_a_line_is_the_value(value: object) -> None:
    line = json_line(value)
    assert "\n" not in line
    assert json.loads(line) == value


@pytest.mark.parametrize("value", ["\ud800", 2**64, -(2**70), ["\udfff", 2**200]])
def test_what_the_library_rejects_is_written_all_the_same(value: object) -> None:
    assert json.loads(json_line({"value": value})) == {"value": value}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have_become_null(value: float) -> None:
    assert json_line([value]) == "[null]"
    assert json_line([value, 2**64]) == f"[null,{2**64}]", "also where the library rejects another value"


def test_equal_values_have_equal_texts_if_keys_are_sorted() -> None:
    assert json_line({"b": 1, "a": {"d": 1, "c": 2}}, sort_keys=True) == '{"a":{"c":2,"d":1},"b":1}'


def test_a_value_without_a_form_in_json_is_an_error() -> None:
    with pytest.raises(TypeError):
        json_line({"value": object()})
