"""What somebody tries who has what an agent has, and wants more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from jwt import api_jws

from simulation.records import header
from streams.delegation.digest import body_of, lineage_of
from streams.delegation.issuance import sign_hop
from streams.delegation.keys import hop_grant_key
from streams.identity.jose import take_apart
from streams.model.delegation import GrantBody
from streams.model.types import Actor, SubProfile
from streams.sdk.agent.development_tokens import DevTokenService
from streams.sdk.agent.token_exchange import (
    ACCESS_TOKEN,
    TXN_TOKEN,
    SessionToken,
    TokenRefusedError,
    _session,
    dpop_proof,
    exchange_proof,
)
from streams.sdk.entropy import SYSTEM
from streams.services.sts import store
from streams.services.sts.errors import RefusedError
from streams.services.sts.exchange import TokenService
from streams.services.sts.introspection import ASSERTION_TYPE
from streams.services.sts.request import Form, read_request
from streams.services.sts.service import RunningSts
from tests.unit.services.sts.house import (
    AGENT,
    INVALID,
    READ,
    ROOT_KEY,
    STS,
    SUB_AGENT,
    TENANT,
    WORKER,
    House,
    open_house,
    profile,
)
from tests.unit.services.sts.issuers import Issuer, b64, now_s
from tests.unit.services.sts.test_exchange import delegated, key_pair
from tests.waiting import until

AGENTS = "https://agents.example"
SHORT_MS = 3_000
"""The life of a grant that is to be used before it ends."""


def helper(house: House, sub: str = SUB_AGENT) -> Actor:
    return Actor(iss=house.agents.issuer, sub=sub, sub_profile=SubProfile.AI_AGENT)


def opened(house: House, **narrowing: Any) -> SessionToken:
    with house.client() as sts:
        return sts.exchange(house.users.token("alice"), house.agents.token(AGENT), **narrowing)


def signed_anew(parent: SessionToken, grant: Any, **changes: Any) -> str:
    """A grant that whoever holds the session has changed, and signed."""
    assert parent.credential.grant is not None
    above = lineage_of(parent.credential.grant)[-1]
    body: GrantBody = msgspec.structs.replace(body_of(grant), **changes)
    return b64(msgspec.json.encode(sign_hop(body, above, hop_grant_key(parent.credential.secret))))


def received(house: House, parent: SessionToken, grant: str, actor_token: str) -> dict[str, Any]:
    """The answer to a hop that its holder has signed."""
    form = {"subject_token": parent.access_token, "subject_token_type": ACCESS_TOKEN}
    return dict(house.post(**form, grant=grant, actor_token=actor_token).json())


class TestKeysOfOthers:
    """The key of a session follows from its id."""

    def test_the_session_of_another_token_service(self, house: House) -> None:
        dev = DevTokenService(house.transport, ROOT_KEY, issuer="dev", tenant_uid=TENANT)
        victim = dev.open_session("bob", Actor(iss="x", sub="boss"), ("admin",), session_id="nightly-job-42")
        parent = opened(house)
        grant = signed_anew(parent, delegated(parent, helper(house), None), session_id=victim.session_id)
        answer = received(house, parent, grant, house.agents.token(SUB_AGENT))
        assert answer.get("reason") == "grant_invalid"

    def test_the_session_of_another_replica(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            victim = opened(house)
            other: Any = {"tenant_uid": TENANT, "folder": tmp_path / "sts-2", "instance": "2"}
            with RunningSts(house.section, house.transport, ROOT_KEY, **other) as second:
                parent = opened_at(second, house)
                grant = signed_anew(
                    parent, delegated(parent, helper(house), None), session_id=victim.credential.session_id
                )
                form = house.form(
                    subject_token=parent.access_token,
                    subject_token_type=ACCESS_TOKEN,
                    actor_token=house.agents.token(SUB_AGENT),
                    grant=grant,
                )
                assert asked(second, form).get("reason") == "grant_invalid"

    def test_an_id_is_not_used_again_when_its_grant_has_expired(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "FORGET_EVERY", 1)
        with open_house(tmp_path) as house:
            parent = opened(house)
            act = Actor(iss=house.spiffe.issuer, sub=WORKER, sub_profile=SubProfile.WORKLOAD)
            grant = delegated(parent, act, None)
            answers = []
            for _ in range(2):
                ends_ms = house.transport.now_ms() + SHORT_MS
                short = signed_anew(parent, grant, exp=ends_ms)
                svid = house.spiffe.token(WORKER, iss=None, jti=None, typ=None)
                answers.append(received(house, parent, short, svid))
                until(lambda: house.transport.now_ms() > ends_ms, "it is over")  # noqa: B023 - called at once
            assert "session_key" in answers[0]
            assert answers[1].get("reason") == "token_replayed"


def asked(running: RunningSts, form: dict[str, Any], dpop: str | None = None) -> dict[str, Any]:
    """The answer of a service that is not on HTTP."""
    request = read_request(Form(urlencode(form, doseq=True).encode()))
    try:
        return dict(TokenService(running.parts).exchange(request, dpop=dpop, url=f"{STS}/token").members)
    except RefusedError as error:
        return {"reason": error.reason.value}


def opened_at(running: RunningSts, house: House) -> SessionToken:
    return _session(asked(running, house.form()), header("answer", house.transport.now_ms()), None)


class TestSources:
    def test_of_whom_an_agent_may_not_act_for_nothing_is_handed_on_to_it(self, tmp_path: Path) -> None:
        listed = {
            "assistant": profile(AGENTS, AGENT),
            "helper": profile(AGENTS, SUB_AGENT, scopes=["files:read"], tools=[READ], sources=["txns"]),
        }
        with open_house(tmp_path, agents=listed) as house, house.client() as sts:
            parent = opened(house)
            with pytest.raises(TokenRefusedError) as raised:
                sts.hand_on(parent, house.agents.token(SUB_AGENT))
            assert raised.value.reason == "actor_not_allowed"
            grant = signed_anew(parent, delegated(parent, helper(house), None))
            answer = received(house, parent, grant, house.agents.token(SUB_AGENT))
            assert answer.get("reason") == "actor_not_allowed"
            token = house.txns.token("alice", typ="txntoken+jwt", txn="1", scope="files:read")
            of_txn = sts.exchange(token, house.agents.token(AGENT), subject_token_type=TXN_TOKEN)
            sts.hand_on(of_txn, house.agents.token(SUB_AGENT))


class TestPurposes:
    def test_that_a_source_has_signed_is_no_other(self, house: House) -> None:
        def token() -> str:
            return house.txns.token("alice", typ="txntoken+jwt", txn="tx-7", scope="files:read", purp="refund")

        form = {"subject_token": token(), "subject_token_type": TXN_TOKEN}
        assert house.refused(**form, purpose="pay all") == (INVALID, "limits_too_wide")
        for purpose in ("refund", None):
            assert house.granted(**form | {"subject_token": token()}, purpose=purpose)["purpose"] == "refund"

    def test_of_a_session_is_that_of_what_it_hands_on(self, house: House) -> None:
        parent = opened(house, purpose="answer mail")
        with house.client() as sts, pytest.raises(TokenRefusedError) as raised:
            sts.hand_on(parent, house.agents.token(SUB_AGENT), purpose="wire money")
        assert raised.value.reason == "limits_too_wide"
        for purpose in ("wire money", None, ""):
            grant = signed_anew(parent, delegated(parent, helper(house), None), purpose=purpose)
            assert received(house, parent, grant, house.agents.token(SUB_AGENT)).get("reason") == "limits_too_wide"
        unsaid = opened(house)
        grant = signed_anew(unsaid, delegated(unsaid, helper(house), None), purpose="read")
        assert received(house, unsaid, grant, house.agents.token(SUB_AGENT))["purpose"] == "read"

    @pytest.mark.parametrize("purpose", ["a\nb", "a\x00", "\u202egnp.exe", "a\u2028b"])
    def test_with_what_is_read_otherwise_than_seen(self, house: House, purpose: str) -> None:
        assert house.refused(purpose=purpose) == (INVALID, "request_malformed")
        parent = opened(house)
        grant = signed_anew(parent, delegated(parent, helper(house), None), purpose=purpose)
        answer = received(house, parent, grant, house.agents.token(SUB_AGENT))
        assert answer.get("reason") == "request_malformed"


ODD = ("\\ud800", "a\\u0000b", "a\\nb", "\\u202e")


class TestNames:
    @pytest.mark.parametrize("name", ODD)
    @pytest.mark.parametrize("member", ["server_id", "name"])
    def test_of_tools_with_what_no_name_has(self, tmp_path: Path, name: str, member: str) -> None:
        listed = {"any": profile(AGENTS, AGENT, tools=[{"server": "*", "name": "*"}])}
        details = json.dumps([{"type": "stoplog_tools", "tools": [{"server_id": "x", "name": "x"} | {member: "?"}]}])
        details = details.replace("?", name)
        with open_house(tmp_path, agents=listed) as house:
            before = {audit.header.id for audit in house.audits()}
            assert house.refused(authorization_details=details)[1] == "tools_too_wide"
            assert house.new_audit(before).reason == "tools_too_wide"
            claims = house.users.claims("alice") | {"authorization_details": json.loads(details)}
            algorithm, key = house.users.keys["k1"]
            raw = json.dumps(claims).encode()
            token = api_jws.encode(raw, key, algorithm=algorithm, headers={"kid": "k1", "typ": "JWT"})
            assert house.refused(subject_token=token)[1] in ("tools_too_wide", "token_malformed")

    @pytest.mark.parametrize("value", ['"\\ud800"', '{"\\udfff": 1}'])
    def test_bounds_with_halves_of_characters(self, house: House, value: str) -> None:
        bound = f'{{"argument": "/a", "type": "EXACT", "value": {value}}}'
        tool = f'{{"server_id": "files", "name": "read", "constraints": [{bound}]}}'
        details = f'[{{"type": "stoplog_tools", "tools": [{tool}]}}]'
        assert house.refused(authorization_details=details)[1] == "tools_too_wide"

    @pytest.mark.parametrize("name", ["a\x00b", "\u202eevil", "a\nb"])
    def test_of_servers_with_what_no_name_has(self, house: House, name: str) -> None:
        assert house.refused(audience=["mail", name]) == (INVALID, "request_malformed")


class TestProofsOfSessions:
    """What shows the key of a session shows it for one request."""

    def form(self, house: House, parent: SessionToken, **changes: Any) -> dict[str, Any]:
        # A SVID is presented again and again: it does not make a request another one.
        svid = house.spiffe.token(WORKER, iss=None, jti=None, typ=None)
        whole = {"subject_token": parent.access_token, "subject_token_type": ACCESS_TOKEN, "actor_token": svid}
        return house.form(**whole | changes)

    def proof(self, parent: SessionToken, form: dict[str, Any], jkt: str | None = None) -> str:
        pairs = [(n, v) for n, held in form.items() for v in (held if isinstance(held, list) else [held])]
        return b64(exchange_proof(parent.credential.secret, pairs, jkt))

    def test_no_more_is_had_with_it(self, house: House) -> None:
        parent = opened(house)
        narrow = self.form(house, parent, scope="files:read", audience=["mail", "files"], expires_in="30")
        proof = self.proof(parent, narrow)
        for change in ({"scope": None}, {"audience": ["files"]}, {"expires_in": "60"}, {"max_depth": "2"}):
            assert house.refused(**narrow | change, subject_proof=proof) == (INVALID, "proof_invalid")
        reversed_order = dict(reversed(narrow.items())) | {"audience": ["files", "mail"]}
        assert house.granted(**reversed_order, subject_proof=proof)["scope"] == "files:read"

    def test_twice(self, house: House) -> None:
        parent = opened(house)
        form = self.form(house, parent)
        proof = self.proof(parent, form)
        house.granted(**form, subject_proof=proof)
        assert house.refused(**form, subject_proof=proof) == (INVALID, "token_replayed")
        form = form | {"request_id": "another"}
        house.granted(**form, subject_proof=self.proof(parent, form))

    def test_with_the_key_of_another(self, house: House) -> None:
        parent, key, other = opened(house), key_pair(), key_pair()
        form = self.form(house, parent)
        dpop = [dpop_proof(key, f"{STS}/token", SYSTEM) for _ in range(2)]
        for jkt in (None, other.jkt):
            response = house.post(**form, subject_proof=self.proof(parent, form, jkt), headers={"DPoP": dpop[0]})
            assert response.json()["reason"] == "proof_invalid"
        response = house.post(**form, subject_proof=self.proof(parent, form, key.jkt), headers={"DPoP": dpop[1]})
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("claims", "scope"),
    [
        ({"scope": None, "scp": ["openid"]}, ""),
        ({"scope": None, "scp": "files:read"}, "files:read"),
        ({"scope": "files:read", "scp": None}, "files:read"),
        ({"scope": "files:read mail:send", "scp": ["mail:send", "openid"]}, "mail:send"),
        ({"scope": "files:read", "scp": []}, ""),
        ({"scope": None, "scp": None}, "mail:send files:read"),
    ],
)
def test_scopes_that_are_said_twice(house: House, claims: dict[str, Any], scope: str) -> None:
    algorithm, key = house.users.keys["k1"]
    raw = json.dumps(house.users.claims("alice") | claims).encode()
    token = api_jws.encode(raw, key, algorithm=algorithm, headers={"kid": "k1", "typ": "JWT"})
    assert house.granted(subject_token=token).get("scope", "") == scope


def test_a_sign_in_that_has_not_been_yet_shows_nobody(house: House) -> None:
    for auth_time in (now_s() + 3_600, now_s() + 86_400 * 300):
        token = house.users.token("alice", iat=now_s() - 1_000, auth_time=auth_time)
        assert house.refused(subject_token=token, attended="true") == (INVALID, "not_attended")


def test_an_id_token_of_another_client(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        evil, portal = "https://evil.example", "portal"
        of_several: dict[str, Any] = {"aud": [evil, STS]}
        for claims in (of_several, of_several | {"azp": evil}, {"azp": portal}, {"azp": 7}, {"azp": ["portal"]}):
            refused = house.refused(subject_token=house.users.token("alice", **claims))
            assert refused == ("unauthorized_client", "client_mismatch")
        house.granted(subject_token=house.users.token("alice", **of_several, azp=STS))
        users = house.section.sources["users"].model_copy(update={"authorized_parties": [portal]})
        issuers = (house.users, house.agents)
    settings = users.model_dump()
    with open_house(tmp_path, again=True, issuers=issuers, more_sources={"users": settings}) as house:
        house.granted(subject_token=house.users.token("alice", **of_several, azp=portal))


def test_one_token_does_not_say_both_who_wants_and_who_acts(tmp_path: Path) -> None:
    both = Issuer("https://both.example", STS)
    keys = tmp_path / "both.json"
    keys.write_bytes(both.key_set())
    source = {"issuer": both.issuer, "jwks": str(keys), "gives": ["user", "agent"], "audience": [STS]}
    changes: Any = {
        "more_sources": {"both": source | {"subject_prefix": "b:"}},
        "agents": {"bot": profile(both.issuer, "bot")},
    }
    with open_house(tmp_path / "house", **changes) as house:
        token = both.token("bot")
        assert house.refused(subject_token=token, actor_token=token) == (INVALID, "actor_not_allowed")
        assert house.refused(subject_token=token, actor_token=f"{token}A") == (INVALID, "actor_not_allowed")
        house.granted(subject_token=both.token("alice"), actor_token=both.token("bot"))


def test_of_an_agent_that_is_no_longer_listed_nothing_is_handed_on(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, house.client() as sts:
        parent = opened(house)
        child = sts.hand_on(parent, house.agents.token(SUB_AGENT))
        issuers = (house.users, house.agents)
    helper_alone = {"helper": profile(AGENTS, SUB_AGENT, scopes=["files:read"], tools=[READ])}
    with open_house(tmp_path, again=True, issuers=issuers, agents=helper_alone) as house, house.client() as sts:
        for session in (parent, child):
            with pytest.raises(TokenRefusedError) as raised:
                sts.hand_on(session, house.agents.token(SUB_AGENT))
            assert raised.value.reason == "agent_unknown"


def test_a_grant_for_an_agent_with_a_key_that_was_not_shown(house: House) -> None:
    parent = opened(house)
    act = msgspec.structs.replace(helper(house), jkt="not-shown")
    grant = signed_anew(parent, delegated(parent, helper(house), None), act=act)
    answer = received(house, parent, grant, house.agents.token(SUB_AGENT))
    assert answer.get("reason") == "actor_not_allowed"


def test_a_session_with_a_key_is_given_back_with_it(tmp_path: Path) -> None:
    with open_house(tmp_path, agents={"assistant": profile(AGENTS, AGENT, bound=True)}) as house, house.client() as sts:
        session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), key=key_pair())
        credential = session.credential
        for key in (None, key_pair()):
            with_another = replace(session, credential=replace(credential, signing_key=key))
            with pytest.raises(TokenRefusedError) as raised:
                sts.revoke(with_another, house.agents.token(AGENT))
            assert raised.value.reason == "proof_missing"
        assert sts.introspect(session.access_token, house.agents.token(AGENT))["active"]
        sts.revoke(session, house.agents.token(AGENT))
        assert not sts.introspect(session.access_token, house.agents.token(AGENT))["active"]


def test_an_assertion_that_is_bound_to_a_key_counts_with_it_alone(house: House) -> None:
    key = key_pair()
    proof = dpop_proof(key, f"{STS}/introspect", SYSTEM)
    for headers, status in (({}, 400), ({"DPoP": proof}, 200)):
        assertion = house.agents.token(AGENT, cnf={"jkt": key.jkt})
        form = {"token": "a.b.c", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        assert house.http.post("/introspect", data=form, headers=headers).status_code == status


TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (TRACE, TRACE),
        (f"{TRACE}-more", None),
        (TRACE.upper(), None),
        (f"00-{'0' * 32}-{'b' * 16}-01", None),
        (f"ff{TRACE[2:]}", None),
        ("00-a-b-c; <script>", None),
        ("x" * 128, None),
        ("\x80\xff", None),
    ],
)
def test_what_is_no_trace_is_not_kept(house: House, sent: str, kept: str | None) -> None:
    response = house.http.post("/token", data=house.form(), headers=[(b"traceparent", sent.encode("latin-1"))])
    session_id = response.json()["session_id"]
    [event] = [event for event in house.sessions() if event.session_id == session_id]
    assert event.header.traceparent == kept


def test_no_secret_is_in_what_is_logged_of_things(house: House) -> None:
    form = house.form()
    request = read_request(Form(urlencode(form).encode()))
    answer = TokenService(house.running.parts).exchange(request, dpop=None, url="")
    key = house.running.keys.keys[0]
    told = repr([house.running.parts, request, answer, key, take_apart(form["subject_token"], "it")])
    secrets = [form["subject_token"], form["actor_token"], answer.members["session_key"], key.jwk["d"], repr(ROOT_KEY)]
    assert [secret for secret in secrets if secret in told] == []
    assert answer.members["access_token"] not in told


def test_a_token_that_tells_of_a_logout_logs_nobody_in(house: House) -> None:
    events = {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert house.refused(subject_token=house.users.token("alice", events=events)) == (INVALID, "token_type_wrong")
    assert house.refused(actor_token=house.agents.token(AGENT, events=events)) == (INVALID, "token_type_wrong")
    house.granted()
