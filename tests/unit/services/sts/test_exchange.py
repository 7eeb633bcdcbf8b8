"""What the service gives, through HTTP: of each kind of source, and what stands on the log for it."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.delegation.anchors import TrustAnchors
from streams.delegation.keys import Ed25519Key
from streams.delegation.verification import Standard, verify
from streams.model.audit import AuditEventType
from streams.model.proof import is_proven_event, session_secret, session_writer_key
from streams.model.session import SessionEventType
from streams.model.types import Actor, Model, SubProfile
from streams.sdk.agent.credential import OpenedWith
from streams.sdk.agent.delegation import Share, hand_on, tool
from streams.sdk.agent.token_exchange import ID_JAG, TXN_TOKEN, TokenRefusedError
from streams.sdk.entropy import SYSTEM, system_now_ms
from tests.unit.services.sts.house import AGENT, READ, ROOT_KEY, STS, SUB_AGENT, TENANT, WORKER, House

READ_ONLY = json.dumps([{"type": "stoplog_tools", "tools": [{"server_id": "files", "name": "read"}]}])


def key_pair() -> Ed25519Key:
    return Ed25519Key.of(Ed25519PrivateKey.generate())


def read_as_a_client(house: House, token: str, audience: str = "mail") -> dict[str, Any]:
    """As a resource server would, with another library, from the keys that are served."""
    kid = jwt.get_unverified_header(token)["kid"]
    keys = jwt.PyJWKSet.from_dict(house.http.get("/jwks").json())
    return jwt.decode(token, keys[kid].key, algorithms=["ES256"], audience=audience, issuer=STS)


def holds(house: House, session_id: str) -> None:
    """The session and its grant are on the log as a gate takes them, with the record of them, under one key."""
    [event] = [event for event in house.sessions() if event.session_id == session_id]
    [grant] = [grant for grant in house.grants() if grant.session_id == session_id]
    [audit] = [a for a in house.audits() if a.session_id == session_id]
    assert event.type is SessionEventType.SESSION_ESTABLISHED
    assert is_proven_event(session_writer_key(ROOT_KEY), event)
    assert (event.sub, event.act, event.scopes, event.expires) == (grant.sub, grant.act, grant.scopes, grant.exp)
    assert event.delegation_uid == grant.uid
    anchors = TrustAnchors(hmac_issuers=frozenset({STS}))
    path = verify(grant, TENANT, session_id, Standard(anchors=anchors, root_key=ROOT_KEY), system_now_ms())
    assert audit.event_type is AuditEventType.SESSION
    assert audit.reason == "token_issued"
    assert audit.delegation_path == tuple(body.uid for body in path)


def test_a_users_token_opens_a_session_for_an_agent(house: House) -> None:
    got = house.granted(purpose="answer mail", attended="true")
    assert got["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert got["token_type"] == "Bearer"
    assert 290 <= got["expires_in"] <= 300
    session_id = got["session_id"]
    secret = base64.urlsafe_b64decode(got["session_key"] + "=")
    assert secret == session_secret(ROOT_KEY, TENANT, session_id)
    holds(house, session_id)
    [event] = [event for event in house.sessions() if event.session_id == session_id]
    assert event.attended
    assert event.purpose == "answer mail"
    assert event.act == Actor(iss=house.agents.issuer, sub=AGENT, sub_profile=SubProfile.AI_AGENT)
    claims = read_as_a_client(house, got["access_token"])
    assert jwt.get_unverified_header(got["access_token"])["typ"] == "at+jwt"
    assert claims["act"] == {"iss": house.agents.issuer, "sub": AGENT}
    assert (claims["sub"], claims["client_id"], claims["sid"]) == ("alice", AGENT, session_id)
    assert claims["aud"] == [STS, "mail", "files"]
    assert claims["cnf"] == {"kid": session_id}
    assert claims["scope"] == "mail:send files:read"
    assert claims["purpose"] == "answer mail"
    [detail] = claims["authorization_details"]
    assert [one["name"] for one in detail["tools"]] == ["send", "read"]
    assert detail["tools"][0]["constraints"] == [{"argument": "/to", "type": "WILDCARD", "value": "*@acme.example"}]


def test_the_session_states_what_it_was_opened_with(house: House) -> None:
    model = Model(ai_provider="local", name="meta/small", version="3")
    stated = OpenedWith(model=model, system_prompt_digest=b"p" * 32, toolset_digest=b"t" * 32)
    with house.client() as sts:
        session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), opened_with=stated)
    [event] = [event for event in house.sessions() if event.session_id == session.credential.session_id]
    assert (
        OpenedWith(
            model=event.model, system_prompt_digest=event.system_prompt_digest, toolset_digest=event.toolset_digest
        )
        == stated
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_name": "small"},
        {"model_provider": "local"},
        {"model_version": "1"},
        {"model_provider": "local", "model_name": "x" * 513},
        {"model_provider": "local", "model_name": "a\nb"},
        {"system_prompt_digest": "abc"},
        {"toolset_digest": "AB" * 32},
    ],
)
def test_what_a_session_is_opened_with_must_be_well_formed(house: House, wrong: dict[str, str]) -> None:
    assert house.refused(**wrong) == ("invalid_request", "request_malformed")


def test_less_can_be_asked_for(house: House) -> None:
    got = house.granted(
        scope="files:read", authorization_details=READ_ONLY, audience="files", expires_in="60", max_depth="0"
    )
    holds(house, got["session_id"])
    claims = read_as_a_client(house, got["access_token"], "files")
    assert (claims["scope"], claims["aud"]) == ("files:read", [STS, "files"])
    assert claims["exp"] - claims["iat"] in (59, 60, 61)
    assert got["expires_in"] <= 60
    [grant] = [grant for grant in house.grants() if grant.session_id == got["session_id"]]
    assert grant.max_depth == 0


def test_a_users_token_bounds_scopes_and_life(house: House) -> None:
    got = house.granted(subject_token=house.users.token("alice", scope="openid files:read", exp=_in_s(30)))
    assert got["scope"] == "files:read"
    assert got["expires_in"] <= 30
    holds(house, got["session_id"])


def test_who_acted_before_is_told(house: House) -> None:
    before = {"sub": "portal", "act": {"sub": "gateway"}}
    got = house.granted(subject_token=house.users.token("alice", act=before))
    claims = read_as_a_client(house, got["access_token"])
    assert claims["act"] == {"iss": house.agents.issuer, "sub": AGENT, "act": before}
    for wrong in ("portal", {"sub": "x" * 3_000}):
        token = house.users.token("alice", act=wrong)
        assert house.refused(subject_token=token) == ("invalid_request", "claim_missing")


def test_a_transaction_token(house: House) -> None:
    token = house.txns.token("alice", typ="txntoken+jwt", txn="tx-7", scope="files:read", purp="refund")
    got = house.granted(subject_token=token, subject_token_type=TXN_TOKEN)
    claims = read_as_a_client(house, got["access_token"])
    assert (claims["txn"], claims["purpose"], claims["scope"]) == ("tx-7", "refund", "files:read")
    holds(house, got["session_id"])


def test_an_identity_assertion(house: House) -> None:
    token = house.jag.token("alice", typ="oauth-id-jag+jwt", client_id=AGENT, scope="files:read")
    got = house.granted(subject_token=token, subject_token_type=ID_JAG)
    assert got["scope"] == "files:read"
    holds(house, got["session_id"])


def test_an_agent_with_a_svid(house: House) -> None:
    svid = house.spiffe.token(WORKER, iss=None, jti=None, typ=None)
    for _ in range(2):  # such a token has no id, and is presented again and again while it lives
        got = house.granted(actor_token=svid)
        assert got["act"] == {"iss": "spiffe://acme.example", "sub": WORKER, "sub_profile": "WORKLOAD"}
        holds(house, got["session_id"])


def test_an_agent_with_a_key_of_its_own_gets_no_secret(house: House) -> None:
    key = key_pair()
    with house.client() as sts:
        session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), key=key)
    assert session.credential.secret == b""
    assert session.credential.signing_key is key
    claims = read_as_a_client(house, session.access_token)
    assert claims["cnf"] == {"jkt": key.jkt}
    holds(house, session.credential.session_id)
    [grant] = [grant for grant in house.grants() if grant.session_id == session.credential.session_id]
    assert (grant.cnf_jkt, grant.act.jkt) == (key.jkt, key.jkt)


class TestHandingOn:
    def test_by_the_service(self, house: House) -> None:
        with house.client() as sts:
            parent = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), purpose="answer mail")
            child = sts.hand_on(
                parent,
                house.agents.token(SUB_AGENT),
                scopes=["files:read"],
                authorization_details=json.loads(READ_ONLY),
                audience=["files"],
                life_s=60,
            )
        holds(house, child.credential.session_id)
        [event] = [event for event in house.sessions() if event.session_id == child.credential.session_id]
        assert event.parent_session_id == parent.credential.session_id
        assert (event.sub, event.purpose, event.attended) == ("alice", "answer mail", False)
        claims = read_as_a_client(house, child.access_token, "files")
        assert claims["sub"] == "alice"
        assert claims["act"] == {
            "iss": house.agents.issuer, "sub": SUB_AGENT, "act": {"iss": house.agents.issuer, "sub": AGENT}
        }  # fmt: skip
        assert child.credential.expires_ms <= parent.credential.expires_ms

    def test_by_who_holds_the_session(self, house: House) -> None:
        key, other = key_pair(), key_pair()
        with house.client() as sts:
            for parent_key, child_key in ((None, None), (key, None), (key, other), (None, other)):
                parent = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), key=parent_key)
                act = Actor(iss=house.agents.issuer, sub=SUB_AGENT, sub_profile=SubProfile.AI_AGENT)
                grant = delegated(parent, act, child_key)
                child = sts.receive(parent.access_token, grant, house.agents.token(SUB_AGENT), key=child_key)
                assert child.credential.session_id == grant.session_id
                holds(house, child.credential.session_id)
                with pytest.raises(TokenRefusedError) as raised:
                    sts.receive(parent.access_token, grant, house.agents.token(SUB_AGENT), key=child_key)
                assert raised.value.reason == "token_replayed"

    def test_down_to_the_greatest_depth(self, house: House) -> None:
        with house.client() as sts:
            session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
            for depth in (1, 2):
                session = sts.hand_on(session, house.agents.token(AGENT))
                assert session.credential.grant is not None
                assert session.credential.grant.depth == depth
            with pytest.raises(TokenRefusedError) as raised:
                sts.hand_on(session, house.agents.token(AGENT))
        assert (raised.value.code, raised.value.reason) == ("invalid_request", "depth_too_great")


def delegated(parent: Any, act: Actor, key: Ed25519Key | None, **share: Any) -> Any:
    header = parent.credential.grant.header
    now_ms = system_now_ms()
    what = {"scopes": ("files:read",), "tools": (tool("files/read"),), "audience": ("files",), "max_depth": 1} | share
    return hand_on(
        parent.credential,
        act,
        Share(cnf_jkt=None if key is None else key.jkt, ttl_ms=60_000, **what),
        uid=f"g-{SYSTEM.uuid(now_ms)}",
        header=type(header)(id=header.id, source="test", time=now_ms, tenant_uid=TENANT),
    )


def test_the_service_tells_of_itself(house: House) -> None:
    found = house.http.get("/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == STS
    assert found["token_endpoint"] == f"{STS}/token"
    assert "none" not in found["access_token_signing_alg_values_supported"]
    keys = house.http.get("/jwks").json()["keys"]
    assert len(keys) == 2  # the current one and the next
    assert all("d" not in key and key["use"] == "sig" for key in keys)


def test_nothing_of_a_session_is_told_that_is_secret(house: House) -> None:
    got = house.granted()
    assert got["session_key"] not in got["access_token"]
    assert READ["server"] in str(house.grants())
    everything = b"".join(path.read_bytes() for path in (house.folder / "sts").glob("memory.sqlite*"))
    assert got["session_key"].encode() not in everything


def _in_s(seconds: int) -> int:
    return system_now_ms() // 1_000 + seconds
