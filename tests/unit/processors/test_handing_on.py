"""What one session gives on to another, through the gate: how little it is trusted, and what takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from streams.model.delegation import Delegation
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.topics import DELEGATION, REVOCATION
from streams.testing.records import SessionMaker, revocation
from tests.kit import FILES_READ, MAIL_SEND
from tests.unit.delegation.denials import standing_on
from tests.unit.delegation.family import Family, tool, tools

ALLOWED = Reason.PERMITTED.value
ANY_TOOL = tools(tool("mail", "send"), tool("web", "fetch"), tool("files", "read"))
PATH = {"path": "a.txt"}


class House:
    """A mother with a grant of three tools, which she may give on twice, and whoever she gives it to."""

    def __init__(self, **changes: Any) -> None:
        self.family = Family()
        fields = {"authorization_details": ANY_TOOL, "audience": ("files", "mail", "web"), **changes}
        self.root = self.family.root(**fields)
        self.mother = self.family.mother
        self.bench = standing_on(self.root, self.mother)

    def child(
        self, session_id: str, parent: Delegation | None = None, giver: SessionMaker | None = None, **event: Any
    ) -> tuple[SessionMaker, Delegation]:
        """A live session that stands on a part of a grant; the grant comes after its first event."""
        maker, uid = SessionMaker(session_id, act=event.pop("act", "writer")), f"g-{session_id}"
        giver = giver or self.mother
        grant = giver.handed_on(parent or self.root, uid, self.bench.now_ms, maker)
        event = {"delegation_uid": uid, "parent_session_id": giver.session_id, **event}
        self.bench.establish(maker, scopes=("files:read", "mail:send"), **event)
        self.bench.driver.pipe(DELEGATION.name, maker.key, grant)
        return maker, grant

    def reason(self, session: SessionMaker) -> str:
        """Of a harmless call's verdict."""
        return self.bench.judge(FILES_READ, PATH, session=session).reason

    def stop(self, kind: RevocationKind, target: str) -> None:
        self.bench.driver.pipe(REVOCATION.name, *revocation(kind, target, time_ms=self.bench.now_ms))


class TestKillingAnAgent:
    def test_it_takes_what_it_has_given_on_with_it_at_any_depth(self) -> None:
        house = House()
        child, hop = house.child("s-8")
        grandchild, _ = house.child("s-9", hop, child, act="sender")
        house.stop(RevocationKind.AGENT, "acme|planner")
        assert {house.reason(each) for each in (house.mother, child, grandchild)} == {Reason.REVOKED_AGENT}
        assert house.reason(house.child("s-10")[0]) == Reason.REVOKED_AGENT

    def test_what_it_was_given_lives_on(self) -> None:
        house = House()
        child, hop = house.child("s-8")
        grandchild, _ = house.child("s-9", hop, child, act="sender")
        house.stop(RevocationKind.AGENT, "acme|writer")
        house.stop(RevocationKind.AGENT, "other|planner")
        assert [house.reason(each) for each in (house.mother, child, grandchild)] == [
            ALLOWED,
            Reason.REVOKED_AGENT,
            Reason.REVOKED_AGENT,
        ]

    @pytest.mark.parametrize("args", [{"ask": "one"}, {"later": True}])
    def test_what_waits_ends_at_once(self, args: dict[str, Any]) -> None:
        house = House()
        child, _ = house.child("s-8")
        house.bench.judge(MAIL_SEND, args, session=child)
        house.stop(RevocationKind.AGENT, "acme|planner")
        assert [end.reason for end in house.bench.verdicts()] == [Reason.REVOKED_AGENT]

    def test_executors_are_told_of_them_in_the_verdict(self) -> None:
        house = House()
        child, hop = house.child("s-8")
        grandchild, _ = house.child("s-9", hop, child, act="sender")
        assert house.bench.judge(FILES_READ, PATH, session=grandchild).ancestor_actors == ("planner", "writer")
        assert house.bench.judge(FILES_READ, PATH, session=house.mother).ancestor_actors == ()
