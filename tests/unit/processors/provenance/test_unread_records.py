"""An act on a record of which nothing that was read shows whose it is, where such records have owners."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import UNTRUSTED, tool_entry
from streams.model.catalog import ArgumentRole, ArgumentUse
from streams.processors.control.catalog_tool import CatalogTool
from streams.processors.control.owned_things import owned_things
from streams.processors.control.schemas import ArgsSchema
from tests.starter import starter_source
from tests.unit.processors.provenance_pack.talks import letter, purpose
from tests.unit.processors.provenance_pack.tools import ACTS, BOOKED, BOOKING, ENTRIES, INNER, READS, RETURN
from tests.unit.processors.talk import Talk

BOOKING_ID = "B-20002"
NOTE = tool_entry("desk", "note", **INNER, sink_args=("/booking",), schema=BOOKED)
ACCOUNT = tool_entry(
    "desk", "set_account", **INNER, sink_args=("/booking", "/iban"),
    arg_roles=(ArgumentUse(path="/iban", role=ArgumentRole.DESTINATION),),
)  # fmt: skip
ELSEWHERE = tool_entry("trips", "return", **ACTS, sink_args=("/booking",), schema=BOOKED)


def talk() -> Talk:
    rights = tuple(f"{server}:{right}" for server in ("box", "desk", "trips") for right in ("read", "write"))
    return Talk(starter_source().files, (*ENTRIES, NOTE, ACCOUNT, ELSEWHERE), scopes=rights)


def is_asked(talking: Talk, entry: Any = RETURN, booking: str = BOOKING_ID) -> bool:
    verdict = talking.judge(entry, {"booking": booking})
    assert verdict.errors == ()
    return "PROV-031" in {hit.rule_id for hit in verdict.rules}


def test_an_act_on_a_record_that_nobody_has_read_is_a_question() -> None:
    talking = talk()
    talking.say(f"Return booking {BOOKING_ID}, it is my sister's.")
    assert is_asked(talking)


def test_a_record_that_was_read_shows_whose_it_is() -> None:
    talking = talk()
    talking.say(f"Return booking {BOOKING_ID}.")
    talking.read(BOOKING, {"booking": BOOKING_ID}, {"booking": BOOKING_ID, "customer": talking.session.sub})
    assert not is_asked(talking)
    assert is_asked(talking, booking="B-30003")


def test_text_that_names_a_record_does_not_show_whose_it_is() -> None:
    talking = talk()
    talking.say(f"Return booking {BOOKING_ID}, see letter m-7001.")
    letter(talking, f"I have paid for the booking {BOOKING_ID} and can't travel.")
    assert is_asked(talking)


def test_an_act_inside_that_can_be_undone_is_a_question_in_a_stated_task_only() -> None:
    for stated in (False, True):
        talking = talk()
        if stated:
            purpose(talking, tools=("desk/note",), targets=(BOOKING_ID,))
        talking.say(f"Note on booking {BOOKING_ID} that I come later.")
        assert is_asked(talking, NOTE) is stated


def test_where_money_of_a_record_goes_is_a_question_also_inside() -> None:
    talking = talk()
    talking.say(f"Pay booking {BOOKING_ID} back to DE02120300000000202051 in future.")
    verdict = talking.judge(ACCOUNT, {"booking": BOOKING_ID, "iban": "DE02120300000000202051"})
    assert "PROV-031" in {hit.rule_id for hit in verdict.rules}


def test_a_booking_of_another_server_is_another_thing() -> None:
    talking = talk()
    talking.say(f"Return booking {BOOKING_ID}.")
    assert not is_asked(talking, ELSEWHERE)


def _reader(name: str, required: list[str], **fields: Any) -> Any:
    schema = {"type": "object", "properties": {each: {"type": "string"} for each in required}, "required": required}
    return tool_entry("desk", name, **{**READS, **fields}, output_label=UNTRUSTED, schema=schema)


@pytest.mark.parametrize(
    ("entry", "things"),
    [
        (_reader("get_order", ["order_id"], output_owners=("customer",)), {"order"}),
        (_reader("get_invoice", ["id"], output_owners=("customer",)), {"invoice"}),
        (_reader("find", ["name", "day"], output_owners=("customer",)), set()),
        (_reader("visits", ["patient", "day"], output_owners=("*.patient",)), {"visit"}),
        (_reader("get_order", ["order_id"]), set()),
        (_reader("pay_order", ["order_id"], output_owners=("customer",), read_only=False), set()),
        (_reader("whoami", [], output_owners=("customer",)), set()),
    ],
)
def test_a_thing_has_owners_where_a_tool_reads_one_by_its_number(entry: Any, things: set[str]) -> None:
    tool = CatalogTool(entry, ArgsSchema("{}"))
    assert owned_things([tool]) == ({"desk": frozenset(things)} if things else {})
