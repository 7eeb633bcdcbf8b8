"""Digests that pin a tool."""

from __future__ import annotations

import hashlib
import json

import pytest

from streams.model.canonical import CanonicalError
from streams.model.definition import definition_digests

TOOL = {
    "name": "send",
    "title": "Send",
    "description": "Send mail.",
    "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": False},
    "_meta": {"v": 1},
}


def test_the_form_is_that_of_the_wire() -> None:
    form = json.dumps(TOOL, sort_keys=True, separators=(",", ":")).encode()
    digests = definition_digests(TOOL)
    assert digests.definition == hashlib.sha256(form).digest()
    assert digests.description == hashlib.sha256(b'"Send mail."').digest()
    schema = json.dumps(TOOL["inputSchema"], sort_keys=True, separators=(",", ":")).encode()
    assert digests.input_schema == hashlib.sha256(schema).digest()


@pytest.mark.parametrize("part", TOOL)
def test_any_change_of_a_part_changes_the_definition(part: str) -> None:
    before = definition_digests(TOOL)
    without = definition_digests({name: value for name, value in TOOL.items() if name != part})
    changed = definition_digests(TOOL | {part: "other"})
    assert len({before.definition, without.definition, changed.definition}) == 3
    assert (before.description != changed.description) is (part == "description")
    assert (before.input_schema != changed.input_schema) is (part == "inputSchema")


def test_order_does_not_matter_and_absent_is_null() -> None:
    reordered = dict(reversed(TOOL.items()))
    assert definition_digests(reordered) == definition_digests(TOOL)
    bare = {"name": "n", "inputSchema": {}}
    assert definition_digests(bare | {"title": None, "_meta": None}) == definition_digests(bare)
    assert definition_digests(bare | {"icons": [1]}).definition != definition_digests(bare).definition


@pytest.mark.parametrize("value", [float("nan"), 2**60, "\ud800"])
def test_what_has_no_form(value: object) -> None:
    with pytest.raises(CanonicalError):
        definition_digests(TOOL | {"_meta": {"x": value}})
