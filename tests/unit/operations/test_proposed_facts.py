"""What is proposed about tools at an import, what operators may write, and what a review shows of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulation.records import tool_entry
from streams.cli.views.catalog import doubt
from streams.model.catalog import ArgumentRole, ArgumentUse, CompensatingArgument, ToolCatalogEntry
from streams.model.labels import Confidentiality, Integrity, Label
from streams.operations.catalog.proposed_facts import assumed_facts, by_words, strays, with_proposed_facts
from streams.operations.catalog.stated_facts import FactError, stated_facts
from streams.operations.review.diff import diff_entries
from streams.operations.review.permitted_use import what_it_can
from streams.processors.control.tool_uses import ToolUses
from streams.sdk.mcp.catalog import ToolFacts, catalog_entries

TEXT = {"type": "string"}
ROW = {"type": "object", "properties": {"event_id": TEXT, "owner": TEXT}}


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


CREATE = {"name": "create_event", "inputSchema": schema("title", title=TEXT, guests={"type": "array", "items": TEXT})}
DELETE = {"name": "delete_event", "inputSchema": schema("event_id", event_id=TEXT)}


def listed(*tools: dict[str, Any], **facts: ToolFacts) -> list[ToolCatalogEntry]:
    return catalog_entries("cal", tools, facts, now_ms=0, source="t", tenant_uid="")


def proposed(*tools: dict[str, Any], approved: ToolCatalogEntry | None = None, **facts: ToolFacts) -> ToolCatalogEntry:
    first, *others = listed(*tools, **facts)
    return with_proposed_facts(first, approved, facts.get(first.name), by_words(others))


def test_a_new_tool_has_a_proposal_for_every_fact() -> None:
    made = proposed(CREATE | {"outputSchema": ROW}, DELETE)
    assert made.sink_args == ("/guests", "/title")
    assert (made.kind, made.content_type) == ("create", "application/json")
    assert made.arg_roles == (
        ArgumentUse(path="/guests/*", role=ArgumentRole.DESTINATION),
        ArgumentUse(path="/title", role=ArgumentRole.CONTENT),
    )
    assert made.output_owners == ("/owner",)
    assert made.compensating_tool == "delete_event"
    assert made.compensating_args == (CompensatingArgument(path="/event_id", source="/result/event_id"),)


RETURNS = {"name": "read", "description": "Return the text of a note.", "inputSchema": schema("note", note=TEXT)}


def test_no_kind_is_proposed_that_would_stay_once_a_reviewer_says_that_the_tool_only_reads() -> None:
    made = proposed(RETURNS)
    assert made.kind is None
    assert assumed_facts(made)["kind"] == "change"
    assert ToolUses(msgspec.structs.replace(made, read_only=True)).kind == "read"


def test_a_tool_that_is_stated_to_read_has_no_kind_that_says_otherwise() -> None:
    made = proposed(CREATE, create_event=ToolFacts(read_only=True))
    assert (made.kind, ToolUses(made).kind) == (None, "read")


def test_no_undoing_call_is_proposed_that_lacks_an_argument() -> None:
    assert proposed(CREATE, DELETE).compensating_tool is None
    assert proposed(CREATE | {"outputSchema": ROW}).compensating_tool is None


def test_what_is_stated_is_kept_and_the_rest_proposed() -> None:
    facts = ToolFacts(kind="book", sink_args=("/guests/*",), compensating_tool="rooms/free")
    made = proposed(CREATE | {"outputSchema": ROW}, DELETE, create_event=facts)
    assert (made.kind, made.sink_args) == ("book", ("/guests/*",))
    assert (made.compensating_tool, made.compensating_args) == ("rooms/free", ())
    assert made.arg_roles


def test_an_approved_tool_keeps_its_facts_and_only_new_arguments_are_proposed() -> None:
    approved = msgspec.structs.replace(proposed(CREATE), kind=None, owner_args=("/-",), sink_args=("/guests/*",))
    again = proposed(CREATE, approved=approved)
    assert diff_entries(approved, again) == ()
    stated = ToolFacts(sink_args=("/guests/*",))
    assert diff_entries(approved, proposed(CREATE, approved=approved, create_event=stated)) == ()
    wider = CREATE | {"inputSchema": schema("title", title=TEXT, guests={"type": "array", "items": TEXT}, url=TEXT)}
    changed = proposed(wider, approved=approved)
    assert changed.sink_args == ("/guests/*", "/url")
    assert changed.arg_roles[-1] == ArgumentUse(path="/url", role=ArgumentRole.DESTINATION)


def test_sinks_that_the_stated_facts_leave_out_are_proposed_and_none_are_if_none_is_stated() -> None:
    every = ("/guests", "/title")
    assert proposed(CREATE, create_event=ToolFacts(destructive=False, reversible=True)).sink_args == every
    assert proposed(CREATE, create_event=ToolFacts(sink_args=())).sink_args == ()
    assert proposed(CREATE, create_event=ToolFacts(read_only=True)).sink_args == every, "what is read can be a URL"
    assert proposed(CREATE, create_event=ToolFacts(read_only=True, open_world=False)).sink_args == ()


def test_sinks_of_an_approved_tool_stay_if_the_stated_facts_leave_them_out() -> None:
    approved = msgspec.structs.replace(proposed(CREATE), destructive=False, sink_args=("/guests/*",))
    facts = ToolFacts(destructive=False)
    assert diff_entries(approved, proposed(CREATE, approved=approved, create_event=facts)) == ()
    wider = CREATE | {"inputSchema": schema("title", title=TEXT, guests={"type": "array", "items": TEXT}, url=TEXT)}
    assert proposed(wider, approved=approved, create_event=facts).sink_args == ("/guests/*", "/url")
    assert proposed(CREATE, approved=approved, create_event=ToolFacts(sink_args=())).sink_args == ()


@pytest.mark.parametrize(
    ("name", "before", "after", "is_looser"),
    [
        ("kind", "pay", "create", True),
        ("kind_arg", None, "/action", True),
        ("content_type", None, "application/json", True),
        ("owner_args", ("/customer",), (), True),
        ("owner_args", (), ("/customer",), False),
        ("arg_roles", (ArgumentUse(path="/to", role=ArgumentRole.DESTINATION),), (), True),
        ("compensating_args", (), (CompensatingArgument(path="/id", source="/result/id"),), False),
        ("identifying_args", (), (("/name", "/zip"),), True),
        ("identifying_args", (("/name", "/zip"),), (("/name",),), True),
        ("identifying_args", (("/name", "/zip"), ("/email",)), (("/name", "/zip"),), False),
    ],
)
def test_a_changed_fact_is_a_changed_grant(name: str, before: Any, after: Any, is_looser: bool) -> None:
    (entry,) = listed(CREATE)
    was, now = (msgspec.structs.replace(entry, **{name: value}) for value in (before, after))
    (change,) = diff_entries(was, now)
    assert (change.pointer, change.is_looser) == (f"facts/{name}", is_looser)


def test_operators_write_roles_and_undoing_arguments_by_path() -> None:
    facts = stated_facts({"arg_roles": {"/to": "destination"}, "compensating_args": {"/id": "/result/id"}})
    assert facts == stated_facts(
        {
            "arg_roles": [{"path": "/to", "role": "DESTINATION"}],
            "compensating_args": [{"path": "/id", "source": "/result/id"}],
        }
    )
    assert facts.arg_roles == (ArgumentUse(path="/to", role=ArgumentRole.DESTINATION),)


def test_arguments_identify_together_or_each_list_of_them() -> None:
    assert stated_facts({"identifying_args": ["/name", "/zip"]}).identifying_args == (("/name", "/zip"),)
    either = {"identifying_args": [["/email"], ["/name", "/zip"]]}
    assert stated_facts(either).identifying_args == (("/email",), ("/name", "/zip"))


def test_nobody_proposes_what_identifies() -> None:
    find = {"name": "find_customer_by_email", "inputSchema": schema("email", email=TEXT)}
    assert proposed(find).identifying_args == ()
    (entry,) = listed(find, find_customer_by_email=ToolFacts(identifying_args=(("/email", "/zip"),)))
    assert strays(entry, "identifying_args") == ("/zip",)


@pytest.mark.parametrize(
    ("stated", "text"),
    [
        ({"kind": "sned"}, "did you mean `send`"),
        ({"kind": "zzz"}, "the kinds are read, send"),
        ({"arg_roles": {"/to": "victim"}}, "invalid enum value"),
        ({"sink_args": [""]}, "is not a path"),
        ({"sink_args": ["/a//b"]}, "is not a path"),
        ({"owner_args": ["/items[*]/id"]}, "is not a JSON pointer"),
        ({"compensating_args": {"/id": "/id"}}, "must begin with `/args/`"),
        ({"identifying_args": [["name"], ["/a//b"]]}, "is not a path"),
        ({"identifying_args": [[]]}, "identifies nobody"),
    ],
)
def test_a_wrong_fact_is_explained(stated: dict[str, Any], text: str) -> None:
    with pytest.raises(FactError, match="^.*" + text.replace("*", r"\*")):
        stated_facts(stated)


def test_a_path_that_names_no_argument_is_shown() -> None:
    (entry,) = listed(CREATE, create_event=ToolFacts(sink_args=("/guest/*", "/guests/*", "/title", "/-")))
    assert strays(entry, "sink_args") == ("/guest/*",)
    assert "/guest/*" in doubt(entry, "sink_args")
    open_ended = CREATE | {"inputSchema": schema(title=TEXT) | {"additionalProperties": True}}
    (entry,) = listed(open_ended, create_event=ToolFacts(sink_args=("/guest",)))
    assert strays(entry, "sink_args") == ()


def test_what_gates_assume_is_shown_where_nothing_is_stated() -> None:
    (entry,) = listed({"name": "pay_bill", "inputSchema": schema(customer=TEXT, amount={"type": "number"})})
    assert assumed_facts(entry) == {
        "kind": "pay",
        "arg_roles": [{"path": "/amount", "role": "AMOUNT"}, {"path": "/customer", "role": "TARGET"}],
        "owner_args": ["/customer"],
    }
    assert "counts as an act of the kind `pay`" in what_it_can(entry)
    uses = (ArgumentUse(path="/amount", role=ArgumentRole.AMOUNT),)
    assert assumed_facts(msgspec.structs.replace(entry, kind="pay", owner_args=("/-",), arg_roles=uses)) == {}


def test_what_a_tool_brings_is_told_as_assumed_where_nothing_states_it() -> None:
    entry = tool_entry("notes", "read", output_label=None)
    (assumed,) = [each for each in what_it_can(entry) if each.startswith("brings")]
    assert assumed.endswith("(the worst is assumed: `output_label` is not set)")
    stated = msgspec.structs.replace(
        entry, output_label=Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)
    )
    assert "brings trusted data into a session; the data is private" in what_it_can(stated)
