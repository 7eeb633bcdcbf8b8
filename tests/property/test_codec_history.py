"""History files: every record comes back from its line, and any line is a record or an error with its number."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.codec.history import KINDS, HistoryError, HistoryLine, format_line, parse_line
from streams.codec.jsonform import from_json, to_json
from streams.codec.scalars import INSTANT_MS_MAX, INSTANT_MS_MIN
from tests.records import RECORD_TYPES, records

SOME = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROOT_KEY = bytes(32)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
each_kind = pytest.mark.parametrize("kind", KINDS)


def record_of(kind: str, data: st.DataObject) -> object:
    return data.draw(records(RECORD_TYPES[KINDS[kind].name]))


@each_kind
@SOME
@given(data=st.data())
def test_a_record_comes_back_from_its_line(kind: str, data: st.DataObject) -> None:
    topic, record = KINDS[kind].name, record_of(kind, data)
    key, time_ms = data.draw(st.binary(max_size=20)), data.draw(st.integers(INSTANT_MS_MIN, INSTANT_MS_MAX))
    line = format_line(topic, key, time_ms, record)
    assert "\n" not in line
    expected = HistoryLine(kind, topic, key, time_ms, record)
    assert parse_line(line, data.draw(st.integers(1, 10**6)), "h.jsonl", ROOT_KEY) == expected
    assert parse_line(f"  {line}\r\n", 1, "h.jsonl") == expected


@each_kind
@SOME
@given(data=st.data())
def test_a_changed_line_is_a_record_or_an_error(kind: str, data: st.DataObject) -> None:
    line = json.loads(format_line(KINDS[kind].name, b"acme|s-1", 0, record_of(kind, data)))
    target = line["value"]
    while data.draw(st.booleans()):
        inner = [value for value in target.values() if isinstance(value, dict)]
        if not inner:
            break
        target = data.draw(st.sampled_from(inner))
    name = data.draw(st.sampled_from([*target, "header", "args", "content"]) | st.text(max_size=8))
    if data.draw(st.booleans()):
        target.pop(name, None)
    else:
        target[name] = data.draw(JSON)
    parse_or_refuse(json.dumps(line))


@given(text=st.text(alphabet=st.characters(), max_size=60) | JSON.map(json.dumps))
def test_any_text_is_a_record_or_an_error(text: str) -> None:
    parse_or_refuse(text)


@given(members=st.dictionaries(st.sampled_from(["record", "key", "key_hex", "time_ms", "value"]), JSON))
def test_any_members_are_a_record_or_an_error(members: dict[str, object]) -> None:
    parse_or_refuse(json.dumps(members))


@SOME
@given(data=st.data())
def test_names_stand_for_the_same_id_everywhere(data: st.DataObject) -> None:
    kind = "verdict"
    form = to_json(record_of(kind, data))
    form["intent_id"] = form["approval_id"] = data.draw(st.text(max_size=40))
    verdict = from_json(RECORD_TYPES[KINDS[kind].name], form)
    assert verdict.intent_id == verdict.approval_id


def parse_or_refuse(text: str) -> None:
    try:
        line = parse_line(text, 7, "h.jsonl", ROOT_KEY)
    except HistoryError as error:
        line = error
    if isinstance(line, HistoryError):
        assert str(line).startswith("h.jsonl:7: ")
        assert line.line == 7
    else:
        assert parse_line(format_line(*line[1:]), 8, "h.jsonl") == line
