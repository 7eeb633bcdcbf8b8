"""What somebody is told: codes, and numbers that identify a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.processors.provenance_pack.scenarios import asked_to_be_told
from tests.unit.processors.provenance_pack.talks import letter, purpose, rules_fired, talk
from tests.unit.processors.provenance_pack.tools import FRIEND, PERSON, TELL


@pytest.mark.parametrize("limited", [False, True])
def test_the_code_of_the_door_is_a_question_whether_the_task_is_limited_or_not(*, limited: bool) -> None:
    talking = talk()
    if limited:
        purpose(talking, tools=("box/tell",), targets=(FRIEND,))
    assert "PROV-067" in rules_fired(asked_to_be_told(talking))


@pytest.mark.parametrize(
    ("said", "to", "field", "asked"),
    [
        ("Send a summary of m-7001 to anna@home.example.", FRIEND, "credit_card", True),
        ("Send a summary of m-7001 and my card to anna@home.example.", FRIEND, "credit_card", False),
        ("Send a summary of m-7001 and my bank details to anna@home.example.", FRIEND, "iban", False),
        ("Send a summary of m-7001 to anna@home.example.", FRIEND, "order_number", False),
        ("Send a summary of m-7001 to anna@home.example.", "", "credit_card", False),
    ],
    ids=["not spoken of", "spoken of", "spoken of in other words", "about no person", "to the user"],
)
def test_a_number_that_identifies_a_person_is_told_where_the_user_speaks_of_it(
    said: str, to: str, field: str, *, asked: bool
) -> None:
    session = talk()
    session.say(said)
    letter(session, "The weather was good.")
    session.read(PERSON, {"name": "me"}, {"name": "Nora", field: "DE02300209000106531065"})
    verdict = session.judge(TELL, {"to": to or session.session.sub, "body": "It is DE02300209000106531065."})
    assert ("PROV-068" in rules_fired(verdict)) is asked


@pytest.mark.parametrize(
    ("record", "is_personal"),
    [
        ({"passport": {"number": "LX4471920"}}, True),
        ({"card": {"value": "LX4471920"}}, True),
        ({"passport_id": "LX4471920"}, True),
        ({"card_id": "LX4471920"}, False),
        ({"account": {"id": "LX4471920"}}, False),
    ],
)
def test_a_number_belongs_to_the_name_around_it(record: Mapping[str, Any], is_personal: bool) -> None:
    session = talk()
    session.say(f"Send a summary of m-7001 to {FRIEND}.")
    letter(session, "The weather was good.")
    session.read(PERSON, {"name": "me"}, record)
    verdict = session.judge(TELL, {"to": FRIEND, "body": "It is LX4471920."})
    assert ("PROV-068" in rules_fired(verdict)) is is_personal
