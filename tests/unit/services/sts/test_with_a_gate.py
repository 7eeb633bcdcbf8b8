"""From a user's token to a verdict: what the service writes, a gate takes; what it narrows, a gate holds agents to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from simulation.records import revocation, tool_ref
from streams.delegation.anchors import TrustAnchors
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import DelegationOp
from streams.model.proof import proven_event, session_writer_key
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import DELEGATION, INTENT, REVOCATION, SESSION
from streams.model.types import Header
from streams.model.verdict import Outcome, Verdict
from streams.processors.settings import GateSettings
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.intents import build_intent
from streams.sdk.agent.token_exchange import SessionToken, StsClient, TokenRefusedError
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.entropy import SYSTEM
from tests.kit import FILES_READ, MAIL_SEND, GateBench
from tests.unit.services.sts.house import AGENT, ROOT_KEY, STS, SUB_AGENT, TENANT, House
from tests.unit.services.sts.test_exchange import key_pair


class Deployment:
    """A token service and a gate, with one root key."""

    def __init__(self, house: House, sts: StsClient) -> None:
        self.house = house
        self.sts = sts
        anchors = TrustAnchors(hmac_issuers=frozenset({STS}))
        self.gate = GateBench(settings=GateSettings(root_key=ROOT_KEY, trust_anchors=anchors), with_session=False)
        self.gate.wait(SYSTEM.now_ms() - self.gate.now_ms)
        self.taken: set[str] = {event.header.id for event in (*house.grants(), *house.sessions())}

    def carry(self) -> None:
        """What is new on the service's log goes to the gate's."""
        for topic, records in ((DELEGATION, self.house.grants()), (SESSION, self.house.sessions())):
            for record in records:
                if record.header.id not in self.taken:
                    self.taken.add(record.header.id)
                    key = f"{record.header.tenant_uid}|{record.session_id}".encode()
                    self.gate.driver.pipe(topic.name, key, record)
        assert self.gate.dead_letters(SESSION.name) == []
        assert self.gate.dead_letters(DELEGATION.name) == []

    def open(self, **narrowing: Any) -> SessionToken:
        session = self.sts.exchange(self.house.users.token("alice"), self.house.agents.token(AGENT), **narrowing)
        self.carry()
        return session

    def judge(self, credential: SessionCredential, entry: ToolCatalogEntry, args: Mapping[str, Any]) -> Verdict:
        self.gate.verdicts()
        intent = build_intent(
            credential,
            tool_ref(entry),
            args,
            intent_id=SYSTEM.uuid(),
            header_id=SYSTEM.uuid(),
            source="agent",
            now_ms=self.gate.now_ms,
        )
        self.gate.driver.pipe(INTENT.name, credential.key, intent)
        return self.gate.verdict()


@pytest.fixture
def deployment(house: House) -> Iterator[Deployment]:
    with house.client() as sts:
        yield Deployment(house, sts)


@pytest.mark.parametrize("bound", [False, True])
def test_an_agent_may_do_what_it_was_given(deployment: Deployment, bound: bool) -> None:
    credential = deployment.open(key=key_pair() if bound else None).credential
    assert deployment.judge(credential, FILES_READ, {"path": "a.txt"}).outcome is Outcome.ALLOW
    verdict = deployment.judge(credential, MAIL_SEND, {"to": "bob@acme.example"})
    assert (verdict.outcome, verdict.reason) == (Outcome.ALLOW, Reason.PERMITTED)
    assert verdict.sub == "alice"
    outside = deployment.judge(credential, MAIL_SEND, {"to": "bob@outside.example"})
    assert outside.reason == Reason.DELEGATION_ARGUMENTS_NOT_GRANTED


def test_a_sub_agent_may_do_less_and_nothing_once_its_giver_is_stopped(deployment: Deployment) -> None:
    parent = deployment.open()
    child = deployment.sts.hand_on(parent, deployment.house.agents.token(SUB_AGENT), audience=["files"]).credential
    deployment.carry()
    assert deployment.judge(child, FILES_READ, {"path": "a.txt"}).outcome is Outcome.ALLOW
    assert deployment.judge(child, MAIL_SEND, {"to": "bob@acme.example"}).outcome is Outcome.DENY
    target = f"{TENANT}|{parent.credential.session_id}"
    key, revoked = revocation(RevocationKind.SESSION, target, time_ms=deployment.gate.now_ms)
    deployment.gate.driver.pipe(REVOCATION.name, key, revoked)
    ends = ((parent.credential, Reason.SESSION_REVOKED), (child, Reason.SESSION_PARENT_ENDED))
    for credential, reason in ends:
        assert deployment.judge(credential, FILES_READ, {"path": "a.txt"}).reason == reason


def take_back(deployment: Deployment, session: SessionToken) -> None:
    [grant] = [each for each in deployment.house.grants() if each.session_id == session.credential.session_id]
    taken = msgspec.structs.replace(grant, op=DelegationOp.REVOKE)
    deployment.gate.driver.pipe(DELEGATION.name, session.credential.key, taken)


def told(kind: SessionEventType) -> Callable[[Deployment, SessionToken], None]:
    """By another writer with the root key."""

    def tell(deployment: Deployment, session: SessionToken) -> None:
        now_ms, own = deployment.gate.now_ms, session.credential
        said = SessionEvent(
            header=Header(id=SYSTEM.uuid(), source="other", time=now_ms, tenant_uid=own.tenant_uid),
            session_id=own.session_id,
            sequence=now_ms,
            type=kind,
            sub=own.sub,
            act=own.act,
        )
        event = proven_event(session_writer_key(ROOT_KEY), said)
        deployment.gate.driver.pipe(SESSION.name, own.key, event)

    return tell


@pytest.mark.parametrize(
    "end",
    [
        take_back,
        told(SessionEventType.SESSION_ENDED),
        told(SessionEventType.SESSION_REVOKED),
        told(SessionEventType.TOKEN_CLAIMS_CHANGE),
    ],
    ids=["its grant taken back", "ended", "revoked", "its claims narrowed"],
)
def test_what_a_gate_has_ended_hands_nothing_on(deployment: Deployment, house: House, end: Any) -> None:
    """The service may not know it otherwise: rules freeze sessions, and gates end those that are idle or too old."""
    parent = deployment.open()
    end(deployment, parent)
    [(key, stop, _)] = deployment.gate.driver.read(REVOCATION.name)
    assert isinstance(stop, Revocation)
    publish(house.transport, [outgoing(house.transport, REVOCATION, key or b"", stop, stop.header)])
    assert house.running.parts.revocations.confirm(10_000)
    with pytest.raises(TokenRefusedError) as raised:
        deployment.sts.hand_on(parent, house.agents.token(SUB_AGENT), audience=["files"])
    assert raised.value.reason == "revoked"


def test_a_session_without_its_grant_may_do_nothing(deployment: Deployment) -> None:
    """An agent that says nothing of its grant has no more for it."""
    credential = deployment.open().credential
    without = replace(credential, delegation_uid=None, grant=None)
    assert deployment.judge(without, FILES_READ, {"path": "a.txt"}).outcome is Outcome.DENY


def test_another_root_key_opens_nothing(deployment: Deployment, house: House) -> None:
    stranger = GateBench(
        settings=GateSettings(root_key=bytes(32), trust_anchors=TrustAnchors(hmac_issuers=frozenset({STS}))),
        with_session=False,
    )
    stranger.wait(SYSTEM.now_ms() - stranger.now_ms)
    session = deployment.open().credential
    [event] = [event for event in house.sessions() if event.session_id == session.session_id]
    stranger.driver.pipe(SESSION.name, session.key, event)
    assert stranger.dead_letters(SESSION.name) == ["writer_unproven"]
