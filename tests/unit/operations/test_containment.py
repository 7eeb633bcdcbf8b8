"""What made a session untrusted is looked for among what it had read when a call of it first counted as untrusted."""

from __future__ import annotations

import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, tool_entry
from streams.model.catalog import OutputLabel
from streams.model.verdict import Outcome
from streams.operations.operator import Operator
from streams.operations.sessions.containment import Containment, read_containment
from streams.operations.settings import CatalogSection, Deployment, ReleaseSection, RulesSection
from tests.carrying import MAILS, SEND
from tests.recorded_run import MemoryAsLog
from tests.unit.processors.office import COMMIT, ENTRIES, EVIL, SESSIONS, STAFF, WORDS, Office, apart
from tests.unit.sdk.seal_hand import CODEC

TICKET = tool_entry(
    "desk",
    "show",
    read_only=True,
    output_label=TRUSTED,
    output_labels=(OutputLabel(path="/body", label=UNTRUSTED),),
)
DORA = "dora@home.example"
SHOWN = f'{{"state": "open", "body": "{WORDS}"}}'


@pytest.fixture
def office() -> Office:
    return Office(entries=(*ENTRIES, TICKET))


@pytest.fixture
def second(office: Office) -> SessionMaker:
    """A session of a conversation in which another one has read what others wrote."""
    first = office.opened(SESSIONS[0])
    office.say(first, f"Dora is {DORA}.")
    second = office.opened(apart(first))
    office.read(first, MAILS, WORDS, "talk")
    office.wait(1)
    return second


def contained(office: Office, session: SessionMaker, *, allow_unsigned: bool = True) -> Containment:
    catalog, release = CatalogSection(allow_unsigned=allow_unsigned), ReleaseSection(allow_unsigned=True)
    deployment = Deployment(session.tenant, "default", RulesSection(allow_unsigned=True), catalog, release)
    operator = Operator(MemoryAsLog(office.driver.log), CODEC, office.driver.clock, deployment, "ann")
    found = read_containment(operator, session.tenant, session.session_id, {})
    assert found.was_untrusted
    return found


@pytest.mark.parametrize("later", [(MAILS, WORDS), (TICKET, SHOWN)])
def test_a_later_mail_is_not_what_hijacked_a_session(
    office: Office, second: SessionMaker, later: tuple[object, str]
) -> None:
    assert office.call(second, SEND, {"to": DORA}, "talk").outcome is Outcome.ALLOW
    office.wait(1)
    office.read(second, *later, "talk")
    assert contained(office, second).source is None


def test_nor_is_what_was_read_after_a_call_that_was_denied(office: Office, second: SessionMaker) -> None:
    assert office.call(second, SEND, {"to": EVIL}, "talk").outcome is Outcome.DENY
    office.wait(1)
    office.read(second, TICKET, SHOWN, "talk")
    office.wait(1)
    assert office.call(second, SEND, {"to": DORA}, "talk").outcome is Outcome.ALLOW
    assert contained(office, second).source is None


def test_a_tool_of_which_the_reader_knows_nothing_is_not_taken_for_the_source(
    office: Office, second: SessionMaker
) -> None:
    """To a reader who trusts no reviewer, the catalog has no entries."""
    office.read(second, STAFF, '{"name": "Dora"}', "talk")
    office.wait(1)
    assert office.call(second, SEND, {"to": DORA}, "talk").outcome is Outcome.ALLOW
    assert contained(office, second, allow_unsigned=False).source is None


def test_a_read_that_was_allowed_before_and_reported_later_is_the_source(office: Office) -> None:
    session = office.opened(SESSIONS[0])
    reading = office.propose(TICKET, {"id": "1"}, session)
    office.wait(1)
    assert office.call(session, COMMIT, {"folder": "a"}).outcome is Outcome.ALLOW
    office.wait(1)
    office.described(session, session.result(reading, office.now_ms), SHOWN)
    source = contained(office, session).source
    assert source is not None
    assert (source.what, source.intent_id) == ("desk/show", reading.intent_id)
