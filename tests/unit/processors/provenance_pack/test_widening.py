"""Calls about somebody else than the user has named, whom a content names that he has left values to."""

from __future__ import annotations

import json

import pytest

from tests.unit.processors.provenance_pack.talks import rules_fired, talk
from tests.unit.processors.provenance_pack.tools import ACCOUNT, BOOK, FILE, IBANS

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


def test_the_number_of_whom_the_user_has_named_is_his() -> None:
    session = talk(ACCOUNT)
    session.say("Set the account of Kim Lee as in form.txt.")
    people = [{"name": "Kim Lee", "number": "E-1701"}, {"name": "Ann Day", "number": "E-1702"}]
    session.read(BOOK, {"name": "Kim Lee"}, people)
    session.read(FILE, {"path": "form.txt"}, TEXT)
    assert "PROV-096" not in rules_fired(session.judge(ACCOUNT, {"employee": "E-1701", "iban": IBANS[0]}))
    assert "PROV-096" in rules_fired(session.judge(ACCOUNT, {"employee": "E-1702", "iban": IBANS[1]}))


def test_what_was_named_holds_until_the_user_asks_again() -> None:
    session = talk(ACCOUNT)
    session.say("Set the account of Kim Lee as in form.txt.")
    session.read(FILE, {"path": "form.txt"}, TABLE)
    session.say("Yes, please.")
    assert "PROV-096" in rules_fired(session.judge(ACCOUNT, {"employee": "Ann Day", "iban": IBANS[1]}))
    session.say("Now set all other accounts as in form.txt.")
    assert "PROV-096" not in rules_fired(session.judge(ACCOUNT, {"employee": "Ann Day", "iban": IBANS[1]}))
