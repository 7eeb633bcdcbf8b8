"""Canonical JSON: RFC 8785, and what has no canonical form here."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from streams.model.canonical import NESTING_MAX, CanonicalError, canonical, canonical_args, parse_strict, sha256

# The test data of RFC 8785's author, where a checkout has it beside it.
_SHARED = Path(os.environ.get("STOPLOG_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "jcs.json"

SAMPLE = {
    "key order is by UTF-16 unit": (
        '{"\\ufb33": 1, "\\ud83d\\ude02": 2, "\\u20ac": 3, "z": 4, "\\r": 5, "1": 6, "\\u0080": 7}',
        '{"\\r":5,"1":6,"z":4,"\x80":7,"€":3,"😂":2,"\ufb33":1}',
    ),
    "numbers": (
        '{"n": [1.0, -0, -0.0, 1e2, 1E21, 1e-7, 0.000001, 123456789012345680000.0, 4.5e-324, 1.7976931348623157e308]}',
        '{"n":[1,0,0,100,1e+21,1e-7,0.000001,123456789012345680000,5e-324,1.7976931348623157e+308]}',
    ),
    "escapes": (
        '{"s": "\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\\\/\\u007f\\u00e9\\u2028"}',
        '{"s":"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/\x7fé\u2028"}',
    ),
    "text is not normalised": ('{"A\\u030a": "\\u00c5"}', '{"A\u030a":"\u00c5"}'),
    "nesting": (
        '{"b": {"d": [], "c": {}}, "a": [[1], null, true, false]}',
        '{"a":[[1],null,true,false],"b":{"c":{},"d":[]}}',
    ),
    "the largest integer": ('{"i": 9007199254740991 }', '{"i":9007199254740991}'),
}


def vectors() -> list[tuple[str, str]]:
    """The sample, and the shared test data where they are there."""
    cases = list(SAMPLE.values())
    if _SHARED.exists():
        cases += [(case["input"], case["output"]) for case in json.loads(_SHARED.read_text())["cases"].values()]
    return cases


KEYS = st.text(max_size=6) | st.text(alphabet="abAB1_", max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-99, 99)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not 2**53 <= abs(value) < 10**21)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)
LAYOUTS = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"indent": 1}, {"sort_keys": True, "separators": (",", ":")}]
)


@pytest.mark.parametrize(("text", "form"), vectors())
def test_the_form_of_rfc_8785(text: str, form: str) -> None:
    assert canonical(parse_strict(text)) == form.encode()
    if isinstance(json.loads(text), dict):
        assert canonical_args(text)[1] == form.encode()


@given(value=OBJECTS, layout=LAYOUTS, ascii_only=st.booleans())
def test_any_spelling_of_the_arguments_has_the_form_of_another_library(
    value: dict[str, object], layout: dict, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, **layout)
    parsed, form = canonical_args(text)
    assert form == rfc8785.dumps(json.loads(text))
    assert parsed == value
    assert canonical_args(form.decode())[1] == form


@given(value=st.dictionaries(st.text('abcXYZ019 _-"\\/\n', max_size=5), VALUES, max_size=5))
def test_the_fast_way_gives_what_the_careful_way_gives(value: dict[str, object]) -> None:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    parsed, form = canonical_args(text)
    careful = parse_strict(text)
    assert (parsed, form) == (careful, canonical(careful))
    assert repr(parsed) == repr(careful)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1,"a":1}',
        '{"a":{"b":1,"c":2,"b":3}}',
        '{"a":1,"\\u0061":2}',
        '{"é":1,"\\u00e9":2}',
    ],
)
def test_the_same_key_twice(text: str) -> None:
    with pytest.raises(CanonicalError, match="the same key twice"):
        canonical_args(text)


def test_one_of_many_keys_twice_takes_no_time() -> None:
    text = ",".join(f'"{number:05d}":0' for number in (*range(25_000), 24_999))
    before = time.thread_time()
    with pytest.raises(CanonicalError, match="the same key twice"):
        canonical_args(f"{{{text}}}")
    # Of the processor, because others share the machine.
    assert time.thread_time() - before < 1


@pytest.mark.parametrize("number", ["9007199254740992", "-9007199254740992", "9" * 17, "1" * 5000, "-" + "9" * 5000])
def test_integers_that_a_double_cannot_hold(number: str) -> None:
    with pytest.raises(CanonicalError, match="beyond 2\\^53"):
        canonical_args(f'{{"n":{number}}}')


def test_a_float_whose_form_is_such_an_integer() -> None:
    """It has a form, but that form read again is an integer beyond what a double holds."""
    _, form = canonical_args('{"n":1e16}')
    assert form == b'{"n":10000000000000000}'
    with pytest.raises(CanonicalError, match="beyond 2\\^53"):
        canonical_args(form.decode())


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[1e400]"])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(CanonicalError):
        canonical_args(f'{{"n":{text}}}')


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, b"x", object()]
)
def test_values_without_a_form(value: object) -> None:
    with pytest.raises(CanonicalError):
        canonical(value)


@pytest.mark.parametrize("text", ['{"a":"\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"\\ud83d":1}', '{"a":"\ud800"}'])
def test_half_of_a_surrogate_pair(text: str) -> None:
    with pytest.raises(CanonicalError):
        canonical_args(text)


@pytest.mark.parametrize("text", ["", " ", "null", "[]", '"{}"', "1", "{", "{}}", "{}{}", "\ufeff{}", '{"a":1}\x00'])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(CanonicalError):
        canonical_args(text)


@pytest.mark.parametrize(
    "text", ["{'a':1}", '{"a":01}', '{"a":1,}', '{"a":.5}', '{"a":+1}', '{"a":"\n"}', '{"a":"\\x41"}']
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(CanonicalError):
        canonical_args(text)


class TestNesting:
    @pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
    def test_the_bound(self, opened: str, closed: str) -> None:
        inner = NESTING_MAX - 1
        fits = '{"a":' + opened * inner + "1" + closed * inner + "}"
        assert canonical_args(fits)[1] == fits.encode()
        with pytest.raises(CanonicalError, match=f"nested deeper than {NESTING_MAX} levels"):
            canonical_args('{"a":' + opened * (inner + 1) + "1" + closed * (inner + 1) + "}")

    @pytest.mark.parametrize("depth", [500, 990, 1000, 1010, 10_000, 100_000])
    @pytest.mark.parametrize("text", ["{0}{1}", '{{"a":{0}{1}}}', '{{"a":{0}'])
    def test_far_beyond_it(self, depth: int, text: str) -> None:
        with pytest.raises(CanonicalError):
            canonical_args(text.format("[" * depth, "]" * depth))
        with pytest.raises(CanonicalError):
            canonical_args('{"a":' * depth + "1" + "}" * depth)

    def test_many_brackets_side_by_side_are_no_depth(self) -> None:
        text = '{"a":[' + ",".join(["[]", "{}"] * 500) + "]}"
        assert canonical_args(text)[1] == text.encode()

    def test_brackets_in_texts_do_not_count(self) -> None:
        text = json.dumps({"a": '[{"\\' * 500}, separators=(",", ":"))
        assert canonical_args(text)[1] == text.encode()

    @pytest.mark.parametrize("text", ['"' + '\\"' * 100_000, '"' * 200_000, '"' + "\\" * 200_000, '"' + "a" * 200_000])
    def test_texts_that_never_end_take_no_time(self, text: str) -> None:
        before = time.thread_time()
        with pytest.raises(CanonicalError):
            canonical_args('{"a":[' + "[]," * 100 + text)
        # Of the processor, because others share the machine.
        assert time.thread_time() - before < 1


def test_sha256() -> None:
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
