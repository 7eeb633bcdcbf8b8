"""Two token services with the same keys, forged proofs, tokens of other tenants, and a great many sessions."""

from __future__ import annotations

import base64
import sqlite3
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.sdk.agent.token_exchange import ACCESS_TOKEN
from streams.services.sqlite_file import connect
from streams.services.sts.introspection import ASSERTION_TYPE
from streams.services.sts.service import RunningSts
from streams.services.sts.store import Issued, StsStore
from tests.unit.services.sts.house import (
    AGENT,
    READ,
    ROOT_KEY,
    STRANGER,
    STS,
    SUB_AGENT,
    TENANT,
    House,
    open_house,
    profile,
)
from tests.unit.services.sts.issuers import SYSTEM, Issuer, b64, bare_jwk, by_hand, now_s
from tests.unit.services.sts.test_attacks import asked, opened

SESSIONS = 20_000
ORDER = 2**252 + 27742317777372353535851937790883648493


def proof(**changes: Any) -> str:
    key = Ed25519PrivateKey.generate()
    claims = {"htm": "POST", "htu": f"{STS}/token", "iat": now_s(), "jti": SYSTEM.uuid()} | changes
    return by_hand({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": bare_jwk(key)}, claims, key.sign)


class TestForgedProofs:
    @pytest.mark.parametrize(
        "htu",
        [
            *(f"{STS}/token/", f"{STS}/token?x=1", f"{STS}/token#x", f"{STS}:443/token", f"{STS}/introspect"),
            *(f"{STS}/%74oken", f"{STS}//token", "https://STS.example/token", "http://sts.example/token", "/token"),
        ],
    )
    def test_a_proof_is_for_exactly_one_url(self, house: House, htu: str) -> None:
        assert house.post(headers={"DPoP": proof(htu=htu)}).json()["reason"] == "proof_invalid"

    def test_a_proof_written_differently_is_the_same_proof(self, house: House) -> None:
        made = proof()
        assert house.post(headers={"DPoP": made}).status_code == 200
        head, claims, signature = made.split(".")
        raw = decoded(signature)
        # An Ed25519 signature whose second half is larger by the order of the curve verifies in lenient libraries.
        larger = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
        for form in (f"{head}.{claims}.{b64(larger)}", f"{made}=", f"{head}.{claims}.{flipped(signature)}"):
            answer = house.post(headers={"DPoP": form})
            assert answer.status_code == 400, form
            assert answer.json()["reason"] in ("token_replayed", "signature_invalid", "token_malformed")

    def test_the_key_of_a_proof_is_not_another_proof_s(self, house: House) -> None:
        one, two = proof().split("."), proof().split(".")
        for parts in ((one[0], two[1], two[2]), (two[0], one[1], two[2]), (two[0], two[1], one[2])):
            answer = house.post(headers={"DPoP": ".".join(parts)})
            assert answer.json()["reason"] == "signature_invalid"


class TestTwoServices:
    """They share the root key and the log: a folder is one service's."""

    def test_a_token_is_used_once_at_both(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, second_of(house, tmp_path) as second:
            form = house.form()
            reasons = [
                [house.http.post("/token", data=form).json().get("reason"), asked(second, form).get("reason")]
                for _ in range(2)
            ]
            assert reasons == [[None, "token_replayed"], ["token_replayed", "token_replayed"]]
            assert len(house.sessions()) == 1

    def test_and_by_requests_at_the_same_time(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, second_of(house, tmp_path) as second:
            form = house.form()

            def ask(number: int) -> Any:
                return house.http.post("/token", data=form).json() if number % 2 else asked(second, form)

            with ThreadPoolExecutor(8) as threads:
                answers = list(threads.map(ask, range(8)))
            assert sorted(answer.get("reason", "opened") for answer in answers) == ["opened"] + ["token_replayed"] * 7
            assert len(house.sessions()) == 1

    def test_a_proof_is_used_once_at_both(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, second_of(house, tmp_path) as second:
            made = proof()
            assert asked(second, house.form(), made).get("reason") is None
            assert house.post(headers={"DPoP": made}).json()["reason"] == "token_replayed"

    def test_sessions_of_one_are_unknown_to_the_other(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, second_of(house, tmp_path) as second:
            parent = opened(house)
            form = house.form(
                subject_token=parent.access_token,
                subject_token_type=ACCESS_TOKEN,
                actor_token=house.agents.token(SUB_AGENT),
                scope="files:read",
            )
            assert "reason" in asked(second, form)

    def test_they_open_different_sessions(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, second_of(house, tmp_path) as second:
            first, other = house.granted(), asked(second, house.form())
            assert first["access_token"] != other["access_token"]
            assert first["session_id"] != other["session_id"]


def second_of(house: House, folder: Path) -> RunningSts:
    return RunningSts(
        house.section, house.transport, ROOT_KEY, tenant_uid=TENANT, folder=folder / "sts-2", instance="2"
    )


class TestIntrospection:
    def test_an_agent_sees_nothing_of_another_tenant_s_agent(self, tmp_path: Path) -> None:
        far = Issuer("https://far.example", STS)
        source = {
            "issuer": far.issuer,
            "jwks": str(tmp_path / "far.json"),
            "gives": ["agent"],
            "audience": [STS],
            "tenant": "globex",
        }
        (tmp_path / "far.json").write_bytes(far.key_set())
        agents = {
            "assistant": profile("https://agents.example", AGENT),
            "stranger": profile(far.issuer, STRANGER, tools=[READ]),
            "other": profile(far.issuer, "*", tools=[READ]),
        }
        with open_house(tmp_path, more_sources={"far": source}, agents=agents) as house:
            token = opened(house).access_token
            for issuer, sub, active in (
                (house.agents, AGENT, True),
                (far, STRANGER, False),
                (far, "anybody", False),
            ):
                assert introspected(house, token, issuer.token(sub)).json().get("active") is active
            # The name alone is not the agent: an agent of this name is listed for the other issuer.
            assert introspected(house, token, far.token(AGENT)).json()["reason"] == "agent_unknown"
            revoking = house.http.post("/revoke", data=client_form(token, far.token(STRANGER)))
            assert revoking.json()["reason"] == "client_mismatch"
            assert introspected(house, token, house.agents.token(AGENT)).json()["active"] is True


def introspected(house: House, token: str, assertion: str) -> Any:
    return house.http.post("/introspect", data=client_form(token, assertion))


def client_form(token: str, assertion: str) -> dict[str, str]:
    return {"token": token, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


class TestMayAct:
    def test_a_name_without_an_issuer_is_of_the_token_s_own(self, tmp_path: Path) -> None:
        agents = {"any": profile("https://agents.example", "*"), "own": profile("https://users.example", AGENT)}
        with open_house(tmp_path, agents=agents) as house:
            for claim, reason in (
                ({"sub": "robot"}, "actor_not_allowed"),
                ({"sub": "robot", "iss": "https://users.example"}, "actor_not_allowed"),
                ({"sub": "robot", "iss": "https://agents.example"}, None),
            ):
                answer = house.post(
                    subject_token=house.users.token("alice", may_act=claim), actor_token=house.agents.token("robot")
                )
                assert answer.json().get("reason") == reason


def connected_in_haste(path: Path) -> sqlite3.Connection:
    """A file that waits for no disk."""
    file = connect(path)
    file.execute("PRAGMA synchronous = OFF")
    return file


def test_a_great_many_sessions_are_not_in_memory(tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(house)
    (path,) = (house.folder / "sts").glob("*.sqlite")
    with closing(sqlite3.connect(path)) as file:
        (token_id,) = file.execute("SELECT token_id FROM session").fetchone()
    known = house.running.parts.store.find(token_id)
    assert known is not None
    monkeypatch.setattr("streams.services.sts.store.connect", connected_in_haste)
    store = StsStore(tmp_path / "many.sqlite")
    grown = []
    tracemalloc.start()
    try:
        for part in range(2):
            before = tracemalloc.get_traced_memory()[0]
            for number in range(part * SESSIONS, (part + 1) * SESSIONS):
                store.add(Issued(f"t-{number}", f"s-{number}", TENANT, 10**12, known.lineage, known.act))
                store.check_room(1, TENANT)
            grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert max(grown) < 100_000, "bytes for 20,000 sessions"
    assert store.find("t-7") is not None
    store.close()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def flipped(signature: str) -> str:
    """The same bytes in another base64 form: the last character has bits that stand for nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
