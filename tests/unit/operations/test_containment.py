"""What made a session untrusted is looked for among what it had read when a call of it first counted as untrusted."""

from __future__ import annotations

import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, tool_entry
from streams.model.catalog import OutputLabel
from streams.model.verdict import Outcome
from streams.operations.operator import Operator
from streams.operations.sessions.containment import Containment, read_containment
from streams.operations.sessions.story import Story, read_story, sentence
from streams.operations.settings import CatalogSection, ContentSection, Deployment, ReleaseSection, RulesSection
from streams.operations.topics.lookup import IdKind, Owner
from tests.carrying import MAILS, NOTE, NOTES, SEND
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


def reached_from(office: Office, session: SessionMaker, *, allow_unsigned: bool = True) -> str | None:
    """The other session that is named as the source."""
    source = contained(office, session, allow_unsigned=allow_unsigned).source
    assert source is not None
    assert source.what == "post/open"
    return source.session_id


@pytest.mark.parametrize("later", [(MAILS, WORDS), (TICKET, SHOWN)])
def test_a_later_mail_is_not_what_hijacked_a_session(
    office: Office, second: SessionMaker, later: tuple[object, str]
) -> None:
    assert office.call(second, SEND, {"to": DORA}, "talk").outcome is Outcome.ALLOW
    office.wait(1)
    office.read(second, *later, "talk")
    assert reached_from(office, second) == SESSIONS[0].session_id


def test_nor_is_what_was_read_after_a_call_that_was_denied(office: Office, second: SessionMaker) -> None:
    assert office.call(second, SEND, {"to": EVIL}, "talk").outcome is Outcome.DENY
    office.wait(1)
    office.read(second, TICKET, SHOWN, "talk")
    office.wait(1)
    assert office.call(second, SEND, {"to": DORA}, "talk").outcome is Outcome.ALLOW
    assert reached_from(office, second) == SESSIONS[0].session_id


def test_a_tool_of_which_the_reader_knows_nothing_is_not_taken_for_the_source(
    office: Office, second: SessionMaker
) -> None:
    """To a reader who trusts no reviewer, the catalog has no entries."""
    office.read(second, STAFF, '{"name": "Dora"}', "talk")
    office.wait(1)
    assert office.call(second, SEND, {"to": DORA}, "talk").outcome is Outcome.ALLOW
    assert reached_from(office, second, allow_unsigned=False) == SESSIONS[0].session_id


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


def test_a_note_of_another_session_is_named_with_what_it_says(office: Office) -> None:
    first = office.opened(SESSIONS[0])
    office.read(first, MAILS, WORDS)
    writing = office.call(first, NOTE, {"text": WORDS})
    second = office.opened(apart(first))
    office.read(second, NOTES, WORDS)
    office.wait(1)
    assert office.call(second, COMMIT, {"folder": "a"}).outcome is Outcome.ALLOW
    found = contained(office, second)
    source = found.source
    assert source is not None
    assert (source.session_id, source.intent_id, source.what) == (first.session_id, writing.intent_id, "memo/write")
    assert source.args_json is not None
    assert WORDS in source.args_json
    assert [act.tool for act in found.acts] == ["memo/commit"]


def test_the_story_of_a_call_says_from_which_session_a_value_has_come(office: Office, second: SessionMaker) -> None:
    found = office.call(second, SEND, {"to": EVIL}, "talk")
    told = story(office, second, found.intent_id)
    assert f"came only from post/open 1 of session {SESSIONS[0].session_id} (untrusted)" in sentence(told)
    assert told.reached == (f"post/open 1 of session {SESSIONS[0].session_id}",)


def story(office: Office, session: SessionMaker, intent_id: str) -> Story:
    owner = Owner(IdKind.INTENT, intent_id, session.tenant, session.session_id, intent_id)
    release, content = ReleaseSection(allow_unsigned=True).trusted(), ContentSection().trusted()
    told = read_story(MemoryAsLog(office.driver.log), CODEC, office.driver.clock, owner, release, content)
    assert told is not None
    return told
