"""What the service refuses, each with the code of OAuth and its own reason; and what it puts on record of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulation.records import revocation
from streams.delegation.keys import Ed25519Key
from streams.model.audit import AuditEventType
from streams.model.delegation import GrantBody
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.token_reasons import TOKEN_TEXTS, TokenReason
from streams.model.topics import REVOCATION
from streams.model.types import Actor, SubProfile
from streams.sdk.entropy import SYSTEM
from streams.sdk.single_records import outgoing, publish
from streams.sdk.token_exchange import (
    ACCESS_TOKEN,
    ID_JAG,
    JWT,
    TXN_TOKEN,
    SessionToken,
    TokenRefusedError,
    exchange_proof,
)
from tests.unit.services.sts.house import AGENT, READ, STRANGER, STS, SUB_AGENT, TENANT, House, open_house, profile
from tests.unit.services.sts.issuers import Issuer, now_s, public_jwk
from tests.unit.services.sts.test_exchange import delegated, key_pair

INVALID = "invalid_request"
Forge = Callable[[House], str]
TOKENS: dict[str, tuple[str, Forge]] = {}


def forged(reason: str) -> Callable[[Forge], Forge]:
    """A token of a user that is not taken; its name says why."""

    def register(make: Forge) -> Forge:
        TOKENS[make.__name__] = (reason, make)
        return make

    return register


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


@forged("algorithm_not_allowed")
def without_a_signature(house: House) -> str:
    return by_hand({"alg": "none", "kid": "k1"}, house.users.claims("alice"), lambda _: b"")


@forged("algorithm_not_allowed")
def signed_with_the_public_key_as_a_secret(house: House) -> str:
    _, key = house.users.keys["k1"]
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(data: bytes) -> bytes:
        return hmac.digest(pem, data, "sha256")

    return by_hand({"alg": "HS256", "kid": "k1"}, house.users.claims("alice"), sign)


@forged("algorithm_not_allowed")
def signed_with_an_algorithm_of_another_kind_of_key(house: House) -> str:
    return by_hand({"alg": "RS256", "kid": "k1"}, house.users.claims("alice"), lambda _: bytes(256))


@forged("algorithm_not_allowed")
def signed_with_an_algorithm_that_the_source_does_not_use(house: House) -> str:
    return by_hand({"alg": "ES512", "kid": "k1"}, house.users.claims("alice"), lambda _: bytes(132))


@forged("header_not_allowed")
def with_a_key_of_its_own(house: House) -> str:
    mine = Issuer(house.users.issuer, STS)
    return mine.token("alice", headers={"jwk": mine.jwk("k1")})


@forged("header_not_allowed")
def with_a_place_for_its_keys(house: House) -> str:
    return Issuer(house.users.issuer, STS).token("alice", headers={"jku": "https://evil.example/jwks"})


@forged("header_not_allowed")
def with_a_certificate_of_its_own(house: House) -> str:
    return Issuer(house.users.issuer, STS).token("alice", headers={"x5u": "https://evil.example/cert"})


@forged("header_not_allowed")
def with_something_critical(house: House) -> str:
    return house.users.token("alice", headers={"crit": ["exp"]})


@forged("signature_invalid")
def signed_by_somebody_else(house: House) -> str:
    return Issuer(house.users.issuer, STS).token("alice")


@forged("signature_invalid")
def with_another_user_put_in(house: House) -> str:
    header, _, signature = house.users.token("alice").split(".")
    return f"{header}.{b64(json.dumps(house.users.claims('mallory')).encode())}.{signature}"


@forged("signature_invalid")
def with_an_empty_signature(house: House) -> str:
    return house.users.token("alice").rpartition(".")[0] + "."


@forged("key_unknown")
def of_a_key_that_is_not_there(house: House) -> str:
    mine = Issuer(house.users.issuer, STS, kid="k9")
    return mine.token("alice", kid="k9")


@forged("key_unknown")
def of_no_key(house: House) -> str:
    return by_hand({"alg": "ES256"}, house.users.claims("alice"), lambda _: bytes(64))


@forged("issuer_unknown")
def of_an_issuer_that_nobody_named(house: House) -> str:
    return Issuer("https://evil.example", STS).token("alice")


@forged("issuer_unknown")
def of_an_issuer_of_agents(house: House) -> str:
    return house.agents.token("alice")


@forged("issuer_unknown")
def of_no_issuer(house: House) -> str:
    return house.users.token("alice", iss=None)


@forged("audience_wrong")
def for_somebody_else(house: House) -> str:
    return house.users.token("alice", aud="https://shop.example")


@forged("audience_wrong")
def for_nobody(house: House) -> str:
    return house.users.token("alice", aud=None)


@forged("token_expired")
def that_has_expired(house: House) -> str:
    return house.users.token("alice", iat=now_s() - 600, exp=now_s() - 1)


@forged("claim_missing")
def that_never_expires(house: House) -> str:
    return house.users.token("alice", exp=None)


@forged("claim_missing")
def that_expires_at_a_text(house: House) -> str:
    _, key = house.users.keys["k1"]
    import jwt.api_jws

    claims = json.dumps(house.users.claims("alice", exp="never")).encode()
    return jwt.api_jws.encode(claims, key, algorithm="ES256", headers={"kid": "k1", "typ": "JWT"})


@forged("token_from_future")
def that_was_issued_in_the_future(house: House) -> str:
    return house.users.token("alice", iat=now_s() + 120)


@forged("token_not_yet_valid")
def that_is_not_valid_yet(house: House) -> str:
    return house.users.token("alice", nbf=now_s() + 120)


@forged("token_lives_too_long")
def that_lives_for_a_week(house: House) -> str:
    return house.users.token("alice", exp=now_s() + 7 * 86_400)


@forged("token_type_wrong")
def of_another_type(house: House) -> str:
    return house.users.token("alice", typ="logout+jwt")


@forged("token_type_wrong")
def of_the_type_of_access_tokens(house: House) -> str:
    return house.users.token("alice", typ="at+jwt")


@forged("claim_missing")
def of_nobody(house: House) -> str:
    return house.users.token("")


@forged("claim_missing")
def of_a_user_with_a_line_break(house: House) -> str:
    return house.users.token("alice\nbob")


@forged("claim_missing")
def of_a_user_with_half_a_character(house: House) -> str:
    return house.users.token("alice\ud800")


@forged("token_malformed")
def that_is_no_token(house: House) -> str:
    return "a.b"


@forged("token_malformed")
def that_is_no_json(house: House) -> str:
    return f"{b64(b'{')}.{b64(b'{}')}.aa"


@forged("token_malformed")
def with_a_claim_twice(house: House) -> str:
    _, key = house.users.keys["k1"]
    import jwt.api_jws

    claims = json.dumps(house.users.claims("alice"))[:-1] + ', "sub": "mallory"}'
    return jwt.api_jws.encode(claims.encode(), key, algorithm="ES256", headers={"kid": "k1", "typ": "JWT"})


@forged("token_malformed")
def that_is_too_large(house: House) -> str:
    return house.users.token("alice", more="x" * 20_000)


@forged("token_malformed")
def that_is_nested_deeply(house: House) -> str:
    return f"{b64(b'[' * 1_000)}.{b64(b'{}')}.aa"


@forged("actor_not_allowed")
def that_lets_another_agent_act(house: House) -> str:
    return house.users.token("alice", may_act={"sub": "another"})


@forged("actor_not_allowed")
def that_lets_an_agent_of_another_issuer_act(house: House) -> str:
    return house.users.token("alice", may_act={"sub": AGENT, "iss": "https://elsewhere.example"})


@forged("claim_missing")
def with_may_act_that_is_none(house: House) -> str:
    return house.users.token("alice", may_act=AGENT)


@pytest.mark.parametrize("name", TOKENS)
def test_a_users_token_is_not_taken(house: House, name: str) -> None:
    reason, make = TOKENS[name]
    before = {audit.header.id for audit in house.audits()}
    assert house.refused(subject_token=make(house)) == (INVALID, reason)
    audit = house.new_audit(before)
    assert (audit.event_type, audit.reason) == (AuditEventType.REFUSAL, reason)
    assert (audit.act.sub, audit.session_id) == (AGENT, "")


AS_ACTOR = {
    name: case
    for name, case in TOKENS.items()
    if "may_act" not in name and "act" not in name and name not in ("of_an_issuer_of_agents",)
}


@pytest.mark.parametrize("name", AS_ACTOR)
def test_nor_is_an_agents(house: House, name: str) -> None:
    """The same of an agent: what is made is of users, so it is not of an agent's issuer, or is wrong before that."""
    _, make = AS_ACTOR[name]
    code, reason = house.refused(actor_token=make(house))
    assert (code, reason) in {
        (INVALID, AS_ACTOR[name][0]),
        (INVALID, "issuer_unknown"),
        ("unauthorized_client", "agent_unknown"),
    }


def test_one_that_lets_this_agent_act_is_taken(house: House) -> None:
    house.granted(subject_token=house.users.token("alice", may_act={"sub": AGENT, "iss": house.agents.issuer}))
    house.granted(subject_token=house.users.token("alice", may_act={"sub": AGENT}))


class TestAgents:
    def test_whoever_is_not_listed(self, house: House) -> None:
        before = {audit.header.id for audit in house.audits()}
        refused = house.refused(actor_token=house.agents.token(STRANGER))
        assert refused == ("unauthorized_client", "agent_unknown")
        assert house.new_audit(before).act.sub == STRANGER

    def test_a_token_that_was_used(self, house: House) -> None:
        token = house.agents.token(AGENT)
        house.granted(actor_token=token)
        assert house.refused(actor_token=token) == (INVALID, "token_replayed")

    def test_one_that_was_used_at_the_same_time(self, house: House) -> None:
        token, statuses = house.agents.token(AGENT), []
        threads = [
            threading.Thread(target=lambda: statuses.append(house.post(actor_token=token).status_code))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [400] * 7

    def test_a_refused_request_does_not_use_it_up(self, house: House) -> None:
        token = house.agents.token(AGENT)
        assert house.refused(actor_token=token, scope="admin") == ("invalid_scope", "scope_too_wide")
        house.granted(actor_token=token)

    def test_a_users_token_is_no_agents(self, house: House) -> None:
        assert house.refused(actor_token=house.users.token(AGENT)) == (INVALID, "issuer_unknown")

    def test_a_svid_of_another_trust_domain(self, house: House) -> None:
        for sub in ("spiffe://evil.example/worker", "spiffe://acme.example", "spiffe:///worker", "acme.example/worker"):
            token = house.spiffe.token(sub, iss=None)
            assert house.refused(actor_token=token) == (INVALID, "issuer_unknown")
        token = house.spiffe.token("spiffe://evil.example/worker", iss="spiffe://acme.example")
        assert house.refused(actor_token=token) == (INVALID, "issuer_unknown")

    def test_an_identity_assertion_of_another_client(self, house: House) -> None:
        token = house.jag.token("alice", typ="oauth-id-jag+jwt", client_id="another")
        assert house.refused(subject_token=token, subject_token_type=ID_JAG) == (
            "unauthorized_client",
            "client_mismatch",
        )
        token = house.jag.token("alice", typ="oauth-id-jag+jwt")
        assert house.refused(subject_token=token, subject_token_type=ID_JAG) == (INVALID, "claim_missing")

    def test_an_identity_assertion_counts_once(self, house: House) -> None:
        token = house.jag.token("alice", typ="oauth-id-jag+jwt", client_id=AGENT)
        house.granted(subject_token=token, subject_token_type=ID_JAG)
        assert house.refused(subject_token=token, subject_token_type=ID_JAG) == (INVALID, "token_replayed")

    def test_tokens_of_one_kind_are_none_of_another(self, house: House) -> None:
        token = house.txns.token("alice", typ="txntoken+jwt", txn="1")
        for kind in (JWT, ID_JAG):
            assert house.refused(subject_token=token, subject_token_type=kind) == (INVALID, "token_type_wrong")
        assert house.refused(subject_token=token, subject_token_type="urn:x") == (INVALID, "token_type_wrong")
        token = house.txns.token("alice", typ="txntoken+jwt")
        assert house.refused(subject_token=token, subject_token_type=TXN_TOKEN) == (INVALID, "claim_missing")


def tools(*listed: dict[str, Any]) -> str:
    return json.dumps([{"type": "stoplog_tools", "tools": list(listed)}])


class TestWidening:
    @pytest.mark.parametrize("scope", ["admin", "files:read admin", "mail:send  files:read", 'a"b', "*"])
    def test_of_scopes(self, house: House, scope: str) -> None:
        assert house.refused(scope=scope) == ("invalid_scope", "scope_too_wide")

    def test_of_the_scopes_of_the_user(self, house: House) -> None:
        token = house.users.token("alice", scope="openid files:read")
        assert house.refused(subject_token=token, scope="mail:send") == ("invalid_scope", "scope_too_wide")

    @pytest.mark.parametrize("audience", ["bank", "*", "mail "])
    def test_of_the_audience(self, house: House, audience: str) -> None:
        assert house.refused(audience=["files", audience]) == ("invalid_target", "target_too_wide")

    def test_resources_are_no_servers(self, house: House) -> None:
        assert house.refused(resource="https://mail.example") == ("invalid_target", "target_too_wide")

    @pytest.mark.parametrize(
        "details",
        [
            tools({"server_id": "bank", "name": "pay"}),
            tools({"server_id": "files", "name": "*"}),
            tools({"server_id": "*", "name": "*"}),
            tools({"server_id": "mail", "name": "send"}),
            tools(
                {
                    "server_id": "mail",
                    "name": "send",
                    "constraints": [{"argument": "/to", "type": "WILDCARD", "value": "*"}],
                }
            ),
            tools(
                {
                    "server_id": "mail",
                    "name": "send",
                    "constraints": [{"argument": "/cc", "type": "EXACT", "value": "a@acme.example"}],
                }
            ),
            tools(
                {"server_id": "files", "name": "read", "constraints": [{"argument": "/p", "type": "MAGIC", "value": 1}]}
            ),
            tools(
                {
                    "server_id": "files",
                    "name": "read",
                    "constraints": [{"argument": "/p", "type": "UNKNOWN", "value": 1}],
                }
            ),
            json.dumps([{"type": "payment", "tools": []}]),
            json.dumps([{"type": "stoplog_tools", "more": 1}]),
            json.dumps({"type": "stoplog_tools"}),
            "[",
        ],
    )
    def test_of_tools(self, house: House, details: str) -> None:
        assert house.refused(authorization_details=details) == ("invalid_authorization_details", "tools_too_wide")

    def test_more_tools_than_a_token_can_hold(self, house: House) -> None:
        bound = {"argument": "/path", "type": "ONE_OF", "value": ["x" * 250]}
        many = tools(*({"server_id": "files", "name": "read", "constraints": [bound]} for _ in range(60)))
        token = house.agents.token(AGENT)
        refused = house.refused(actor_token=token, authorization_details=many)
        assert refused == ("invalid_authorization_details", "tools_too_wide")
        house.granted(actor_token=token)  # which was not used up

    def test_of_the_tools_of_the_user(self, house: House) -> None:
        own = [{"type": "stoplog_tools", "tools": [{"server_id": "files", "name": "read"}]}]
        token = house.users.token("alice", authorization_details=own)
        send = {"argument": "/to", "type": "EXACT", "value": "bob@acme.example"}
        wanted = tools({"server_id": "mail", "name": "send", "constraints": [send]})
        refused = house.refused(subject_token=token, authorization_details=wanted)
        assert refused == ("invalid_authorization_details", "tools_too_wide")
        assert house.granted(subject_token=token)["authorization_details"] == [
            {"type": "stoplog_tools", "tools": [{"server_id": "files", "name": "read", "constraints": []}]}
        ]
        foreign = house.users.token("alice", authorization_details=[{"type": "payment"}])
        assert house.refused(subject_token=foreign) == ("invalid_authorization_details", "tools_too_wide")

    def test_tools_that_neither_bounds(self, house: House) -> None:
        own = [
            {
                "type": "stoplog_tools",
                "tools": [{"server_id": "files", "name": "read"}, {"server_id": "x", "name": "y"}],
            }
        ]
        token = house.users.token("alice", authorization_details=own)
        assert house.refused(subject_token=token) == ("invalid_authorization_details", "tools_too_wide")

    @pytest.mark.parametrize("life_s", ["301", "999999999", "0"])
    def test_of_life(self, house: House, life_s: str) -> None:
        assert house.refused(expires_in=life_s) == (INVALID, "life_too_long")

    def test_of_the_life_of_the_user(self, house: House) -> None:
        token = house.users.token("alice", exp=now_s() + 30)
        assert house.refused(subject_token=token, expires_in="60") == (INVALID, "life_too_long")

    @pytest.mark.parametrize("depth", ["3", "4", "100"])
    def test_of_depth(self, house: House, depth: str) -> None:
        assert house.refused(max_depth=depth) == (INVALID, "depth_too_great")


def test_every_reason_is_told_and_reached_here() -> None:
    assert set(TOKEN_TEXTS) == set(TokenReason)
    said = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    unreached = [reason.value for reason in TokenReason if reason.value not in said and reason.name not in said]
    assert unreached == []


class TestRequests:
    @pytest.mark.parametrize(
        ("changes", "refused"),
        [
            ({"grant_type": "client_credentials"}, ("unsupported_grant_type", "grant_type_unsupported")),
            ({"grant_type": None}, ("unsupported_grant_type", "grant_type_unsupported")),
            ({"subject_token": None}, (INVALID, "request_malformed")),
            ({"actor_token": None}, (INVALID, "request_malformed")),
            ({"actor_token_type": None}, (INVALID, "request_malformed")),
            ({"actor_token_type": ACCESS_TOKEN}, (INVALID, "token_type_wrong")),
            ({"requested_token_type": JWT}, (INVALID, "token_type_wrong")),
            ({"scope": ["files:read", "mail:send"]}, (INVALID, "request_malformed")),
            ({"expires_in": "1e3"}, (INVALID, "request_malformed")),
            ({"expires_in": "-1"}, (INVALID, "request_malformed")),
            ({"max_depth": "٣"}, (INVALID, "request_malformed")),
            ({"purpose": "x" * 5_000}, (INVALID, "request_malformed")),
            ({"subject_proof": "!"}, (INVALID, "request_malformed")),
            ({"subject_proof": "AAAA"}, (INVALID, "request_malformed")),
            ({"grant": "AAAA"}, (INVALID, "grant_invalid")),
            ({"audience": [f"s{number}" for number in range(70)]}, (INVALID, "request_malformed")),
        ],
    )
    def test_that_are_none(self, house: House, changes: dict[str, Any], refused: tuple[str, str]) -> None:
        assert house.refused(**changes) == refused

    def test_bodies_that_are_none(self, house: House) -> None:
        form = {"content-type": "application/x-www-form-urlencoded"}
        for content, headers in (
            (b"{}", {"content-type": "application/json"}),
            (b"x=" + b"y" * 200_000, form),
            (b"\xff\xfe", form),
            (b"&".join(b"a%d=1" % n for n in range(100)), form),
        ):
            response = house.http.post("/token", content=content, headers=headers)
            assert response.status_code == 400
            assert response.json()["reason"] == "request_malformed" or content.startswith(b"\xff")

    def test_headers_that_are_too_large(self, house: House) -> None:
        response = house.http.get("/jwks", headers={"x-large": "x" * 40_000})
        assert response.status_code in (400, 431)

    def test_methods_that_are_none(self, house: House) -> None:
        assert house.http.get("/token").status_code == 405
        assert house.http.get("/nothing").status_code == 404

    @pytest.mark.parametrize("path", ["/token/", "/revoke/", "/introspect/"])
    def test_no_path_is_redirected_to_plain_http_or_to_the_host_of_the_request(self, house: House, path: str) -> None:
        response = house.post(path=path, headers={"host": "elsewhere.example"})
        assert (response.status_code, response.headers.get("location")) == (404, None)

    def test_what_is_told_is_plain(self, house: House) -> None:
        members = house.post(authorization_details='[{"type": "\\u0007\\u2028\\"x"}]').json()
        assert all(" " <= char <= "~" and char not in '"\\' for char in members["error_description"])


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
            sts._dpop = lambda own, _url, make=sts._dpop: make(own, f"{STS}/token")
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


def _public(key: Any) -> dict[str, Any]:
    jwk = public_jwk("EdDSA", key)
    return {name: jwk[name] for name in ("kty", "crv", "x")}


class TestProofsOfKeys:
    def proof(
        self, house: House, claims: dict[str, Any], *, key: Ed25519PrivateKey | None = None, **changes: Any
    ) -> str:
        key = key or Ed25519PrivateKey.generate()
        header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": _public(key)} | changes
        whole = {"htm": "POST", "htu": f"{STS}/token", "iat": now_s(), "jti": SYSTEM.uuid()} | claims
        return by_hand(header, whole, key.sign)

    @pytest.mark.parametrize(
        ("claims", "header", "reason"),
        [
            ({"htm": "GET"}, {}, "proof_invalid"),
            ({"htu": "https://elsewhere.example/token"}, {}, "proof_invalid"),
            ({"made_in_s": -1_000}, {}, "proof_invalid"),
            ({"made_in_s": 1_000}, {}, "proof_invalid"),
            ({"iat": None}, {}, "proof_invalid"),
            ({"jti": None}, {}, "claim_missing"),
            ({}, {"typ": "JWT"}, "proof_invalid"),
            ({}, {"alg": "none"}, "proof_invalid"),
            ({}, {"alg": "ES256"}, "proof_invalid"),
            ({}, {"jku": "https://elsewhere.example"}, "proof_invalid"),
            ({}, {"jwk": {"kty": "oct", "k": "AAAA"}}, "proof_invalid"),
            ({}, {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}}, "proof_invalid"),
            ({}, {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(32))}}, "proof_invalid"),
            ({}, {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(b"\x01" + bytes(31))}}, "proof_invalid"),
            ({}, {"jwk": _public(Ed25519PrivateKey.generate())}, "signature_invalid"),
        ],
    )
    def test_that_are_none(self, house: House, claims: Any, header: Any, reason: str) -> None:
        if "made_in_s" in claims:
            # By the clock of when it runs, which may be long after the tests were collected.
            claims = {"iat": now_s() + claims["made_in_s"]}
        response = house.post(headers={"DPoP": self.proof(house, claims, **header)})
        assert response.status_code == 400
        assert response.json()["reason"] == reason

    @pytest.mark.parametrize("what", ["subject_token", "actor_token"])
    def test_a_token_that_is_bound_to_a_key_needs_it(self, house: House, what: str) -> None:
        key, other = (Ed25519PrivateKey.generate() for _ in range(2))

        def bound(cnf: Any) -> dict[str, str]:
            makers = {"subject_token": (house.users, "alice"), "actor_token": (house.agents, AGENT)}
            issuer, sub = makers[what]
            return {what: issuer.token(sub, cnf=cnf)}

        cnf = {"jkt": Ed25519Key.of(key).jkt}
        assert house.refused(**bound(cnf)) == (INVALID, "proof_missing")
        response = house.post(headers={"DPoP": self.proof(house, {}, key=other)}, **bound(cnf))
        assert response.json()["reason"] == "proof_missing"
        assert house.post(headers={"DPoP": self.proof(house, {}, key=key)}, **bound(cnf)).status_code == 200
        for foreign in ({"x5t#S256": "AAAA"}, {"jkt": 7}, {"jkt": cnf["jkt"], "kid": "x"}, "AAAA"):
            assert house.refused(**bound(foreign)) == (INVALID, "proof_missing")

    def test_twice(self, house: House) -> None:
        proof = self.proof(house, {})
        assert house.post(headers={"DPoP": proof}).status_code == 200
        again = house.post(headers={"DPoP": proof})
        assert again.json()["reason"] == "token_replayed"

    def test_a_secret_key_in_it(self, house: House) -> None:
        proof = self.proof(house, {}, jwk={"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(32)), "d": b64(bytes(32))})
        assert house.post(headers={"DPoP": proof}).json()["reason"] == "proof_invalid"


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


class Keys(BaseHTTPRequestHandler):
    """An issuer's keys on HTTP."""

    answer: bytes = b""
    status = 200
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(self.status)
        if self.status in (301, 302):
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def key_server() -> Iterator[tuple[type[Keys], str]]:
    served = type("Served", (Keys,), {})
    server = HTTPServer(("127.0.0.1", 0), served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served, f"http://127.0.0.1:{server.server_port}/jwks"
    server.shutdown()
    thread.join()
    server.server_close()


class TestKeysOfIssuers:
    def source(self, url: str) -> dict[str, Any]:
        return {
            "issuer": "https://far.example",
            "jwks": url,
            "gives": ["user"],
            "audience": [STS],
            "subject_prefix": "far:",
        }

    def test_an_unknown_key_is_asked_for_once_in_a_while(self, tmp_path: Path, key_server: Any) -> None:
        served, url = key_server
        far = Issuer("https://far.example", STS)
        served.answer = far.key_set()
        with open_house(tmp_path, jwks_retry_ms=60_000, more_sources={"far": self.source(url)}) as house:
            house.granted(subject_token=far.token("alice"))
            assert house.sessions()[-1].sub == "far:alice"
            assert served.asked == 1
            far.add_key("ES256", "k2")
            served.answer = far.key_set()
            for _ in range(5):
                assert house.refused(subject_token=far.token("alice", kid="k2")) == (INVALID, "key_unknown")
            assert served.asked == 1
        with open_house(tmp_path / "2", jwks_retry_ms=100, more_sources={"far": self.source(url)}) as house:
            house.granted(subject_token=far.token("alice", kid="k2"))
            far.add_key("ES256", "k3")
            served.answer = far.key_set()
            threading.Event().wait(0.2)
            house.granted(subject_token=far.token("alice", kid="k3"))

    @pytest.mark.parametrize(
        ("status", "answer"),
        [(500, b""), (302, b""), (200, b"{"), (200, b'{"keys": {}}'), (200, b"x" * 300_000), (200, b'{"keys": []}')],
    )
    def test_keys_that_can_not_be_had(self, tmp_path: Path, key_server: Any, status: int, answer: bytes) -> None:
        served, url = key_server
        served.status, served.answer = status, answer
        far = Issuer("https://far.example", STS)
        with open_house(tmp_path, more_sources={"far": self.source(url)}) as house:
            code, reason = house.refused(subject_token=far.token("alice"))
            assert reason == ("key_unknown" if answer == b'{"keys": []}' else "keys_unavailable")
            assert code in ("temporarily_unavailable", INVALID)

    def test_keys_that_do_not_count(self, tmp_path: Path, key_server: Any) -> None:
        """A secret among the keys, one that is not for signatures, a weak one, one twice."""
        served, url = key_server
        far = Issuer("https://far.example", STS)
        secret = {"kty": "oct", "k": b64(hashlib.sha256(b"s").digest()), "kid": "o1", "alg": "HS256"}
        with open_house(tmp_path, more_sources={"far": self.source(url)}) as house:
            for keys in ([secret], [far.jwk("k1", use="enc")], [far.jwk("k1", alg="ES512")], [far.jwk("k1")] * 2):
                served.answer = json.dumps({"keys": keys}).encode()
                threading.Event().wait(0.15)
                sign = partial(hmac.digest, hashlib.sha256(b"s").digest(), digest="sha256")
                for token in (far.token("alice"), by_hand({"alg": "HS256", "kid": "o1"}, far.claims("alice"), sign)):
                    _, reason = house.refused(subject_token=token)
                    assert reason in ("key_unknown", "algorithm_not_allowed", "keys_unavailable")
