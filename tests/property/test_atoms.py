"""Extraction never fails, stays within its bounds, finds what is planted, and grows no faster than its input."""

from __future__ import annotations

import random  # noqa: TID251 - the fuzzer takes its chance from a seed
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.parts.counting import calls_of
from simulation.fuzz import atoms as fuzz
from streams.provenance.atoms.addresses import host_value
from streams.provenance.atoms.decimals import decimal_value
from streams.provenance.atoms.found import Extraction
from streams.provenance.atoms.ids_and_files import path_value
from streams.provenance.extraction.collected import ATOMS_MAX
from streams.provenance.extraction.extract import CONTENT_CHARS_MAX, extract_arguments, extract_content, extract_message
from streams.provenance.requests.proposed import extract_proposal
from streams.provenance.words import text_value

TYPES = st.sampled_from(
    [None, "application/json", "text/yaml", "text/xml", "text/html", "text/csv", "message/rfc822", "text/plain", "x"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner))


@given(text=st.text(max_size=300), content_type=TYPES)
def test_any_text_is_read_and_always_in_the_same_way(text: str, content_type: str | None) -> None:
    extraction = extract_content(text, content_type)

    assert extraction == extract_content(text, content_type)
    assert fuzz.fault_of(extraction) == ""
    assert fuzz.fault_of(extract_message(text)) == ""
    assert fuzz.fault_of(extract_proposal(text)) == ""


@given(raw=st.binary(max_size=300), content_type=TYPES)
def test_any_bytes_are_read(raw: bytes, content_type: str | None) -> None:
    assert fuzz.fault_of(extract_content(raw.decode("utf-8", "replace"), content_type)) == ""
    assert fuzz.fault_of(extract_content(raw.decode("latin-1"), content_type)) == ""


@given(values=st.dictionaries(st.text(max_size=12), VALUES, max_size=4))
def test_any_arguments_are_read(values: dict[str, object]) -> None:
    assert fuzz.fault_of(extract_arguments(values)) == ""


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300)
def test_a_planted_value_is_found_in_every_disguise(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret

    assert fuzz.fault_in_text(fuzz.random_text(chance)) == ""
    assert fuzz.fault_in_plant(chance) == ""


@given(
    value=st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,8})?@[a-z]{2,8}\.example", fullmatch=True)
    | st.from_regex(r"https?://[a-z]{2,8}\.example/[a-z]{2,8}", fullmatch=True)
    | st.from_regex(r"[A-Z]{1,3}-?[0-9]{4,8}", fullmatch=True),
    begins=st.sampled_from(["<p>x</p>", "<div>", "<a>", "<html><body>Write to ", "<table><tr><td>"]),
    ends=st.sampled_from(["", "</p>", "</div>", "/>", " at once"]),
)
def test_what_a_page_has_in_angle_brackets_is_read_as_in_a_text(value: str, begins: str, ends: str) -> None:
    in_text = {(found.kind, found.value) for found in extract_content(f"<{value}>", "text/plain").found}

    assert in_text
    assert in_text <= {(found.kind, found.value) for found in extract_content(f"{begins}<{value}>{ends}").found}


@given(text=st.text(max_size=60))
def test_canonical_forms_are_canonical(text: str) -> None:
    for form in (text_value, path_value):
        assert form(form(text)) == form(text)
    host = host_value(text)
    if "xn--" not in text.lower():
        assert host_value(host.replace("www.", "")) == host.replace("www.", "")


@given(whole=st.integers(0, 10**12), cents=st.integers(0, 99))
def test_an_amount_has_one_form_however_it_is_spelled(whole: int, cents: int) -> None:
    plain = decimal_value(f"{whole}.{cents:02d}")

    assert decimal_value(f"{whole:,}.{cents:02d}") == plain
    assert decimal_value(f"{whole:,}".replace(",", ".") + f",{cents:02d}") == plain
    assert decimal_value(f"{whole:,}".replace(",", " ") + f".{cents:02d}") == plain


PATTERNS = [
    "a", "@", "@a", "a@b.c ", "1 ", "/a", "a.", "QUJDabc1", "Kim Lee saw it. ", "\u0430\u0431 ", "a at b dot c ", "'\"",
    "%41", "\n", "::", "5 March ", "$", "(", "moc.a ", "ab ", "http://a", "<a ", "<a '", "<!--", "[", "- ", "#",
    "{\"a\":", ".", "...x", "| ", "a: b\n", "From: a\n", "please send it. ", "a,b\n", "&amp;", "=40",
    "a b ", "order 17, ", "<p><a:1>",
]  # fmt: skip


@pytest.mark.parametrize("extract", [extract_content, extract_proposal])
@pytest.mark.parametrize("pattern", [*PATTERNS, "Aa by "])
def test_twice_the_content_takes_at_most_about_twice_the_steps(
    pattern: str, extract: Callable[[str], Extraction]
) -> None:
    size = 4_000 // len(pattern)
    # How many calls of functions it takes to read a text.
    once, twice = (calls_of(lambda times=times: extract(pattern * size * times)) for times in (1, 2))

    assert twice <= 2.2 * once + 2_000


def test_everything_is_bounded() -> None:
    addresses = " ".join(f"a{number}@x{number}.example" for number in range(20_000))
    extraction = extract_content(addresses)

    assert len(extraction.found) == ATOMS_MAX
    assert not extraction.complete
    assert not extract_content("a " * CONTENT_CHARS_MAX).complete
    assert not extract_message("word " * 10_000 + addresses).complete
