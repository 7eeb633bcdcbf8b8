"""What one session gives on to another, through the gate: how little it is trusted, and what takes it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest

from simulation.records import SESSION_LIFE_MS, UNTRUSTED, SessionMaker, revocation
from streams.model.delegation import Delegation, DelegationOp
from streams.model.labels import CLEAN, WORST, Confidentiality, Integrity, Label
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, SESSION
from streams.model.verdict import Origin, Outcome
from streams.sdk.executor.verdict_checks import stoppable
from tests.kit import FILES_READ, HOUR_MS, MAIL_SEND, MINUTE_MS, START_MS, WEB_FETCH, GateBench
from tests.unit.delegation.denials import SETTINGS, standing_on
from tests.unit.delegation.family import Family, tool, tools

ALLOWED = Reason.PERMITTED.value
ANY_TOOL = tools(tool("mail", "send"), tool("web", "fetch"), tool("files", "read"))
PATH = {"path": "a.txt"}
IDLE_MS = 10 * MINUTE_MS


class House:
    """A mother with a grant of three tools, which she may give on twice, and whoever she gives it to."""

    def __init__(self, **changes: Any) -> None:
        self.family = Family()
        fields = {"authorization_details": ANY_TOOL, "audience": ("files", "mail", "web"), **changes}
        self.root = self.family.root(**fields)
        self.mother = self.family.mother
        self.bench = standing_on(self.root, self.mother, session_idle_ms=IDLE_MS)
        self.others: list[SessionMaker] = []

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
        self.others.append(maker)
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


END, REVOKE = SessionEventType.SESSION_ENDED, SessionEventType.SESSION_REVOKED
EXFILTRATION = {"to": "exfil@evil.example"}


def say(house: House, kind: SessionEventType) -> None:
    house.bench.driver.pipe(SESSION.name, house.mother.key, house.mother.event(kind, house.bench.now_ms))


def take_back(house: House) -> None:
    taken = house.mother.grant("g-1", house.bench.now_ms, op=DelegationOp.REVOKE, unproven={"proof": None})
    house.bench.driver.pipe(DELEGATION.name, house.mother.key, taken)


def let_lie(house: House) -> None:
    """All others are at work meanwhile."""
    house.bench.wait(IDLE_MS - MINUTE_MS)
    for session in house.others:
        assert house.reason(session) == ALLOWED
    house.bench.wait(MINUTE_MS)


def narrow_claims(house: House) -> None:
    """What was given on would have the claims from before."""
    event = house.mother.event(SessionEventType.TOKEN_CLAIMS_CHANGE, house.bench.now_ms, scopes=())
    house.bench.driver.pipe(SESSION.name, house.mother.key, event)


ENDS: dict[str, tuple[Callable[[House], None], Reason]] = {
    "ended": (lambda house: say(house, END), Reason.SESSION_ENDED),
    "revoked": (lambda house: say(house, REVOKE), Reason.SESSION_REVOKED),
    "its claims narrowed": (narrow_claims, Reason.SESSION_REVOKED),
    "its grant taken back": (take_back, Reason.SESSION_REVOKED),
    "idle": (let_lie, Reason.SESSION_IDLE),
}


def stops(house: House) -> list[Revocation]:
    """New records of the revocation topic."""
    return [read.record for read in house.bench.driver.read(REVOCATION.name) if isinstance(read.record, Revocation)]


class TestTheEndOfTheGiver:
    @pytest.mark.parametrize("how", ENDS)
    def test_it_takes_all_below_with_it_and_all_that_is_made_later(self, how: str) -> None:
        """What has been signed before, or is by whoever still has the key of a session that is over."""
        end, reason = ENDS[how]
        house = House(exp=START_MS + HOUR_MS)
        child, hop = house.child("s-8")
        grandchild, _ = house.child("s-9", hop, child, act="sender")
        end(house)
        late, _ = house.child("s-10")
        assert house.reason(house.mother) == reason
        assert [house.reason(each) for each in (child, grandchild, late)] == [Reason.SESSION_PARENT_ENDED] * 3

    @pytest.mark.parametrize("how", ENDS)
    def test_what_it_writes(self, how: str) -> None:
        end, reason = ENDS[how]
        house = House(exp=START_MS + HOUR_MS)
        end(house)
        (stop,) = stops(house)
        assert (stop.kind, stop.id, stop.state) == (RevocationKind.SESSION, "acme|s-1", RevocationState.REVOKED)
        assert (stop.reason, stop.initiating_entity) == (reason, "stoplog/gate")
        assert stop.until == house.root.exp

    @pytest.mark.parametrize("how", ENDS)
    def test_nothing_where_nothing_can_have_been_given_on(self, how: str) -> None:
        end, _ = ENDS[how]
        house = House(max_depth=0, exp=START_MS + HOUR_MS)
        end(house)
        assert not stops(house)

    def test_nothing_for_a_session_without_a_grant(self) -> None:
        bench = GateBench()
        bench.driver.pipe(SESSION.name, bench.session.key, bench.session.event(END, bench.now_ms))
        assert not bench.driver.read(REVOCATION.name)

    def test_nothing_once_its_grant_has_expired(self) -> None:
        house = House()
        house.bench.wait(2 * HOUR_MS)
        assert house.reason(house.mother) == Reason.SESSION_IDLE
        assert not stops(house)

    def test_age_ends_what_the_credential_would_not(self) -> None:
        family = Family()
        root = family.root(authorization_details=ANY_TOOL, audience=("files",), exp=START_MS + HOUR_MS)
        bench = standing_on(root, family.mother, unattended_age_max_ms=10 * MINUTE_MS)
        bench.wait(10 * MINUTE_MS)
        assert bench.judge(FILES_READ, PATH, session=family.mother).reason == Reason.SESSION_TOO_OLD
        ((_, stop, _),) = bench.driver.read(REVOCATION.name)
        assert isinstance(stop, Revocation)
        assert (stop.reason, stop.until) == (Reason.SESSION_TOO_OLD, root.exp)

    @pytest.mark.parametrize("kind", [END, REVOKE])
    @pytest.mark.parametrize("grant_first", [False, True])
    def test_a_session_that_is_over_before_it_begins(self, kind: SessionEventType, grant_first: bool) -> None:
        house = House()
        maker = SessionMaker("s-20", act="writer")
        bench = house.bench
        hop = house.mother.handed_on(house.root, "g-20", bench.now_ms, maker)
        records = [(SESSION, maker.event(kind, bench.now_ms)), (DELEGATION, hop)]
        for topic, record in reversed(records) if grant_first else records:
            bench.driver.pipe(topic.name, maker.key, record)
        (stop,) = stops(house)
        assert (stop.id, stop.until) == ("acme|s-20", hop.exp)
        grandchild, _ = house.child("s-21", hop, maker, act="sender")
        assert house.reason(grandchild) == Reason.SESSION_PARENT_ENDED

    def test_a_grant_that_never_came_may_have_been_given_on(self) -> None:
        house, maker = House(), SessionMaker("s-20", act="writer")
        house.bench.establish(maker, delegation_uid="g-20")
        house.bench.driver.pipe(SESSION.name, maker.key, maker.event(END, house.bench.now_ms))
        assert [stop.id for stop in stops(house)] == ["acme|s-20"]

    def test_what_waits_below_ends_at_once(self) -> None:
        house = House()
        child, _ = house.child("s-8")
        house.bench.judge(MAIL_SEND, {"ask": "one"}, session=child)
        say(house, END)
        assert [end.reason for end in house.bench.verdicts()] == [Reason.SESSION_PARENT_ENDED]

    def test_it_reaches_another_partition_and_another_gate(self) -> None:
        """The topic has one partition, wherever the session lies."""
        bench = GateBench(settings=SETTINGS, with_session=False, partitions=4)
        for number in range(8):
            mother, child = SessionMaker(f"mother-{number}"), SessionMaker(f"child-{number}")
            root = mother.grant("g-1", bench.now_ms)
            hop = mother.handed_on(root, "g-2", bench.now_ms, child)
            for maker, grant in ((mother, root), (child, hop)):
                bench.establish(maker, delegation_uid=grant.uid)
                bench.driver.pipe(DELEGATION.name, maker.key, grant)
            assert bench.judge(FILES_READ, PATH, session=child).reason == ALLOWED
            bench.driver.pipe(SESSION.name, mother.key, mother.event(END, bench.now_ms))
            assert bench.judge(FILES_READ, PATH, session=child).reason == Reason.SESSION_PARENT_ENDED
        assert len(bench.driver.read(REVOCATION.name)) == 8
        bench.restart()
        assert bench.judge(FILES_READ, PATH, session=child).reason == Reason.SESSION_PARENT_ENDED


class TestQuarantine:
    def test_it_reaches_all_below_and_all_that_is_made_later(self) -> None:
        house = House()
        child, hop = house.child("s-8")
        grandchild, _ = house.child("s-9", hop, child, act="sender")
        assert house.bench.judge(MAIL_SEND, EXFILTRATION, session=house.mother).outcome is Outcome.QUARANTINE
        late, _ = house.child("s-10")
        assert house.reason(house.mother) == Reason.SESSION_FROZEN
        assert [house.reason(each) for each in (child, grandchild, late)] == [Reason.SESSION_PARENT_ENDED] * 3
        house.bench.restart()
        assert house.reason(house.mother) == Reason.SESSION_FROZEN

    def test_one_release_ends_both(self) -> None:
        house = House()
        child, _ = house.child("s-8")
        house.bench.judge(MAIL_SEND, EXFILTRATION, session=house.mother)
        (stop,) = stops(house)
        release(house)
        assert [house.reason(each) for each in (house.mother, child)] == [ALLOWED] * 2
        house.bench.judge(MAIL_SEND, EXFILTRATION, session=house.mother)
        _, again = stops(house)
        assert again.header.id != stop.header.id
        assert [house.reason(each) for each in (house.mother, child)] == [
            Reason.SESSION_FROZEN,
            Reason.SESSION_PARENT_ENDED,
        ]

    def test_verdicts_that_were_given_are_stopped_also_without_a_grant(self) -> None:
        bench = GateBench()
        allowed = bench.judge()
        bench.judge(MAIL_SEND, EXFILTRATION)
        ((_, stop, _),) = bench.driver.read(REVOCATION.name)
        assert isinstance(stop, Revocation)
        assert stop.until == bench.now_ms + SESSION_LIFE_MS
        known = RevocationSet()
        known.apply(stop)
        assert known.reason_against(stoppable(allowed), bench.now_ms) is Reason.SESSION_REVOKED

    def test_an_intent_that_comes_again_writes_nothing_new(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, EXFILTRATION)
        bench.send(intent)
        assert len(bench.driver.read(REVOCATION.name)) == 1

    def test_a_forged_intent_freezes_nothing(self) -> None:
        bench = GateBench()
        bench.propose(MAIL_SEND, EXFILTRATION, unproven={"turn": 9})
        assert not bench.driver.read(REVOCATION.name)


def release(house: House) -> None:
    released = revocation(
        RevocationKind.SESSION, "acme|s-1", time_ms=house.bench.now_ms, state=RevocationState.RELEASED
    )
    house.bench.driver.pipe(REVOCATION.name, *released)
