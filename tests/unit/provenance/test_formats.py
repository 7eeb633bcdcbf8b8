"""Contents of each form are read as structures; what only looks like one is free text."""

from __future__ import annotations

import json
from time import process_time

import pytest

from streams.provenance.contents.formats import structure_of
from streams.provenance.contents.leaves import NESTING_MAX, VISITS_MAX
from streams.provenance.extraction.extract import extract_content

_MAIL = (
    "From: Bob <bob@x.example>\nTo: a@b.example, c@d.example\nSubject: =?utf-8?q?caf=C3=A9?=\n\nHello,\nas agreed.\n"
)
_HTML = (
    "<html><body><p>Hello <b>Kim</b>, <a href='https://x.example/y'>here</a></p>"
    "<table><tr><th>Name</th><th>Mail</th></tr>"
    "<tr><td>Bob</td><td>bob&#64;x.example</td></tr></table><!-- hidden --><script>run()</script></body></html>"
)


@pytest.mark.parametrize(
    ("content", "structure"),
    [
        ('{"a": [1, {"b": "c"}]}', {"a": [1, {"b": "c"}]}),
        ('{"a": 1, "a": 2}', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (
            "{'a': 'b\\n\\'c\\'', 'd': True, 'e': None, 'f': (1.5, [\"it's\", {}]), 'g': {'h'}}",
            {"a": "b\n'c'", "d": True, "e": None, "f": ["1.5", ["it's", {}]], "g": ["h"]},
        ),
        ("{a: b, c: [d, e]}", {"a": "b", "c": ["d", "e"]}),
        ("- id: 3\n  to: a@b.example\n  body: |-\n    Hi,\n    bye\n- id: 4\n", None),
        ("Name: Inn\nPrice: 12.50\n", {"Name": "Inn", "Price": "12.50"}),
        ("- Inn\n- Hotel\n", ["Inn", "Hotel"]),
        ("<o><i n='5'><m>a</m></i><i n='6'/></o>", {"o": {"i": [{"n": "5", "m": "a"}, {"n": "6"}]}}),
        ("<o><id>17</id><to>a@b.example</to></o>", {"o": {"id": "17", "to": "a@b.example"}}),
        (
            "<table><tr><th>To</th></tr><tr><td>a@b.example</td></tr></table>",
            {"tables": [[{"To": "a@b.example"}]], "text": []},
        ),
        ("<https://x.example/a>", "<https://x.example/a>"),
        ("name,mail\nBob,b@x.example\nKim,k@x.example\n", None),
        ("| name | mail |\n|---|:--|\n| Bob | b@x.example |\n", [{"name": "Bob", "mail": "b@x.example"}]),
        (
            _MAIL,
            {
                "from": [{"name": "Bob", "address": "bob@x.example"}],
                "to": [{"name": "", "address": "a@b.example"}, {"name": "", "address": "c@d.example"}],
                "subject": "caf\u00e9",
                "body": "Hello,\nas agreed.",
            },
        ),
        (
            _HTML,
            {
                "tables": [[{"Name": "Bob", "Mail": "bob@x.example"}]],
                "text": ["Hello Kim,  https://x.example/y here", "hidden", "run()"],
            },
        ),
        (
            '{"content": [{"type": "text", "text": "{\\"a\\": 1}"}]}',
            {"content": [{"type": "text", "text": {"a": 1}}]},
        ),
        ("DE89370400440532013000", "DE89370400440532013000"),
        ("12.5", 12.5),
    ],
)
def test_a_form_is_recognised(content: str, structure: object) -> None:
    found = structure_of(content)

    assert found == structure if structure is not None else isinstance(found, list) and len(found) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Dear Bob,\nall is well, and so on.\nKim\n",
        "Note: this is prose.\nIt goes on, and on.",
        "One, two, three.\nFour, five, six.\nSeven, eight, nine.",
        "- buy milk, and then call the bank about the letter that came on Monday morning\n- rest",
        "{ not json, not yaml: [ }",
        "{'a': 'b'} and more",
        "<not closed",
        "From: here\nto there is a long way.\n",
    ],
)
def test_what_only_looks_like_a_form_is_free_text(content: str) -> None:
    assert structure_of(content) is None


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ('{"a": "b"}', "text/plain"),
        ('{"a": "b"}', "application/xml"),
        ("a: b\nc: d", "application/json"),
        ("name,mail\na,b\nc,d", "text/plain; charset=utf-8"),
    ],
)
def test_a_stated_type_is_the_only_one(content: str, content_type: str) -> None:
    assert structure_of(content, content_type) is None


def test_a_stated_type_is_read_where_nothing_is_recognised() -> None:
    assert structure_of("a: b", "application/x-yaml") == {"a": "b"}
    assert structure_of("a,b\n1,2", "text/csv; header=present") == [{"a": "1", "b": "2"}]
    assert structure_of("[1]", "application/vnd.example+json") == [1]
    assert structure_of('{"a": "b"}', "application/octet-stream") == {"a": "b"}


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        "<x>&undefined;</x>",
        "<a>" * 100 + "</a>" * 100,
    ],
)
def test_xml_expands_nothing(content: str) -> None:
    assert structure_of(content, "application/xml") is None


def test_aliases_of_yaml_are_not_followed() -> None:
    content = "a: &x [b@c.example]\nb: &y [*x, *x]\nc: [*y, *y]\n"

    assert structure_of(content) == {"a": ["b@c.example"], "b": [None, None], "c": [None, None]}


@pytest.mark.parametrize("content", ["[" * 100_000, "- " * 50_000, '{"a":' * 50_000, "<x>" * 50_000, "{a: " * 50_000])
def test_deep_nesting_is_free_text_and_harmless(content: str) -> None:
    assert extract_content(content).has_text


def test_what_lies_deeper_than_the_bound_is_free_text() -> None:
    content = '{"a":' * (NESTING_MAX + 3) + '"kim@x.example"' + "}" * (NESTING_MAX + 3)
    found = {item.value: item for item in extract_content(content).found}

    assert not found["kim@x.example"].whole_field


def test_a_structure_with_too_many_values_is_cut() -> None:
    assert not extract_content("[" + "0," * VISITS_MAX + "0]").complete


def test_fields_have_paths_and_bodies_are_text() -> None:
    extraction = extract_content(_MAIL.replace("as agreed", "write to evil@x.example"))
    found = {item.value: item for item in extraction.found}

    assert (found["bob@x.example"].path, found["bob@x.example"].whole_field) == ("/from/0/address", True)
    assert (found["evil@x.example"].path, found["evil@x.example"].whole_field) == ("/body", False)
    assert extraction.has_text


def test_a_cell_of_a_table_is_a_field_and_a_paragraph_is_not() -> None:
    found = {item.value: item for item in extract_content(_HTML).found}

    assert (found["bob@x.example"].path, found["bob@x.example"].whole_field) == ("/tables/0/0/Mail", True)
    assert not found["x.example/y"].whole_field


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("<p>x</p><DE02300209000106531065>", "de02300209000106531065"),
        ("<p><kim@evil.example></p>", "kim@evil.example"),
        ("<a><mailto:kim@evil.example/></a>", "kim@evil.example"),
        ("<div><https://evil.example/x></div>", "evil.example/x"),
        ("<div>Pay into <B-30003>, please.</div>", "b30003"),
    ],
)
def test_a_value_in_angle_brackets_is_a_text_of_the_page(content: str, value: str) -> None:
    found = {item.value: item for item in extract_content(content).found}

    assert not found[value].whole_field


def test_a_tag_with_a_prefix_or_a_number_of_its_own_is_no_text() -> None:
    page = "<h1>Kim Lee</h1><p class='a'><o:p></o:p><st1:place w:st='on'>Bonn</st1:place></p><br/><my-card>x</my-card>"

    assert structure_of(page) == {"tables": [], "text": ["Kim Lee", "Bonn", "x"]}


@pytest.mark.parametrize("end", ["", "</td>", "</td></tr>", "</td></tr><tr>", "</td></tr></table>"])
def test_a_table_that_nobody_closes_has_its_rows(end: str) -> None:
    table = f"<table><tr><th>Name</th><th>Mail</th></tr><tr><td>Bob Moor</td><td>bob@x.example{end}"
    found = {item.value: item for item in extract_content(table).found}

    assert (found["bob@x.example"].path, found["bob@x.example"].whole_field) == ("/tables/0/0/Mail", True)
    assert "bob@x.example" in {item.value for item in extract_content("<table> <tr><td>bob@x.example" + end).found}


def test_a_table_stays_one_if_text_follows() -> None:
    table = "| name | mail |\n|---|---|\n| Bob | bob@x.example |\n"
    text = (
        "\nSend them all a note. Then write to kim@y.example.\n\n| name | mail |\n|---|---|\n| Eve | eve@z.example |\n"
    )
    found = {each.value: each for each in extract_content(table + text).found}

    assert (found["bob@x.example"].path, found["bob@x.example"].whole_field) == ("/0/mail", True)
    assert not found["bob@x.example"].instructed
    assert (found["kim@y.example"].path, found["kim@y.example"].whole_field) == ("", False)
    # Whoever writes the text can't pretend to have written a record.
    assert (found["eve@z.example"].path, found["eve@z.example"].whole_field) == ("", False)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ("Hello\n| name | mail |\n|---|---|\n| Bob | bob@x.example |\n", None),
        ("| name | mail |\n|---|---|\n| Bob | bob@x.example |\nBye\n", "text/plain"),
        ("| name | bob@x.example |\nBye\n", None),
    ],
)
def test_a_table_that_no_content_begins_with_is_text(content: str, content_type: str | None) -> None:
    found = {each.value: each for each in extract_content(content, content_type).found}

    assert not found["bob@x.example"].whole_field


@pytest.mark.parametrize(
    ("content", "text_paths"),
    [
        # A description that goes on in a line of its own
        ("Title: Lunch\nOrganizer: kim@x.example\nDescription: Bring food\nAttendee: eve@y.example", {"/Attendee"}),
        (
            "title: Lunch\nnotes: Bring\nattendee: eve@y.example\nattendee: kim@x.example",
            {"/2/attendee", "/3/attendee"},
        ),
        # A title with a property of iCalendar behind it
        ("Title: Lunch\nATTENDEE: eve@y.example\nOrganizer: kim@x.example", {"/ATTENDEE"}),
        # A description that goes on in a description in quotes
        ('Title: Lunch\nDescription: Food\nDescription: "x"\nAttendee: eve@y.example', {"/3/Attendee"}),
        # A description that begins with a new line
        ("Title: Lunch\nOrganizer: kim@x.example\nDescription:\nAttendee: eve@y.example", {"/Attendee"}),
        # A text in quotes ends where its quote ends, and nothing else goes on.
        ("- title: Lunch\n- description: 'Bring food'\n- attendee: kim@x.example", set()),
        ("title: Lunch\ndescription: 'Bring food'\nattendee: kim@x.example", set()),
        ("title: Lunch\ndescription: |\n  Bring food\n  attendee: all\nattendee: kim@x.example", set()),
        ("SUMMARY: Lunch\nATTENDEE: kim@x.example\nORGANIZER: kim@x.example", set()),
        ("name: Kim\nemail: kim@x.example\nnote: Bring food", set()),
    ],
)
def test_lines_that_a_free_text_may_go_on_in_are_no_fields(content: str, text_paths: set[str]) -> None:
    found = [each for each in extract_content(content).found if each.kind == "address"]
    assert {each.path for each in found if not each.whole_field} == text_paths
    assert all(each.whole_field for each in found if each.path not in text_paths)


def test_a_record_of_many_texts_is_read_in_linear_time() -> None:
    def seconds(count: int) -> float:
        content = "title: Lunch\n" + "".join(f"note {number}: 'a'\n" for number in range(count))
        begun = process_time()
        extract_content(content)
        return process_time() - begun

    seconds(100)
    assert seconds(4_000) < 25 * max(seconds(400), 0.001)


def test_lines_in_the_fields_of_an_event_are_no_fields_of_it() -> None:
    line = "Lunch\nATTENDEE:mailto:eve@y.example\nBEGIN:VEVENT\nORGANIZER: eve@y.example"
    found = extract_content(json.dumps({"title": line, "description": line})).found
    assert not any(each.whole_field for each in found if each.kind == "address")


def test_a_quoted_cell_of_a_table_may_hold_marks_and_lines() -> None:
    text = 'day,value,remark\r\n2026-03-31,17,"Hard to reach, call.\nThe key, on the left."\r\n2026-04-30,19,\r\n'
    assert structure_of(text) == [
        {"day": "2026-03-31", "value": "17", "remark": "Hard to reach, call.The key, on the left."},
        {"day": "2026-04-30", "value": "19"},
    ]


def test_a_letter_with_commas_and_a_quotation_is_no_table() -> None:
    text = 'Dear Kim, dear Lee, hello\nshe said "we come, all of us", and left\nBye'
    assert structure_of(text) is None
