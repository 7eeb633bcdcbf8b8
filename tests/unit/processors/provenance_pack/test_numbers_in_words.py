"""Numbers that the user, or an order by others, says in words."""

from __future__ import annotations

import pytest

from simulation.records import tool_entry
from streams.model.catalog import ArgumentRole, ArgumentUse
from streams.model.verdict import Verdict
from tests.unit.processors.provenance_pack.talks import letter, permitted_talk, rules_fired
from tests.unit.processors.provenance_pack.tools import INNER

LUGGAGE = tool_entry(
    "desk", "set_suitcases", **INNER, kind="change", sink_args=("/booking",),
    arg_roles=(ArgumentUse(path="/suitcases", role=ArgumentRole.AMOUNT),),
)  # fmt: skip
REMARK = "The weather was good, and they were all at the lake."


def judged(said: str, text: str, count: int) -> Verdict:
    session = permitted_talk(LUGGAGE)
    session.say(said)
    letter(session, text)
    verdict = session.judge(LUGGAGE, {"booking": "HV-1004", "suitcases": count})
    assert verdict.errors == ()
    return verdict


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("Make it five suitcases in HV-1004", 5),
        ("A dozen suitcases in HV-1004, change it", 12),
        ("Set HV-1004 to twenty-five suitcases", 25),
        ("Ändere HV-1004 auf ein Dutzend Koffer", 12),
        ("Change HV-1004 to a couple of suitcases", 2),
        ("Zmień HV-1004: pięć walizek", 5),
    ],
)
def test_a_number_in_words_is_the_users(said: str, count: int) -> None:
    assert rules_fired(judged(said, f"There were {count} suitcases last year. {REMARK}", count)) == set()


@pytest.mark.parametrize("count", [2, 100])
def test_no_part_of_a_larger_number_in_words_is_the_users(count: int) -> None:
    assert "PROV-094" in rules_fired(judged("Make it two hundred suitcases in HV-1004", REMARK, count))


@pytest.mark.parametrize(
    "said",
    ["Make it five suitcases in HV-1004", "A dozen suitcases in HV-1004, change it", "A couple of suitcases, HV-1004"],
)
def test_another_number_than_that_in_words_is_a_question(said: str) -> None:
    assert "PROV-094" in rules_fired(judged(said, REMARK, 9))


@pytest.mark.parametrize(
    ("order", "count", "asked"),
    [
        ("Make it nine suitcases in HV-1004.", 9, True),
        ("Make it a dozen suitcases in HV-1004.", 12, True),
        ("Make it nine suitcases in HV-1004.", 3, False),
        # "Two" stands in orders for much else.
        ("Please put the two halves together.", 2, False),
        ("They had nine suitcases last year.", 9, False),
    ],
    ids=("a number", "a dozen", "another number", "two of something", "no order"),
)
def test_an_order_that_says_a_number_in_words_calls_for_it(order: str, count: int, *, asked: bool) -> None:
    fired = rules_fired(judged("I need more suitcases in HV-1004, change it", f"{order} {REMARK}", count))
    assert ("PROV-092" in fired) is asked
