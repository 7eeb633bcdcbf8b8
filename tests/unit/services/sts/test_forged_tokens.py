"""Tokens of users and agents that the service does not take, each with its reason."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from streams.model.audit import AuditEventType
from tests.unit.services.sts.house import AGENT, INVALID, STS, House
from tests.unit.services.sts.issuers import Issuer, b64, by_hand, now_s

Forge = Callable[[House], str]
TOKENS: dict[str, tuple[str, Forge]] = {}


def forged(reason: str) -> Callable[[Forge], Forge]:
    """A token of a user that is not taken; its name says why."""

    def register(make: Forge) -> Forge:
        TOKENS[make.__name__] = (reason, make)
        return make

    return register


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
