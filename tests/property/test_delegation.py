"""Generated grants against an independent model: what is accepted is right, and what is narrower is accepted."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.records import ROOT_KEY, SessionMaker
from streams.codec.jsonform import to_json
from streams.delegation.constraints import Constraint, Room, compile_constraint
from streams.delegation.digest import grant_digest, grant_message, lineage_of, travelling
from streams.delegation.errors import GrantError
from streams.delegation.keys import hop_grant_key, root_grant_key
from streams.delegation.subsumption import Steps, implies
from streams.delegation.tools import compile_tool, is_narrower
from streams.delegation.verification import verify
from streams.model.canonical import canonical, sha256
from streams.model.delegation import (
    ArgumentConstraint,
    AuthorizationDetail,
    ConstraintType,
    Delegation,
    DelegationOp,
    GrantBody,
    ToolGrant,
)
from tests.property import delegation_model as model
from tests.unit.delegation.family import NOW_MS, STANDARD

replace = msgspec.structs.replace

SCALARS: list[Any] = [None, True, False, 0, 1, 2, 1.5, -1, "", "a", "b", "ab", "ba", "aab", "1"]
UNIVERSE: list[Any] = [
    *SCALARS,
    *([*items] for n in range(3) for items in itertools.product(["a", "b", 1], repeat=n)),
    {},
    {"a": 1},
    ["a", "a", "b"],
    [True],
]
PATTERNS = st.text("ab*", max_size=4)
ITEMS = st.lists(st.sampled_from(SCALARS), max_size=3)
NUMBERS = st.sampled_from([-1, 0, 1, 1.5, 2])

Spec = tuple[str, Any]


@st.composite
def ranges(draw: st.DrawFn) -> Spec:
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return "RANGE", draw(st.sampled_from([{"min": low}, {"max": high}, {"min": low, "max": high}]))


SINGLE: st.SearchStrategy[Spec] = st.one_of(
    st.tuples(st.just("EXACT"), st.sampled_from(UNIVERSE)),
    ranges(),
    st.tuples(st.sampled_from(["ONE_OF", "NOT_ONE_OF", "CONTAINS", "SUBSET"]), ITEMS),
    st.tuples(st.just("WILDCARD"), PATTERNS),
)


def _nested(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    parts = st.lists(inner, max_size=3).map(lambda specs: [{"type": kind, "value": value} for kind, value in specs])
    return st.tuples(st.sampled_from(["ALL", "ANY"]), parts)


BOUNDS = st.recursive(SINGLE, _nested, max_leaves=4)


def compiled(spec: Spec) -> Constraint:
    kind, value = spec
    made = ArgumentConstraint(argument="/x", type=ConstraintType(kind), value_json=json.dumps(value))
    return compile_constraint(made, Room())


@given(BOUNDS, st.sampled_from(UNIVERSE))
def test_a_bound_admits_what_the_model_admits(spec: Spec, value: Any) -> None:
    assert compiled(spec).admits(value) == model.admits(*spec, value)


@settings(max_examples=400)
@given(BOUNDS, BOUNDS)
def test_what_is_narrower_admits_no_more(child: Spec, parent: Spec) -> None:
    if implies(compiled(child), compiled(parent), Steps()):
        for value in UNIVERSE:
            assert not model.admits(*child, value) or model.admits(*parent, value), value


@given(BOUNDS)
def test_every_bound_is_as_narrow_as_itself(spec: Spec) -> None:
    """Unless it is nested so that a proof would need cases: then it is refused, not accepted."""
    kind, _ = spec
    if kind not in ("ALL", "ANY"):
        assert implies(compiled(spec), compiled(spec), Steps())


TEXTS = ["".join(letters) for n in range(6) for letters in itertools.product("abz", repeat=n)]


@settings(max_examples=400)
@given(PATTERNS, PATTERNS)
def test_between_patterns_it_is_exact(child: str, parent: str) -> None:
    """A pattern of four letters that is not within another shows it in a text of four letters, one of them new."""
    within = all(model.admits("WILDCARD", parent, text) for text in TEXTS if model.admits("WILDCARD", child, text))
    assert implies(compiled(("WILDCARD", child)), compiled(("WILDCARD", parent)), Steps()) == within


@given(SINGLE, SINGLE)
def test_between_single_bounds_of_one_kind_it_is_exact(child: Spec, parent: Spec) -> None:
    """The universe has a witness for whatever these can differ in, but for what lies between and beyond the numbers."""
    if child[0] != parent[0] or child[0] == "RANGE":
        return
    values = [*UNIVERSE, *TEXTS, "fresh", 77, ["fresh"], [*SCALARS, "fresh"], *([scalar] for scalar in SCALARS)]
    if child[0] == "CONTAINS":
        values += [list(child[1]), []]
    within = all(model.admits(*parent, value) for value in values if model.admits(*child, value))
    assert implies(compiled(child), compiled(parent), Steps()) == within


TOOL_BOUNDS = st.lists(
    st.tuples(
        st.sampled_from(["/x", "/y", "/x/y"]),
        st.sampled_from(
            [
                ("EXACT", 1),
                ("ONE_OF", [1, 2]),
                ("ONE_OF", [1, 2, "ab"]),
                ("RANGE", {"min": 1, "max": 2}),
                ("RANGE", {"max": 3}),
                ("NOT_ONE_OF", [3]),
                ("NOT_ONE_OF", [3, "b"]),
                ("WILDCARD", "*b"),
                ("WILDCARD", "a*"),
                ("SUBSET", ["a"]),
                ("ALL", []),
                ("EXACT", {"y": 1}),
            ]
        ),
    ),
    max_size=2,
)
NAMES = st.sampled_from([*model.TOOLS, ("files", "*"), ("*", "*")])


@st.composite
def granted_tools(draw: st.DrawFn) -> ToolGrant:
    server_id, name = draw(NAMES)
    bounds = tuple(
        ArgumentConstraint(argument=argument, type=ConstraintType(kind), value_json=json.dumps(value))
        for argument, (kind, value) in draw(TOOL_BOUNDS)
    )
    return ToolGrant(server_id=server_id, name=name, constraints=bounds)


def _calls(tool: ToolGrant) -> set[tuple[str, str, str]]:
    plain = SessionMaker().grant("g", 0, audience=("*",), authorization_details=(_detail(tool),))
    return model.calls(plain)


def _detail(*tools: ToolGrant) -> AuthorizationDetail:
    return AuthorizationDetail(type="tools", tools=tools)


@settings(max_examples=300)
@given(granted_tools(), granted_tools())
def test_a_narrower_tool_lets_no_call_more_through(child: ToolGrant, parent: ToolGrant) -> None:
    if is_narrower(compile_tool(child), compile_tool(parent), Steps()):
        assert _calls(child) <= _calls(parent)


@given(granted_tools())
def test_a_tool_lets_through_what_the_model_does(tool: ToolGrant) -> None:
    ready, expected = compile_tool(tool), _calls(tool)
    for server_id, name in model.TOOLS:
        for args in model.ARGS:
            found = ready.covers(server_id, name) and ready.fault(args) is None
            assert found == ((server_id, name, json.dumps(args)) in expected)


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "scopes": st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3).map(tuple),
        "audience": st.lists(st.sampled_from(["mail", "files", "*"]), unique=True, max_size=2).map(tuple),
        "authorization_details": st.lists(granted_tools(), max_size=2).map(lambda tools: (_detail(*tools),)),
        "max_depth": st.integers(1, 4),
        "exp": st.integers(NOW_MS - 1, NOW_MS + 100),
        "iat": st.sampled_from([NOW_MS - 10, NOW_MS, NOW_MS + 30_000, NOW_MS + 30_001]),
        "may_act": st.lists(st.sampled_from(["agent-0", "agent-1", "agent-2"]), unique=True, max_size=2).map(tuple),
    },
)
"""What a hop changes of its parent's: narrower or wider, as it comes."""

TAMPERED = st.one_of(
    *[st.none()] * 5,
    st.fixed_dictionaries(
        {},
        optional={
            "uid": st.sampled_from(["g-0", "g-1", "g-9"]),
            "root_uid": st.sampled_from(["g-0", "g-1"]),
            "parent_uid": st.sampled_from(["g-0", "g-1", None]),
            "depth": st.integers(0, 4),
            "sub": st.sampled_from(["alice", "bob"]),
            "tenant_uid": st.sampled_from(["acme", "other"]),
            "op": st.sampled_from(DelegationOp),
            "issuer_uid": st.sampled_from(["agent-0", "agent-1", "chief"]),
            "parent_digest": st.sampled_from([None, bytes(32)]),
            "txn": st.sampled_from([None, "t-1"]),
        },
    ),
)
"""What is changed of a hop before it is signed: by somebody who has the key, and lies."""


@st.composite
def grants(draw: st.DrawFn) -> tuple[Delegation, SessionMaker]:
    """A chain of up to five hops, some of them wider or made up; and perhaps something of it changed afterwards."""
    makers = [SessionMaker(f"s-{n}", act=f"agent-{n}") for n in range(6)]
    everything = {"scopes": ("a", "b", "c"), "audience": ("*",), "exp": NOW_MS + 100, "max_depth": 4}
    grant = makers[0].grant("g-0", NOW_MS, **(everything | draw(PARTS)))
    length = draw(st.sampled_from([0, 1, 1, 2, 2, 3, 3, 4, 5]))
    for n in range(length):
        changes = draw(PARTS) | (draw(TAMPERED) or {})
        uid = changes.pop("uid", f"g-{n + 1}")
        grant = makers[n].handed_on(grant, uid, NOW_MS, makers[n + 1], **changes)
    lineage = list(lineage_of(grant))
    kind = draw(st.sampled_from([*["none"] * 9, "swap", "cut", "double", "edit", "resign"]))
    at = draw(st.integers(0, len(lineage) - 1))
    if kind == "swap":
        lineage[at], lineage[0] = lineage[0], lineage[at]
    elif kind == "cut" and len(lineage) > 1:
        del lineage[at]
    elif kind == "double":
        lineage.insert(at, lineage[at])
    elif kind == "edit":
        lineage[at] = replace(lineage[at], **draw(PARTS))
    elif kind == "resign":
        signer = draw(st.sampled_from([*makers[:3], None]))
        key = (
            root_grant_key(ROOT_KEY, "acme", lineage[at].issuer_uid) if signer is None else hop_grant_key(signer.secret)
        )
        lineage[at] = replace(lineage[at], proof=key.prove(grant_message(lineage[at])))
    return travelling(tuple(lineage), grant.header), makers[draw(st.sampled_from([*[length] * 9, 0]))]


@settings(max_examples=500, deadline=None)
@given(grants())
def test_only_what_the_model_accepts_is_accepted(made: tuple[Delegation, SessionMaker]) -> None:
    grant, receiver = made
    if _fault(grant, receiver) is None:
        assert model.holds(grant, ("acme", receiver.session_id), NOW_MS)


def _fault(grant: Delegation, receiver: SessionMaker) -> str | None:
    try:
        verify(grant, "acme", receiver.session_id, STANDARD, NOW_MS)
    except GrantError as error:
        return error.reason.value
    return None


NARROWER = st.fixed_dictionaries(
    {},
    optional={
        "scopes": st.just(()),
        "exp": st.integers(NOW_MS + 1, NOW_MS + 50),
        "audience": st.sampled_from([("mail",), ()]),
        "authorization_details": st.sampled_from([(), (_detail(ToolGrant(server_id="mail", name="send")),)]),
    },
)


@settings(max_examples=100, deadline=None)
@given(NARROWER, NARROWER)
def test_what_is_narrower_all_the_way_is_accepted(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The second hop changes only what the first has left as it was."""
    makers = [SessionMaker(f"s-{n}", act=f"agent-{n}") for n in range(3)]
    root = makers[0].grant("g-0", NOW_MS, scopes=("a",), audience=("mail", "files"), exp=NOW_MS + 100)
    hop = makers[0].handed_on(root, "g-1", NOW_MS, makers[1], **first)
    rest = {name: value for name, value in second.items() if name not in first}
    last = makers[1].handed_on(hop, "g-2", NOW_MS, makers[2], **rest)
    assert [body.uid for body in verify(last, "acme", "s-2", STANDARD, NOW_MS)] == ["g-0", "g-1", "g-2"]
    assert model.holds(last, ("acme", "s-2"), NOW_MS)


@given(grants())
def test_the_digest_is_that_of_the_json_form(made: tuple[Delegation, SessionMaker]) -> None:
    for body in lineage_of(made[0]):
        assert grant_digest(body) == sha256(canonical(to_json(body)))


@given(st.text(), st.integers(-(2**53) + 1, 2**53 - 1))
def test_the_digest_is_canonical_for_every_text_and_number(text: str, number: int) -> None:
    body = lineage_of(SessionMaker().grant(text, 0, purpose=text, scopes=(text,), exp=number, max_depth=number))[0]
    assert grant_digest(body) == sha256(canonical(to_json(body)))


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_different_grants_have_different_digests(one: list[str], other: list[str]) -> None:
    def made(scopes: list[str]) -> GrantBody:
        return lineage_of(SessionMaker().grant("g", 0, scopes=tuple(scopes)))[0]

    assert (grant_digest(made(one)) == grant_digest(made(other))) == (one == other)


CONVEYED = st.fixed_dictionaries(
    {
        "scopes": st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2).map(tuple),
        "audience": st.lists(st.sampled_from(["mail", "files", "*"]), unique=True, max_size=2).map(tuple),
        "authorization_details": st.lists(granted_tools(), max_size=2).map(lambda tools: (_detail(*tools),)),
    }
)


@settings(max_examples=300, deadline=None)
@given(CONVEYED, CONVEYED)
def test_a_hop_that_is_accepted_conveys_no_more(above: dict[str, Any], below: dict[str, Any]) -> None:
    """Nothing else is wrong with these, so that all depends on what they convey."""
    makers = [SessionMaker("s-0"), SessionMaker("s-1")]
    root = makers[0].grant("g-0", NOW_MS, **above)
    hop = makers[0].handed_on(root, "g-1", NOW_MS, makers[1], **below)
    reason = _fault(hop, makers[1])
    assert model.holds(hop, ("acme", "s-1"), NOW_MS) if reason is None else "widened" in reason
