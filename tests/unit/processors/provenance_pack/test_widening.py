"""Calls about somebody else than the user has named, whom a content names that he has left values to."""

from __future__ import annotations

import json

import pytest

from simulation.records import tool_entry
from tests.unit.processors.provenance_pack.talks import letter, rules_fired, talk
from tests.unit.processors.provenance_pack.tools import ACCOUNT, ACTS, FILE, IBANS, LIST

ROWS = [{"name": "Kim Lee", "iban": IBANS[0]}, {"name": "Ann Day", "iban": IBANS[1]}]
TABLE = "name,iban\n" + "".join(f"{row['name']},{row['iban']}\n" for row in ROWS) + "Bo Fee,unknown\n"
TEXT = f"The account of Kim Lee is {IBANS[0]} from now on, and the one of Ann Day is {IBANS[1]}."


@pytest.mark.parametrize("form", [json.dumps(ROWS), TABLE, TEXT])
@pytest.mark.parametrize(
    ("said", "employee", "asked"),
    [
        ("Set the account of Kim Lee as in form.txt.", "Ann Day", True),
        ("Set the account of Kim Lee as in form.txt.", "Kim Lee", False),
        ("Set Kim Lee's account as in form.txt.", "Ann Day", True),
        ("Set Kim Lee's account as in form.txt.", "Kim Lee", False),
        ("Mets \u00e0 jour le compte de Kim Lee comme indiqu\u00e9 dans le fichier form.txt.", "Ann Day", True),
        ("Cambia la cuenta de Kim Lee como dice el archivo form.txt.", "Ann Day", True),
        ("Set the accounts of Kim Lee and Ann Day as in form.txt.", "Ann Day", False),
        ("Set the accounts as in form.txt.", "Ann Day", False),
        ("Set the accounts as in the form of Kim Lee, form.txt.", "Ann Day", False),
    ],
)
def test_data_do_not_widen_what_the_user_has_named(form: str, said: str, employee: str, *, asked: bool) -> None:
    session = talk(ACCOUNT)
    session.say(said)
    session.read(FILE, {"path": "form.txt"}, form)
    iban = next(row["iban"] for row in ROWS if row["name"] == employee)
    verdict = session.judge(ACCOUNT, {"employee": employee, "iban": iban})
    assert ("PROV-096" in rules_fired(verdict)) is asked, verdict.origins


def test_numbers_are_compared_with_numbers() -> None:
    session = talk(ACCOUNT)
    session.say("Set the account of employee E-1701 as in form.txt.")
    session.read(FILE, {"path": "form.txt"}, f"E-1701 has {IBANS[0]} from now on, and E-1702 has {IBANS[1]}.")
    assert "PROV-096" not in rules_fired(session.judge(ACCOUNT, {"employee": "E-1701", "iban": IBANS[0]}))
    assert "PROV-096" in rules_fired(session.judge(ACCOUNT, {"employee": "E-1702", "iban": IBANS[1]}))


def test_nobody_knows_whose_number_a_name_has() -> None:
    move = tool_entry("cal", "move_event", **ACTS, kind="change", sink_args=("/event",))
    session = talk(move)
    session.say("Change Kim Lee's meeting to what is written in m-7001.")
    session.read(LIST, {}, [{"event": "EV-1201", "title": "With Kim"}, {"event": "EV-1202", "title": "With Ann"}])
    letter(session, "Friday at noon would be fine for all of us.")
    assert "PROV-096" not in rules_fired(session.judge(move, {"event": "EV-1201", "day": "Friday"}))


def test_what_was_named_holds_until_the_user_asks_again() -> None:
    session = talk(ACCOUNT)
    session.say("Set the account of Kim Lee as in form.txt.")
    session.read(FILE, {"path": "form.txt"}, TABLE)
    session.say("Yes, please.")
    assert "PROV-096" in rules_fired(session.judge(ACCOUNT, {"employee": "Ann Day", "iban": IBANS[1]}))
    session.say("Now set all other accounts as in form.txt.")
    assert "PROV-096" not in rules_fired(session.judge(ACCOUNT, {"employee": "Ann Day", "iban": IBANS[1]}))
