"""An agent gives its grant on, and signs with a key of its own; what it makes is what a gate accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, agent
from streams.delegation.digest import grant_digest, lineage_of
from streams.delegation.keys import Ed25519Key, verified_jkt
from streams.delegation.verification import verify
from streams.model.delegation import AuthorizationDetail, Budget, ConstraintType, Delegation
from streams.model.proof import proof_message
from streams.model.topics import DELEGATION
from streams.model.types import ProofAlg
from streams.sdk import Agent, DelegationError, SessionCredential
from streams.sdk.agent.delegation import Share, bound, tool
from streams.sdk.connection.transport import Transport
from tests.kit import GATE_SETTINGS, MAIL_SEND, START_MS, GateBench
from tests.unit.delegation.family import ANCHORS, MOTHERS_KEY, STANDARD, STRANGERS_KEY, session_key

RECEIVER = agent("writer")
MAIL = tool("mail/send", bound("/to", ConstraintType.WILDCARD, "*@example.com"), bound("/text", ConstraintType.ALL, []))


def credential_of(maker: SessionMaker, grant: Delegation | None, key: Ed25519Key | None = None) -> SessionCredential:
    return SessionCredential(
        tenant_uid=maker.tenant,
        session_id=maker.session_id,
        secret=maker.secret,
        sub=maker.sub,
        act=maker.act,
        expires_ms=START_MS,
        grant=grant,
        signing_key=key,
    )


class Bench:
    """A mother with a grant of two tools; her agents."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.now_ms = transport.now_ms()
        self.mother = SessionMaker("s-1", act="planner")
        self.opened: list[Agent] = []

    def grant(self, **changes: Any) -> Delegation:
        fields: dict[str, Any] = {
            "scopes": ("mail:send", "files:read"),
            "audience": ("mail", "files"),
            "authorization_details": (AuthorizationDetail(type="tools", tools=(MAIL, tool("files/read"))),),
        }
        return self.mother.grant("g-1", self.now_ms, **(fields | changes))

    def agent(self, grant: Delegation | None, key: Ed25519Key | None = None) -> Agent:
        made = Agent(self.transport, credential_of(self.mother, grant, key))
        self.opened.append(made)
        return made

    def holds(self, given: Delegation) -> bool:
        assert given.session_id is not None
        lineage = verify(given, "acme", given.session_id, STANDARD, self.transport.now_ms())
        return lineage[-1].uid == given.uid


@pytest.fixture
def bench(transport: Transport) -> Iterator[Bench]:
    made = Bench(transport)
    yield made
    for opened in made.opened:
        opened.close()


class TestGivingOn:
    def test_all_of_it(self, bench: Bench) -> None:
        grant = bench.grant()
        given = bench.agent(grant).delegate(RECEIVER)
        assert bench.holds(given)
        assert (given.depth, given.parent_uid, given.parent_digest) == (1, "g-1", grant_digest(grant))
        assert (given.scopes, given.audience, given.exp) == (grant.scopes, grant.audience, grant.exp)

    def test_a_part_of_it(self, bench: Bench) -> None:
        narrower = tool(
            "mail/send",
            bound("/to", ConstraintType.EXACT, "ann@example.com"),
            bound("/text", ConstraintType.WILDCARD, "*"),
        )
        share = Share(
            scopes=("mail:send",),
            tools=(narrower,),
            audience=("mail",),
            ttl_ms=1_000,
            max_depth=1,
            may_act=("nobody",),
            budget=Budget(calls=1),
            purpose="a letter to ann",
        )
        given = bench.agent(bench.grant()).delegate(RECEIVER, share, session_id="s-2", uid="g-2")
        assert bench.holds(given)
        assert (given.uid, given.session_id, given.exp - given.iat) == ("g-2", "s-2", 1_000)
        assert given.authorization_details[0].tools == (narrower,)

    def test_nothing_of_a_kind(self, bench: Bench) -> None:
        given = bench.agent(bench.grant()).delegate(RECEIVER, Share(scopes=(), tools=()))
        assert bench.holds(given)
        assert (given.scopes, given.authorization_details) == ((), ())

    def test_further_and_further(self, bench: Bench) -> None:
        """The receiver's agent gives on what it was given."""
        given = bench.agent(bench.grant()).delegate(RECEIVER, session_id="s-2")
        daughter = SessionMaker("s-2", act="writer")
        with Agent(bench.transport, credential_of(daughter, given)) as second:
            last = second.delegate(agent("sender"))
        assert bench.holds(last)
        assert [body.depth for body in lineage_of(last)] == [0, 1, 2]

    def test_it_can_travel(self, bench: Bench) -> None:
        given = bench.agent(bench.grant()).delegate(RECEIVER)
        assert (
            bench.transport.codec.decode(DELEGATION.name, bench.transport.codec.encode(DELEGATION.name, given)) == given
        )

    @pytest.mark.parametrize(
        ("share", "reason"),
        [
            (Share(scopes=("mail:send", "admin")), "delegation_widened_scopes"),
            (Share(audience=("bank",)), "delegation_widened_audience"),
            (Share(tools=(tool("mail/delete"),)), "mail/delete"),
            (Share(tools=(tool("mail/send"),)), "mail/send"),
            (Share(tools=(tool("mail/send", bound("/to", ConstraintType.UNKNOWN, 1)),)), "constraint_unknown"),
            (Share(tools=(tool("mail/send", bound("to", ConstraintType.EXACT, 1)),)), "delegation_malformed"),
            (Share(max_depth=5), "delegation_widened_limits"),
            (Share(scopes=("x",) * 300), "delegation_m|delegation_widened_scopes"),
        ],
    )
    def test_more_than_one_has_is_refused_before_it_is_sent(self, bench: Bench, share: Share, reason: str) -> None:
        with pytest.raises(DelegationError, match=reason):
            bench.agent(bench.grant()).delegate(RECEIVER, share)

    def test_what_may_not_be_given_on(self, bench: Bench) -> None:
        with pytest.raises(DelegationError, match="delegation_too_deep"):
            bench.agent(bench.grant(max_depth=0)).delegate(RECEIVER)
        with pytest.raises(DelegationError, match="delegation_actor_mismatch"):
            bench.agent(bench.grant(may_act=("reader",))).delegate(RECEIVER)

    def test_no_life(self, bench: Bench) -> None:
        with pytest.raises(DelegationError, match="has expired"):
            bench.agent(bench.grant(iat=bench.now_ms - 10, exp=bench.now_ms - 5)).delegate(RECEIVER)
        with pytest.raises(DelegationError, match="can't live 0 ms"):
            bench.agent(bench.grant()).delegate(RECEIVER, Share(ttl_ms=0))

    def test_no_grant(self, bench: Bench) -> None:
        with pytest.raises(DelegationError, match="has no grant"):
            bench.agent(None).delegate(RECEIVER)

    def test_a_name_that_is_no_tool(self) -> None:
        with pytest.raises(DelegationError, match="write `server/name`"):
            tool("send")


class TestOwnKeys:
    def test_a_bound_grant_is_given_on_with_its_key(self, bench: Bench) -> None:
        grant = bench.grant(cnf_jkt=MOTHERS_KEY.jkt)
        receivers_key = session_key(9)
        given = bench.agent(grant, MOTHERS_KEY).delegate(RECEIVER, Share(cnf_jkt=receivers_key.jkt))
        assert bench.holds(given)
        assert given.cnf_jkt == receivers_key.jkt

    @pytest.mark.parametrize("key", [None, STRANGERS_KEY])
    def test_without_its_key_it_is_not(self, bench: Bench, key: Ed25519Key | None) -> None:
        with pytest.raises(DelegationError, match="is bound to key"):
            bench.agent(bench.grant(cnf_jkt=MOTHERS_KEY.jkt), key).delegate(RECEIVER)

    def test_its_intents_are_signed_with_it(self, bench: Bench) -> None:
        grant = bench.grant(cnf_jkt=MOTHERS_KEY.jkt)
        intent = bench.agent(grant, MOTHERS_KEY).prepare("mail/send", {"to": "a"})
        assert intent.proof is not None
        assert (intent.proof.alg, intent.delegation_uid) == (ProofAlg.ED25519, "g-1")
        assert verified_jkt(intent.proof, proof_message(intent)) == MOTHERS_KEY.jkt
        assert "Ed25519" not in repr(bench.agent(grant, MOTHERS_KEY).credential)


def test_the_gate_takes_what_the_sdk_makes(transport: Transport) -> None:
    """From the mother's grant to a call of the daughter's, signed with her own key."""
    now_ms = transport.now_ms()
    mother, daughter = SessionMaker("s-1", act="planner"), SessionMaker("s-2", act="writer")
    daughters_key = session_key(7)
    grant = mother.grant("g-1", now_ms)
    gate = GateBench(settings=msgspec.structs.replace(GATE_SETTINGS, trust_anchors=ANCHORS), with_session=False)
    with Agent(transport, credential_of(mother, grant)) as agent_of_mother:
        given = agent_of_mother.delegate(
            daughter.act, Share(tools=(MAIL,), cnf_jkt=daughters_key.jkt), session_id="s-2", uid="g-2"
        )
    # The wall clock made it; the driven gate has a time of its own.
    gate.driver.advance(given.iat)
    gate.establish(daughter, delegation_uid="g-2")
    gate.driver.pipe(DELEGATION.name, daughter.key, given)
    daughter.delegation_uid = "g-2"
    reasons = [
        gate.judge(MAIL_SEND, {"to": to, "text": "hello"}, session=daughter, key=daughters_key).reason
        for to in ("ann@example.com", "ann@evil.example")
    ]
    assert reasons == ["permitted", "delegation_arguments_not_granted"]
