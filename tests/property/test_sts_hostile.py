"""Whatever is sent to the token service, it answers with a session or with a refusal in OAuth's form, and goes on."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import jwt.api_jws
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.sdk.agent.token_exchange import ACCESS_TOKEN, ID_JAG, ID_TOKEN, JWT, TXN_TOKEN
from tests.unit.services.sts.house import AGENT, House, open_house
from tests.unit.services.sts.issuers import Issuer, now_s

CODES = {
    "invalid_request", "invalid_scope", "invalid_target", "invalid_authorization_details", "unauthorized_client",
    "unsupported_grant_type",
}  # fmt: skip
FORM = {"content-type": "application/x-www-form-urlencoded"}
quiet = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["alice", "*"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "scp", "may_act", "authorization_details", "txn", "purp",
     "client_id", "auth_time", "act", "cnf", "typ"]
)  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["typ", "alg", "kid", "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty"]), values, max_size=3
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = dict.fromkeys(("per_subject_per_minute", "per_agent_per_minute", "per_address_per_minute"), 1_000_000)
    with open_house(tmp_path_factory.mktemp("house"), **limits) as opened:
        yield opened


def answered(house: House, content: bytes, **more: str) -> bool:
    """Whether a session was opened; anything but that and a refusal is a fault."""
    response = house.http.post("/token", content=content, headers=FORM | more)
    members = response.json()
    if response.status_code == 200:
        assert members["session_id"]
        return True
    assert response.status_code == 400, response.text
    assert members["error"] in CODES
    assert response.headers["cache-control"] == "no-store"
    text = members["error_description"]
    assert all(" " <= char <= "~" and char not in '"\\' for char in text)
    return False


def signed(issuer: Issuer, claims: dict[str, Any], header: dict[str, Any]) -> str:
    """A token that its issuer has signed, whatever it says."""
    algorithm, key = issuer.keys["k1"]
    whole = {"alg": algorithm, "typ": "JWT", "kid": "k1"} | header
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (whole, claims)]
    signature = jwt.api_jws.PyJWS().get_algorithm_by_name(algorithm).sign(b".".join(parts), key)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@quiet
@given(st.binary(max_size=300))
def test_bodies(house: House, body: bytes) -> None:
    assert not answered(house, body)


@quiet
@given(
    changes=st.dictionaries(
        st.sampled_from(["scope", "audience", "authorization_details", "expires_in", "max_depth", "purpose", "grant",
                         "subject_proof", "subject_token", "actor_token", "subject_token_type", "requested_token_type",
                         "resource"]),
        st.text(max_size=40) | values.map(json.dumps),
        max_size=3,
    )
)  # fmt: skip
def test_parameters(house: House, changes: dict[str, str]) -> None:
    form = {name: value.encode("utf-8", "replace") for name, value in changes.items()}
    answered(house, urlencode(house.form() | form, doseq=True).encode())


@quiet
@given(
    claims=st.dictionaries(names, values, max_size=3),
    header=headers,
    kind=st.sampled_from([ID_TOKEN, JWT, ACCESS_TOKEN, TXN_TOKEN, ID_JAG]),
    left_out=st.sets(names, max_size=2),
)
def test_what_an_issuer_signs(
    house: House, claims: dict[str, Any], header: dict[str, Any], kind: str, left_out: set[str]
) -> None:
    """Also a trusted issuer can make nonsense; what counts is held against the user that it names."""
    whole = {name: value for name, value in (house.users.claims("alice") | claims).items() if name not in left_out}
    form = house.form(subject_token=signed(house.users, whole, header), subject_token_type=kind)
    begun_s = now_s()
    if answered(house, urlencode(form).encode()):
        assert whole["sub"] == house.sessions()[-1].sub or whole["sub"] in {e.sub for e in house.sessions()}
        assert whole["exp"] > begun_s - 5


@quiet
@given(claims=st.dictionaries(names, values, max_size=3), header=headers, left_out=st.sets(names, max_size=2))
def test_what_an_issuer_of_agents_signs(
    house: House, claims: dict[str, Any], header: dict[str, Any], left_out: set[str]
) -> None:
    whole = {name: value for name, value in (house.agents.claims(AGENT) | claims).items() if name not in left_out}
    if answered(house, urlencode(house.form(actor_token=signed(house.agents, whole, header))).encode()):
        assert whole["sub"] == AGENT


@quiet
@given(data=st.data())
def test_tokens_with_a_character_changed(house: House, data: st.DataObject) -> None:
    token = house.users.token("alice")
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.sampled_from("Aa0_-.=+ ")) + token[at + 1 :]
    # The last character of a part has bits that stand for nothing: then it may count as the same token.
    if answered(house, urlencode(house.form(subject_token=changed)).encode()):
        assert _decoded(changed) == _decoded(token)
    else:
        assert changed != token


def _decoded(token: str) -> list[bytes] | None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", token):
        return None
    try:
        return [base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True) for part in token.split(".")]
    except ValueError:
        return None


@quiet
@given(header=headers, claims=st.dictionaries(st.sampled_from(["htm", "htu", "iat", "jti"]), values, max_size=3))
def test_proofs_of_keys(house: House, header: dict[str, Any], claims: dict[str, Any]) -> None:
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in (header, claims)]
    assert not answered(house, urlencode(house.form()).encode(), dpop=".".join([*parts, "AAAA"]))
