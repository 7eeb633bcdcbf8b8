"""What a catalog entry says about the values of a call, stated or assumed."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from streams.model.catalog import ArgumentRole, ArgumentUse, CompensatingArgument, OutputLabel, ToolCatalogEntry
from streams.model.labels import CLEAN, WORST
from streams.model.verdict import Outcome
from streams.processors.control.tool_uses import ToolUses, undoing_arguments
from tests.kit import FILES_READ, GateBench

MEMBERS = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": ["add", "remove", "ban", "pin"]},
        "user": {"type": "string"},
        "recipients": {"type": "array", "items": {"type": "string"}},
        "text": {"type": "string"},
    },
}


def uses(**facts: Any) -> ToolUses:
    return ToolUses(entry(**facts))


def entry(**facts: Any) -> ToolCatalogEntry:
    named = {"name": "manage", "description": None, "input_schema_json": json.dumps(MEMBERS), "read_only": False}
    return msgspec.structs.replace(FILES_READ, **named | facts)


def test_sinks_cover_lists_and_nested_values() -> None:
    sinks = uses(sink_args=("/recipients/*", "/items/*/address")).sinks
    assert [sinks.cover(each) for each in ("/recipients/3", "/items/0/address", "/items/0/n", "/text")] == [
        True,
        True,
        False,
        False,
    ]


def test_no_sink_is_assumed() -> None:
    assert not uses(sink_args=()).sinks


def test_the_kind_is_the_stated_one_or_that_of_the_argument_or_that_of_the_name() -> None:
    assert uses(kind="secure").kind_of({"action": "add"}) == "secure"
    assert uses(kind="secure", kind_arg="/action").kind_of({"action": "remove"}) == "delete"
    assert uses(kind="secure", kind_arg="/action").kind_of({"action": "frobnicate"}) == "secure"
    assert uses().kind_of({"action": "remove"}) == "delete"
    assert uses(name="pay_bill").kind == "pay"
    assert uses(read_only=True).kind_of({"action": "remove"}) == "read"


def test_a_tool_that_may_change_something_does_not_count_as_reading_by_its_name() -> None:
    assert uses(name="get_report", input_schema_json="{}").kind == "other"


def test_roles_are_the_stated_ones_else_the_proposed_and_a_sink_is_at_least_a_target() -> None:
    stated = (ArgumentUse(path="/user", role=ArgumentRole.DESTINATION),)
    found = uses(arg_roles=stated, sink_args=("/text",))
    assert found.role_of("/user") is ArgumentRole.DESTINATION
    assert found.role_of("/recipients/4") is ArgumentRole.DESTINATION
    assert found.role_of("/text") is ArgumentRole.TARGET
    assert found.role_of("/action") is ArgumentRole.UNKNOWN
    assert found.role_of("/unheard/of") is ArgumentRole.UNKNOWN


def test_owners_are_the_stated_ones_else_those_that_names_tell() -> None:
    assert uses().owner_args.cover("/user")
    assert not uses(owner_args=("/-",)).owner_args.cover("/user")
    assert uses().is_output_owner("/orders/0/customer_id")
    assert not uses(output_owners=("/orders/*/buyer",)).is_output_owner("/orders/0/customer_id")
    assert uses(output_owners=("/orders/*/buyer",)).is_output_owner("/orders/0/buyer")


def test_labels_by_field_come_before_that_of_the_output() -> None:
    labels = (OutputLabel(path="/items/*/price", label=CLEAN),)
    assert uses(output_labels=labels, output_label=None).label_at("/items/3/price") == CLEAN
    assert uses(output_labels=labels, output_label=None).label_at("/items/3/note") == WORST
    assert uses(output_label=CLEAN).label_at("/items/3/note") == CLEAN


def test_a_text_that_may_hold_a_field_with_a_label_of_its_own_has_the_worst_of_all() -> None:
    stated = uses(output_label=CLEAN, output_labels=(OutputLabel(path="/items/*/note", label=WORST),))
    assert [stated.label_at(each).integrity for each in ("", "/content/0/text", "/items/3")] == [WORST.integrity] * 3
    assert [stated.label_at(each) for each in ("/items/3/price", "/total", "/items/3/note")] == [CLEAN, CLEAN, WORST]
    assert uses(output_label=CLEAN).label_at("") == CLEAN


def test_an_object_is_not_a_list_whose_records_could_not_be_read() -> None:
    stated = uses(output_label=CLEAN, output_labels=(OutputLabel(path="/*/note", label=WORST),))
    assert [stated.label_at(each) for each in ("/error", "/orders")] == [CLEAN, CLEAN]
    assert stated.label_at("/2") == WORST


UNDOING = (
    CompensatingArgument(path="/id", source="/result/event/id"),
    CompensatingArgument(path="/who/users", source="/args/recipients/*"),
)


def test_the_undoing_arguments_are_known_as_far_as_the_arguments_tell() -> None:
    call = {"recipients": ["ann", "bob"]}
    known = uses(compensating_tool="remove", compensating_args=UNDOING)
    assert known.undoing_args(call) == '{"who":{"users":["ann","bob"]}}'
    assert uses().undoing_args(call) is None
    made = undoing_arguments(entry(compensating_args=UNDOING), {"args": call, "result": {"event": {"id": "e7"}}})
    assert made == ({"id": "e7", "who": {"users": ["ann", "bob"]}}, ())
    assert undoing_arguments(entry(compensating_args=UNDOING), {"args": {}})[1] == (
        "/result/event/id",
        "/args/recipients/*",
    )


def test_every_allow_says_how_the_call_is_undone_as_far_as_the_gate_knows() -> None:
    undoing = (
        CompensatingArgument(path="/path", source="/args/path"),
        CompensatingArgument(path="/version", source="/result/version"),
    )
    facts = {"compensating_tool": "restore", "compensating_args": undoing, "catalog_version": 2}
    bench = GateBench()
    bench.publish(msgspec.structs.replace(FILES_READ, **facts))
    allowed = bench.judge()
    assert allowed.outcome is Outcome.ALLOW
    assert (allowed.compensating_tool, allowed.compensating_args_json) == ("restore", '{"path":"a.txt"}')
    denied = bench.judge(args={"path": 7})
    assert (denied.outcome, denied.compensating_args_json) == (Outcome.DENY, None)
