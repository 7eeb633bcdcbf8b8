"""Quick paths of extraction find what the slow ones find, for any text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.model.proof import make_hmac
from streams.provenance import words
from streams.provenance.atoms import decimals, numbers, shapes, spans, usual_forms
from streams.provenance.atoms.found import Found
from streams.provenance.contents import leaves, markup, readings
from streams.provenance.extraction import extract
from streams.provenance.extraction.arguments import arguments_in, extract_part
from streams.provenance.extraction.digests import atom_digest
from streams.provenance.extraction.extract import extract_arguments, extract_content
from streams.provenance.instructions import order_words, patterns, role_marks, run_on_orders, sentences
from streams.provenance.sources import origins
from streams.provenance.sources.origins import SHAPED

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


_REVERSED = ("//:", "moc.", "ten.", "gro.", "oi.", "ude.", "vog.", "ofni.", "elpmaxe.", "ku.", "ed.", "ppa.", "ved.")
_SIGNS = st.sampled_from([*readings._SPELLED, *_REVERSED, " at ", ".", "a", "x.y", "<", "AT", " "])


@given(text=st.lists(_SIGNS, max_size=6).map("".join))
@example(text="mail at shop.example")
def test_the_quick_search_for_signs_misses_none(text: str) -> None:
    lowered = text.lower()
    spelled = any(sign in lowered for sign in readings._SPELLED) or readings._AT_HOST.search(lowered)
    assert bool(readings._SOME_SPELLED.search(lowered)) >= bool(spelled)
    inside = any(token.find(sign, 0, len(token) - 1) >= 0 for token in lowered.split() for sign in _REVERSED)
    assert bool(readings._SOME_REVERSED.search(lowered)) == inside


_CLAUSES = st.lists(
    st.sampled_from(
        ["pay", "kim", "please", ",", ";", " ", "  ", "\n", " - ", "-", " and ", " then ", "(", '"', "é", "7", "'"]
    ),
    max_size=10,
).map("".join)


@given(text=_CLAUSES)
@example(text=", - pay it")
@example(text="see it  - pay")
@example(text="ask and then pay")
def test_clauses_end_where_any_sign_between_them_is(text: str) -> None:
    patient = re.compile(r"(?:[,;:(\[{\"]\s*+)++|\s-\s|\s(?:and|then)\s")
    clauses = patient.split(text, 16)
    assert patterns._CLAUSE.split(text, 16) == clauses
    first, *others = patterns._CLAUSE_AND_FIRST_WORD.split(text, 16)
    assert [first, *others[1::2]] == clauses
    for word, clause in zip(others[::2], clauses[1:], strict=True):
        begins = patterns._FIRST_WORD.match(clause)
        assert begins is None or begins.group(1) == word


_RUNNING_ON = st.sampled_from(
    ["Pay", "the", "Kim", "INV-7", " ", ") ", '" ', "  ", "% ", "a@b", "7", "x", "Update 3", "\n"]
)


@given(text=st.lists(_RUNNING_ON, max_size=10).map("".join))
@example(text="Pizza party Pay the host")
@example(text='the "plan" Pay 7')
@example(text="plan) Pay the Pay the")
def test_an_order_runs_on_behind_any_of_the_signs(text: str) -> None:
    patient = re.compile(
        r"(?<=[^\W_][ )\"'%]) ?([A-Z][a-z]{1,14}) "
        rf"([^\s@]{{1,64}}@[^\s@]|{order_words.ID}|[a-z]{{1,24}}\b|\d)"
    )
    assert run_on_orders._RUN_ON.findall(text) == patient.findall(text)


_OF_ROLES = st.sampled_from(
    [
        "system",
        "user",
        "new ",
        "task",
        "instruction",
        "s",
        " ",
        "#",
        "##",
        "<",
        "</",
        ">",
        "[",
        "]",
        "inst",
        "<|",
        "|>",
        ":",
    ]
)


@given(text=st.lists(_OF_ROLES, max_size=10).map("".join))
@example(text="####### system")
@example(text="x## system")
def test_the_quick_search_for_marks_of_roles_misses_none(text: str) -> None:
    patient = re.compile(
        r"</?\s{0,4}(?:system|important|instructions?|information|admin|assistant|user|task)\b[^>]{0,40}>"
        r"|\[/?inst\]|<\|\w{2,20}\|>"
        r"|(?<!#)#{2,6}\s{0,4}(?:instruction|system|new task|task)"
        r"|(?:new|updated|your) (?:instruction|task|objective|goal)s?\b"
        r"|\A\W{0,4}(?:system|assistant|human|developer|admin|user)(?: message| prompt| note| override)?\W{0,3}:"
    )
    assert role_marks.has_role_mark(text) == (patient.search(text) is not None)


_USUAL = st.one_of(
    st.from_regex(r"[A-Za-z0-9](?:[a-z0-9._+-]{0,6}[a-z0-9])?@(?:[a-z0-9-]{1,6}\.){1,3}[A-Za-z]{2,7}", fullmatch=True),
    st.from_regex(r"(?:www|xn--abc|a@www)@?\.?[a-z]{2,4}\.[a-z]{2}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9.-]{1,6}@(?:www\.)?[A-Za-z0-9-]{1,6}", fullmatch=True),
    st.from_regex(r"[A-Za-z]{3,8}[-_]?[0-9]{1,11}", fullmatch=True),
    st.from_regex(r"(/[A-Za-z0-9._~-]{1,5}){1,4}/?", fullmatch=True),
)


@given(text=_USUAL, field=st.sampled_from(["to", "order_id", ""]), loose=st.booleans())
@example(text="a@www.example", field="", loose=False)
@example(text="a@home.example.They", field="to", loose=False)
@example(text="/var/log/app.txt", field="", loose=True)
@example(text="/2026/03/05", field="date", loose=True)
@example(text="/x", field="", loose=False)
@example(text="/DE89370400440532013000", field="", loose=True)
def test_a_value_of_a_usual_form_reads_alike_on_the_slow_path(text: str, field: str, loose: bool) -> None:
    quick = shapes.shapes_in(text, field=field, loose=loose)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usual_forms, "_USUAL_ADDRESS", re.compile(r"(?!)"))
        patch.setattr(usual_forms, "_USUAL_ID", re.compile(r"(?!)"))
        patch.setattr(usual_forms, "_USUAL_PATH", re.compile(r"(?!)"))
        slow = shapes.shapes_in(text, field=field, loose=loose)
    assert quick == slow


_PIECES_OF_TOKENS = st.sampled_from(
    [
        "a", "foo", "~foo", ".-foo", ".x", "..", "C:\\", "c/d", "kim@shop.example", "kim@www.x", "INV-77", "x1@y", "-",
        "_",
        '\\"', "\\", "~", ":", "7", "@", "$", "\u20ac", " ", " ", '"', "'", "<", ",", "\u0663", "www.", "?",
    ]
)  # fmt: skip


@settings(max_examples=500)
@given(text=st.lists(_PIECES_OF_TOKENS, max_size=10).map("".join), loose=st.booleans())
@example(text='{\\"path\\": \\"~notes\\"}', loose=False)
@example(text='see ~notes\\" there', loose=False)
@example(text='kim@shop.example\\"', loose=False)
def test_the_quick_search_for_shapes_finds_the_same(text: str, loose: bool) -> None:
    quick = shapes.shapes_in(text, loose=loose)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "_HIT_BESIDE_ESCAPES", shapes._HIT)
        patch.setattr(shapes, "_append_usual", lambda *_: False)
        patch.setattr(shapes, "_OFTEN_LEFT_CHARS_MAX", shapes._LEFT_CHARS_MAX)
        patch.setattr(shapes, "_with_borders", lambda _: None)
        slow = shapes.shapes_in(text, loose=loose)
    assert quick == slow


@pytest.mark.parametrize("char", ["a", "-", "\u00e9"])
@pytest.mark.parametrize("count", [31, 32, 255, 256, 257, 300, 2_047, 2_048, 2_049])
def test_a_long_token_has_the_same_bounds_on_the_slow_path(char: str, count: int) -> None:
    text = f"see ({char * count}@{'b' * count}.example/{char * count}7) there"
    quick = shapes.shapes_in(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "_with_borders", lambda _: None)
        slow = shapes.shapes_in(text)
    assert quick == slow


_SAID = st.sampled_from(
    [
        "Pay 12 EUR to kim7@x.example", "Pay 99 EUR to kim8@x.example", "It is 5 pm", "Set SO-1 to 19000", "3 apples",
        "Please add line 4", "our code is 4410", "book H-12 as well", "2fa", "\u0663 times", "Bezahl 7", "caf\u00e9 9",
        "user 1:", "### task 3", "### system", "you must not", "the booking to cancel is H-12", "close_ticket: 77",
    ]
)  # fmt: skip
_ENDS = st.sampled_from([". ", "\n", ", ", "! ", " ", "; ", '", "', "? 1", "\n2. "])
_MANY_SAID = st.lists(st.tuples(_SAID, _ENDS).map("".join), max_size=12).map("".join)


@settings(max_examples=500)
@given(text=st.one_of(_MANY_SAID, st.text(max_size=40)), calls_max=st.sampled_from([0, 2, 256]))
@example(text="Pay 12 EUR to 7. Pay 99 EUR to 8. \ud83d\ude00 Pay 1.", calls_max=256)
def test_which_digits_a_text_has_says_nothing_of_its_sentences(text: str, calls_max: int) -> None:
    quick = sentences.sentences_in(text, calls_max)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "with_one_digit", lambda text: text)
        slow = sentences.sentences_in(text, calls_max)
    assert quick == slow


@given(notes=st.lists(st.lists(_SAID, min_size=1, max_size=2).map(". ".join), max_size=6))
def test_fields_with_other_digits_read_as_if_each_stood_alone(notes: list[str]) -> None:
    rows = [{"id": number, "note": f"{note} {number}"} for number, note in enumerate(notes)]
    content = json.dumps(rows)
    quick = extract_content(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            extract, "_sentences_of", lambda text, collected: sentences.sentences_in(text, collected.calls_max)
        )
        slow = extract_content(content)
    assert quick == slow


_MARKS = st.sampled_from(
    [
        "<table>", "</table>", "<tr>", "<TR>", "</tr>", "<td>", "</td>", "<th>", "</th>", "<td >", "<b>", "</b>",
        "<h1>", "<br/>", "<p>", "<td>a</td>", "<td> 7 </td><td></td>", "<th>Name</th>", "<td>a &amp; b</td>",
        "<td><b>x</b></td>", "<tr>\n", "\n", " ", "Kim", "<", ">", "&nbsp;", "<!--", "-->", "<td class='x'>",
        "<a title=\"y\">", "<tr> z",
        f"<{'a' * 61}>", f"<{'a' * 62}>", "<x@y>", "<t\u00e9>",
    ]
)  # fmt: skip


@settings(max_examples=500)
@given(text=st.lists(_MARKS, max_size=24).map("".join))
@example(text="<table><tr><td>a</td></tr><tr>x<td>b</td><td>c</td>")
@example(text="<tr><td>a</td><td>b</td>")
@example(text="<table><td>a</td><tr><td>b</td></tr><tr><td>c</td></tr></table>")
def test_tags_without_attributes_read_like_all_others(text: str) -> None:
    quick = markup.parsed_html(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "_PLAIN_TAG", re.compile(r"(?!)"))
        slow = markup.parsed_html(text)
    assert quick == slow


_TYPESET = st.text(alphabet="a7\u2018\u201c\u2011\u00a0\u2026\u00e9\u0430\u200b\u2460\U0001f600\ud83d", max_size=20)


@given(text=_TYPESET)
def test_characters_are_replaced_alike_in_either_way(text: str) -> None:
    assert words.typeset_plainly(text) == text.translate({ord(mark): plain for mark, plain in words._TYPOGRAPHY})
    padded = text + "a" * 400
    quick = readings.in_ascii(padded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readings, "_SELDOM", 10**9)
        slow = readings.in_ascii(padded)
    assert quick == slow


_JOINED_PIECES = st.sampled_from(["a", "b1", "foo", "-", "_", "-", " ", "x" * 31, "x" * 33, "\u00e9", ".", "\n"])


@given(text=st.lists(_JOINED_PIECES, max_size=12).map("".join))
@example(text="feature-one_two")
@example(text=f"{'x' * 40}-{'y' * 40}-z")
def test_the_quick_search_for_joined_words_finds_the_same(text: str) -> None:
    slow = [(match.start(), match.group()) for match in spans._JOINED.finditer(text)]
    assert list(spans.joined_words(text)) == slow


@given(text=_TEXTS)
@example(text="Invoice")
@example(text="abc")
@example(text="INV-20003")
@example(text="kim@shop.example")
@example(text="moc.live@ydobemos")
@example(text="/var/log/app.txt")
@example(text="/a7")
def test_a_part_reads_like_an_argument_without_a_name(text: str) -> None:
    whole = [each for each in extract_arguments({"": text}).found if each.whole_field]
    assert [(each.kind, each.value) for each in extract_part(text)] == [(each.kind, each.value) for each in whole]


_SPOKEN = st.sampled_from(
    [
        "a", "I", "A", "be", "cafe", "deed", "added", "fade", "The", "invoice", "Confirmation", "confirmation", "it's",
        "well-known", "dot", "Dot", "at", "slash", "hyphen", "kim", "moc", "e", "v", "dots", "AbCdEfGhIjK", "o'clock",
        "I'm", "McDonald", "punkt", "x-y",
    ]
)  # fmt: skip
_SPACES = st.sampled_from(
    [*[" "] * 20, ", ", ". ", ".", ": ", ":", "\n", "\n\n", "  ", "! ", "", "@", " 7 ", "\u00a0", " - "]
)


@given(text=st.lists(st.tuples(_SPOKEN, _SPACES).map("".join), max_size=12).map("".join))
@example(text="cafe babe deed fade")
@example(text="kim dot lee")
@example(text="a b c d e f g")
@example(text="Confirmation")
@example(text="See moc.live there.")
@example(text="a  b  c  d  e  f  g")
@example(text="The-well-known-letters")
def test_prose_has_no_values_and_no_readings(text: str) -> None:
    if readings.is_prose(text):
        assert list(readings.readings_of(text)) == []
        assert shapes.shapes_in(text, loose=True) == ([], True)


@pytest.mark.parametrize(
    "text",
    [
        "The invoice is attached, and the total is as agreed.",
        "Hello Kim,\n\nI saw a cat.",
        "I'm sorry: it's a well-known one.",
        "See the dots of Underscores; a slashed hyphenation is none.",
    ],
)
def test_what_people_write_is_known_as_prose(text: str) -> None:
    assert readings.is_prose(text)


@pytest.mark.parametrize(
    "text",
    [
        "kim dot lee",
        "Kim DOT lee",
        "see a b then",
        "Confirmation",
        "ask Ab-cdefghijkl",
        "a cab faded in",
        "Hi.there",
        "\u017flash",
    ],
)
def test_what_may_be_a_disguise_is_no_prose(text: str) -> None:
    assert not readings.is_prose(text)


@given(text=st.text(alphabet="aZ0.@-_+", max_size=12))
@example(text=f"a{'b' * 61}@shop")
@example(text=f"a{'b' * 62}@shop")
@example(text=f"a@{'b' * 63}")
@example(text=f"a@{'b' * 64}")
@example(text=f"a@{'b.' * 8}com")
@example(text=f"a@{'b.' * 9}com")
@example(text=f"a@{'b' * 63}.{'c' * 64}")
def test_a_usual_address_is_found_without_going_back(text: str) -> None:
    patient = re.compile(
        r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,60}[A-Za-z0-9])?"
        r"@(?:(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}|[A-Za-z0-9-]{1,62}[A-Za-z0-9])\Z"
    )
    assert bool(usual_forms._USUAL_ADDRESS.match(text)) == bool(patient.match(text))


@given(text=st.one_of(st.text(max_size=20), st.text(alphabet="aZ09_.@- ,", max_size=20)))
def test_parts_of_ascii_are_those_of_any_text(text: str) -> None:
    if text.isascii():
        assert origins._ASCII_PART.findall(text) == origins._PART.findall(text)


@given(text=st.one_of(st.text(max_size=12), st.text(alphabet="aB1_ '-.", max_size=12)))
def test_the_canonical_form_of_ascii_is_that_of_any_text(text: str) -> None:
    joined = "".join(words.WORD.findall(words.plain_case(text)))
    assert words.text_value(text) == (joined if words.says_enough(joined) else "")


@given(number=st.one_of(st.integers(0, 10**7), st.integers(0, 10**6).map(lambda whole: whole / 100)))
@pytest.mark.parametrize("field", ["amount", "order_id", "id", "time", ""])
def test_a_short_number_of_json_reads_as_in_a_text(number: float, field: str) -> None:
    text = decimals.plain_number(number)
    quick = numbers.short_number(text, field)
    slow = numbers.numeric_at(text, 0, field=field, loose=True)
    if quick is not None:
        assert slow is not None
        assert (list(quick), slow.end) == ([*slow.readings, *slow.parts], len(text))


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


_PIECES = st.sampled_from(
    [
        "kim@shop.example", "Kim Lee <kim@shop.example>", "INV-20003", "DE89 3704 0044 0532 0130 00", "+49 170 1234567",
        "5 March 2026", "March 5, 2026", "2026-03-05T10:00Z", "https://a.example/x?to=b%40c.example&id=17", "a.example",
        "$45.50", "45,5 EUR", "order 17", "#17", "17", "../a/b.txt", "7KD204", "20417-INV", "moc.live@ydobemos", "Kim",
        "a2ltQHNob3AuZXhhbXBsZQ==", "kim at shop dot example", "k\u0456m@shop.example", "%6bim%40shop.example", "(",
        ">", "'", "\u201cquoted\u201d", "-", ".", "e v i l x y z", "/var/log/app.txt", "/abc", "/etc/Kim-7",
    ]
)  # fmt: skip
_SENTENCES = st.lists(st.one_of(_PIECES, st.text(max_size=8)), max_size=4).map(" ".join)
_LEAVES = st.one_of(
    _SENTENCES,
    _PIECES,
    _TEXTS,
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.just("ab c" * 90),
)
_NAMES = st.sampled_from(["to", "order_id", "id", "amount", "note", "Kim Lee", "date"])
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=500)
@given(values=st.dictionaries(_NAMES, _VALUES, max_size=4), thing=st.sampled_from(["", "order"]))
@example(values={"to": "Kim Lee <kim@shop.example>"}, thing="")
@example(values={"note": "March 5 2026"}, thing="")
@example(values={"id": 17}, thing="order")
@example(values={"id": "(17)"}, thing="order")
@example(values={"note": "kim@shop.example kim@shop.example"}, thing="")
def test_leaf_by_leaf_arguments_read_as_they_do_at_once(values: dict[str, object], thing: str) -> None:
    at_once = extract_arguments(values, thing)
    arguments, are_all = arguments_in(values, thing)
    assert are_all == at_once.complete
    wholes = [each for argument in arguments for each in argument.wholes]
    parts = [each for argument in arguments for each in argument.parts()]
    assert _distinct(wholes) == _distinct(each for each in at_once.found if each.whole_field)
    inside = {(each.kind, each.value, each.path) for each in wholes}
    shaped = [each for each in at_once.found if not each.whole_field and each.kind in SHAPED]
    assert _distinct(parts) - inside == _distinct(shaped) - inside


def _distinct(found: Iterable[Found]) -> set[tuple[str, str, str]]:
    return {(each.kind, each.value, each.path) for each in found}


_FIELD_NAMES = st.sampled_from(
    ["to", "amount", "a/b", "Kim Lee", "", "Id", "x" * 41, "order id", "7", "\u00e9t\u00e9", "/"]
)
_FIELDS = st.one_of(st.text(max_size=3), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())


@given(values=st.dictionaries(_FIELD_NAMES, _FIELDS | st.lists(_FIELDS, max_size=1), max_size=5))
@example(values={"a/b": 1})
@example(values={f"name{number}": number for number in range(64)})
@example(values={f"{'name' * 8}{number}": number for number in range(40)})
def test_an_object_of_single_values_has_the_leaves_of_any(values: dict[str, object]) -> None:
    assert list(leaves.leaves_of(values)) == list(leaves._nested(values))


@given(text=st.one_of(st.text(max_size=20), st.text(alphabet="aB1.@_- \u00e9", max_size=20)))
def test_the_parts_of_a_text_end_where_they_can(text: str) -> None:
    patient = re.compile(origins._PART.pattern.replace("++", "+").replace("*+", "*"))
    assert origins._PART.findall(text) == patient.findall(text)


@given(
    key=st.binary(max_size=70),
    kind=st.sampled_from(["text", "id", "later"]),
    value=st.text(st.characters(), max_size=20),
)
@example(key=b"k" * 32, kind="text", value="\ud800")
def test_a_digest_of_a_value_is_an_hmac(key: bytes, kind: str, value: str) -> None:
    message = f"{kind}\x00{value}".encode("utf-8", "surrogatepass")
    assert atom_digest(key, kind, value) == make_hmac(key, message)
