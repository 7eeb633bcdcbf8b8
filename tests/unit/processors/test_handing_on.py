"""What one session gives on to another, through the gate: how little it is trusted, and what takes it back."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from streams.model.delegation import Delegation
from streams.model.labels import CLEAN, WORST, Confidentiality, Integrity, Label
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, SESSION
from streams.model.verdict import Origin
from streams.testing.records import UNTRUSTED, SessionMaker, revocation
from tests.kit import FILES_READ, MAIL_SEND, MINUTE_MS, WEB_FETCH, GateBench
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


class TestTrust:
    """What another session has read may be in what this one is asked to do."""

    ARGS: ClassVar[dict[str, Any]] = {"to": "bob@outside.example"}

    def test_handing_on_to_oneself_does_not_wash_it_clean(self) -> None:
        house = House()
        intent = house.bench.propose(WEB_FETCH, {"url": "x"}, session=house.mother)
        result = house.mother.result(intent, house.bench.now_ms, label=UNTRUSTED)
        house.bench.driver.pipe(SESSION.name, house.mother.key, result)
        assert house.bench.judge(MAIL_SEND, self.ARGS, session=house.mother).reason == Reason.RULE_DENIED
        child, _ = house.child("s-9", act="planner")
        verdict = house.bench.judge(MAIL_SEND, self.ARGS, session=child)
        assert (verdict.reason, verdict.label) == (Reason.RULE_DENIED, WORST)
        assert [influence.origin for influence in verdict.influences] == [Origin.UNTRUSTED]

    @pytest.mark.parametrize("grant_first", [False, True])
    @pytest.mark.parametrize("parent", [None, "s-1"])
    @pytest.mark.parametrize("names_its_grant", [False, True])
    def test_whichever_of_event_and_grant_comes_first(
        self, grant_first: bool, parent: str | None, names_its_grant: bool
    ) -> None:
        house, maker = House(), SessionMaker("s-9", act="writer")
        bench = house.bench
        grant = house.mother.handed_on(house.root, "g-9", bench.now_ms, maker)
        uid = "g-9" if names_its_grant else None
        event = maker.established(bench.now_ms, delegation_uid=uid, parent_session_id=parent)
        records = [(SESSION, event), (DELEGATION, grant)]
        for topic, record in reversed(records) if grant_first else records:
            bench.driver.pipe(topic.name, maker.key, record)
        if parent is not None and not names_its_grant and not grant_first:
            assert bench.dead_letters(SESSION.name) == [DeadLetterReason.RECORD_INVALID]
            return
        assert bench.judge(MAIL_SEND, self.ARGS, session=maker).label == WORST

    @pytest.mark.parametrize("grant_first", [False, True])
    def test_the_token_service_can_say_how_far_it_goes(self, grant_first: bool) -> None:
        house, maker = House(), SessionMaker("s-9", act="writer")
        bench = house.bench
        grant = house.mother.handed_on(house.root, "g-9", bench.now_ms, maker)
        label = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)
        event = maker.established(bench.now_ms, delegation_uid="g-9", parent_session_id="s-1", label=label)
        records = [(SESSION, event), (DELEGATION, grant)]
        for topic, record in reversed(records) if grant_first else records:
            bench.driver.pipe(topic.name, maker.key, record)
        verdict = bench.judge(MAIL_SEND, self.ARGS, session=maker)
        assert (verdict.reason, verdict.label) == (ALLOWED, label)

    def test_nobody_else_can(self) -> None:
        house, maker = House(), SessionMaker("s-9", act="writer")
        event = maker.established(house.bench.now_ms, delegation_uid="g-9", parent_session_id="s-1")
        forged = msgspec.structs.replace(event, label=CLEAN)
        house.bench.driver.pipe(SESSION.name, maker.key, forged)
        assert house.bench.dead_letters(SESSION.name) == [DeadLetterReason.WRITER_UNPROVEN]

    def test_what_it_says_of_a_session_of_a_user_s_counts_too(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, label=UNTRUSTED)
        assert bench.judge(MAIL_SEND, self.ARGS).reason == Reason.RULE_DENIED

    def test_more_readers_than_are_kept_are_none(self) -> None:
        bench = GateBench(with_session=False)
        readers = tuple(f"reader {number}" for number in range(1_000))
        bench.establish(bench.session, label=msgspec.structs.replace(CLEAN, readers=readers))
        assert bench.judge().label.readers == ()

    def test_it_trusts_no_more_than_it_has_read_before_it_was_opened(self) -> None:
        bench = GateBench(with_session=False)
        read = bench.session.event(SessionEventType.RETRIEVAL, bench.now_ms, label=UNTRUSTED)
        bench.driver.pipe(SESSION.name, bench.session.key, read)
        bench.establish(bench.session, label=CLEAN)
        assert bench.judge(MAIL_SEND, self.ARGS).reason == Reason.RULE_DENIED


class TestWhereItComesFrom:
    """A session that was opened from another one ends with it, so it must show from whom it descends."""

    def test_without_a_grant_it_is_not_opened(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, parent_session_id="s-0")
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.RECORD_INVALID]
        bench.propose()
        bench.wait(MINUTE_MS)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN

    @pytest.mark.parametrize("grant_first", [False, True])
    @pytest.mark.parametrize("is_root", [False, True])
    def test_its_grant_must_be_of_the_session_that_it_names(self, grant_first: bool, is_root: bool) -> None:
        house, maker = House(), SessionMaker("s-9", act="writer")
        bench = house.bench
        hop = house.mother.handed_on(house.root, "g-9", bench.now_ms, maker)
        grant = maker.grant("g-9", bench.now_ms) if is_root else hop
        event = maker.established(bench.now_ms, delegation_uid="g-9", parent_session_id="s-0")
        records = [(SESSION, event), (DELEGATION, grant)]
        for topic, record in reversed(records) if grant_first else records:
            bench.driver.pipe(topic.name, maker.key, record)
        bench.propose(FILES_READ, PATH, session=maker)
        bench.wait(MINUTE_MS)
        assert bench.verdict().reason == Reason.DELEGATION_SESSION_MISMATCH

    def test_a_kill_reaches_every_level(self) -> None:
        house = House()
        child, hop = house.child("s-8")
        grandchild, _ = house.child("s-9", hop, child, act="sender")
        house.stop(RevocationKind.SESSION, "acme|s-1")
        assert [house.reason(each) for each in (child, grandchild)] == [Reason.SESSION_PARENT_ENDED] * 2


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
