"""The agent on a log, with a hand in the gate's place that answers as the test wants."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

import msgspec
import pytest

from streams.model.canonical import sha256
from streams.model.intent import Intent, ReplyTo
from streams.model.keys import session_key_of
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.outcome import IntentOutcome, intent_proof_digest
from streams.model.proof import proof_message, session_report, session_secret, verify_hmac
from streams.model.session import SessionEventType
from streams.model.topics import INTENT, REPORT, VERDICT, outcome_topic_name
from streams.model.types import Model, ProofAlg, ToolRef
from streams.model.verdict import Outcome, Verdict
from streams.ports import LogError, Outgoing, Publisher, Reader, RetriableLogError
from streams.sdk import (
    Agent,
    AsyncAgent,
    CallContext,
    DevTokenService,
    OutcomeReadError,
    OutcomeTimeoutError,
    ProposalError,
    PublishError,
    SessionCredential,
    Toolset,
    prompt_digest,
)
from streams.sdk.connection.single_records import publish
from streams.sdk.connection.transport import Transport
from tests.unit.sdk.hands import (
    ACTOR,
    ROOT_KEY,
    TENANT,
    TOOL,
    GateHand,
    TransportOf,
    make_verdict,
    outcome_of,
    partition_of,
    raw_records,
    verdict_on,
    write,
)

ARGS = {"to": ["bob@example.com"], "subject": "grüße", "count": 3}


ANSWERED_MS = 4_000
"""An answer that is made has come after half of this, when an intent without one is sent again."""


@pytest.fixture
def credential(tokens: DevTokenService) -> SessionCredential:
    return tokens.open_session("alice", ACTOR, ("mail:send",))


@pytest.fixture
def agent(transport: Transport, credential: SessionCredential) -> Iterator[Agent]:
    with Agent(transport, credential) as opened:
        yield opened


def test_what_happened_beside_calls_is_reported_with_the_sessions_proof(
    transport: Transport, agent: Agent, credential: SessionCredential
) -> None:
    label = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PRIVATE)
    sent = agent.report(
        SessionEventType.RETRIEVAL, content_digest=sha256(b"a page"), label=label, sources=["wiki/a"], deployment="prod"
    )
    assert sent.sources == ("wiki/a",)
    (received,) = raw_records(transport, REPORT)
    event = transport.codec.decode(REPORT.name, received.value, received.headers)
    assert (received.key, event) == (credential.key, sent)
    secret = session_secret(ROOT_KEY, TENANT, credential.session_id)
    assert sent == session_report(secret, sent, "prod")
    for kind in (SessionEventType.TOOL_NOT_RUN, SessionEventType.SESSION_ENDED):
        with pytest.raises(ProposalError, match=f"an agent can't report {kind.value}"):
            agent.report(kind)
    with pytest.raises(ProposalError, match="there is no event of the kind `MESSAGE`"):
        agent.report("MESSAGE", content="hi")  # as people write it
    with pytest.raises(
        ProposalError, match=r"`sources` must be a sequence of texts, not one text: write `\('wiki',\)`"
    ):
        agent.report(SessionEventType.RETRIEVAL, content="hi", sources="wiki")
    assert len(raw_records(transport, REPORT)) == 1
    agent.report("USER_MESSAGE", content="hi")  # likewise
    assert len(raw_records(transport, REPORT)) == 2


def test_a_proposal_is_a_keyed_and_proven_record_and_gets_its_verdict(
    transport: Transport, credential: SessionCredential
) -> None:
    toolset = Toolset([TOOL])
    model = Model(ai_provider="example", name="large-1")
    context = CallContext(turn=4, conversation_id="c-1", traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    with (
        GateHand(transport, lambda intent: [verdict_on(intent)]),
        Agent(transport, credential, toolset=toolset, model=model) as agent,
    ):
        deadline_ms = transport.now_ms() + 60_000
        verdict = agent.propose("mail/send", ARGS, deadline_ms=deadline_ms, context=context)
    assert verdict.outcome is Outcome.ALLOW
    [received] = raw_records(transport, INTENT)
    assert received.key == session_key_of(TENANT, credential.session_id)
    assert received.partition == partition_of(received.key)
    assert dict(received.headers)["traceparent"] == (context.traceparent or "").encode()
    intent = transport.codec.decode(received.topic, received.value, received.headers)
    assert isinstance(intent, Intent)
    assert intent.args_json == '{"count":3,"subject":"grüße","to":["bob@example.com"]}'
    assert intent.args_digest == sha256(intent.args_json.encode())
    assert (intent.tool, intent.model, intent.turn) == (TOOL, model, 4)
    assert (intent.sub, intent.act, intent.deadline) == ("alice", ACTOR, deadline_ms)
    assert intent.toolset_digest == toolset.digest
    assert intent.tool_call_id == intent.intent_id
    assert intent.proof is not None
    assert intent.proof.alg is ProofAlg.HMAC_SHA256
    secret = session_secret(ROOT_KEY, TENANT, credential.session_id)
    assert verify_hmac(secret, proof_message(intent), intent.proof.value)
    assert (verdict.intent_id, verdict.intent_proof_digest) == (intent.intent_id, intent_proof_digest(intent))
    assert intent.reply_to == ReplyTo(topic="agent.outcome.acme.v1", partition=received.partition)


def test_an_agent_states_the_digest_of_its_prompt_with_each_call_and_proves_it(
    transport: Transport, credential: SessionCredential
) -> None:
    text = "You answer the customers' mail. 😀"
    with Agent(transport, credential, system_prompt=text) as agent:
        intent = agent.prepare(TOOL, ARGS)
        stated = agent.prepare(TOOL, ARGS, context=CallContext(system_prompt_digest=b"p" * 32))
    assert intent.system_prompt_digest == prompt_digest(text) == sha256(text.encode())
    assert stated.system_prompt_digest == b"p" * 32
    assert intent.proof is not None
    assert verify_hmac(credential.secret, proof_message(intent), intent.proof.value)
    forged = msgspec.structs.replace(intent, system_prompt_digest=b"p" * 32)
    assert not verify_hmac(credential.secret, proof_message(forged), intent.proof.value)


def test_a_prompt_that_is_no_text_is_refused_when_the_agent_is_opened(
    transport: Transport, credential: SessionCredential
) -> None:
    with pytest.raises(ProposalError, match="the system prompt is not valid Unicode"):
        Agent(transport, credential, system_prompt="half a \ud83d")


FOREIGN = {
    "another proof": {"intent_proof_digest": b"\x00" * 32},
    "another session": {"session_id": "s-other"},
    "another intent": {"intent_id": "0192f3c1-7a5b-7c3d-8e9f-0123456789ab"},
}


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN.keys())
def test_an_outcome_of_anything_but_the_call_that_was_asked_is_not_trusted(
    transport: Transport, agent: Agent, changes: dict[str, object]
) -> None:
    def answer(intent: Intent) -> list[Verdict | IntentOutcome]:
        return [outcome_of(intent, verdict_on(intent), **changes), verdict_on(intent, Outcome.DENY)]

    with GateHand(transport, answer):
        assert agent.propose("mail/send", ARGS).outcome is Outcome.DENY


def test_the_proof_covers_the_whole_call(agent: Agent) -> None:
    """So an outcome that names the proof is of this call, and not of another under its id."""
    intent = agent.prepare("mail/send", ARGS)
    others = {
        "args_digest": b"\x00" * 32,
        "tool": ToolRef(server_id="mail", name="delete"),
        "sub": "mallory",
        "act": msgspec.structs.replace(ACTOR, sub="other"),
        "reply_to": None,
    }
    for name, value in others.items():
        assert proof_message(msgspec.structs.replace(intent, **{name: value})) != proof_message(intent), name


def test_when_only_foreign_verdicts_come_the_timeout_says_so(transport: Transport, agent: Agent) -> None:
    with (
        GateHand(transport, lambda intent: [outcome_of(intent, verdict_on(intent), intent_proof_digest=b"\x00" * 32)]),
        pytest.raises(OutcomeTimeoutError, match="outcomes of another call under its id"),
    ):
        agent.propose("mail/send", ARGS, timeout_ms=ANSWERED_MS)


def test_a_verdict_under_another_sessions_key_is_not_trusted(transport: Transport, agent: Agent) -> None:
    others = next(
        f"{TENANT}|x{n}".encode()
        for n in range(100)
        if partition_of(f"{TENANT}|x{n}".encode()) == partition_of(agent.key)
    )

    def answer(intent: Intent) -> list[Verdict]:
        write(transport, outcome_of(intent, verdict_on(intent)), others)
        return [verdict_on(intent, Outcome.DENY)]

    with GateHand(transport, answer):
        assert agent.propose("mail/send", ARGS).outcome is Outcome.DENY


def test_without_an_outcome_topic_an_agent_learns_which_setting_makes_one(
    transport: Transport, credential: SessionCredential
) -> None:
    with pytest.raises(LogError, match=r"no topic `agent\.outcome\.other\.v1` .*name the tenant .* `topics\.tenants`"):
        Agent(transport, replace(credential, tenant_uid="other"))


def test_garbage_and_other_records_on_the_outcome_topic_are_passed_over(transport: Transport, agent: Agent) -> None:
    def answer(intent: Intent) -> list[Verdict]:
        place = partition_of(agent.key)
        topic = outcome_topic_name(TENANT)
        publish(transport, [Outgoing(topic, place, agent.key, value) for value in (None, b"", b"\x00garbage")])
        publish(transport, [Outgoing(topic, place, None, b"garbage")])
        verdict = make_verdict()
        publish(transport, [Outgoing(topic, place, agent.key, transport.codec.encode(VERDICT.name, verdict))])
        return [verdict_on(intent)]

    with GateHand(transport, answer):
        assert agent.propose("mail/send", ARGS).outcome is Outcome.ALLOW


@pytest.mark.parametrize("interim", [Outcome.REQUIRE_APPROVAL, Outcome.DEFER])
def test_an_interim_verdict_is_waited_beyond_or_returned_as_asked(
    transport: Transport, agent: Agent, interim: Outcome
) -> None:
    def answer(intent: Intent) -> list[Verdict]:
        return [verdict_on(intent, interim), verdict_on(intent, Outcome.DENY)]

    with GateHand(transport, answer):
        assert agent.propose("mail/send", ARGS).outcome is Outcome.DENY
        assert agent.propose("mail/send", ARGS, wait_final=False).outcome is interim


def test_a_final_verdict_that_does_not_come_leaves_the_interim_one_and_can_be_asked_for_again(
    transport: Transport, agent: Agent
) -> None:
    approved = threading.Event()

    def answer(intent: Intent) -> list[Verdict]:
        return [verdict_on(intent)] if approved.is_set() else [verdict_on(intent, Outcome.REQUIRE_APPROVAL)]

    with GateHand(transport, answer) as gate:
        with pytest.raises(OutcomeTimeoutError, match="REQUIRE_APPROVAL") as caught:
            agent.propose("mail/send", ARGS, timeout_ms=ANSWERED_MS)
        assert "a person has to decide (`stoplog approvals list`)" in str(caught.value)
        assert caught.value.interim is not None
        assert len(gate.intents) == 1, "what is being waited for is not lost, so it is not sent again"
        approved.set()
        assert agent.resend(caught.value.intent).outcome is Outcome.ALLOW
    assert {intent.intent_id for intent in gate.intents} == {caught.value.intent.intent_id}


def test_without_a_gate_the_timeout_says_what_to_check(agent: Agent, transport: Transport) -> None:
    with pytest.raises(OutcomeTimeoutError, match="stoplog doctor"):
        agent.propose("mail/send", ARGS, timeout_ms=100)
    assert len(raw_records(transport, INTENT)) == 2, "an unanswered intent is sent once more"


def test_a_lost_intent_is_sent_again_under_the_same_id(transport: Transport, agent: Agent) -> None:
    seen: list[str] = []

    def answer(intent: Intent) -> list[Verdict]:
        seen.append(intent.intent_id)
        return [] if len(seen) == 1 else [verdict_on(intent)]

    with GateHand(transport, answer):
        assert agent.propose("mail/send", ARGS, timeout_ms=2 * ANSWERED_MS).outcome is Outcome.ALLOW
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_a_repeated_verdict_does_no_harm(transport: Transport, agent: Agent) -> None:
    with GateHand(transport, lambda intent: [verdict_on(intent)] * 3):
        for _ in range(3):
            assert agent.propose("mail/send", ARGS).outcome is Outcome.ALLOW


def test_many_sessions_share_one_reading_thread_and_get_their_own_verdicts(
    transport: Transport, tokens: DevTokenService
) -> None:
    agents = [Agent(transport, tokens.open_session(f"user-{n}", ACTOR, ())) for n in range(8)]
    got: dict[int, list[str]] = {number: [] for number in range(8)}

    def work(number: int) -> None:
        for turn in range(5):
            verdict = agents[number].propose("mail/send", {"n": number, "turn": turn})
            got[number].append(verdict.session_id)

    before = threading.active_count()
    with GateHand(transport, lambda intent: [verdict_on(intent)]):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {n: [agent.credential.session_id] * 5 for n, agent in enumerate(agents)}
    assert threading.active_count() == before
    for agent in agents:
        agent.close()
        agent.close()
    with pytest.raises(ProposalError, match="closed"):
        agents[0].propose("mail/send", {})


def test_verdicts_of_before_the_agent_are_not_read(transport: Transport, credential: SessionCredential) -> None:
    with Agent(transport, credential) as agent:
        intent = agent.prepare("mail/send", ARGS)
    write(transport, outcome_of(intent, verdict_on(intent)), credential.key)
    with Agent(transport, credential) as agent, pytest.raises(OutcomeTimeoutError):
        agent.resend(intent, timeout_ms=200)


BAD_ARGS = {
    "an integer that other parsers change": {"n": 2**53 + 1},
    "a number that is none": {"n": float("nan")},
    "a key that is no text": {1: "x"},
    "text that is no Unicode": {"x": "\ud800"},
    "a value that is no JSON": {"x": object()},
    "nested too deep": {"x": reduce(lambda inner, _: [inner], range(100), 0)},
    "too large": {"x": "a" * 1_000_000},
}


@pytest.mark.parametrize("args", BAD_ARGS.values(), ids=BAD_ARGS.keys())
def test_arguments_that_can_not_be_sent_are_refused_before_they_are(
    transport: Transport, agent: Agent, args: dict[str, object]
) -> None:
    with pytest.raises(ProposalError):
        agent.propose("mail/send", args)
    assert raw_records(transport, INTENT) == []


@pytest.mark.parametrize("tool", ["send", "/send", "mail/", ""])
def test_a_tool_must_name_its_server(agent: Agent, tool: str) -> None:
    with pytest.raises(ProposalError, match="server/name"):
        agent.propose(tool, {})


def test_names_that_are_no_unicode_are_refused(agent: Agent) -> None:
    with pytest.raises(ProposalError):
        agent.propose("mail/send", {}, context=CallContext(txn="\ud800"))
    with pytest.raises(ProposalError):
        agent.propose("mail/send", {}, context=CallContext(traceparent="\ud800"))


def test_an_intent_of_another_session_is_not_sent(transport: Transport, tokens: DevTokenService, agent: Agent) -> None:
    with Agent(transport, tokens.open_session("bob", ACTOR, ())) as other:
        intent = other.prepare("mail/send", ARGS)
    with pytest.raises(ProposalError, match="not of this agent's"):
        agent.resend(intent)


def test_a_secret_does_not_show(credential: SessionCredential) -> None:
    assert credential.secret.hex() not in repr(credential)
    assert repr(credential.secret) not in repr(credential)


class FlakyPublisher:
    """Fails so many times, and then publishes."""

    def __init__(self, publisher: Publisher, failures: int) -> None:
        self._publisher = publisher
        self._failures = failures

    def publish(self, record: Outgoing) -> None:
        self._publisher.publish(record)

    def flush(self, timeout_ms: int) -> None:
        self._publisher.flush(timeout_ms)
        if self._failures:
            self._failures -= 1
            raise RetriableLogError("it is not known whether it is stored")

    def close(self) -> None:
        self._publisher.close()


class FlakyTransport(Transport):
    failures = 0
    reader_failures = 0
    flaky: FlakyPublisher | None = None

    def publisher(self) -> Publisher:
        if self.flaky is None:
            self.flaky = FlakyPublisher(super().publisher(), self.failures)
        return self.flaky

    def reader(self) -> Reader:
        if self.reader_failures:
            self.reader_failures -= 1
            raise RetriableLogError("no connection")
        return super().reader()


def flaky(transport_of: TransportOf, **attributes: int) -> FlakyTransport:
    made = transport_of(FlakyTransport)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def test_a_publish_of_unknown_outcome_is_repeated_a_few_times(
    transport: Transport, transport_of: TransportOf, credential: SessionCredential
) -> None:
    with (
        flaky(transport_of, failures=2) as twice,
        GateHand(transport, lambda intent: [verdict_on(intent)]) as gate,
        Agent(twice, credential) as agent,
    ):
        assert agent.propose("mail/send", ARGS).outcome is Outcome.ALLOW
    assert len({intent.intent_id for intent in gate.intents}) == 1
    with flaky(transport_of, failures=3) as often, Agent(often, credential) as agent, pytest.raises(PublishError):
        agent.propose("mail/send", ARGS)


def test_a_reader_that_fails_for_a_while_is_opened_again(
    transport: Transport, transport_of: TransportOf, credential: SessionCredential
) -> None:
    with (
        flaky(transport_of, reader_failures=2) as shaky,
        GateHand(transport, lambda intent: [verdict_on(intent)]),
        Agent(shaky, credential) as agent,
    ):
        assert agent.propose("mail/send", ARGS).outcome is Outcome.ALLOW


def test_a_reader_that_keeps_failing_is_told(transport_of: TransportOf, credential: SessionCredential) -> None:
    with flaky(transport_of, reader_failures=10_000) as lost, pytest.raises(OutcomeReadError, match="no connection"):
        Agent(lost, credential)


def test_closing_the_transport_ends_the_waiting(transport_of: TransportOf, credential: SessionCredential) -> None:
    closing = flaky(transport_of)
    agent = Agent(closing, credential)
    timer = threading.Timer(0.2, closing.close)
    timer.start()
    begun_s = time.monotonic()
    with pytest.raises(OutcomeReadError, match="closed"):
        agent.propose("mail/send", ARGS, timeout_ms=600_000)
    assert time.monotonic() - begun_s < 60
    timer.join()


def test_the_same_for_asyncio(transport: Transport, tokens: DevTokenService) -> None:
    def answer(intent: Intent) -> list[Verdict]:
        return [] if '"silent"' in intent.args_json else [verdict_on(intent)]

    async def scenario() -> None:
        credential = tokens.open_session("alice", ACTOR, ())
        async with await AsyncAgent.open(transport, credential) as agent:
            verdicts = await asyncio.gather(*(agent.propose("mail/send", {"n": n}) for n in range(50)))
            assert len({verdict.intent_id for verdict in verdicts}) == 50
            with pytest.raises(OutcomeTimeoutError, match="stoplog doctor"):
                await agent.propose("mail/send", {"silent": True}, timeout_ms=200)
            with pytest.raises(ProposalError):
                await agent.propose("mail", {})
            waiting = asyncio.create_task(agent.propose("mail/send", {"silent": True}))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            verdict = await agent.propose("mail/send", {})
            assert verdict.outcome is Outcome.ALLOW

    with GateHand(transport, answer):
        asyncio.run(scenario())


def test_a_toolset_pins_what_was_listed() -> None:
    listing = [{"name": "send", "inputSchema": {"type": "object"}}, {"name": "list", "inputSchema": {"type": "object"}}]
    toolset = Toolset.from_listings({"mail": listing})
    assert sorted(toolset) == ["mail/list", "mail/send"]
    assert toolset["mail/send"].definition_digest != toolset["mail/list"].definition_digest
    changed = Toolset.from_listings({"mail": [{**listing[0], "description": "new"}, listing[1]]})
    assert changed["mail/send"].definition_digest != toolset["mail/send"].definition_digest
    assert changed.digest != toolset.digest
    assert Toolset.from_listings({"mail": listing[::-1]}).digest == toolset.digest
    with pytest.raises(ProposalError, match="without a name"):
        Toolset.from_listings({"mail": [{"inputSchema": {}}]})
    with pytest.raises(ProposalError, match="can't be pinned"):
        Toolset.from_listings({"mail": [{"name": "send", "inputSchema": {"maximum": float("inf")}}]})


def test_no_more_intents_wait_than_is_bounded(
    transport: Transport, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.sdk.connection.inbox.WAITING_MAX", 1)
    first, second = (agent.prepare("mail/send", {"n": n}) for n in range(2))
    waiting = agent.expect(first, wait_final=True)
    with pytest.raises(ProposalError, match="wait for their outcomes already"):
        agent.resend(second)
    agent.forget(waiting)
    again = agent.expect(first, wait_final=True)
    monkeypatch.undo()
    with pytest.raises(ProposalError, match="being waited for already"):
        agent.resend(first)
    agent.forget(again)
