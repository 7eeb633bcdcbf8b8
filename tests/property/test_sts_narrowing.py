"""No exchange gives more than its source and its agent's settings have: whatever is asked for, over whole chains.

What is held against each other is what tokens say, read with another library, and the calls that their tools let
through, one by one, by an evaluator of its own.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.sdk.agent.token_exchange import SessionToken, StsClient, TokenRefusedError
from tests.unit.services.sts.house import STS, House, open_house, profile
from tests.unit.services.sts.issuers import Issuer, now_s

SCOPES = ("a", "b", "c", "d")
SERVERS = ("mail", "files")
DEPTH_MAX = 4
Call = tuple[str, str, str]

VALUES: tuple[Any, ...] = ("ann@acme.example", "bob@acme.example", "eve@evil.example", 0, 5, 10, None)
ARGS: tuple[Mapping[str, Any], ...] = (
    {},
    *({"to": value} for value in VALUES),
    *({"to": value, "n": number} for value in VALUES[:3] for number in (0, 5, 10)),
    {"to": VALUES[0], "cc": VALUES[2]},
)
CALLS: tuple[Call, ...] = tuple(
    (server, name, json.dumps(args, sort_keys=True)) for server in SERVERS for name in ("send", "read") for args in ARGS
)

BOUNDS = (
    {"argument": "/to", "type": "WILDCARD", "value": "*@acme.example"},
    {"argument": "/to", "type": "WILDCARD", "value": "*"},
    {"argument": "/to", "type": "EXACT", "value": "bob@acme.example"},
    {"argument": "/to", "type": "ONE_OF", "value": ["bob@acme.example", "eve@evil.example"]},
    {"argument": "/n", "type": "RANGE", "value": {"min": 0, "max": 5}},
    {"argument": "/n", "type": "ONE_OF", "value": [5, 10]},
)
PROFILES: Mapping[str, dict[str, Any]] = {
    "all": {"scopes": list(SCOPES), "tools": [{"server": "*", "name": "*"}], "max_depth": 4},
    "mail": {"scopes": ["a", "b"], "tools": [{"server": "mail", "name": "*"}], "max_depth": 2},
    "acme": {
        "scopes": ["b", "c"],
        "tools": [{"server": "mail", "name": "send", "arguments": [BOUNDS[0]]}, {"server": "files", "name": "read"}],
        "max_depth": 1,
    },
    "short": {"scopes": ["a"], "tools": [{"server": "files", "name": "read"}], "ttl_ms": 20_000, "max_depth": 0},
    "none": {"scopes": [], "tools": []},
    "pinned": {
        "scopes": list(SCOPES),
        "tools": [{"server": "*", "name": "*"}],
        "servers": ["files"],
        "may_act": ["short"],
    },
}

bounds = st.lists(st.sampled_from(BOUNDS), max_size=2)
tools = st.builds(
    lambda server, name, constraints: {"server_id": server, "name": name, "constraints": constraints},
    st.sampled_from((*SERVERS, "bank")),
    st.sampled_from(("send", "read", "*")),
    bounds,
)
details = st.lists(tools, min_size=1, max_size=3).map(lambda listed: [{"type": "stoplog_tools", "tools": listed}])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


scopes = st.lists(st.sampled_from((*SCOPES, "e")), unique=True, min_size=1, max_size=3)
asked = st.fixed_dictionaries(
    {},
    optional={
        "scopes": scopes,
        "audience": st.lists(st.sampled_from((*SERVERS, "bank", "*")), unique=True, min_size=1, max_size=2),
        "authorization_details": details,
        "life_s": st.integers(1, 400),
        "max_depth": st.integers(0, 5),
    },
)
sources = st.fixed_dictionaries(
    {"exp_in_s": st.integers(5, 500)}, optional={"scope": scopes.map(" ".join), "authorization_details": details}
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    agents = Issuer("https://agents.example", STS).issuer
    listed = {
        name: profile(agents, name, **{"ttl_ms": 300_000, "max_depth": 2} | own) for name, own in PROFILES.items()
    }
    limits = dict.fromkeys(("per_subject_per_minute", "per_agent_per_minute", "per_address_per_minute"), 1_000_000)
    with open_house(tmp_path_factory.mktemp("house"), agents=listed, **limits) as opened:
        yield opened


@pytest.fixture(scope="module")
def sts(house: House) -> Iterator[StsClient]:
    with house.client() as client:
        yield client


def lets_through(listed: Sequence[Mapping[str, Any]], call: Call) -> bool:
    """Whether one of the tools of `authorization_details` (of tokens or settings) is for the call."""
    return any(_tool_allows(tool, call) for tool in listed)


def _tool_allows(tool: Mapping[str, Any], call: Call) -> bool:
    server, name, text = call
    if tool.get("server_id", tool.get("server")) not in ("*", server) or tool["name"] not in ("*", name):
        return False
    constraints = tool.get("constraints", tool.get("arguments", []))
    if not constraints:
        return True
    args = json.loads(text)
    named = {bound["argument"].removeprefix("/") for bound in constraints}
    return named == set(args) and all(_admits(b, args[b["argument"].removeprefix("/")]) for b in constraints)


def _admits(bound: Mapping[str, Any], value: Any) -> bool:
    wanted = bound["value"]
    match bound["type"]:
        case "EXACT":
            return type(value) is type(wanted) and value == wanted
        case "ONE_OF":
            return any(type(value) is type(one) and value == one for one in wanted)
        case "RANGE":
            return type(value) is int and wanted["min"] <= value <= wanted["max"]
        case "WILDCARD":
            return isinstance(value, str) and fnmatch.fnmatchcase(value, wanted)
    raise AssertionError(bound)


class Rights:
    """What a token lets its holder do, as it says itself."""

    def __init__(self, house: House, session: SessionToken, asked_s: int) -> None:
        token = session.access_token
        keys = jwt.PyJWKSet.from_dict(house.http.get("/jwks").json())
        key = keys[jwt.get_unverified_header(token)["kid"]].key
        # It may have a second to live, and be looked at later than that. What counts is when it was asked for.
        options = {"verify_exp": False}
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=STS, issuer=STS, options=options)
        assert claims["exp"] > asked_s
        self.scopes = set(claims.get("scope", "").split())
        self.servers = set(claims["aud"]) - {STS}
        self.tools = [tool for one in claims.get("authorization_details", []) for tool in one["tools"]]
        self.exp_s = claims["exp"]
        self.sub = claims["sub"]
        self.act = claims["act"]
        grant = session.credential.grant
        assert grant is not None
        self.grant = grant
        assert grant.exp // 1_000 == self.exp_s
        assert set(grant.scopes) == self.scopes

    def calls(self) -> set[Call]:
        """A call needs its server among those that the token is for, and one of its tools."""
        reached = {call for call in CALLS if "*" in self.servers or call[0] in self.servers}
        return {call for call in reached if lets_through(self.tools, call)}


def within_profile(rights: Rights, name: str, got_s: int) -> None:
    own = PROFILES[name]
    assert rights.scopes <= set(own["scopes"])
    servers = set(own.get("servers", [tool["server"] for tool in own["tools"]]))
    assert "*" in servers or rights.servers <= servers
    assert rights.calls() <= {c for c in CALLS if lets_through(own["tools"], c) and ("*" in servers or c[0] in servers)}
    assert rights.exp_s <= got_s + own.get("ttl_ms", 300_000) // 1_000 + 1
    assert rights.grant.max_depth <= min(DEPTH_MAX, rights.grant.depth + own.get("max_depth", 2))


def within_asked(rights: Rights, wanted: Mapping[str, Any], got_s: int) -> None:
    """What was asked for bounds it, too: nothing is added."""
    if "scopes" in wanted:
        assert rights.scopes == set(wanted["scopes"])
    if "audience" in wanted:
        assert rights.servers == set(wanted["audience"])
    if "authorization_details" in wanted:
        listed = [tool for one in wanted["authorization_details"] for tool in one["tools"]]
        assert rights.calls() <= {call for call in CALLS if lets_through(listed, call)}
    if "life_s" in wanted:
        assert rights.exp_s <= got_s + wanted["life_s"] + 1
    if "max_depth" in wanted:
        assert rights.grant.max_depth == wanted["max_depth"]


GRANTED = {"roots": 0, "hops": 0, "refused": 0}
names = st.sampled_from(sorted(PROFILES))


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    source=sources,
    first=names,
    wanted=asked,
    hops=st.lists(st.tuples(names, asked), max_size=5),
)
def test_no_exchange_widens_anything(
    house: House, sts: StsClient, source: dict[str, Any], first: str, wanted: dict[str, Any], hops: list[Any]
) -> None:
    begun_s = now_s()
    claims = {name: value for name, value in source.items() if name != "exp_in_s"}
    exp_s = begun_s + source["exp_in_s"]
    try:
        session = sts.exchange(house.users.token("alice", exp=exp_s, **claims), house.agents.token(first), **wanted)
    except TokenRefusedError:
        GRANTED["refused"] += 1
        return
    GRANTED["roots"] += 1
    # Its life begins before it is there, however long the exchange has taken.
    got_s = now_s()
    rights = Rights(house, session, begun_s)
    within_profile(rights, first, got_s)
    within_asked(rights, wanted, got_s)
    assert rights.exp_s <= exp_s
    if "scope" in claims:
        assert rights.scopes <= set(claims["scope"].split())
    if "authorization_details" in claims:
        listed = [tool for one in claims["authorization_details"] for tool in one["tools"]]
        assert rights.calls() <= {call for call in CALLS if lets_through(listed, call)}
    for name, more in hops:
        asked_s = now_s()
        try:
            session = sts.hand_on(session, house.agents.token(name), **more)
        except TokenRefusedError:
            GRANTED["refused"] += 1
            continue
        GRANTED["hops"] += 1
        got_s = now_s()
        above, rights = rights, Rights(house, session, asked_s)
        within_profile(rights, name, got_s)
        within_asked(rights, more, got_s)
        assert rights.scopes <= above.scopes
        assert rights.calls() <= above.calls()
        assert "*" in above.servers or rights.servers <= above.servers
        assert rights.exp_s <= above.exp_s
        assert rights.grant.depth == above.grant.depth + 1 <= above.grant.max_depth
        assert rights.grant.max_depth <= above.grant.max_depth
        assert rights.sub == above.sub == "alice"
        assert rights.act["act"] == above.act


def test_enough_was_granted_and_enough_refused() -> None:
    """What grants nothing widens nothing either."""
    assert GRANTED["roots"] > 20
    assert GRANTED["hops"] > 10
    assert GRANTED["refused"] > 20
