"""Proposed roles and owners: what names and schemas of arguments say."""

from __future__ import annotations

from typing import Any

import pytest

from streams.model.catalog import ArgumentRole
from streams.provenance.tools.places import places_of, words_of
from streams.provenance.tools.uses import (
    NAME_CHARS_MAX,
    Names,
    names_in,
    propose_kind_arg,
    propose_output_owners,
    propose_owner_args,
    propose_roles,
    seems_owner,
)

TEXT = {"type": "string"}


def schema(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    ("name", "value", "role"),
    [
        ("to", TEXT, "DESTINATION"),
        ("recipientEmail", TEXT, "DESTINATION"),
        ("shipping_address", TEXT, "DESTINATION"),
        ("target", {"type": "string", "format": "uri"}, "DESTINATION"),
        ("body", TEXT, "CONTENT"),
        ("remarks", TEXT, "CONTENT"),
        ("notes_for_all", {"type": "string", "maxLength": 4000}, "CONTENT"),
        ("start_date", TEXT, "TIME"),
        ("begins", {"type": "string", "format": "date-time"}, "TIME"),
        ("amount", {"type": "number"}, "AMOUNT"),
        ("celsius", {"type": "number"}, "AMOUNT"),
        ("bags", {"type": "integer"}, "AMOUNT"),
        ("status", {"type": "integer"}, None),
        ("order_id", TEXT, "TARGET"),
        ("path", TEXT, "TARGET"),
        ("thing", TEXT | {"description": "The id of what is changed."}, "TARGET"),
        ("thing", TEXT | {"description": "Text that is shown."}, "CONTENT"),
        ("urgent", {"type": "boolean"}, None),
        ("mode", {"type": "string", "enum": ["a", "b"]}, None),
        ("thing", TEXT, None),
    ],
)
def test_roles_of_arguments_of_a_tool_that_acts(name: str, value: Any, role: str | None) -> None:
    expected = {} if role is None else {f"/{name}": ArgumentRole[role]}
    assert propose_roles(schema(**{name: value}), reads=False) == expected


def test_a_tool_that_reads_is_given_selectors_and_addresses_of_the_network() -> None:
    roles = propose_roles(schema(email=TEXT, order_id=TEXT, words=TEXT, url=TEXT, since=TEXT), reads=True)
    assert {path: role.value for path, role in roles.items()} == {
        "/email": "SELECTOR",
        "/order_id": "SELECTOR",
        "/words": "SELECTOR",
        "/url": "DESTINATION",
        "/since": "TIME",
    }


def test_an_account_is_where_an_amount_goes_unless_it_is_where_it_comes_from() -> None:
    roles = propose_roles(schema(amount={"type": "number"}, account=TEXT, from_account=TEXT), reads=False)
    assert (roles["/account"], roles["/from_account"]) == (ArgumentRole.DESTINATION, ArgumentRole.TARGET)
    assert propose_owner_args(schema(amount={"type": "number"}, account=TEXT), reads=False) == ()
    assert propose_owner_args(schema(account=TEXT), reads=True) == ("/account",)


def test_how_many_there_are_of_something_goes_to_no_account() -> None:
    roles = propose_roles(schema(bags={"type": "integer"}, account=TEXT, required=("account",)), reads=False)
    assert roles == {"/bags": ArgumentRole.AMOUNT, "/account": ArgumentRole.TARGET}


def test_nested_values_have_places_and_the_roles_of_what_they_are_in() -> None:
    person = schema(name=TEXT, email=TEXT)
    nested = schema(
        recipients={"type": "array", "items": {"$ref": "#/$defs/Person"}}, cc={"type": "array", "items": TEXT}
    )
    roles = propose_roles(nested | {"$defs": {"Person": person}}, reads=False)
    assert roles == {
        "/recipients/*/name": ArgumentRole.DESTINATION,
        "/recipients/*/email": ArgumentRole.DESTINATION,
        "/cc/*": ArgumentRole.DESTINATION,
    }


def test_a_choice_between_a_value_and_a_list_has_both_places() -> None:
    either = schema(to={"anyOf": [TEXT, {"type": "array", "items": TEXT}, {"type": "null"}]})
    assert [place.path for place in places_of(either)] == ["/to", "/to/*"]


@pytest.mark.parametrize("odd", [None, 7, [], {"properties": 3}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}])
def test_odd_schemas_have_few_places_and_raise_nothing(odd: object) -> None:
    assert len(places_of(odd)) <= 1


@pytest.mark.parametrize("reads", [True, False])
def test_members_with_free_names_have_roles_and_owners_by_their_schema_alone(*, reads: bool) -> None:
    """Servers list such tools: `{"additionalProperties": {"type": "string"}}` says that any names are taken."""
    free = {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}
    assert propose_roles(free, reads=reads) == {"/*": ArgumentRole.DESTINATION}
    assert propose_owner_args(free, reads=reads) == ()


def test_a_schema_that_contains_itself_ends() -> None:
    tree: dict[str, Any] = schema(name=TEXT, left={"$ref": "#"}, right={"$ref": "#"})
    assert 0 < len(places_of(tree)) <= 400
    assert len(places_of({"anyOf": [{"$ref": "#"}] * 40, "properties": {"a": TEXT}})) <= 400


def test_the_argument_of_a_tool_for_several_acts() -> None:
    several = {"type": "string", "enum": ["add", "remove"]}
    assert propose_kind_arg(schema(member=TEXT, action=several)) == "/action"
    assert propose_kind_arg(schema(action=TEXT)) is None
    assert propose_kind_arg(schema(colour=several)) is None


@pytest.mark.parametrize(
    "name", ["customer", "customer_id", "userEmail", "accountNumber", "username", "owner", "patient_no"]
)
def test_names_of_owners(name: str) -> None:
    assert propose_owner_args(schema(**{name: TEXT}), reads=True) == (f"/{name}",)
    assert propose_output_owners(schema(found={"type": "array", "items": schema(**{name: TEXT})})) == (
        f"/found/*/{name}",
    )
    assert seems_owner(f"/found/3/{name}")


@pytest.mark.parametrize("name", ["to_user", "new_owner", "order_id", "name", "id", "from_account", "user_agent"])
def test_names_that_say_nothing_of_an_owner(name: str) -> None:
    assert propose_owner_args(schema(**{name: TEXT}), reads=True) == ()
    assert not seems_owner(f"/{name}")


def test_whom_an_act_makes_a_member_owns_nothing_yet() -> None:
    invites = schema(user=TEXT, user_email=TEXT, account_id=TEXT)
    assert propose_owner_args(invites, reads=False, kind="share") == ("/account_id",)
    assert propose_owner_args(schema(user=TEXT), reads=False, kind="change") == ("/user",)


@pytest.mark.parametrize(
    ("tool", "arguments", "owners"),
    [
        ("share_calendar", ("user_id", "email"), ("/user_id",)),
        ("share_calendar", ("userId", "emailAddress"), ("/userId",)),
        ("share_file", ("user_id", "file_id", "share_with"), ("/user_id",)),
        ("share_file", ("user_id", "to_user"), ("/user_id",)),
        ("share_file", ("user_id", "viewers"), ("/user_id",)),
        ("share_file", ("username", "recipient_id"), ("/username",)),
        ("share_trip", ("user_id", "guest_id"), ("/user_id",)),
        ("share_trip", ("member_id", "email"), ("/member_id",)),
        ("add_calendar_member", ("user_id", "member_id"), ("/user_id",)),
        ("share_user_calendar", ("user_id", "email"), ("/user_id",)),
        ("share_calendar", ("user_id", "calendar_id"), ()),
        ("share_calendar", ("user_id", "from_email", "valid_until"), ()),
        ("add_to_channel", ("user", "channel"), ()),
        ("invite", ("username", "user_email"), ()),
        ("invite_user", ("user_id", "email"), ()),
        ("addUserToGroup", ("user_id", "group", "email"), ()),
    ],
)
def test_a_member_owns_what_is_shared_with_somebody_else(
    tool: str, arguments: tuple[str, ...], owners: tuple[str, ...]
) -> None:
    arguments_schema = schema(**dict.fromkeys(arguments, TEXT))
    assert propose_owner_args(arguments_schema, reads=False, kind="share", tool=tool) == owners


def test_who_is_told_by_a_switch_gets_no_access() -> None:
    switched = schema(user_id=TEXT, send_email={"type": "boolean"})
    assert propose_owner_args(switched, reads=False, kind="share") == ()


def test_members_of_a_list_of_recipients_get_access() -> None:
    shared = schema(user_id=TEXT, recipients={"type": "array", "items": schema(id=TEXT)})
    assert propose_owner_args(shared, reads=False, kind="share") == ("/user_id",)


def test_a_member_of_an_owner_names_it() -> None:
    assert seems_owner("/orders/0/customer/id")
    assert not seems_owner("/orders/0/customer/0/street")
    assert not seems_owner("/orders/0/id")


def test_words_are_singular() -> None:
    assert words_of("orderIds_of_companies") == ("order", "id", "of", "company")
    assert words_of("addresses") == words_of("address") == ("address",)


def test_names_that_callers_choose_are_bounded() -> None:
    def wide(depth: int) -> object:
        return dict.fromkeys((f"{number}_{depth}" for number in range(40)), wide(depth - 1)) if depth else 1

    def count(names: Names) -> int:
        return sum(1 + count(inner) for _, inner in names)

    assert count(names_in(wide(5))) == 32 * (1 + 8 * (1 + 4))
    assert names_in({"x" * NAME_CHARS_MAX: 1, "y" * (NAME_CHARS_MAX + 1): 2}) == (("x" * NAME_CHARS_MAX, ()),)
