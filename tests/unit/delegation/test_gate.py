"""Sessions that stand on grants, through the gate: in whatever order things arrive, and whatever is taken back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, revocation, ruleset
from streams.model.delegation import Budget, Delegation, DelegationOp
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, RULESET, SESSION
from streams.model.verdict import Outcome, Verdict
from streams.processors.sessions.grants import TAKEN_BACK_MAX
from tests.kit import BUNDLE_FILES, FILES_READ, HOUR_MS, MAIL_SEND, GateBench
from tests.unit.delegation.denials import DENIALS, SETTINGS, docs, mothers, standing_on
from tests.unit.delegation.family import FILES, MINUTE_MS, MOTHERS_KEY, Family, bound, tool, tools

replace = msgspec.structs.replace
ALLOWED = Reason.PERMITTED.value


@pytest.mark.parametrize("name", [name for name in DENIALS if not name.startswith("its grant:")])
def test_it_is_denied_with_its_reason(name: str) -> None:
    reason, judge = DENIALS[name]
    verdict = judge()
    assert (verdict.outcome, verdict.reason) == (Outcome.DENY, reason.value), verdict.reason_text


def give(bench: GateBench, grant: Delegation, receiver: SessionMaker) -> None:
    bench.driver.pipe(DELEGATION.name, receiver.key, grant)


def revoke(bench: GateBench, uid: str, state: RevocationState = RevocationState.REVOKED) -> None:
    bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.DELEGATION, uid, time_ms=bench.now_ms, state=state))


def standing_together() -> tuple[GateBench, Family, SessionMaker]:
    """A mother, a daughter, a granddaughter, and a sister of the daughter's, each with a live session."""
    family, sister = Family(), SessionMaker("s-4", act="reader")
    bench = standing_on(family.root(), family.mother)
    hop = family.hop()
    others = (
        (hop, family.daughter),
        (family.last(hop), family.granddaughter),
        (family.mother.handed_on(family.root(), "g-4", family.now_ms, sister), sister),
    )
    for grant, receiver in others:
        bench.establish(receiver, delegation_uid=grant.uid)
        give(bench, grant, receiver)
    return bench, family, sister


class TestArrival:
    def test_the_grant_first(self) -> None:
        family = Family()
        bench = GateBench(settings=SETTINGS, with_session=False)
        give(bench, family.root(), family.mother)
        bench.establish(family.mother, delegation_uid="g-1")
        assert bench.judge(FILES_READ, docs(), session=family.mother).reason == ALLOWED

    def test_the_session_first(self) -> None:
        assert mothers().judge(FILES_READ, docs()).reason == ALLOWED

    def test_the_intent_before_both(self) -> None:
        family = Family()
        bench = GateBench(settings=SETTINGS, with_session=False)
        root = family.root()
        bench.propose(FILES_READ, docs(), session=family.mother)
        bench.establish(family.mother, delegation_uid="g-1")
        assert not bench.verdicts()
        give(bench, root, family.mother)
        assert bench.verdict().reason == ALLOWED

    def test_the_intent_before_the_grant(self) -> None:
        family = Family()
        root = family.root()
        bench = GateBench(settings=SETTINGS, with_session=False)
        bench.establish(family.mother, delegation_uid="g-1")
        first = bench.propose(FILES_READ, docs(), session=family.mother)
        second = bench.propose(FILES_READ, docs(), session=family.mother)
        assert not bench.verdicts()
        give(bench, root, family.mother)
        assert [v.intent_id for v in bench.verdicts()] == [first.intent_id, second.intent_id]

    def test_a_key_of_ones_own_before_the_grant(self) -> None:
        """Only the grant tells that the key is the right one, so the intent waits for it."""
        family = Family()
        root = family.root(cnf_jkt=MOTHERS_KEY.jkt)
        bench = GateBench(settings=SETTINGS, with_session=False)
        bench.propose(FILES_READ, docs(), session=family.mother, key=MOTHERS_KEY)
        bench.establish(family.mother, delegation_uid="g-1")
        bench.propose(FILES_READ, docs(), session=family.mother, key=MOTHERS_KEY)
        give(bench, root, family.mother)
        assert [verdict.reason for verdict in bench.verdicts()] == [ALLOWED, ALLOWED]

    def test_what_can_not_be_told_yet_leaves_room_for_what_can(self) -> None:
        family = Family()
        settings = msgspec.structs.replace(SETTINGS, pending_per_session_max=4)
        bench = GateBench(settings=settings, with_session=False)
        for _ in range(6):
            bench.propose(FILES_READ, docs(), session=family.mother, key=MOTHERS_KEY)
        assert [verdict.reason for verdict in bench.verdicts()] == [Reason.TOO_MANY_PENDING] * 4
        bench.propose(FILES_READ, docs(), session=family.mother)
        assert not bench.verdicts()

    def test_a_grant_that_holds_after_one_that_did_not(self) -> None:
        family = Family()
        bench = standing_on(family.root(exp=family.now_ms), family.mother)
        assert bench.judge(FILES_READ, docs()).reason == Reason.DELEGATION_EXPIRED
        give(bench, family.root(), family.mother)
        assert bench.judge(FILES_READ, docs()).reason == ALLOWED

    def test_a_grant_that_does_not_hold_after_one_that_did_changes_nothing(self) -> None:
        family = Family()
        bench = standing_on(family.root(), family.mother)
        give(bench, family.root(unproven={"scopes": ("admin",)}), family.mother)
        assert bench.dead_letters(DELEGATION.name) == ["grant_invalid"]
        assert bench.judge(FILES_READ, docs()).reason == ALLOWED

    def test_the_same_grant_again_changes_nothing(self) -> None:
        family = Family()
        root = family.root()
        bench = standing_on(root, family.mother)
        give(bench, root, family.mother)
        assert not bench.dead_letters(DELEGATION.name)
        assert bench.judge(FILES_READ, docs()).reason == ALLOWED

    def test_another_grant_under_the_same_id_is_refused(self) -> None:
        family = Family()
        bench = standing_on(family.root(), family.mother)
        give(bench, family.root(scopes=("files:read",)), family.mother)
        (audit,) = [record for record in bench.audits() if record.reason == "grant_invalid"]
        assert (audit.reason_text or "").startswith("delegation_uid_reused")

    def test_a_second_grant_is_refused(self) -> None:
        family = Family()
        bench = standing_on(family.root(), family.mother)
        give(bench, family.mother.grant("g-8", family.now_ms), family.mother)
        (audit,) = [record for record in bench.audits() if record.reason == "grant_invalid"]
        assert (audit.reason_text or "").startswith("delegation_session_mismatch")
        assert bench.judge(FILES_READ, docs()).delegation_path == ("g-1",)

    def test_the_session_names_its_grant_whatever_came_first(self) -> None:
        """Somebody else's hop for a session that does not exist yet takes nothing from it."""
        family = Family()
        bench = GateBench(settings=SETTINGS, with_session=False)
        give(bench, family.mother.grant("g-8", family.now_ms), family.mother)
        bench.establish(family.mother, delegation_uid="g-1")
        bench.propose(FILES_READ, docs(), session=family.mother, delegation_uid="g-1")
        assert not bench.verdicts()
        give(bench, family.root(), family.mother)
        assert bench.verdict().delegation_path == ("g-1",)

    def test_a_session_without_a_stated_grant_stands_on_the_one_that_came(self) -> None:
        family = Family()
        bench = GateBench(settings=SETTINGS, with_session=False)
        bench.establish(family.mother)
        give(bench, family.root(), family.mother)
        assert (
            bench.judge(FILES_READ, docs(), session=family.mother, delegation_uid=None).reason == "delegation_unstated"
        )
        assert bench.judge(FILES_READ, docs(), session=family.mother).reason == ALLOWED

    def test_sessions_without_grants_go_on_as_before(self) -> None:
        assert GateBench(settings=SETTINGS).judge().reason == ALLOWED

    def test_it_outlasts_a_restart(self) -> None:
        bench = mothers()
        bench.restart()
        assert bench.judge(FILES_READ, docs()).reason == ALLOWED
        assert bench.judge(FILES_READ, {"path": "secret"}).reason == Reason.DELEGATION_ARGUMENTS_NOT_GRANTED

    def test_it_is_forgotten_with_its_session(self) -> None:
        bench = mothers()
        assert bench.driver.disk.rows(0).keys() & {b"g" + bench.session.key}
        for _ in range(60):
            bench.wait(HOUR_MS)
        assert not [key for key in bench.driver.disk.rows(0) if bench.session.key in key]


class TestUse:
    def test_the_whole_family_within_its_bounds(self) -> None:
        bench, family, _ = standing_together()
        for session in (family.mother, family.daughter, family.granddaughter):
            assert bench.judge(FILES_READ, docs(), session=session).reason == ALLOWED
            outside = bench.judge(FILES_READ, {"path": "other/a.txt"}, session=session)
            assert outside.reason == Reason.DELEGATION_ARGUMENTS_NOT_GRANTED

    def test_the_verdict_tells_the_path_root_first(self) -> None:
        bench, family, _ = standing_together()
        verdict = bench.judge(FILES_READ, docs(), session=family.granddaughter)
        assert verdict.delegation_path == ("g-1", "g-2", "g-3")
        assert verdict.ancestor_session_ids == ("s-1", "s-2")

    def test_a_verdict_does_not_outlive_the_grant(self) -> None:
        family = Family()
        bench = standing_on(family.root(exp=family.now_ms + 5_000), family.mother)
        assert bench.judge(FILES_READ, docs()).expires_at == family.now_ms + 5_000

    def test_a_bound_key(self) -> None:
        bench = mothers(cnf_jkt=MOTHERS_KEY.jkt)
        verdict = bench.judge(FILES_READ, docs(), key=MOTHERS_KEY)
        assert verdict.reason == ALLOWED
        assert verdict.args_json

    def test_any_tool_of_a_server(self) -> None:
        bench = mothers(
            authorization_details=tools(tool("files", "*"), tool("mail", "send", bound("/to", "EXACT", "a")))
        )
        assert bench.judge(FILES_READ, {"path": "x"}).reason == ALLOWED
        assert bench.judge(MAIL_SEND, {"to": "a"}).reason == ALLOWED
        assert bench.judge(MAIL_SEND, {"to": "b"}).reason == Reason.DELEGATION_ARGUMENTS_NOT_GRANTED

    def test_one_of_several_grants_of_a_tool_is_enough(self) -> None:
        details = tools(
            tool("mail", "send", bound("/to", "EXACT", "a")), tool("mail", "send", bound("/cc", "EXACT", "b"))
        )
        bench = mothers(authorization_details=details)
        reasons = [bench.judge(MAIL_SEND, args).reason for args in ({"to": "a"}, {"cc": "b"}, {"to": "a", "cc": "b"})]
        assert reasons == [ALLOWED, ALLOWED, Reason.DELEGATION_ARGUMENTS_NOT_GRANTED]

    def test_it_begins_and_ends_at_its_very_instants(self) -> None:
        family = Family()
        bench = standing_on(family.root(nbf=family.now_ms + 100, exp=family.now_ms + 200), family.mother)
        reasons = []
        for at_ms in (99, 100, 199, 200):
            bench.driver.advance(family.now_ms + at_ms)
            reasons.append(bench.judge(FILES_READ, docs()).reason)
        assert reasons == [Reason.DELEGATION_NOT_YET_VALID, ALLOWED, ALLOWED, Reason.DELEGATION_EXPIRED]

    def test_a_budget_can_be_spent_to_its_end(self) -> None:
        bench = mothers(budget=Budget(amount_minor=500), authorization_details=tools(tool("mail", "send")))
        reasons = [bench.judge(MAIL_SEND, {"amount": amount}).reason for amount in (300, 200, 1)]
        assert reasons == [ALLOWED, ALLOWED, Reason.BUDGET_EXHAUSTED]

    def test_a_budget_counts_what_was_allowed(self) -> None:
        bench = mothers(budget=Budget(calls=2, amount_minor=500))
        reasons = [bench.judge(FILES_READ, {"path": path}).reason for path in ("docs/a", "secret", "docs/b", "docs/c")]
        assert reasons == [ALLOWED, Reason.DELEGATION_ARGUMENTS_NOT_GRANTED, ALLOWED, Reason.BUDGET_EXHAUSTED]


class TestTakingBack:
    @pytest.mark.parametrize(
        ("uid", "dead"),
        [("g-1", {"s-1", "s-2", "s-3", "s-4"}), ("g-2", {"s-2", "s-3"}), ("g-3", {"s-3"}), ("g-4", {"s-4"})],
    )
    def test_a_grant_takes_its_descendants_with_it_and_nobody_else(self, uid: str, dead: set[str]) -> None:
        bench, family, sister = standing_together()
        revoke(bench, uid)
        for session in (family.mother, family.daughter, family.granddaughter, sister):
            expected = Reason.REVOKED_DELEGATION if session.session_id in dead else Reason.PERMITTED
            assert bench.judge(FILES_READ, docs(), session=session).reason == expected.value

    def test_a_session_takes_those_that_it_gave_to_with_it(self) -> None:
        bench, family, sister = standing_together()
        stop = revocation(RevocationKind.SESSION, "acme|s-2", time_ms=bench.now_ms)
        bench.driver.pipe(REVOCATION.name, *stop)
        reasons = [
            bench.judge(FILES_READ, docs(), session=session).reason
            for session in (family.mother, family.daughter, family.granddaughter, sister)
        ]
        assert reasons == [ALLOWED, Reason.SESSION_REVOKED, Reason.SESSION_PARENT_ENDED, ALLOWED]

    @pytest.mark.parametrize(
        ("agent", "dead"), [("planner", {"s-1", "s-2", "s-3", "s-4"}), ("writer", {"s-2", "s-3"}), ("sender", {"s-3"})]
    )
    def test_an_agent_takes_what_it_has_given_on_with_it(self, agent: str, dead: set[str]) -> None:
        """A hijacked agent may have handed its work to another before it was stopped."""
        bench, family, sister = standing_together()
        stop = revocation(RevocationKind.AGENT, f"acme|{agent}", time_ms=bench.now_ms)
        bench.driver.pipe(REVOCATION.name, *stop)
        for session in (family.mother, family.daughter, family.granddaughter, sister):
            expected = Reason.REVOKED_AGENT if session.session_id in dead else Reason.PERMITTED
            assert bench.judge(FILES_READ, docs(), session=session).reason == expected.value

    def test_what_waits_ends_with_an_ancestor_of_its_grant(self) -> None:
        family = Family()
        root = family.root(authorization_details=tools(tool("mail", "send")))
        bench = standing_on(family.hop(root), family.daughter)
        assert bench.judge(MAIL_SEND, {"ask": "one"}).outcome is Outcome.REQUIRE_APPROVAL
        revoke(bench, "g-1")
        assert bench.verdict().reason == Reason.REVOKED_DELEGATION

    def test_it_counts_before_the_grant_arrives(self) -> None:
        family = Family()
        bench = GateBench(settings=SETTINGS, with_session=False)
        revoke(bench, "g-1")
        bench.establish(family.mother, delegation_uid="g-1")
        give(bench, family.root(), family.mother)
        assert bench.judge(FILES_READ, docs(), session=family.mother).reason == Reason.REVOKED_DELEGATION

    def test_a_release_gives_it_back(self) -> None:
        bench, family, _ = standing_together()
        revoke(bench, "g-2")
        revoke(bench, "g-2", RevocationState.RELEASED)
        assert bench.judge(FILES_READ, docs(), session=family.granddaughter).reason == ALLOWED

    def test_a_grant_taken_back_on_its_own_topic_ends_its_session(self) -> None:
        bench = mothers()
        give(
            bench,
            bench.session.grant("g-1", bench.now_ms, op=DelegationOp.REVOKE, unproven={"proof": None}),
            bench.session,
        )
        assert bench.judge(FILES_READ, docs()).reason == Reason.SESSION_REVOKED

    @pytest.mark.parametrize("uid", ["g-1", "g-2"])
    def test_what_was_taken_back_before_it_came_does_not_hold_when_it_comes(self, uid: str) -> None:
        """The grant itself, or one that it was handed on from; also where its session came first."""
        family = Family()
        hop = family.hop()
        taken = replace(hop, uid=uid, op=DelegationOp.REVOKE, proof=None)
        for session_first in (False, True):
            bench = GateBench(settings=SETTINGS, with_session=False)
            if session_first:
                bench.establish(family.daughter, delegation_uid="g-2")
            give(bench, taken, family.daughter)
            give(bench, hop, family.daughter)
            if not session_first:
                bench.establish(family.daughter, delegation_uid="g-2")
            verdict = bench.judge(FILES_READ, docs(), session=family.daughter)
            assert verdict.outcome is Outcome.DENY
            assert verdict.reason in {Reason.REVOKED_DELEGATION, Reason.SESSION_REVOKED}

    def test_a_session_of_which_more_is_taken_back_than_is_remembered_is_over(self) -> None:
        bench = mothers()
        for number in range(TAKEN_BACK_MAX):
            give(bench, replace(Family().root(), uid=f"g-x-{number}", op=DelegationOp.REVOKE), bench.session)
        assert bench.judge(FILES_READ, docs()).reason == ALLOWED
        give(bench, replace(Family().root(), uid="g-x", op=DelegationOp.REVOKE), bench.session)
        assert bench.judge(FILES_READ, docs()).reason == Reason.SESSION_REVOKED

    def test_a_grant_for_a_session_that_is_over_is_not_taken_in(self) -> None:
        family = Family()
        bench = GateBench(settings=SETTINGS, with_session=False)
        bench.establish(family.mother, delegation_uid="g-1")
        ended = family.mother.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        bench.driver.pipe(SESSION.name, family.mother.key, ended)
        give(bench, family.root(), family.mother)
        assert not bench.dead_letters(DELEGATION.name)
        assert b"g" + family.mother.key not in bench.driver.disk.rows(0)
        give(bench, family.root(unproven={"proof": None}), family.mother)
        assert bench.dead_letters(DELEGATION.name) == ["grant_invalid"]
        assert bench.judge(FILES_READ, docs(), session=family.mother).reason == Reason.SESSION_ENDED


RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: D-001, effect: permit, match: {tools: [files.read]}, when: '"files:read" in user.scopes', reason: in scope}
  - {id: D-002, effect: deny, match: {tools: [files.read]}, when: delegation.depth > 1, reason: given on too often}
  - id: D-003
    effect: deny
    match: {tools: [files.read]}
    when: delegation.root_issuer != "https://issuer.example" || delegation.hops.exists(h, h.sub != user.id)
    reason: of somebody else
  - id: D-004
    effect: deny
    match: {tools: [files.read]}
    when: delegation.hops[size(delegation.hops) - 1].expires_in_ms < 60000
    reason: it ends soon
"""


class TestFacts:
    def judge(self, bench: GateBench, session: SessionMaker) -> Verdict:
        files = {**BUNDLE_FILES, "testing/testing.rules.yaml": RULES}
        bench.driver.pipe(RULESET.name, b"default", ruleset(files, serial=2))
        return bench.judge(FILES_READ, docs(), session=session)

    def standing(self, grant: Delegation, receiver: SessionMaker, **fields: Any) -> GateBench:
        bench = GateBench(settings=SETTINGS, with_session=False)
        fields = {"scopes": ("files:read", "admin"), **fields}
        bench.establish(receiver, delegation_uid=grant.uid, **fields)
        give(bench, grant, receiver)
        return bench

    def test_rules_see_the_chain(self) -> None:
        family = Family()
        assert self.judge(self.standing(family.hop(), family.daughter), family.daughter).reason == ALLOWED

    def test_rules_see_its_depth(self) -> None:
        family = Family()
        verdict = self.judge(self.standing(family.last(), family.granddaughter), family.granddaughter)
        assert [hit.rule_id for hit in verdict.rules if hit.effect.value == "DENY"] == ["D-002"]

    def test_rules_see_how_long_it_has(self) -> None:
        family = Family()
        bench = self.standing(family.root(exp=family.now_ms + MINUTE_MS - 1), family.mother)
        verdict = self.judge(bench, family.mother)
        assert [hit.rule_id for hit in verdict.rules if hit.effect.value == "DENY"] == ["D-004"]

    @pytest.mark.parametrize(
        ("session_scopes", "granted", "reason"),
        [
            (("files:read",), ("files:read",), "permitted"),
            (("files:read",), ("mail:send",), "no_permit"),
            (("mail:send",), ("files:read", "mail:send"), "no_permit"),
            ((), ("files:read",), "no_permit"),
        ],
    )
    def test_scopes_are_those_of_session_and_grant_alike(
        self, session_scopes: tuple[str, ...], granted: tuple[str, ...], reason: str
    ) -> None:
        family = Family()
        grant = family.root(scopes=granted, authorization_details=tools(FILES))
        bench = self.standing(grant, family.mother, scopes=session_scopes)
        assert self.judge(bench, family.mother).reason == reason

    def test_without_a_grant_a_rule_about_it_fails_and_that_denies(self) -> None:
        bench = GateBench(settings=SETTINGS, with_session=False)
        bench.establish(bench.session, scopes=("files:read",))
        verdict = self.judge(bench, bench.session)
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.RULE_ERROR.value)
