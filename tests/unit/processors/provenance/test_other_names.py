"""By which other names the subject is known, as trusted tools show it."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import TRUSTED, UNTRUSTED, tool_entry
from tests.starter import starter_source
from tests.unit.processors.provenance_pack.tools import ACTS, ENTRIES, READS
from tests.unit.processors.talk import Talk

ME, OTHER = "alice", "kimberly"
MINE, THEIRS = "KD-20417", "KD-90233"
CANCEL = tool_entry("desk", "cancel_order", **ACTS, kind="delete", sink_args=("/order_id",))
ORDER = tool_entry("desk", "get_order", **READS, output_label=TRUSTED, output_owners=("/customer_id",))
PROFILE = tool_entry("desk", "open_customer", **READS, output_label=TRUSTED, owner_args=("/customer_id",))
CARD = tool_entry(
    "desk", "get_customer_of_card", **READS, output_label=TRUSTED, output_owners=("/customer_id", "/login", "/email")
)
FOUND = {"customer_id": MINE}


def lookup(name: str = "find_customer_by_login", **facts: Any) -> Any:
    return tool_entry("desk", name, **READS, **{"output_label": TRUSTED, "owner_args": ("/login",), **facts})


FIND = lookup()


def talk(*entries: Any) -> Talk:
    tools = {entry.name: entry for entry in (*ENTRIES, FIND, ORDER, PROFILE, CARD, CANCEL, *entries)}
    talking = Talk(starter_source().files, tuple(tools.values()), scopes=("desk:read", "desk:write"))
    talking.say("Cancel order BX-44106 please.")
    return talking


def fired(talking: Talk, entry: Any, args: dict[str, Any]) -> set[str]:
    verdict = talking.judge(entry, args)
    assert verdict.errors == ()
    return {hit.rule_id for hit in verdict.rules}


def order_is_another_ones(talking: Talk, customer: object = MINE) -> bool:
    talking.read(ORDER, {"order_id": "BX-44106"}, {"order_id": "BX-44106", "customer_id": customer})
    return "PROV-030" in fired(talking, CANCEL, {"order_id": "BX-44106"})


def test_without_a_lookup_a_number_is_another_ones() -> None:
    assert order_is_another_ones(talk())


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (FIND, FOUND),
        (FIND, [FOUND]),
        (FIND, {"customer": {"id": MINE, "since": "2019-04-01"}}),
        (FIND, {"id": MINE}),
        (FIND, MINE),
        (lookup("findUser"), FOUND),
        (lookup("customer_lookup", output_owners=("/customer_id",)), FOUND),
    ],
)
def test_who_looks_himself_up_is_who_is_found(entry: Any, found: Any) -> None:
    talking = talk(entry)
    talking.read(entry, {"login": ME}, found)
    assert "PROV-002" not in fired(talking, PROFILE, {"customer_id": MINE})
    assert not order_is_another_ones(talking)


def test_a_number_of_a_customer_is_the_number_of_no_other_thing() -> None:
    talking = talk()
    talking.read(FIND, {"login": ME}, {"customer_id": 20417})
    assert not order_is_another_ones(talking, 20417)
    stay = tool_entry("desk", "get_stay", **READS, output_label=TRUSTED, output_owners=("/guest_id",))
    talking = talk(stay)
    talking.read(FIND, {"login": ME}, {"customer_id": 20417})
    talking.read(stay, {"order_id": "BX-44106"}, {"order_id": "BX-44106", "guest_id": 20417})
    assert "PROV-030" in fired(talking, CANCEL, {"order_id": "BX-44106"})


def test_a_record_of_a_customer_with_his_name_shows_his_number() -> None:
    talking = talk()
    talking.read(CARD, {"card": "CA-1"}, {"customer_id": MINE, "login": ME, "email": "x@home.example"})
    assert not order_is_another_ones(talking)


@pytest.mark.parametrize(
    ("entry", "args", "found"),
    [
        (lookup(owner_args=()), {"name": OTHER}, FOUND),
        (FIND, {"login": ME, "of": "spouse"}, FOUND),
        (FIND, {"login": ME, "spouse": True}, FOUND),
        (FIND, {"login": f"!{ME}"}, FOUND),
        (FIND, {"login": f"{ME}*"}, FOUND),
        (lookup(owner_args=()), {"spouse_of": ME}, FOUND),
        (lookup(owner_args=()), {"not_login": ME}, FOUND),
        (lookup("get_customer_spouse"), {"login": ME}, FOUND),
        (lookup("get_next_customer"), {"login": ME}, FOUND),
        (lookup("get_client_customer"), {"login": ME}, FOUND),
        (lookup("find_tenant"), {"login": ME}, {"customer_id": MINE}),
        (FIND, {"login": ME}, {"customer": {"customer_id": THEIRS}, "referrer": FOUND}),
        (FIND, {"login": ME}, {"login": ME, "referrer": FOUND}),
        (FIND, {"login": ME}, {"U-1": FOUND}),
        (lookup(output_label=UNTRUSTED), {"login": ME}, FOUND),
        (lookup("find_manager_of_customer"), {"login": ME}, FOUND),
        (lookup("list_household"), {"login": ME}, FOUND),
        (FIND, {"login": ME}, [FOUND, {"customer_id": THEIRS}]),
        (FIND, {"login": ME}, {"parent_customer_id": MINE}),
        (FIND, {"login": ME}, {"customer_id": THEIRS, "referred_by": FOUND}),
        (FIND, {"login": ME}, {"customer_id": THEIRS, "household": [FOUND]}),
        (lookup("find_customer_orders"), {"login": ME}, {"id": MINE}),
        (lookup("find_customer_orders"), {"login": ME}, MINE),
        (FIND, {"login": ME}, {"note": f"customer_id: {MINE}"}),
        (FIND, {"login": ME}, f"customer {MINE} has been closed"),
    ],
)
def test_what_does_not_name_the_subject_makes_nothing_his(entry: Any, args: dict[str, Any], found: Any) -> None:
    talking = talk(entry)
    talking.read(entry, args, found)
    assert order_is_another_ones(talking)


@pytest.mark.parametrize(
    "record",
    [
        {"customer_id": MINE, "manager_id": THEIRS},
        {"customer_id": MINE, "household": [THEIRS]},
        {"customer_id": MINE, "login": ME, "manager": {"id": THEIRS}},
    ],
    ids=str,
)
def test_whom_his_own_record_names_is_another_person(record: dict[str, Any]) -> None:
    talking = talk()
    talking.read(FIND, {"login": ME}, record)
    assert "PROV-002" not in fired(talking, PROFILE, {"customer_id": MINE})
    assert "PROV-002" in fired(talking, PROFILE, {"customer_id": THEIRS})
    assert order_is_another_ones(talking, THEIRS)


def test_the_other_side_of_an_order_is_not_the_subject() -> None:
    """Also if the operator says that both own it, as buyer and seller do, or both holders of an account."""
    sale = tool_entry(
        "desk", "get_sale", **READS, output_label=TRUSTED, output_owners=("/buyer_login", "/customer_id")
    )  # fmt: skip
    talking = talk(sale)
    talking.read(sale, {"sale_id": "SA-10021"}, {"sale_id": "SA-10021", "buyer_login": ME, "customer_id": MINE})
    assert order_is_another_ones(talking)
    holders = tool_entry(
        "desk", "get_account", **READS, output_label=TRUSTED, output_owners=("/holders/*/customer_id",)
    )
    talking = talk(holders)
    talking.read(FIND, {"login": ME}, {"customer_id": THEIRS})
    talking.read(holders, {"account": "AC-1"}, {"holders": [{"customer_id": THEIRS}, {"customer_id": MINE}]})
    assert order_is_another_ones(talking)


def test_an_address_in_a_record_is_no_other_name() -> None:
    """Whoever can enter an address for himself could enter another one's."""
    stays = tool_entry("desk", "get_order", **READS, output_label=TRUSTED, output_owners=("/customer_id", "/email"))
    talking = talk(stays)
    talking.read(CARD, {"card": "CA-1"}, {"customer_id": MINE, "login": ME, "email": "kim@home.example"})
    talking.read(stays, {"order_id": "BX-44106"}, {"order_id": "BX-44106", "email": "kim@home.example"})
    assert "PROV-030" in fired(talking, CANCEL, {"order_id": "BX-44106"})


BY_NAME = lookup("find_customer_by_name", owner_args=(), output_owners=("/login",))


@pytest.mark.parametrize(
    ("found", "is_another"),
    [
        ({"customer_id": MINE, "login": ME}, False),
        ({"customer_id": MINE, "login": OTHER}, True),
        # Whoever knows a name and a postcode says them.
        ({"customer_id": MINE}, True),
        ({"customer_id": MINE, "name": "Alice Berg", "postcode": "8000"}, True),
    ],
    ids=("the user's login", "another login", "only a number", "only what was said"),
)
def test_a_lookup_by_name_and_postcode_shows_a_number_where_its_answer_names_the_subject(
    found: dict[str, str], *, is_another: bool
) -> None:
    talking = talk(BY_NAME)
    talking.say("It's Alice Berg, 8000.")
    talking.read(BY_NAME, {"name": "Alice Berg", "postcode": "8000"}, found)
    assert ("PROV-002" in fired(talking, PROFILE, {"customer_id": MINE})) is is_another
