"""What a gate went by in a session, and in the sessions that it descends from, is read again from the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.records import ROOT_KEY, SessionMaker, tool_entry
from streams.audit.content_officers import ContentOfficers
from streams.inmemory.admin import MemoryAdmin
from streams.model.attributes import entity_key
from streams.model.delegation import Delegation
from streams.model.intent import Intent
from streams.model.reasons import Reason
from streams.model.session import SessionEvent
from streams.model.topics import ATTRIBUTES, DELEGATION, INTENT, REPORT, VERDICT
from streams.model.verdict import Outcome, ValueOrigin
from streams.operations.rules import recorded_session
from streams.operations.rules.explanation import THE_LOG, Explained, explain_from_log
from streams.operations.rules.recorded_keys import KeysOfVerdicts
from streams.operations.rules.recorded_session import SessionReader, SessionTooLongError
from streams.operations.trial import TryPlan
from streams.policy import Effect, RuleOutcome
from tests.carrying import MAILS, SEND
from tests.kit import GATE_SETTINGS
from tests.recorded_run import MemoryAsLog
from tests.unit.processors.entities import entity
from tests.unit.processors.office import EVIL, PAY, WORDS, Office
from tests.unit.sdk.seal_hand import CODEC

RULES = Path(__file__).parents[3] / "rules"
UPDATES = 60
FRIEND = "kim@corp.example"


class House(Office):
    """The user of one session asks, and a long time afterwards a session that descends from it does it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = SessionMaker("talk-0"), SessionMaker("talk-1")
        root = self.first.grant("g-1", self.now_ms)
        self.driver.pipe(DELEGATION.name, self.first.key, root)
        self.establish(self.first, delegation_uid=root.uid)
        self.wait(1)
        self.say(self.first, "Please pay the rent.", conversation_id="talk")
        for number in range(UPDATES):
            record = entity("c-1", {"n": number}, tenant=self.first.tenant)
            self.driver.pipe(ATTRIBUTES.name, entity_key(self.first.tenant, "customer", "c-1"), record)
            self.wait(1)
        self.hand_on(root, self.first, self.second)

    def hand_on(self, grant: Delegation, parent: SessionMaker, child: SessionMaker) -> None:
        hop = parent.handed_on(grant, f"{grant.uid}-{child.session_id}", self.now_ms, child)
        self.driver.pipe(DELEGATION.name, child.key, hop)
        self.establish(child, delegation_uid=hop.uid, parent_session_id=parent.session_id)
        self.wait(1)

    def described(self, session: SessionMaker, event: Any, content: str) -> None:
        """A report comes later than the verdict that it follows, if only by a millisecond."""
        self.wait(1)
        super().described(session, event, content)

    def reader(self) -> SessionReader:
        log = MemoryAsLog(self.driver.log)
        return SessionReader(log, CODEC, self.driver.clock, ROOT_KEY, GATE_SETTINGS.deployment)

    def explained(self, intent_id: str, *, gates_key: bytes | None = None) -> Explained:
        plan = TryPlan(history=THE_LOG, codec=CODEC, gate=GATE_SETTINGS, starter_rules=RULES)
        return explain_from_log(
            MemoryAsLog(self.driver.log),
            CODEC,
            self.driver.clock,
            plan,
            officers=ContentOfficers.of({}),
            intent=intent_id,
            gates_key=gates_key,
        )


def hide(monkeypatch: pytest.MonkeyPatch, hidden: Sequence[str]) -> None:
    """Hide topics from the client, as the access control of Kafka does."""
    monkeypatch.setattr(
        MemoryAdmin, "hidden", lambda _, topics, *, configs=False: frozenset(hidden) & frozenset(topics)
    )


@pytest.fixture
def house() -> House:
    return House()


def test_a_call_is_explained_with_what_the_user_has_asked_a_long_session_above_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what every gate reads, nothing counts a second time."""
    verdict = house.call(house.second, PAY, {}, "talk")
    assert verdict.outcome is Outcome.ALLOW
    monkeypatch.setattr(recorded_session, "RECORDS_MAX", UPDATES)
    with pytest.raises(SessionTooLongError):
        house.reader().read(house.first.key)
    found = house.explained(verdict.intent_id)
    assert [(each.outcome, each.reason) for each in found.verdicts] == [(Outcome.ALLOW, verdict.reason)]
    assert found.agrees


def test_one_of_another_conversation_is_not(house: House) -> None:
    verdict = house.call(house.second, PAY, {}, "another talk")
    assert verdict.outcome is Outcome.DENY
    found = house.explained(verdict.intent_id)
    assert [each.outcome for each in found.verdicts] == [Outcome.DENY]


@pytest.mark.parametrize("hidden", [(), (INTENT.name,)])
def test_own_lines_are_those_that_a_whole_session_has(
    house: House, hidden: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without what a gate has rejected, without valid proofs of calls that had none, and made from verdicts."""
    first = house.first
    house.read(first, MAILS, WORDS, "talk")
    forged = first.intent(PAY, {}, house.now_ms, unproven={"proof": None})
    house.send(forged, first)
    assert house.verdict().reason == Reason.PROOF_MISSING
    rejected = msgspec.structs.replace(first.result(forged, house.now_ms), proof=None)
    house.driver.pipe(REPORT.name, first.key, rejected)
    hide(monkeypatch, hidden)
    whole, own = house.reader().read(first.key), house.reader().own_lines(first.key)
    assert whole.hidden == tuple(hidden)
    assert [each.line for each in own] == [each.line for each in whole.lines if each.line.key == first.key]
    records = [each.line.record for each in own]
    intents = [record for record in records if isinstance(record, Intent)]
    assert [intent.proof is None for intent in intents] == ([False] if hidden else [False, True])
    events = [record for record in records if isinstance(record, SessionEvent)]
    assert len(events) == 3
    assert rejected.header.id not in {event.header.id for event in events}


@pytest.mark.parametrize("hidden", [(), (INTENT.name,)])
def test_a_call_is_explained_at_the_time_at_which_the_gate_judged_it(
    house: House, hidden: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session of the partition is ahead, so the gate judged the call later than its own time."""
    house.say(house.first, "Please pay the rent.")
    house.wait(1)
    intent = house.first.intent(PAY, {}, house.now_ms)
    house.wait(400)
    house.opened(SessionMaker("ahead"))
    house.driver.pipe(INTENT.name, house.first.key, intent, house.now_ms - 400)
    verdict = house.verdict()
    assert verdict.evaluated_at == house.now_ms
    hide(monkeypatch, hidden)
    found = house.explained(verdict.intent_id)
    assert [each.time_ms for each in found.judged] == [verdict.evaluated_at]
    assert [each.evaluated_at for each in found.verdicts] == [verdict.evaluated_at]
    assert found.agrees


def test_what_becomes_known_between_the_time_of_a_call_and_its_verdict_stands_behind_it(house: House) -> None:
    house.say(house.first, "Please pay the rent.")
    house.wait(1)
    intent, asked_ms = house.first.intent(PAY, {}, house.now_ms), house.now_ms
    house.wait(400)
    house.opened(SessionMaker("ahead"))
    house.driver.pipe(INTENT.name, house.first.key, intent, asked_ms)
    assert house.verdict().evaluated_at == asked_ms + 400
    record = entity("c-9", {"n": 1}, tenant=house.first.tenant)
    house.driver.pipe(ATTRIBUTES.name, entity_key(house.first.tenant, "customer", "c-9"), record, asked_ms + 100)
    last = [each.line.record for each in house.reader().read(house.first.key).lines][-2:]
    assert [type(each) for each in last] == [Intent, type(record)]


class TestKeysOfValues:
    """The gate has a root key of its own, and what its sessions have shown is on the log under keys derived from it."""

    @pytest.fixture
    def alone(self, house: House) -> SessionMaker:
        return house.opened(SessionMaker("alone"))

    def test_a_value_of_the_user_is_his_again(self, house: House, alone: SessionMaker) -> None:
        house.say(alone, f"Send the offer to {FRIEND}.")
        house.read(alone, MAILS, WORDS)
        verdict = house.call(alone, SEND, {"to": FRIEND})
        assert (verdict.outcome, verdict.origins[0].origin) == (Outcome.ALLOW, ValueOrigin.USER)
        found = house.explained(verdict.intent_id)
        assert found.agrees is True
        assert not found.lacks_key
        assert [each.origins for each in found.verdicts] == [verdict.origins]
        (judged,) = found.judged
        assert judged.explanation.result.effect is Effect.ALLOW

    def test_a_value_of_others_is_theirs_with_what_rules_ask_of_it(self, house: House, alone: SessionMaker) -> None:
        house.read(alone, MAILS, WORDS)
        verdict = house.call(alone, SEND, {"to": EVIL})
        assert (verdict.outcome, verdict.origins[0].instructed) == (Outcome.DENY, True)
        found = house.explained(verdict.intent_id)
        assert found.agrees is True
        assert [each.origins for each in found.verdicts] == [verdict.origins]

    def test_what_the_user_says_in_the_millisecond_of_the_call_comes_before_it(
        self, house: House, alone: SessionMaker
    ) -> None:
        house.read(alone, MAILS, WORDS)
        house.say(alone, f"Send the offer to {FRIEND}.")
        verdict = house.call(alone, SEND, {"to": FRIEND})
        assert verdict.outcome is Outcome.ALLOW
        assert house.explained(verdict.intent_id).agrees is True

    def test_a_verdict_that_the_records_do_not_give_differs(self, house: House, alone: SessionMaker) -> None:
        house.read(alone, MAILS, WORDS)
        verdict = house.call(alone, SEND, {"to": EVIL})
        forged = msgspec.structs.replace(verdict, outcome=Outcome.ALLOW, reason=Reason.PERMITTED.value)
        house.driver.pipe(VERDICT.name, alone.key, forged)
        assert house.explained(verdict.intent_id).agrees is False

    def test_the_key_is_the_users_and_any_session_of_his_may_have_it(self, house: House, alone: SessionMaker) -> None:
        house.say(alone, f"Somebody asks for {FRIEND}.")
        verdict = house.call(alone, PAY, {"to": FRIEND})
        assert (verdict.outcome, verdict.atom_key) == (Outcome.DENY, None)
        assert verdict.origins[0].origin is ValueOrigin.USER
        stranger = house.opened(SessionMaker("stranger", sub="bob"))
        assert house.call(stranger, MAILS, {"id": "1"}).atom_key is not None
        assert house.explained(verdict.intent_id).lacks_key
        other = house.opened(SessionMaker("other"))
        assert house.call(other, MAILS, {"id": "1"}).atom_key is not None
        found = house.explained(verdict.intent_id)
        assert not found.lacks_key
        assert found.agrees is True
        assert [each.origins for each in found.verdicts] == [verdict.origins]

    def test_without_the_key_nothing_is_guessed(self, house: House, alone: SessionMaker) -> None:
        house.say(alone, f"Somebody asks for {FRIEND}.")
        verdict = house.call(alone, PAY, {"to": FRIEND})
        found = house.explained(verdict.intent_id)
        assert (found.lacks_key, found.agrees) == (True, None)
        (judged,) = found.judged
        rules = {each.rule_id: each for each in judged.explanation.rules}
        assert rules["P-1"].outcome is RuleOutcome.TRUE
        assert rules["P-4"].outcome is RuleOutcome.ERROR
        assert rules["P-4"].whole is not None
        assert rules["P-4"].whole.value.startswith("no value")
        found = house.explained(verdict.intent_id, gates_key=GATE_SETTINGS.root_key)
        assert (found.lacks_key, found.agrees) == (False, True)
        assert [each.origins for each in found.verdicts] == [verdict.origins]

    def test_a_verdict_that_needs_no_value_is_confirmed_without_the_key(
        self, house: House, alone: SessionMaker
    ) -> None:
        house.say(alone, f"Somebody asks for {FRIEND}.")
        verdict = house.call(alone, tool_entry("no", "such"), {"to": FRIEND})
        assert verdict.outcome is Outcome.DENY
        found = house.explained(verdict.intent_id)
        assert (found.lacks_key, found.judged, found.agrees) == (True, (), True)

    def test_a_difference_of_earlier_checks_shows_without_the_key(self, house: House, alone: SessionMaker) -> None:
        house.say(alone, f"Somebody asks for {FRIEND}.")
        verdict = house.call(alone, tool_entry("no", "such"), {"to": FRIEND})
        forged = msgspec.structs.replace(verdict, reason=Reason.SESSION_REVOKED.value)
        house.driver.pipe(VERDICT.name, alone.key, forged)
        assert house.explained(verdict.intent_id).agrees is False

    def test_of_several_keys_the_nearest_in_time_counts(self, house: House, alone: SessionMaker) -> None:
        """The root key may have been replaced since."""
        verdict = house.call(alone, MAILS, {"id": "1"})
        keys = KeysOfVerdicts()
        for time_ms, key in ((10, b"old"), (50, b"new"), (90, b"newer"), (49, None)):
            keys.note(msgspec.structs.replace(verdict, evaluated_at=time_ms, atom_key=key), 45)
        assert keys.known == {(alone.tenant, alone.sub): b"new"}
