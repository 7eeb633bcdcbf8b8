"""Outcomes: told where they are asked for, once with each verdict, and on the topic of the intent's tenant alone."""

from __future__ import annotations

import msgspec
import pytest

from streams.engine.worker import LOOK_FOR_TOPICS_MS
from streams.model.intent import Intent, ReplyTo
from streams.model.outcome import IntentOutcome, intent_proof_digest
from streams.model.topics import INTENT, OUTCOME, VERDICT, outcome_topic
from streams.model.verdict import Outcome, Verdict
from streams.ports import TopicPartition, TopicSpec
from tests.kit import ADMIN_WIPE, FILES_READ, GATE_SETTINGS, MAIL_SEND, GateBench, wire

OWN = outcome_topic("acme")
FOREIGN = outcome_topic("zeta")
ASKED = ReplyTo(topic=OWN.name, partition=0)


class OutcomeBench(GateBench):
    """A driven gate on a log with the outcome topics of two tenants."""

    def __init__(self, *, with_topics: bool = True) -> None:
        super().__init__()
        if with_topics:
            self.make_topics()

    def make_topics(self) -> None:
        for topic in (OWN, FOREIGN):
            self.driver.log.create(TopicSpec(topic.name, 1, topic.config()))
        self.wait(LOOK_FOR_TOPICS_MS)

    def told(self, topic: str = OWN.name) -> list[IntentOutcome]:
        """New outcomes."""
        found = []
        for received in self.driver.read_raw(topic):
            record = wire().decode(OUTCOME.name, received.value or b"", received.headers)
            assert isinstance(record, IntentOutcome)
            assert received.key == self.session.key
            found.append(record)
        return found


def assert_equal(outcome: IntentOutcome, verdict: Verdict, intent: Intent) -> None:
    for field in ("intent_id", "verdict_id", "session_id", "outcome", "reason", "evaluated_at"):
        assert getattr(outcome, field) == getattr(verdict, field), field
    assert outcome.header.tenant_uid == verdict.header.tenant_uid
    assert outcome.intent_proof_digest == intent_proof_digest(intent)


@pytest.fixture
def bench() -> OutcomeBench:
    return OutcomeBench()


@pytest.mark.parametrize("entry", [FILES_READ, ADMIN_WIPE], ids=["allowed", "denied"])
def test_an_outcome_is_its_verdict_without_the_call(bench: OutcomeBench, entry: object) -> None:
    intent = bench.propose(entry, {"path": "secret.txt"}, reply_to=ASKED)
    (raw,) = bench.driver.log.committed_records(TopicPartition(OWN.name, 0))
    assert b"secret" not in (raw.value or b"")
    (outcome,) = bench.told()
    assert_equal(outcome, bench.verdict(), intent)


def test_nothing_is_told_where_nothing_is_asked(bench: OutcomeBench) -> None:
    assert bench.judge().outcome is Outcome.ALLOW
    assert bench.told() == []


def test_each_verdict_of_an_intent_has_its_outcome(bench: OutcomeBench) -> None:
    bench.propose(MAIL_SEND, {"to": "a@inside.example", "ask": "one"}, reply_to=ASKED)
    bench.wait(GATE_SETTINGS.approval_ttl_ms)
    verdicts, outcomes = bench.verdicts(), bench.told()
    assert [verdict.outcome for verdict in verdicts] == [Outcome.REQUIRE_APPROVAL, Outcome.DENY]
    assert [outcome.verdict_id for outcome in outcomes] == [verdict.verdict_id for verdict in verdicts]


@pytest.mark.parametrize("topic", [FOREIGN.name, VERDICT.name, "agent.outcome.v1", "", "agent.outcome.acme.v1.x"])
def test_on_another_topic_nothing_is_told_and_the_call_is_denied(bench: OutcomeBench, topic: str) -> None:
    verdict = bench.judge(reply_to=ReplyTo(topic=topic, partition=0))
    assert (verdict.outcome, verdict.reason) == (Outcome.DENY, "reply_topic_foreign")
    assert bench.told() == []
    assert bench.told(FOREIGN.name) == []


def test_an_intent_that_comes_again_is_told_again(bench: OutcomeBench) -> None:
    intent = bench.propose(reply_to=ASKED)
    (first,) = bench.told()
    for _ in range(2):
        bench.send(intent)
    assert bench.told() == [first, first]
    # The verdict's bytes are kept for minutes, but what it was for as long as the intent is known.
    bench.wait(GATE_SETTINGS.verdict_bytes_retention_ms + 60_000)
    bench.verdicts()
    bench.send(intent)
    assert bench.verdicts() == []
    assert bench.dead_letters(INTENT.name) == ["verdict_given_before"]
    assert bench.told() == [first]


def test_a_topic_that_is_missing_holds_up_nothing_and_is_found_once_it_is_there() -> None:
    bench = OutcomeBench(with_topics=False)
    assert bench.judge(reply_to=ASKED).outcome is Outcome.ALLOW
    assert bench.judge().outcome is Outcome.ALLOW
    bench.make_topics()
    assert bench.judge(reply_to=ASKED).outcome is Outcome.ALLOW
    assert len(bench.told()) == 1


def test_a_forged_intent_is_told_under_its_own_proof_only(bench: OutcomeBench) -> None:
    """So the agent whose intent id it took does not take the denial for its own."""
    genuine = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms, reply_to=ASKED)
    proof = msgspec.structs.replace(genuine.proof, value=b"\x01" * 32)
    bench.send(msgspec.structs.replace(genuine, proof=proof))
    assert bench.verdict().reason == "proof_invalid"
    (outcome,) = bench.told()
    assert outcome.intent_proof_digest != intent_proof_digest(genuine)
