"""What a gate went by in a session, and in the sessions that it descends from, is read again from the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from simulation.records import ROOT_KEY, SessionMaker
from streams.inmemory.admin import MemoryAdmin
from streams.model.attributes import entity_key
from streams.model.delegation import Delegation
from streams.model.intent import Intent
from streams.model.reasons import Reason
from streams.model.session import SessionEvent
from streams.model.topics import ATTRIBUTES, DELEGATION, INTENT, REPORT
from streams.model.verdict import Outcome
from streams.operations.rules import recorded_session
from streams.operations.rules.explanation import THE_LOG, Explained, explain_from_log
from streams.operations.rules.recorded_session import SessionReader, SessionTooLongError
from streams.operations.trial import TryPlan
from tests.kit import GATE_SETTINGS
from tests.recorded_run import MemoryAsLog
from tests.unit.processors.test_attributes import entity
from tests.unit.processors.test_carried import MAILS, PAY, WORDS, Office
from tests.unit.sdk.seal_hand import CODEC

RULES = Path(__file__).parents[3] / "rules"
UPDATES = 60


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

    def reader(self) -> SessionReader:
        log = MemoryAsLog(self.driver.log)
        return SessionReader(log, CODEC, self.driver.clock, ROOT_KEY, GATE_SETTINGS.deployment)

    def explained(self, intent_id: str) -> Explained:
        plan = TryPlan(history=THE_LOG, codec=CODEC, gate=GATE_SETTINGS, starter_rules=RULES)
        return explain_from_log(MemoryAsLog(self.driver.log), CODEC, self.driver.clock, plan, intent=intent_id)


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
    monkeypatch.setattr(
        MemoryAdmin, "hidden", lambda _, topics, *, configs=False: frozenset(hidden) & frozenset(topics)
    )
    whole, own = house.reader().read(first.key), house.reader().own_lines(first.key)
    assert whole.hidden == tuple(hidden)
    assert [each.line for each in own] == [each.line for each in whole.lines if each.line.key == first.key]
    records = [each.line.record for each in own]
    intents = [record for record in records if isinstance(record, Intent)]
    assert [intent.proof is None for intent in intents] == ([False] if hidden else [False, True])
    events = [record for record in records if isinstance(record, SessionEvent)]
    assert len(events) == 3
    assert rejected.header.id not in {event.header.id for event in events}
