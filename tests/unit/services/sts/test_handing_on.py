"""What is refused when a session is handed on, and what is not handed on after a stop."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from simulation.records import revocation
from streams.model.delegation import GrantBody
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.topics import REVOCATION
from streams.model.types import Actor, SubProfile
from streams.sdk.agent.token_exchange import (
    ACCESS_TOKEN,
    JWT,
    TXN_TOKEN,
    SessionToken,
    TokenRefusedError,
    exchange_proof,
)
from streams.sdk.connection.single_records import outgoing, publish
from tests.unit.services.sts.house import (
    AGENT,
    INVALID,
    READ,
    STRANGER,
    STS,
    SUB_AGENT,
    TENANT,
    House,
    open_house,
    profile,
    tools,
)
from tests.unit.services.sts.issuers import Issuer, b64, now_s
from tests.unit.services.sts.test_exchange import delegated, key_pair


@pytest.fixture(scope="module")
def parent(house: House) -> SessionToken:
    with house.client() as sts:
        return sts.exchange(house.users.token("alice"), house.agents.token(AGENT))


class TestHandingOn:
    def handed(self, house: House, parent: SessionToken, **changes: Any) -> tuple[str, str]:
        form = {"subject_token": parent.access_token, "subject_token_type": ACCESS_TOKEN} | changes
        return house.refused(**{"actor_token": house.agents.token(SUB_AGENT), **form})

    def test_a_token_alone_is_not_enough(self, house: House, parent: SessionToken) -> None:
        assert self.handed(house, parent) == (INVALID, "proof_missing")
        proof = b64(bytes(32))
        assert self.handed(house, parent, subject_proof=proof) == (INVALID, "proof_invalid")

    def test_a_proof_is_for_one_receiver(self, house: House, parent: SessionToken) -> None:
        form = house.form(subject_token=parent.access_token, subject_token_type=ACCESS_TOKEN)
        proof = b64(exchange_proof(parent.credential.secret, form.items(), None))
        assert self.handed(house, parent, subject_proof=proof) == (INVALID, "proof_invalid")

    @pytest.mark.parametrize(
        ("narrowing", "refused"),
        [
            ({"scopes": ["mail:send"]}, ("invalid_scope", "scope_too_wide")),
            ({"audience": ["mail"]}, ("invalid_target", "target_too_wide")),
            ({"life_s": 400}, (INVALID, "life_too_long")),
            ({"max_depth": 4}, (INVALID, "depth_too_great")),
            ({"max_depth": 0}, (INVALID, "depth_too_great")),
            (
                {"authorization_details": json.loads(tools({"server_id": "mail", "name": "send"}))},
                ("invalid_authorization_details", "tools_too_wide"),
            ),
        ],
    )
    def test_no_more_than_there_is(
        self, house: House, parent: SessionToken, narrowing: dict[str, Any], refused: tuple[str, str]
    ) -> None:
        with house.client() as sts, pytest.raises(TokenRefusedError) as raised:
            sts.hand_on(parent, house.agents.token(SUB_AGENT), **narrowing)
        assert (raised.value.code, raised.value.reason) == refused

    def test_a_grant_for_somebody_else(self, house: House, parent: SessionToken) -> None:
        for act in (
            Actor(iss=house.agents.issuer, sub=AGENT, sub_profile=SubProfile.AI_AGENT),
            Actor(iss="https://elsewhere.example", sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT),
            Actor(iss=house.agents.issuer, sub=SUB_AGENT, sub_profile=SubProfile.USER),
        ):
            with house.client() as sts, pytest.raises(TokenRefusedError) as raised:
                sts.receive(parent.access_token, delegated(parent, act, None), house.agents.token(SUB_AGENT))
            assert raised.value.reason == "actor_not_allowed"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"sub": "mallory"}, "grant_invalid"),
            ({"tenant_uid": "other"}, "grant_invalid"),
            ({"scopes": ("files:read", "mail:send")}, "scope_too_wide"),
            ({"scopes": ("files:read", "admin")}, "scope_too_wide"),
            ({"audience": ("bank",)}, "target_too_wide"),
            ({"max_depth": 3}, "limits_too_wide"),
            ({"depth": 0}, "grant_invalid"),
            ({"parent_uid": "g-other"}, "grant_invalid"),
            ({"parent_digest": bytes(32)}, "grant_invalid"),
            ({"proof": None}, "grant_invalid"),
            ({"session_id": "a b"}, "grant_invalid"),
            ({"session_id": None}, "grant_invalid"),
            ({"uid": "x"}, "grant_invalid"),
            ({"purpose": "anything"}, "grant_invalid"),
        ],
    )
    def test_a_grant_that_was_changed(
        self, house: House, parent: SessionToken, change: dict[str, Any], reason: str
    ) -> None:
        import msgspec

        act = Actor(iss=house.agents.issuer, sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT)
        changed = msgspec.structs.replace(delegated(parent, act, None), **change)
        with house.client() as sts, pytest.raises(TokenRefusedError) as raised:
            sts.receive(parent.access_token, changed, house.agents.token(SUB_AGENT))
        assert raised.value.reason == reason

    def test_a_grant_of_another_session(self, house: House, parent: SessionToken) -> None:
        act = Actor(iss=house.agents.issuer, sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT)
        with house.client() as sts:
            other = sts.exchange(house.users.token("bob"), house.agents.token(AGENT))
            with pytest.raises(TokenRefusedError) as raised:
                sts.receive(parent.access_token, delegated(other, act, None), house.agents.token(SUB_AGENT))
        assert raised.value.reason == "grant_invalid"

    def test_a_session_cannot_be_put_in_the_place_of_another(self, house: House, parent: SessionToken) -> None:
        """Who makes the grant does not choose the session's id."""
        act = Actor(iss=house.agents.issuer, sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT)
        from streams.delegation.digest import lineage_of
        from streams.delegation.issuance import sign_hop
        from streams.delegation.keys import hop_grant_key

        grant = delegated(parent, act, None)
        with house.client() as sts:
            victim = sts.exchange(house.users.token("bob"), house.agents.token(AGENT))
            import msgspec

            assert parent.credential.grant is not None
            above = lineage_of(parent.credential.grant)[-1]
            body: GrantBody = msgspec.structs.replace(grant, session_id=victim.credential.session_id)
            stolen = sign_hop(body, above, hop_grant_key(parent.credential.secret))
            with pytest.raises(TokenRefusedError) as raised:
                sts.receive(parent.access_token, stolen, house.agents.token(SUB_AGENT))
        assert raised.value.reason == "grant_invalid"

    def test_beside_a_grant_nothing_is_said(self, house: House, parent: SessionToken) -> None:
        import msgspec

        from streams.delegation.digest import body_of

        act = Actor(iss=house.agents.issuer, sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT)
        grant = b64(msgspec.json.encode(body_of(delegated(parent, act, None))))
        assert self.handed(house, parent, grant=grant, scope="files:read") == (INVALID, "request_malformed")

    def test_a_session_that_has_a_key_needs_its_signature(self, house: House) -> None:
        key = key_pair()
        with house.client() as sts:
            bound = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), key=key)
        assert self.handed(house, bound, subject_proof=b64(bytes(32))) == (INVALID, "proof_missing")

    def test_a_token_of_this_service_that_it_did_not_sign(self, house: House, parent: SessionToken) -> None:
        header, claims, signature = parent.access_token.split(".")
        wide = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"sub": "mallory"}
        token = f"{header}.{b64(json.dumps(wide).encode())}.{signature}"
        assert self.handed(house, parent, subject_token=token) == (INVALID, "signature_invalid")
        mine = Issuer(STS, STS)
        token = mine.token("alice", typ="at+jwt", aud=[STS], jti="t-1")
        assert self.handed(house, parent, subject_token=token) == (INVALID, "key_unknown")

    def test_a_token_of_this_service_is_no_users(self, house: House, parent: SessionToken) -> None:
        refused = house.refused(subject_token=parent.access_token, subject_token_type=JWT)
        assert refused == (INVALID, "token_type_wrong")


class TestKilled:
    """What was revoked is not handed on, and nothing is opened for it."""

    @pytest.mark.parametrize(
        ("kind", "target"),
        [
            (RevocationKind.SUBJECT, f"{TENANT}|carol"),
            (RevocationKind.AGENT, f"{TENANT}|{AGENT}"),
            (RevocationKind.TENANT, TENANT),
            (RevocationKind.ALL, "*"),
        ],
    )
    def test_no_session_is_opened(self, tmp_path: Path, kind: RevocationKind, target: str) -> None:
        with open_house(tmp_path) as house:
            revoke(house, kind, target)
            assert house.refused(subject_token=house.users.token("carol")) == (INVALID, "revoked")
            revoke(house, kind, target, RevocationState.RELEASED)
            house.granted(subject_token=house.users.token("carol"))

    def test_what_is_taken_back_of_tools_and_models_is_for_gates(self, house: House) -> None:
        """Sessions go on being opened: they may use others."""
        for kind, target in ((RevocationKind.MODEL, "example/large"), (RevocationKind.TOOL, "mail/send")):
            revoke(house, kind, target)
            house.granted(subject_token=house.users.token("carol"))
            revoke(house, kind, target, RevocationState.RELEASED)

    def test_a_session_that_was_revoked_hands_nothing_on(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, house.client() as sts:
            parent = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
            child = sts.hand_on(parent, house.agents.token(SUB_AGENT))
            revoke(house, RevocationKind.SESSION, f"{TENANT}|{parent.credential.session_id}")
            for session in (parent, child):
                with pytest.raises(TokenRefusedError) as raised:
                    sts.hand_on(session, house.agents.token(SUB_AGENT))
                assert raised.value.reason == "revoked"
            assert not sts.introspect(child.access_token, house.agents.token(SUB_AGENT))["active"]

    def test_what_a_killed_agent_has_given_on_is_not_given_on_further(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, house.client() as sts:
            child = sts.hand_on(
                sts.exchange(house.users.token("alice"), house.agents.token(AGENT)), house.agents.token(SUB_AGENT)
            )
            revoke(house, RevocationKind.AGENT, f"{TENANT}|{AGENT}")
            with pytest.raises(TokenRefusedError) as raised:
                sts.hand_on(child, house.agents.token(SUB_AGENT))
            assert raised.value.reason == "revoked"
            assert not sts.introspect(child.access_token, house.agents.token(SUB_AGENT))["active"]


def revoke(house: House, kind: RevocationKind, target: str, state: RevocationState = RevocationState.REVOKED) -> None:
    key, record = revocation(kind, target, time_ms=house.transport.now_ms(), state=state)
    assert isinstance(record, Revocation)
    publish(house.transport, [outgoing(house.transport, REVOCATION, key, record, record.header)])
    # The service follows the topic: what is there counts by the next confirmation at the latest.
    watch = house.running.parts.revocations
    assert watch.confirm(10_000)


class TestAttendance:
    def test_only_of_a_user_who_was_there(self, house: House, parent: SessionToken) -> None:
        old = now_s() - 1_000
        for token in (
            house.users.token("alice", iat=old),
            house.users.token("alice", auth_time=old),
            house.users.token("alice", iat=None),
        ):
            assert house.refused(subject_token=token, attended="true") == (INVALID, "not_attended")
            house.granted(subject_token=token)
        token = house.txns.token("alice", typ="txntoken+jwt", txn="1")
        refused = house.refused(subject_token=token, subject_token_type=TXN_TOKEN, attended="true")
        assert refused == (INVALID, "not_attended")
        with house.client() as sts, pytest.raises(TokenRefusedError) as raised:
            sts.hand_on(parent, house.agents.token(SUB_AGENT), attended=True)
        assert raised.value.reason == "not_attended"


class TestMayAct:
    def test_who_may_have_it_from_an_agent(self, tmp_path: Path) -> None:
        agents = Issuer("https://agents.example", STS).issuer
        listed = {
            "assistant": profile(agents, AGENT, may_act=[SUB_AGENT]),
            "helper": profile(agents, SUB_AGENT, tools=[READ], scopes=[]),
            "stranger": profile(agents, STRANGER, tools=[READ], scopes=[]),
        }
        with open_house(tmp_path, agents=listed) as house, house.client() as sts:
            parent = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
            child = sts.hand_on(parent, house.agents.token(SUB_AGENT))
            for session in (parent, child):
                with pytest.raises(TokenRefusedError) as raised:
                    sts.hand_on(session, house.agents.token(STRANGER))
                assert (raised.value.code, raised.value.reason) == (INVALID, "actor_not_allowed")

    def test_a_grant_that_its_receiver_could_hand_on_to_anybody(self, tmp_path: Path) -> None:
        agents = Issuer("https://agents.example", STS).issuer
        listed = {
            "assistant": profile(agents, AGENT),
            "helper": profile(agents, SUB_AGENT, tools=[READ], scopes=["files:read"], may_act=[AGENT], max_depth=1),
        }
        act = Actor(iss=agents, sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT)
        with open_house(tmp_path, agents=listed) as house, house.client() as sts:
            parent = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
            for share in ({"max_depth": 2}, {"max_depth": 2, "may_act": (AGENT, STRANGER)}):
                with pytest.raises(TokenRefusedError) as raised:
                    sts.receive(
                        parent.access_token, delegated(parent, act, None, **share), house.agents.token(SUB_AGENT)
                    )
                assert raised.value.reason == "limits_too_wide"
            for share in ({"max_depth": 2, "may_act": (AGENT,)}, {"max_depth": 1}):
                sts.receive(parent.access_token, delegated(parent, act, None, **share), house.agents.token(SUB_AGENT))

    def test_names_of_agents_are_not_shared_between_issuers(self, tmp_path: Path) -> None:
        agents = Issuer("https://agents.example", STS).issuer
        listed = {
            "assistant": profile("https://far.example", AGENT),
            "others": profile(agents, "*"),
        }
        with open_house(tmp_path, agents=listed) as house:
            assert house.refused() == ("unauthorized_client", "agent_unknown")
            house.granted(actor_token=house.agents.token(STRANGER))

    def test_whose_users_an_agent_may_act_for(self, tmp_path: Path) -> None:
        agents = Issuer("https://agents.example", STS).issuer
        listed = {"assistant": profile(agents, AGENT, sources=["txns"])}
        with open_house(tmp_path, agents=listed) as house:
            assert house.refused() == (INVALID, "actor_not_allowed")
            token = house.txns.token("alice", typ="txntoken+jwt", txn="1")
            house.granted(subject_token=token, subject_token_type=TXN_TOKEN)

    def test_an_agent_that_must_have_a_key(self, tmp_path: Path) -> None:
        agents = Issuer("https://agents.example", STS).issuer
        with open_house(tmp_path, agents={"assistant": profile(agents, AGENT, bound=True)}) as house:
            assert house.refused() == (INVALID, "proof_missing")
