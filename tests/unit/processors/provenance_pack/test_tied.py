"""Acts on what the user has named for other acts only."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from simulation.records import UNTRUSTED, tool_entry
from streams.model.catalog import ToolCatalogEntry
from streams.model.session import ScopeSource, SessionEventType, TaskScope
from streams.model.topics import REPORT
from tests.unit.processors.provenance_pack.talks import letter, rules_fired, talk
from tests.unit.processors.provenance_pack.tools import ACTS, CANCEL
from tests.unit.processors.talk import Talk

MOVE = tool_entry("desk", "move_booking", **ACTS, kind="change", sink_args=("/booking",))
PAYEE = tool_entry("desk", "pay_person", **ACTS, kind="pay", sink_args=("/name",))
MAILS = tool_entry("box", "mail_person", **ACTS, kind="send", sink_args=("/name", "/about"))
SAID = "Summarise m-7001. Cancel QX-7001 and move QX-7002 to Friday."
HARMLESS = "The weather was good on the whole way, and we have seen a lot."


def _is_asked_about(session: Talk, tool: ToolCatalogEntry, **args: str) -> bool:
    return "PROV-050" in rules_fired(session.judge(tool, args))


@pytest.mark.parametrize(
    ("tool", "booking", "asked"),
    [(CANCEL, "QX-7001", False), (MOVE, "QX-7002", False), (CANCEL, "QX-7002", True)],
)
def test_an_act_is_asked_for_of_its_own_objects(tool: ToolCatalogEntry, booking: str, *, asked: bool) -> None:
    session = talk(MOVE)
    session.say(SAID)
    letter(session, HARMLESS)
    assert _is_asked_about(session, tool, booking=booking) is asked


def test_before_others_have_had_a_say_nothing_is_a_question() -> None:
    session = talk(MOVE)
    session.say(SAID)
    assert "PROV-050" not in rules_fired(session.judge(CANCEL, {"booking": "QX-7002"}))


def test_persons_are_tied_to_acts_as_things_are() -> None:
    session = talk(PAYEE, MAILS)
    session.say("Summarise m-7001, mail Anna Berg the plan, and pay Bo Lind 30 EUR.")
    letter(session, HARMLESS)
    assert not _is_asked_about(session, PAYEE, name="Bo Lind")
    assert _is_asked_about(session, PAYEE, name="Anna Berg")
    # What he has named for another act may be what this one is to hold.
    assert not _is_asked_about(session, MAILS, name="Anna Berg", about="Bo Lind")


@pytest.mark.parametrize("then", ["Cancel the other one, too.", "QX-7002, too.", "And the other one."])
def test_whatever_he_asks_for_next_may_be_about_the_same(then: str) -> None:
    session = talk(MOVE)
    session.say(SAID)
    session.say(then)
    letter(session, HARMLESS)
    assert not _is_asked_about(session, CANCEL, booking="QX-7002")


@pytest.mark.parametrize("payments", [1, 2])
def test_what_another_deriver_has_understood_is_not_tied(payments: int) -> None:
    pays = tool_entry("desk", "pay_booking", **ACTS, kind="pay", sink_args=("/booking",))
    session = talk(MOVE, pays)
    event = session.session.event(SessionEventType.USER_MESSAGE, session.now_ms)
    scopes = tuple(TaskScope(kind=kind) for kind in ("change", "delete", *["pay"] * payments))
    event = replace(event, task_scopes=scopes, scope_source=ScopeSource.DERIVED)
    event = session.describe(event, SAID, session.session)
    session.driver.pipe(REPORT.name, session.session.key, session.session.proven(event))
    letter(session, HARMLESS)
    assert _is_asked_about(session, CANCEL, booking="QX-7002")
    assert not _is_asked_about(session, pays, booking="QX-7002")


def test_what_others_say_in_his_message_ties_nothing() -> None:
    session = talk(MOVE)
    event = session.session.event(SessionEventType.USER_MESSAGE, session.now_ms)
    event = session.describe(event, SAID, session.session)
    atoms = tuple(replace(atom, label=UNTRUSTED) if atom.path.startswith("/tied") else atom for atom in event.atoms)
    session.driver.pipe(REPORT.name, session.session.key, session.session.proven(replace(event, atoms=atoms)))
    letter(session, HARMLESS)
    assert not _is_asked_about(session, CANCEL, booking="QX-7002")


def test_a_stated_scope_is_not_tied() -> None:
    session = talk(MOVE)
    session.say(SAID)
    session.purpose(scope_source=ScopeSource.ISSUER, task_scopes=(TaskScope(kind="delete"),))
    letter(session, HARMLESS)
    assert not _is_asked_about(session, CANCEL, booking="QX-7002")
