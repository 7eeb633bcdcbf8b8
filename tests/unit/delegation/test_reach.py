"""What an agent can reach at most: by the grants that hold, and by no others."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import SessionMaker, revocation
from streams.delegation.effective_reach import Question, Reach, effective_reach
from streams.model.delegation import ArgumentConstraint, Budget, Delegation, DelegationOp
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.revocation_set import RevocationSet
from tests.unit.delegation.family import FILES, MINUTE_MS, MOTHERS_KEY, NOW_MS, STANDARD, Family, bound, tool, tools

CATALOG = [("files", "read"), ("files", "write"), ("mail", "send"), ("web", "fetch")]
WRITER = Question("acme", "writer", "alice")


def reach(*grants: Delegation, question: Question = WRITER, gone: tuple[tuple[RevocationKind, str], ...] = ()) -> Reach:
    revoked = RevocationSet()
    for kind, target in gone:
        revoked.apply(revocation(kind, target, time_ms=NOW_MS)[1])
    return effective_reach(question, grants, CATALOG, revoked, STANDARD, NOW_MS)


def names(found: Reach) -> list[str]:
    return [f"{each.server_id}/{each.name}" for each in found.tools]


def test_the_tools_with_their_bounds_and_the_grant_that_lets_them() -> None:
    found = reach(Family().hop(budget=Budget(calls=3), cnf_jkt=MOTHERS_KEY.jkt))
    assert names(found) == ["files/read", "mail/send"]
    (way,) = found.tools[0].ways
    assert way.bounds == (("/path", "WILDCARD", '"docs/*"'),)
    assert (way.lineage, way.session_id, way.scopes) == (("g-1", "g-2"), "s-2", ("files:read", "mail:send"))
    assert (way.expires_ms, way.gives_on) == (NOW_MS + 10 * MINUTE_MS, True)
    assert (way.cnf_jkt, way.calls_max) == (MOTHERS_KEY.jkt, 3)
    assert not found.dead


def test_only_of_this_agent_for_this_user_in_this_tenant() -> None:
    family = Family()
    grants = (family.root(), family.hop(), family.last())
    assert names(reach(*grants, question=Question("acme", "writer", "bob"))) == []
    assert names(reach(*grants, question=Question("other", "writer", "alice"))) == []
    assert names(reach(*grants, question=Question("acme", "nobody", "alice"))) == []
    (way,) = reach(*grants).tools[0].ways
    assert way.lineage == ("g-1", "g-2")


def test_several_grants_are_several_ways() -> None:
    family, second = Family(), SessionMaker("s-9", act="writer")
    other = family.mother.handed_on(family.root(), "g-9", NOW_MS, second, authorization_details=tools(FILES))
    found = reach(family.hop(), other)
    assert {each.name: [way.lineage[-1] for way in each.ways] for each in found.tools} == {
        "read": ["g-2", "g-9"],
        "send": ["g-2"],
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"authorization_details": tools(tool("*", "*")), "audience": ("*",)}, [f"{s}/{n}" for s, n in CATALOG]),
        ({"authorization_details": tools(tool("files", "*")), "audience": ("*",)}, ["files/read", "files/write"]),
        ({"authorization_details": tools(tool("*", "*")), "audience": ("mail",)}, ["mail/send"]),
        ({"authorization_details": tools(tool("*", "*")), "audience": ()}, []),
        ({"authorization_details": tools(tool("gone", "tool")), "audience": ("*",)}, []),
        ({"authorization_details": (), "audience": ("*",)}, []),
    ],
)
def test_what_stands_for_tools_reaches_those_of_the_catalog(changes: dict[str, Any], expected: list[str]) -> None:
    question = Question("acme", "planner", "alice")
    assert names(reach(Family().root(**changes), question=question)) == expected


def test_a_grant_at_its_greatest_depth_can_not_be_given_on() -> None:
    family = Family()
    (way,) = reach(family.last(), question=Question("acme", "sender", "alice")).tools[0].ways
    assert not way.gives_on


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scopes": ("admin",)}, Reason.DELEGATION_WIDENED_SCOPES),
        ({"unproven": {"scopes": ("files:read",)}}, Reason.DELEGATION_SIGNATURE_INVALID),
        ({"exp": NOW_MS}, Reason.DELEGATION_EXPIRED),
    ],
)
def test_a_grant_that_does_not_hold_lets_nothing_through(changes: dict[str, Any], reason: Reason) -> None:
    found = reach(Family().hop(**changes))
    assert (names(found), [grant.reason for grant in found.dead]) == ([], [reason])


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ((RevocationKind.DELEGATION, "g-2"), Reason.REVOKED_DELEGATION),
        ((RevocationKind.DELEGATION, "g-1"), Reason.REVOKED_DELEGATION),
        ((RevocationKind.SESSION, "acme|s-2"), Reason.SESSION_REVOKED),
        ((RevocationKind.SESSION, "acme|s-1"), Reason.SESSION_PARENT_ENDED),
        ((RevocationKind.AGENT, "acme|writer"), Reason.REVOKED_AGENT),
        ((RevocationKind.AGENT, "acme|planner"), Reason.REVOKED_AGENT),
        ((RevocationKind.ALL, "*"), Reason.REVOKED_ALL),
    ],
)
def test_what_was_taken_back_lets_nothing_through(gone: tuple[RevocationKind, str], reason: Reason) -> None:
    found = reach(Family().hop(), gone=(gone,))
    assert (names(found), [grant.reason for grant in found.dead]) == ([], [reason])


def test_a_tool_that_was_taken_back_is_not_there() -> None:
    assert names(reach(Family().hop(), gone=((RevocationKind.TOOL, "mail/*"),))) == ["files/read"]
    assert names(reach(Family().hop(), gone=((RevocationKind.MODEL, "lab/m"),))) == ["files/read", "mail/send"]


def test_a_grant_that_was_taken_back_on_its_own_topic_is_not_there() -> None:
    family = Family()
    taken = family.daughter.grant("g-1", NOW_MS, op=DelegationOp.REVOKE)
    assert names(reach(family.hop(), taken)) == []


@pytest.mark.parametrize(
    ("bounds", "free"),
    [
        ((), ("*",)),
        ((bound("/a", "ALL", []),), ("/a",)),
        ((bound("/a", "WILDCARD", "*"), bound("/b", "WILDCARD", "x*")), ("/a",)),
        ((bound("/a", "WILDCARD", "**"),), ("/a",)),
        ((bound("/a", "WILDCARD", ""),), ()),
        ((bound("/a", "NOT_ONE_OF", []), bound("/b", "NOT_ONE_OF", ["x"])), ("/a",)),
        ((bound("/a", "CONTAINS", []), bound("/b", "SUBSET", [])), ("/a",)),
        ((bound("/a", "ANY", [{"type": "EXACT", "value": 1}, {"type": "WILDCARD", "value": "*"}]),), ("/a",)),
        ((bound("/a", "ALL", [{"type": "EXACT", "value": 1}, {"type": "WILDCARD", "value": "*"}]),), ()),
        # Bounds on the same argument apply together.
        ((bound("/a", "WILDCARD", "*"), bound("/a", "EXACT", "x")), ()),
        ((bound("/a", "RANGE", {"min": 1}), bound("/b", "ONE_OF", ["x"])), ()),
    ],
)
def test_arguments_that_nothing_bounds_are_named(bounds: tuple[ArgumentConstraint, ...], free: tuple[str, ...]) -> None:
    granted = tools(tool("mail", "send", *bounds))
    question = Question("acme", "planner", "alice")
    (found,) = reach(Family().root(authorization_details=granted), question=question).tools
    assert found.ways[0].unbounded_arguments == free
