"""Quick paths of extraction find what the slow ones find, for any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.provenance import numbers, readings
from streams.provenance.extract import extract_arguments, extract_part

_CODED = st.text(alphabet="abfAF09 :+/_-=.@xz\u00a0%", max_size=60)
_TEXTS = st.one_of(_CODED, st.text(max_size=40))


@given(text=_CODED)
@example(text="e v i l x y z")
@example(text="x \u00a0e  v i\u00a0l  x y")
@example(text="de ad be ef fa ce")
@example(text="de:ad:be:ef:fa:ce")
@example(text="c2VjcmV0QGV2aWw=")
def test_the_quick_search_for_codes_misses_none(text: str) -> None:
    assert not readings._BASE64.search(text) or readings._CODE.search(text)
    assert not readings._HEX.search(text) or readings._SOME_HEX.search(text)
    assert not readings._SPACED.search(text) or readings._TWO_SPACED.search(text)


@given(text=_TEXTS)
@example(text="Invoice")
@example(text="abc")
@example(text="INV-20003")
@example(text="kim@shop.example")
@example(text="moc.live@ydobemos")
def test_a_part_reads_like_an_argument_without_a_name(text: str) -> None:
    whole = [each for each in extract_arguments({"": text}).found if each.whole_field]
    assert [(each.kind, each.value) for each in extract_part(text)] == [(each.kind, each.value) for each in whole]


@given(text=st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3})?", fullmatch=True))
@pytest.mark.parametrize("field", ["amount", "order_id", "time", ""])
def test_a_short_number_reads_alike_on_the_slow_path(text: str, field: str) -> None:
    if len(text) >= numbers._LONG_DIGITS_MIN:
        return
    quick = numbers.numeric_at(text, 0, field=field, loose=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "_BARE", re.compile(r"(?!)"))
        slow = numbers.numeric_at(text, 0, field=field, loose=True)
    assert quick == slow
