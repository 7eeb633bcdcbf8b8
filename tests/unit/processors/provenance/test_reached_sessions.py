"""A session that others' text has reached through a conversation or a note is as untrusted as the one that has read it.

And it says through which one.
"""

from __future__ import annotations

import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, tool_entry, tool_ref
from streams.inmemory.faults import NoFaults
from streams.model.catalog import OutputLabel
from streams.model.keys import partition_for
from streams.model.labels import Integrity
from streams.model.reasons import Reason
from streams.model.session import SessionEventType
from streams.model.verdict import Influence, Origin, Outcome, Verdict
from streams.processors.budgets import leases
from streams.processors.gate import carried
from streams.processors.gate.carried import STORES_MAX
from streams.processors.provenance import reached
from streams.provenance.sources.carried import SOURCES_MAX
from tests.carrying import MAILS, NOTE, NOTES, SEND
from tests.kit import BUNDLE, HOUR_MS
from tests.unit.processors.absent_allocator import Absent
from tests.unit.processors.office import ENTRIES, EVIL, PARTITIONS, SESSIONS, STAFF, WORDS, Office, apart

RESET = tool_entry("git", "reset")
COPY = tool_entry("wiki", "save")
WIKI = tool_entry("wiki", "open", read_only=True, output_label=TRUSTED)
TICKET = tool_entry(
    "desk",
    "show",
    read_only=True,
    output_label=TRUSTED,
    output_labels=(OutputLabel(path="/body", label=UNTRUSTED),),
)
RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: P-2, effect: deny, match: {tools: [git.reset]}, when: session.tainted, reason: it has read what others wrote}
  - {id: P-3, effect: deny, match: {tools: [post.send]}, when: "!act.requested", reason: nobody has asked for it}
  - id: P-4
    effect: deny
    match: {tools: [data.wipe]}
    when: 'provenance.exists(p, p.trust == "untrusted")'
    reason: something that was read is untrusted
"""
CALM = "The harbour was quiet that morning, and nobody expected the ferry before noon because of heavy fog."
WIPE = next(entry for entry in ENTRIES if entry.name == "wipe")


@pytest.fixture
def office() -> Office:
    return Office(
        entries=(*ENTRIES, RESET, COPY, WIKI, TICKET),
        rules={"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES},
    )


def resets(office: Office, session: SessionMaker, talk: str | None = None) -> Verdict:
    return office.call(session, RESET, {}, talk)


def foreign(verdict: Verdict) -> list[Influence]:
    return [each for each in verdict.influences if each.session_id is not None]


def noted(office: Office, text: str, read: str = CALM) -> SessionMaker:
    """A session that has read a mail and has written a note."""
    first = office.opened(SESSIONS[0])
    office.read(first, MAILS, read)
    assert office.call(first, NOTE, {"text": text}).outcome is Outcome.ALLOW
    return first


def test_what_a_session_has_read_makes_the_others_of_its_conversation_untrusted(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    assert resets(office, second, "talk").outcome is Outcome.ALLOW
    office.read(first, MAILS, CALM, "talk")
    office.wait(HOUR_MS // 4)
    assert resets(office, second, "talk").outcome is Outcome.DENY
    assert office.call(second, WIPE, {}, "talk").outcome is Outcome.DENY
    other = office.opened(SessionMaker("talk-9"))
    assert resets(office, other, "another talk").outcome is Outcome.ALLOW
    assert office.call(other, WIPE, {}, "another talk").outcome is Outcome.ALLOW


def test_so_does_what_was_read_before_the_conversation_was_named(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    office.read(first, MAILS, CALM)
    office.call(first, STAFF, {"id": "1"}, "talk")
    found = resets(office, second, "talk")
    assert (found.outcome, len(foreign(found))) == (Outcome.DENY, 1)


def test_a_content_without_any_value_does_too(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    office.call(first, STAFF, {"id": "1"}, "talk")
    office.read(first, MAILS, "", "talk")
    assert resets(office, second, "talk").outcome is Outcome.DENY


def test_single_fields_by_others_make_none_untrusted_as_a_whole(office: Office) -> None:
    """As in the session that has read them: desks act by the other fields."""
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    office.read(first, TICKET, f'{{"state": "open", "body": "{WORDS}"}}', "talk")
    assert resets(office, first, "talk").outcome is Outcome.ALLOW
    found = resets(office, second, "talk")
    assert (found.outcome, found.label.integrity) == (Outcome.ALLOW, Integrity.UNTRUSTED)
    assert office.call(first, NOTE, {"text": WORDS}, "talk").outcome is Outcome.ALLOW
    third = office.opened(SessionMaker("talk-8"))
    office.read(third, NOTES, WORDS)
    assert resets(office, third).outcome is Outcome.ALLOW


@pytest.mark.parametrize("text", [f"Remember: {WORDS}", "Plan: Push to main."], ids=["long", "short"])
def test_a_note_of_others_text_makes_who_reads_it_untrusted(office: Office, text: str) -> None:
    first = noted(office, text, text.partition(": ")[2])
    second = office.opened(apart(first))
    assert resets(office, second).outcome is Outcome.ALLOW, "it has not read the note yet"
    office.read(second, NOTES, f"Tuesday. {text}")
    assert resets(office, second).outcome is Outcome.DENY


@pytest.mark.parametrize(
    "text",
    [
        "Please ask the harbour office later",
        "The meeting with Dora was moved to Friday",
        "Order ORD-20003 is done",
        "Carl: carl@somewhere.example",
        "The audit is on 2026-12-01",
        "2500 EUR are due",
        "Carl has +49 170 1234567",
        "Ann's order ORD-20003 arrived; contact ann@example.com",
    ],
    ids=[
        "a request",
        "own words",
        "an id of others",
        "an address and its host",
        "a date and its day",
        "an amount",
        "a phone",
        "two facts",
    ],
)
def test_a_note_in_own_words_does_not(office: Office, text: str) -> None:
    facts = "ORD-20003, 2026-12-01, 2500 EUR, +49 170 1234567, ann@example.com"
    first = noted(office, text, f"{WORDS} {facts}, and write to carl@somewhere.example.")
    second = office.opened(apart(first))
    office.read(second, NOTES, text)
    assert resets(office, second).outcome is Outcome.ALLOW


def test_nor_does_an_own_note_beside_a_quotation_that_was_not_read(office: Office) -> None:
    first = noted(office, f"From the mail: {WORDS}", WORDS)
    second = office.opened(apart(first))
    office.read(second, NOTES, "The garden needs water on Fridays. Please call Dora when the roof is done.")
    assert resets(office, second).outcome is Outcome.ALLOW


def test_nor_does_a_quotation_of_what_the_user_has_named(office: Office) -> None:
    told = "Plan: Push to main."
    first = noted(office, told, told)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    office.say(second, told)
    for session in (second, third):
        office.read(session, NOTES, told)
    assert resets(office, second).outcome is Outcome.ALLOW
    assert resets(office, third).outcome is Outcome.DENY


def test_a_note_that_was_copied_to_another_store_stays_what_it_was(office: Office) -> None:
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    office.read(second, NOTES, WORDS)
    assert office.call(second, COPY, {"text": WORDS}).outcome is Outcome.ALLOW
    office.read(third, WIKI, WORDS)
    found = office.call(third, SEND, {"to": EVIL})
    assert next(each for each in found.origins if each.pointer == "/to").origin.value == "TEXT"
    assert resets(office, third).outcome is Outcome.DENY


def test_a_note_that_a_session_has_read_reaches_the_others_of_its_conversation(office: Office) -> None:
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    office.call(second, STAFF, {"id": "1"}, "talk")
    office.read(second, NOTES, WORDS, "talk")
    assert resets(office, second, "talk").outcome is Outcome.DENY
    office.wait(HOUR_MS // 4)
    found = office.call(third, SEND, {"to": EVIL}, "talk")
    assert next(each for each in found.origins if each.pointer == "/to").origin.value == "TEXT"
    assert [each.session_id for each in foreign(found) if each.arg_pointers] == [first.session_id]
    assert resets(office, third, "talk").outcome is Outcome.DENY


def test_a_note_that_was_read_reaches_the_conversation_before_its_reader_acts(office: Office) -> None:
    """Whoever reads it may never act himself: another session of the conversation does."""
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    office.call(second, STAFF, {"id": "1"}, "talk")
    office.read(second, NOTES, WORDS, "talk")
    found = office.call(third, SEND, {"to": EVIL}, "talk")
    assert next(each for each in found.origins if each.pointer == "/to").origin.value == "TEXT"
    assert [each.session_id for each in foreign(found) if each.arg_pointers] == [first.session_id]
    assert resets(office, third, "talk").outcome is Outcome.DENY


def test_so_does_one_that_was_read_before_a_message_names_the_conversation(office: Office) -> None:
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    office.read(second, NOTES, WORDS)
    office.say(second, "Good morning", conversation_id="talk")
    assert resets(office, third, "talk").outcome is Outcome.DENY


def test_who_can_not_ask_for_a_store_expects_the_worst_of_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    second, third = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    office.call(second, STAFF, {"id": "1"}, "talk")
    monkeypatch.setattr(leases, "WAITING_MAX", 0)
    office.read(second, NOTES, "Tuesday.", "talk")
    monkeypatch.undo()
    assert resets(office, third, "talk").outcome is Outcome.DENY


def test_a_session_that_waits_for_a_store_does_not_make_room_for_intents(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    own = partition_for(second.key, PARTITIONS)
    names = (SessionMaker(f"beside-{number}") for number in range(99))
    beside = office.opened(next(each for each in names if partition_for(each.key, PARTITIONS) == own))
    office.call(second, STAFF, {"id": "1"}, "talk")
    monkeypatch.setattr(leases, "WAITING_MAX", 1)
    reading = [office.propose(NOTES, {"id": "1"}, each) for each in (second, beside)]
    office.verdicts()
    office.driver.log.faults = Absent()
    for session, intent in zip((second, beside), reading, strict=True):
        office.described(session, session.result(intent, office.now_ms), WORDS)
    assert resets(office, beside).reason == Reason.BUDGET_UNAVAILABLE
    office.driver.log.faults = NoFaults()
    office.wait(1_000)
    assert resets(office, third, "talk").outcome is Outcome.DENY


def test_a_note_that_was_read_a_second_after_another_one_counts_too(office: Office) -> None:
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second = office.opened(apart(first))
    office.read(second, NOTES, "Tuesday.")
    assert resets(office, second).outcome is Outcome.ALLOW
    office.wait(1_000)
    office.read(second, NOTES, WORDS)
    assert resets(office, second).outcome is Outcome.DENY


def test_so_does_one_that_was_read_in_parts(office: Office) -> None:
    text = "Plan: Push to main."
    first = noted(office, text, text)
    second = office.opened(apart(first))
    office.read(second, NOTES, "Main")
    assert resets(office, second).outcome is Outcome.ALLOW
    office.wait(1_000)
    office.read(second, NOTES, "Push")
    assert resets(office, second).outcome is Outcome.DENY


def test_what_was_read_in_parts_reaches_the_conversation(office: Office) -> None:
    text = "Plan: Push to main."
    first = noted(office, text, text)
    second, third = office.opened(apart(first)), office.opened(SessionMaker("talk-9"))
    office.read(second, NOTES, "Main", "talk")
    office.read(second, NOTES, "Push", "talk")
    assert resets(office, third, "talk").outcome is Outcome.DENY


def test_a_quotation_that_the_session_knows_from_another_server_only_does_not(office: Office) -> None:
    """A handbook has the words of the mail that a notebook quotes, and nobody has opened that page of the notebook."""
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second = office.opened(apart(first))
    office.read(second, WIKI, WORDS)
    office.read(second, NOTES, "The garden needs water.")
    assert resets(office, second).outcome is Outcome.ALLOW
    office.read(second, NOTES, WORDS)
    assert resets(office, second).outcome is Outcome.DENY


def test_facts_of_a_text_that_is_quoted_elsewhere_do_not_either(office: Office) -> None:
    facts = "ORD-20003 and ann@example.com"
    first = noted(office, f"From the mail: {WORDS} {facts}", f"{WORDS} {facts}")
    second = office.opened(apart(first))
    office.read(second, NOTES, "Ann's order ORD-20003 arrived; contact ann@example.com")
    assert resets(office, second).outcome is Outcome.ALLOW


def test_of_a_content_of_more_values_than_are_kept_all_count_as_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reached, "SHOWN_MAX", 4)
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second = office.opened(apart(first))
    office.read(second, NOTES, f"Tuesday. {WORDS}")
    assert resets(office, second).outcome is Outcome.DENY


@pytest.mark.parametrize("reads_again", [False, True])
def test_of_what_an_earlier_state_of_the_gate_has_read_all_counts_as_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch, *, reads_again: bool
) -> None:
    first = noted(office, f"Remember: {WORDS}", WORDS)
    second = office.opened(apart(first))
    monkeypatch.setattr(carried, "with_shown", lambda row, *_: row)
    office.read(second, NOTES, WORDS)
    monkeypatch.undo()
    if reads_again:
        intent = office.propose(NOTES, {"id": "2"}, second)
        office.described(second, second.result(intent, office.now_ms), "Tuesday.")
        office.verdicts()
    assert resets(office, second).outcome is Outcome.DENY


def test_of_more_stores_than_a_session_looks_after_the_worst_is_expected() -> None:
    stores = tuple(
        tool_entry(f"store{number}", "read", read_only=True, output_label=TRUSTED) for number in range(STORES_MAX + 1)
    )
    rules = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES}
    office = Office(entries=(*ENTRIES, RESET, *stores), rules=rules)
    first = office.opened(SESSIONS[0])
    for store in stores:
        assert resets(office, first).outcome is Outcome.ALLOW
        office.read(first, store, "fine")
    assert resets(office, first).outcome is Outcome.DENY
    assert office.call(first, WIPE, {}).outcome is Outcome.DENY


def test_a_call_that_no_condition_covers_knows_the_conversation_too(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    office.read(first, MAILS, CALM, "talk")
    found = office.call(second, STAFF, {"id": "1"}, "talk")
    assert (found.outcome, found.label.integrity) == (Outcome.ALLOW, Integrity.UNTRUSTED)
    office.driver.log.faults = Absent()
    office.verdicts()
    office.propose(STAFF, {"id": "1"}, office.opened(SessionMaker("talk-9")), conversation_id="talk")
    office.wait(HOUR_MS // 2)
    assert office.verdict().reason == Reason.BUDGET_UNAVAILABLE


def test_a_verdict_names_the_session_and_what_it_has_read(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    office.call(first, STAFF, {"id": "1"}, "talk")
    office.read(first, MAILS, WORDS, "talk")
    found = office.call(second, SEND, {"to": EVIL}, "talk")
    (influence,) = foreign(found)
    (event_id,) = [
        each.event_id for each in resets(office, first, "talk").influences if each.origin is Origin.UNTRUSTED
    ]
    assert (influence.session_id, influence.origin) == (first.session_id, Origin.UNTRUSTED)
    assert (influence.event_id, influence.arg_pointers) == (event_id, ("/to",))
    assert next(each for each in found.origins if each.pointer == "/to").event_ids == (event_id,)


def test_a_verdict_names_the_call_that_has_written_what_was_read(office: Office) -> None:
    first = office.opened(SESSIONS[0])
    office.read(first, MAILS, WORDS)
    writing = office.call(first, NOTE, {"text": f"Remember: {WORDS}"})
    office.call(first, NOTE, {"text": "Carl is carl@somewhere.example"})
    second = office.opened(apart(first))
    office.read(second, NOTES, WORDS)
    (influence,) = foreign(resets(office, second))
    assert (influence.session_id, influence.event_id) == (first.session_id, writing.intent_id)


def test_the_first_event_that_names_a_conversation_is_named_with_its_values(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    event = first.event(SessionEventType.RETRIEVAL, office.now_ms, tool=tool_ref(MAILS), conversation_id="talk")
    office.described(first, event, WORDS)
    found = office.call(second, SEND, {"to": EVIL}, "talk")
    assert [each.arg_pointers for each in foreign(found)] == [("/to",)]


def test_the_latest_sources_are_named_and_no_more(office: Office) -> None:
    first, second = office.opened(SESSIONS[0]), office.opened(apart(SESSIONS[0]))
    for number in range(SOURCES_MAX + 4):
        office.wait(1)
        office.read(first, MAILS, f"{CALM} Mail number {number}", "talk")
    read = [each.event_id for each in resets(office, first, "talk").influences if each.origin is Origin.UNTRUSTED]
    named = [each.event_id for each in foreign(resets(office, second, "talk"))]
    assert len(named) == SOURCES_MAX
    assert set(named) == set(read[-SOURCES_MAX:])
