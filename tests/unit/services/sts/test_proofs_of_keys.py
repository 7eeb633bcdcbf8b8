"""Proofs that a caller holds a key."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.delegation.keys import Ed25519Key
from streams.sdk.entropy import SYSTEM
from tests.unit.services.sts.house import AGENT, INVALID, STS, House
from tests.unit.services.sts.issuers import b64, bare_jwk, by_hand, now_s


class TestProofsOfKeys:
    def proof(
        self, house: House, claims: dict[str, Any], *, key: Ed25519PrivateKey | None = None, **changes: Any
    ) -> str:
        key = key or Ed25519PrivateKey.generate()
        header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": bare_jwk(key)} | changes
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
            ({}, {"jwk": bare_jwk(Ed25519PrivateKey.generate())}, "signature_invalid"),
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
