"""Calls that wait for people or for time, and sessions that wait for their release."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import UNTRUSTED, SessionMaker, person, revocation
from streams.model.approval import ApprovalStatus
from streams.model.audit import AuditEventType
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, REVOCATION, SESSION, VERDICT
from streams.model.verdict import Outcome
from tests.kit import MAIL_SEND, MINUTE_MS, GateBench
from tests.unit.processors.gate_hand import decide, outcomes, requests

replace = msgspec.structs.replace


class TestApprovals:
    def test_enough_persons_make_it_run(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "leads"})
        (request,) = requests(bench)
        assert (request.quorum, request.eligible_approvers) == (2, ("leads",))
        decide(bench, intent, "lena", "leads")
        assert outcomes(bench.verdicts()) == [("REQUIRE_APPROVAL", "approval_required")]
        decide(bench, intent, "liam", "leads", "others")
        assert outcomes(bench.verdicts()) == [("ALLOW", "permitted")]
        assert len(bench.audits(AuditEventType.APPROVAL)) == 2

    def test_one_person_counts_once(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "leads"})
        bench.verdicts()
        decide(bench, intent, "lena", "leads")
        decide(bench, intent, "lena", "leads")
        assert bench.verdicts() == []

    def test_every_group_is_asked(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "both"})
        decide(bench, intent, "lena", "leads")
        assert outcomes(bench.verdicts()) == [("REQUIRE_APPROVAL", "approval_required")] * 2
        assert [request.eligible_approvers for request in requests(bench)] == [("leads",), ("security",)]
        decide(bench, intent, "liam", "leads")
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_VALID]
        decide(bench, intent, "sam", "security", round_no=1)
        assert outcomes(bench.verdicts()) == [("ALLOW", "permitted")]

    def test_who_is_in_both_groups_has_not_answered_for_both(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "both"})
        made = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads", "security"))
        for _ in range(2):
            bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)
        assert outcomes(bench.verdicts()) == [("REQUIRE_APPROVAL", "approval_required")] * 2
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_VALID]
        first, second = requests(bench)
        assert first.task_id != second.task_id
        # A decision is used once, also when somebody has put another task into it.
        decide(bench, intent, "lena", "security", header=made.header, task_id=second.task_id)
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_VALID]
        decide(bench, intent, "lena", "leads", "security", task_id=second.task_id)
        assert outcomes(bench.verdicts()) == [("ALLOW", "permitted")]

    def test_a_decision_that_comes_again_counts_once(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "leads"})
        made = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads",))
        for _ in range(2):
            bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)
        assert len(bench.verdicts()) == len(bench.audits(AuditEventType.APPROVAL)) == 1

    def test_an_earlier_question_can_still_be_refused(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "both"})
        decide(bench, intent, "lena", "leads")
        decide(bench, intent, "sam", "security", status=ApprovalStatus.DENIED)
        assert outcomes(bench.verdicts())[-1] == ("DENY", "approval_denied")

    @pytest.mark.parametrize(
        "name", ["alice", "Alice", " ALICE\t", "\uff41lice", "al\u200bice", "Assistant", "", "\u200b", "x" * 1_025]
    )
    def test_nobody_approves_their_own_call_under_a_name_that_looks_the_same(self, name: str) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        decide(bench, intent, name, "leads")
        elsewhere = replace(person(name), iss="https://elsewhere.example")
        made = bench.session.decision(intent, name, bench.now_ms, groups=("leads",))
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, replace(made, approver=elsewhere))
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_VALID] * 2
        assert bench.verdicts() == []

    @pytest.mark.parametrize("other", ["LENA", "lena ", "le\u00adna", "\uff2cena"])
    def test_one_person_counts_once_under_all_spellings(self, other: str) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "leads"})
        bench.verdicts()
        decide(bench, intent, "lena", "leads")
        decide(bench, intent, other, "leads")
        assert bench.verdicts() == []
        decide(bench, intent, "liam", "leads")
        assert bench.verdict().outcome is Outcome.ALLOW

    def test_one_refusal_is_enough(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "leads"})
        decide(bench, intent, "lena", "leads")
        decide(bench, intent, "liam", "leads", status=ApprovalStatus.DENIED)
        assert outcomes(bench.verdicts())[-1] == ("DENY", "approval_denied")
        decide(bench, intent, "luke", "leads")
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_AWAITED]

    def test_an_approval_is_no_grant_the_whole_call_is_judged_again(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one", "to": "bob@outside.example"})
        assert bench.verdict().outcome is Outcome.REQUIRE_APPROVAL
        read = bench.session.event(SessionEventType.RETRIEVAL, bench.now_ms, label=UNTRUSTED)
        bench.driver.pipe(SESSION.name, bench.session.key, read)
        decide(bench, intent, "lena", "leads")
        assert bench.verdict().reason == Reason.RULE_DENIED

    def test_a_revoked_session_cannot_be_approved(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SESSION, "acme|s-1", time_ms=bench.now_ms))
        decide(bench, intent, "lena", "leads")
        assert bench.verdict().reason == Reason.SESSION_REVOKED

    def test_it_expires_with_its_session(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + MINUTE_MS)
        bench.judge(MAIL_SEND, {"ask": "one"})
        bench.wait(MINUTE_MS - 1)
        assert bench.verdicts() == []
        bench.wait(1)
        assert bench.verdict().reason == Reason.APPROVAL_EXPIRED

    def test_an_approval_that_is_over_does_not_count(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        made = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads",), approved_until=bench.now_ms)
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_VALID]

    def test_the_final_verdict_is_given_again_to_whoever_asks_again(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        decide(bench, intent, "lena", "leads")
        bench.send(intent)
        values = [read.value for read in bench.driver.read_raw(VERDICT.name)]
        assert values[1] == values[2]
        assert values[0] != values[1]


class TestDeferral:
    def test_it_runs_when_the_window_has_passed(self) -> None:
        bench = GateBench()
        assert bench.judge(MAIL_SEND, {"later": True}).outcome is Outcome.DEFER
        bench.wait(29_999)
        assert bench.verdicts() == []
        bench.wait(1)
        assert bench.verdict().outcome is Outcome.ALLOW

    def test_what_was_revoked_meanwhile_does_not_run(self) -> None:
        bench = GateBench()
        bench.judge(MAIL_SEND, {"later": True})
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms))
        bench.wait(30_000)
        assert bench.verdict().reason == Reason.REVOKED_AGENT

    def test_an_approval_does_not_shorten_it(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"later": True})
        decide(bench, intent, "lena", "leads")
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_VALID]

    def test_what_needs_both_waits_for_both(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"later": True, "ask": "one"})
        decide(bench, intent, "lena", "leads")
        assert outcomes(bench.verdicts()) == [
            ("REQUIRE_APPROVAL", "approval_required"),
            ("DEFER", "deferred_by_rule"),
        ]
        bench.wait(30_000)
        assert bench.verdict().outcome is Outcome.ALLOW


class TestQuarantine:
    def freeze(self) -> GateBench:
        bench = GateBench()
        assert bench.judge(MAIL_SEND, {"to": "exfil@evil.example"}).outcome is Outcome.QUARANTINE
        assert bench.judge().reason == Reason.SESSION_FROZEN
        return bench

    def release(self, bench: GateBench, time_ms: int) -> None:
        released = revocation(RevocationKind.SESSION, "acme|s-1", time_ms=time_ms, state=RevocationState.RELEASED)
        bench.driver.pipe(REVOCATION.name, *released)

    def test_a_release_unfreezes_it(self) -> None:
        bench = self.freeze()
        bench.wait(1_000)
        self.release(bench, bench.now_ms)
        assert bench.judge().outcome is Outcome.ALLOW

    @pytest.mark.parametrize("ahead_ms", [-1, 0, 3_600_000])
    def test_a_release_from_before_does_not_whatever_its_time(self, ahead_ms: int) -> None:
        bench = GateBench()
        self.release(bench, bench.now_ms + ahead_ms)
        assert bench.judge(MAIL_SEND, {"to": "exfil@evil.example"}).outcome is Outcome.QUARANTINE
        assert bench.judge().reason == Reason.SESSION_FROZEN

    def test_it_can_be_frozen_again(self) -> None:
        bench = self.freeze()
        self.release(bench, bench.now_ms)
        bench.wait(1_000)
        assert bench.judge(MAIL_SEND, {"to": "exfil@evil.example"}).outcome is Outcome.QUARANTINE
        assert bench.judge().reason == Reason.SESSION_FROZEN

    def test_other_sessions_go_on(self) -> None:
        bench = self.freeze()
        other = SessionMaker("s-2")
        bench.establish(other)
        assert bench.judge(session=other).outcome is Outcome.ALLOW
