"""Catalog entries in files: histories, and what MCP servers list with what the operator says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.codec.history import HistoryError
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.definition import definition_digests
from streams.model.labels import Integrity
from streams.operations.catalog.decision import ReviewError, read_entries
from streams.operations.catalog.files import CatalogFileError, read_catalog

NOW_MS = 1_764_061_200_000
SEND: dict[str, Any] = {
    "name": "send",
    "description": "Sends a mail.",
    "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
}
LIST: dict[str, Any] = {"name": "list", "inputSchema": {"type": "object"}}


def listing(**changes: Any) -> dict[str, Any]:
    facts = {"send": {"destructive": False, "output_label": {"integrity": "TRUSTED"}, "sink_args": ["/to"]}}
    return {"server_id": "mail", "tools": [SEND, LIST], "facts": facts, "reviewed_by": "ann", **changes}


def read(tmp_path: Path, content: object) -> list[ToolCatalogEntry]:
    path = tmp_path / "catalog.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return read_catalog(path, NOW_MS, "tests", "acme")


def fault(tmp_path: Path, content: object) -> str:
    with pytest.raises((CatalogFileError, HistoryError)) as caught:
        read(tmp_path, content)
    return str(caught.value)


def test_a_tool_with_facts_is_approved_and_every_other_proposed(tmp_path: Path) -> None:
    send, other = read(tmp_path, listing())
    assert (send.state, send.reviewed_by, send.reviewed_at) == (EntryState.APPROVED, "ann", NOW_MS)
    assert (other.state, other.reviewed_by) == (EntryState.PROPOSED, None)
    assert send.definition_digest == definition_digests(SEND).definition
    assert (send.destructive, send.open_world, send.read_only) == (False, True, False)
    assert send.sink_args == ("/to",)
    assert send.output_label is not None
    assert send.output_label.integrity is Integrity.TRUSTED


@pytest.mark.parametrize(
    ("facts", "sinks"),
    [
        ({"send": {"destructive": False}}, ("/to",)),
        ({}, ("/to",)),
        ({"send": {"sink_args": []}}, ()),
        ({"send": {"read_only": True, "open_world": False}}, ()),
    ],
)
def test_arguments_are_sinks_unless_the_facts_say_otherwise(
    tmp_path: Path, facts: dict[str, Any], sinks: tuple[str, ...]
) -> None:
    send, _ = read(tmp_path, listing(facts=facts))
    assert send.sink_args == sinks


def test_without_a_reviewer_nothing_is_approved(tmp_path: Path) -> None:
    assert {entry.state for entry in read(tmp_path, listing(reviewed_by=None))} == {EntryState.PROPOSED}


def test_several_servers_and_whole_results_of_tools_list(tmp_path: Path) -> None:
    entries = read(tmp_path, [listing(), {"server_id": "other", "tools": {"tools": [LIST]}}])
    assert [(entry.server_id, entry.name) for entry in entries] == [
        ("mail", "send"),
        ("mail", "list"),
        ("other", "list"),
    ]


def test_the_same_file_gives_the_same_entries(tmp_path: Path) -> None:
    assert read(tmp_path, listing()) == read(tmp_path, listing())
    assert len({entry.header.id for entry in read(tmp_path, [listing(), {"server_id": "b", "tools": [LIST]}])}) == 3


def test_a_history_gives_its_entries(tmp_path: Path) -> None:
    entry = {"server_id": "mail", "name": "send", "input_schema": {"type": "object"}, "state": "APPROVED"}
    line = {"record": "catalog_entry", "time_ms": NOW_MS, "value": entry}
    other = {"record": "session_event", "key": "a|s", "time_ms": NOW_MS, "value": {"type": "USER_MESSAGE"}}
    lines = "\n".join(json.dumps(each) for each in (line, other))
    for content in (lines, json.dumps(line), f"# a comment\n\n{lines}\n"):
        (found,) = read(tmp_path, content)
        assert (found.server_id, found.name, found.state) == ("mail", "send", EntryState.APPROVED)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (listing(tool=[]), "`tool` is not a member of a listing; did you mean `tools`?"),
        (listing(server_id=3), "`server_id` must be"),
        (listing(server_id=""), "`server_id` must be"),
        (listing(server_id="a/b"), "`server_id` must be"),
        (listing(server_id="mail.eu"), "`server_id` must be"),
        (listing(tools="all"), "`tools` of `mail` must be the list"),
        (listing(tools=[1]), "`tools` of `mail` must be the list"),
        (listing(reviewed_by=3), "`reviewed_by` must be text"),
        (listing(facts=[1]), "`facts` of `mail` must be an object"),
        (listing(facts={"sent": {}}), "`sent` is not a tool that `mail` lists; did you mean `send`?"),
        (listing(facts={"send": 1}), "facts of `mail/send` must be an object"),
        (listing(facts={"send": {"readonly": True}}), "`readonly` is not a fact; did you mean `read_only`?"),
        (listing(facts={"send": {"read_only": "yes"}}), "expected `bool`, got `str`"),
        (listing(facts={"send": {"output_label": {"integrity": "HIGH"}}}), "invalid enum value 'HIGH'"),
        (listing(tools=[{"name": "send"}], facts={}), "`mail/send` can't be cataloged"),
        (listing(tools=[{"inputSchema": {}}], facts={}), "without a name"),
        ([1], "a listing must be an object"),
        ([], "has no catalog entry"),
        ("", "has no catalog entry"),
        ("{", "catalog.json:1: is not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"record": "catalog_entry"}', "catalog.json:1: value: must be the record"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: object, told: str) -> None:
    text = fault(tmp_path, content)
    assert told in text
    assert "catalog.json" in text


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogFileError, match=r"`.*none\.json` can't be read: No such file or directory"):
        read_catalog(tmp_path / "none.json", NOW_MS, "tests", "acme")


@pytest.mark.parametrize("content", [b'{"form": "\xff"}', b"[" * 100_000])
def test_a_draft_that_nobody_can_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "draft.json"
    path.write_bytes(content)
    with pytest.raises(ReviewError, match="is not a draft"):
        read_entries(path)
