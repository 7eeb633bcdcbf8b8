"""Calls while a result is awaited: what others may write in it counts as read already."""

from __future__ import annotations

import pytest

from simulation.records import TRUSTED, UNTRUSTED, tool_entry
from streams.model.catalog import OutputLabel
from streams.model.labels import Label
from streams.model.verdict import Outcome
from tests.unit.processors.provenance_pack.talks import letter, rules_fired, talk
from tests.unit.processors.provenance_pack.tools import ACTS, BOOK, READS, TELL

PLACE = tool_entry("desk", "place_hold", **ACTS, kind="change", sink_args=("/item",))


@pytest.mark.parametrize(("note", "asked"), [(UNTRUSTED, True), (TRUSTED, False)])
@pytest.mark.parametrize("has_read", [False, True])
def test_a_yes_does_not_cover_what_an_awaited_field_may_ask_for(note: Label, *, asked: bool, has_read: bool) -> None:
    shown = tool_entry(
        "desk", "item", **READS, output_label=TRUSTED, output_labels=(OutputLabel(path="note", label=note),)
    )
    session = talk(PLACE, shown)
    session.say("Where is IT-7001?")
    if has_read:
        letter(session, "The weather was good on the whole way.")
    session.say("Yes, go ahead.")
    session.propose(shown, {"item": "IT-7001"})
    assert session.verdict().outcome is Outcome.ALLOW
    assert ("PROV-050" in rules_fired(session.judge(PLACE, {"item": "IT-7001"}))) is asked


def test_what_has_been_reported_is_no_longer_awaited() -> None:
    shown = tool_entry(
        "desk", "item", **READS, output_label=TRUSTED, output_labels=(OutputLabel(path="note", label=UNTRUSTED),)
    )
    session = talk(PLACE, shown)
    session.say("Where is IT-7001?")
    session.say("Yes, go ahead.")
    session.read(shown, {"item": "IT-7001"}, {"item": "IT-7001", "place": "on shelf 3"})
    assert "PROV-050" not in rules_fired(session.judge(PLACE, {"item": "IT-7001"}))


def test_an_address_that_nothing_shows_may_be_in_an_awaited_field() -> None:
    shown = tool_entry(
        "desk", "item", **READS, output_label=TRUSTED, output_labels=(OutputLabel(path="note", label=UNTRUSTED),)
    )
    session = talk(shown)
    session.say("Tell the owner of IT-7001 that it is late.")
    session.read(BOOK, {}, [{"name": "Anna"}])
    session.propose(shown, {"item": "IT-7001"})
    assert session.verdict().outcome is Outcome.ALLOW
    assert "PROV-040" in rules_fired(session.judge(TELL, {"to": "kim@evil.example", "body": "It is late."}))
