"""What the gate promises of duplicates, waiting, persons, labels and forgetting, through the driver."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, person, revocation, tool_ref
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.model.approval import ApprovalRequest, ApprovalStatus
from streams.model.audit import AuditEventType
from streams.model.delegation import DelegationOp
from streams.model.intent import Intent
from streams.model.labels import WORST, Confidentiality, Integrity
from streams.model.proof import derived_uuid, make_hmac, session_event_message
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import PROVEN_EVENTS, REPORTS, SessionEvent, SessionEventType
from streams.model.topics import (
    APPROVAL_DECISION,
    APPROVAL_REQUEST,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    SESSION,
    VERDICT,
)
from streams.model.types import Proof, ProofAlg, ToolRef
from streams.model.verdict import Outcome, Verdict
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Arguments, Asked, Case
from streams.processors.gate.checks.arguments import check_arguments
from streams.processors.rows import session_row_key
from streams.processors.session_row import SessionRow, decode_session
from streams.processors.sessions import retention
from streams.processors.settings import GateSettings
from tests.kit import (
    FILES_READ,
    GATE_SETTINGS,
    HOUR_MS,
    MAIL_SEND,
    MINUTE_MS,
    WEB_FETCH,
    GateBench,
    compile_published,
    wire,
)

replace = msgspec.structs.replace
DAY_MS = 24 * HOUR_MS
TO_OUTSIDE = {"to": "bob@outside.example"}
STRANGE_ID = derived_uuid("an intent of nobody")


def decide(
    bench: GateBench,
    intent: Intent,
    approver: str,
    *groups: str,
    status: ApprovalStatus = ApprovalStatus.APPROVED,
    **fields: Any,
) -> None:
    made = bench.session.decision(intent, approver, bench.now_ms, groups=groups, status=status, **fields)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)


def happen(bench: GateBench, kind: SessionEventType, ahead_ms: int = 0, **fields: Any) -> None:
    """An event of the bench's session, its clock ahead."""
    made = bench.session.event(kind, bench.now_ms + ahead_ms, **fields)
    bench.driver.pipe(REPORT.name if kind in REPORTS else SESSION.name, bench.session.key, made)


def requests(bench: GateBench) -> list[ApprovalRequest]:
    records = (read.record for read in bench.driver.read(APPROVAL_REQUEST.name))
    return [record for record in records if isinstance(record, ApprovalRequest)]


def outcomes(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.outcome.value, verdict.reason) for verdict in verdicts]


def session_row(bench: GateBench, session: SessionMaker | None = None) -> SessionRow | None:
    row = bench.driver.disk.rows(0).get(session_row_key((session or bench.session).key))
    return None if row is None else decode_session(row)


class TestDuplicates:
    def test_a_redelivered_intent_gets_the_same_bytes_again(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        bench.wait(5_000)
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value
        assert len(bench.audits(AuditEventType.VERDICT)) == 1

    def test_it_does_so_after_everything_has_changed(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.ALL, "*", time_ms=bench.now_ms))
        bench.driver.pipe(
            SESSION.name, bench.session.key, bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        )
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value

    def test_another_call_under_the_same_id_gets_the_verdict_of_the_first(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        other = bench.session.intent(MAIL_SEND, {"to": "bob@example.com"}, bench.now_ms, intent_id=intent.intent_id)
        bench.send(other)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value

    def test_it_counts_once(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        for _ in range(3):
            bench.send(intent)
        row = session_row(bench)
        assert row is not None
        assert (row.counters.intents_count, row.counters.allowed_count) == (1, 1)

    def test_the_same_id_in_another_session_is_another_intent(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        other = SessionMaker("s-2")
        bench.establish(other)
        bench.propose(session=other, intent_id=intent.intent_id)
        first, second = bench.verdicts()
        assert first.verdict_id != second.verdict_id
        assert outcomes([first, second]) == [("ALLOW", "permitted")] * 2

    def test_while_it_waits_a_redelivered_intent_gets_the_interim_verdict_again(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value
        assert len(requests(bench)) == 1


class TestParking:
    def test_an_intent_that_comes_before_its_session_waits_for_it(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        assert bench.verdicts() == []
        bench.wait(1_999)
        bench.establish(bench.session)
        assert bench.verdict().outcome is Outcome.ALLOW

    def test_the_grace_ends(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        bench.wait(1_999)
        assert bench.verdicts() == []
        bench.wait(1)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN
        bench.establish(bench.session)
        assert bench.verdicts() == []
        assert bench.judge().outcome is Outcome.ALLOW

    def test_those_that_wait_are_judged_in_the_order_they_came_in(self) -> None:
        bench = GateBench(with_session=False)
        proposed = [bench.propose(turn=turn).intent_id for turn in range(8)]
        bench.establish(bench.session)
        assert [verdict.intent_id for verdict in bench.verdicts()] == proposed

    def test_what_waits_is_judged_on_the_state_of_then(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.TENANT, "acme", time_ms=bench.now_ms))
        bench.establish(bench.session)
        assert bench.verdict().reason == Reason.REVOKED_TENANT

    def test_a_session_that_ends_before_it_began_lets_nobody_wait(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, ended)
        assert bench.verdict().reason == Reason.SESSION_ENDED

    def test_other_events_do_not_make_a_session(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        bench.driver.pipe(DELEGATION.name, bench.session.key, bench.session.grant("g-1", bench.now_ms))
        said = bench.session.event(SessionEventType.USER_MESSAGE, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, said)
        assert bench.verdicts() == []
        bench.wait(2_000)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN

    def test_a_parked_intent_that_comes_again_waits_once(self) -> None:
        bench = GateBench(with_session=False)
        intent = bench.propose()
        bench.send(intent)
        bench.establish(bench.session)
        assert len(bench.verdicts()) == 1

    @pytest.mark.parametrize("length", [1, 200_000, 520_000])
    @pytest.mark.parametrize("letter", ["x", '"', "\x00", "\u00e9", "\U0001f40d"])
    def test_nothing_that_waits_can_keep_a_session_from_beginning(self, letter: str, length: int) -> None:
        bench = GateBench(with_session=False)
        text = letter * (length // len(letter.encode()) or 1)
        for changes in ({"sub": text}, {"tool_call_id": text}, {"txn": text}, {"unproven": {"args_json": text}}):
            bench.propose(**changes)
        tool = replace(FILES_READ, name=text)
        bench.propose(tool)
        bench.propose(header=replace(bench.session.intent(FILES_READ, {}, bench.now_ms).header, tracestate=text))
        bench.establish(bench.session)
        assert bench.dead_letters(SESSION.name) == []
        assert bench.judge().outcome is Outcome.ALLOW


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


class TestLabels:
    def test_an_allowed_call_counts_as_read_before_its_result_is_reported(self) -> None:
        bench = GateBench()
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW
        assert bench.judge(WEB_FETCH, {}).outcome is Outcome.ALLOW
        verdict = bench.judge(MAIL_SEND, TO_OUTSIDE)
        assert verdict.reason == Reason.RULE_DENIED
        assert verdict.label.integrity is Integrity.UNTRUSTED

    def test_an_executor_cannot_make_its_result_trusted(self) -> None:
        bench = GateBench()
        intent = bench.propose(WEB_FETCH, {})
        bench.driver.pipe(SESSION.name, bench.session.key, bench.session.result(intent, bench.now_ms, label=TRUSTED))
        bench.verdicts()
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_but_untrusted(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        bench.driver.pipe(SESSION.name, bench.session.key, bench.session.result(intent, bench.now_ms, label=UNTRUSTED))
        bench.verdicts()
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_a_denied_call_reads_nothing(self) -> None:
        bench = GateBench()
        bench.judge(WEB_FETCH, {}, unproven={"proof": None})
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW

    def test_a_result_that_nobody_asked_for_does_not_count(self) -> None:
        bench = GateBench()
        happen(bench, SessionEventType.TOOL_RESULT, label=TRUSTED)
        happen(bench, SessionEventType.TOOL_RESULT, label=TRUSTED, tool=tool_ref(WEB_FETCH), intent_id=STRANGE_ID)
        reasons = [DeadLetterReason.REPORT_UNPROVEN, DeadLetterReason.REPORT_OF_NO_CALL]
        assert bench.dead_letters(REPORT.name) == reasons
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW

    def test_the_verdict_names_what_was_read(self) -> None:
        bench = GateBench()
        intent = bench.propose(WEB_FETCH, {})
        bench.verdicts()
        assert [i.event_id for i in bench.judge().influences] == [intent.intent_id]
        report = bench.session.result(intent, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, report)
        assert report.header.id in [i.event_id for i in bench.judge().influences]

    def test_a_read_without_a_cataloged_tool_is_not_trusted_whatever_it_claims(self) -> None:
        for kind in (SessionEventType.RETRIEVAL, SessionEventType.MEMORY_READ):
            bench = GateBench()
            happen(bench, kind, label=TRUSTED)
            assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_what_a_user_is_said_to_have_written_can_be_less_trusted_only(self) -> None:
        bench = GateBench()
        happen(bench, SessionEventType.USER_MESSAGE, label=TRUSTED)
        label = bench.judge(MAIL_SEND, TO_OUTSIDE).label
        assert (label.integrity, label.confidentiality) == (Integrity.TRUSTED, Confidentiality.PRIVATE)
        happen(bench, SessionEventType.USER_MESSAGE, label=UNTRUSTED)
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    @pytest.mark.parametrize("tool", [tool_ref(FILES_READ), replace(tool_ref(WEB_FETCH), server_id="files"), None])
    def test_a_call_is_not_settled_by_a_report_about_another_tool(self, tool: ToolRef | None) -> None:
        for kind in (SessionEventType.TOOL_NOT_RUN, SessionEventType.TOOL_RESULT):
            bench = GateBench()
            intent = bench.propose(WEB_FETCH, {})
            bench.verdicts()
            happen(bench, kind, intent_id=intent.intent_id, tool=tool)
            assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_a_call_that_never_ran_has_read_nothing(self) -> None:
        bench = GateBench()
        intent = bench.propose(WEB_FETCH, {})
        bench.verdicts()
        for _ in range(2):
            happen(bench, SessionEventType.TOOL_NOT_RUN, intent_id=intent.intent_id, tool=intent.tool)
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW

    def test_a_result_under_the_intent_of_another_tool_does_not_count(self) -> None:
        bench = GateBench()
        intent = bench.propose(FILES_READ)
        bench.verdicts()
        happen(bench, SessionEventType.TOOL_RESULT, intent_id=intent.intent_id, tool=tool_ref(WEB_FETCH))
        assert bench.dead_letters(REPORT.name) == [DeadLetterReason.REPORT_OF_NO_CALL]
        assert [each.event_id for each in bench.judge().influences] == [intent.intent_id]

    @pytest.mark.parametrize("readers", [("r" * 300_000,), tuple(f"reader-{n}" for n in range(65))])
    def test_readers_without_bound_are_nobody(self, readers: tuple[str, ...]) -> None:
        bench = GateBench()
        for _ in range(40):
            happen(
                bench, SessionEventType.RETRIEVAL, tool=tool_ref(FILES_READ), label=replace(TRUSTED, readers=readers)
            )
        assert bench.dead_letters(REPORT.name) == []
        row = session_row(bench)
        assert row is not None
        assert row.trust.label.readers == ()
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW
        happen(bench, SessionEventType.RETRIEVAL, label=replace(UNTRUSTED, readers=readers))
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_as_many_readers_as_are_kept_are_kept(self) -> None:
        bench = GateBench()
        readers = tuple(sorted(f"{n:03}" + "r" * 253 for n in range(64)))
        for _ in range(40):
            happen(
                bench, SessionEventType.RETRIEVAL, tool=tool_ref(FILES_READ), label=replace(TRUSTED, readers=readers)
            )
        row = session_row(bench)
        assert row is not None
        assert row.trust.label.readers == readers


class TestUnusableEvents:
    """What takes authority or trust away is never lost."""

    AHEAD_MS = 400 * DAY_MS

    @pytest.mark.parametrize("kind", [SessionEventType.SESSION_REVOKED, SessionEventType.SESSION_ENDED])
    def test_an_end_from_the_future_ends(self, kind: SessionEventType) -> None:
        bench = GateBench()
        happen(bench, kind, self.AHEAD_MS)
        assert bench.judge().outcome is Outcome.DENY
        assert bench.dead_letters(SESSION.name) == []

    @pytest.mark.parametrize(
        "kind",
        [
            SessionEventType.RETRIEVAL,
            SessionEventType.MEMORY_READ,
            SessionEventType.USER_MESSAGE,
        ],
    )
    def test_a_read_from_the_future_is_read(self, kind: SessionEventType) -> None:
        bench = GateBench()
        happen(bench, kind, self.AHEAD_MS, label=UNTRUSTED)
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_so_is_a_result(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"to": "bob@example.com"})
        bench.verdicts()
        fields = {"intent_id": intent.intent_id, "tool": intent.tool, "label": UNTRUSTED}
        happen(bench, SessionEventType.TOOL_RESULT, self.AHEAD_MS, **fields)
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED

    def test_claims_from_the_future_are_narrowed(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, scopes=("read", "write"))
        happen(bench, SessionEventType.TOKEN_CLAIMS_CHANGE, self.AHEAD_MS, scopes=("read",))
        row = session_row(bench)
        assert row is not None
        assert row.identity.scopes == ("read",)

    def test_what_gives_authority_is_not_taken_from_the_future(self) -> None:
        bench = GateBench()
        intent = bench.propose(WEB_FETCH, {})
        before = session_row(bench)
        happen(bench, SessionEventType.PURPOSE_SET, 30_001, purpose="anything")
        happen(bench, SessionEventType.TOOL_NOT_RUN, 30_001, intent_id=intent.intent_id, tool=intent.tool)
        other = SessionMaker("s-2")
        bench.driver.pipe(SESSION.name, other.key, other.established(bench.now_ms + 30_001))
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.EVENT_FROM_FUTURE] * 2
        assert bench.dead_letters(REPORT.name) == [DeadLetterReason.EVENT_FROM_FUTURE]
        assert (session_row(bench), session_row(bench, other)) == (before, None)

    def test_an_event_of_a_type_that_is_not_known_takes_all_trust(self) -> None:
        bench = GateBench()
        happen(bench, SessionEventType.UNKNOWN, label=TRUSTED)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.RECORD_INVALID]
        verdict = bench.judge(MAIL_SEND, TO_OUTSIDE)
        assert (verdict.reason, verdict.label) == (Reason.RULE_DENIED, WORST)
        assert len(verdict.influences) == 1

    def test_so_it_does_before_its_session_begins_and_is_forgotten_with_it(self) -> None:
        bench = GateBench(with_session=False)
        happen(bench, SessionEventType.UNKNOWN)
        bench.establish(bench.session)
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED
        bench.wait(3 * DAY_MS)
        assert session_row(bench) is None

    def test_a_session_that_is_established_again_keeps_its_trust(self) -> None:
        bench = GateBench()
        bench.establish(bench.session)
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW

    @pytest.mark.parametrize("kind", [SessionEventType.RETRIEVAL, SessionEventType.PURPOSE_SET])
    def test_a_session_without_room_for_an_event_loses_all_trust(self, kind: SessionEventType) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, scopes=("y" * 900_000,))
        happen(bench, SessionEventType.PURPOSE_SET, purpose="p" * (1_000_000 - 900_000 - 400))
        for _ in range(8):
            happen(bench, kind, label=UNTRUSTED, purpose="p" * 200_000)
        letters = {reason for topic in (SESSION, REPORT) for reason in bench.dead_letters(topic.name)}
        assert letters == {DeadLetterReason.RECORD_TOO_LARGE}
        row = session_row(bench)
        assert row is not None
        assert (row.trust.label, row.identity.scopes) == (WORST, ())

    def test_risk_only_rises(self) -> None:
        bench, seen = GateBench(), []
        for level in ("LOW", "HIGH", "MEDIUM", "LOW", "HIGH", None, "CRITICAL", "HIGH", "x" * 900_000):
            happen(bench, SessionEventType.RISK_LEVEL_CHANGE, risk_level=level)
            row = session_row(bench)
            assert row is not None
            seen.append(row.identity.risk_level)
        assert bench.dead_letters(SESSION.name) == []
        assert seen == ["LOW", "HIGH", "HIGH", "HIGH", "HIGH", "UNSTATED", "CRITICAL", "CRITICAL", "UNSTATED"]
        assert bench.judge(MAIL_SEND, TO_OUTSIDE).outcome is Outcome.ALLOW


def of_the_token_service(bench: GateBench, kind: SessionEventType, session: SessionMaker) -> SessionEvent:
    """An event that says what a session may do, as its token service would write it."""
    return session.event(
        kind,
        bench.now_ms,
        sub=session.sub,
        act=session.act,
        scopes=("read",),
        expires=bench.now_ms + HOUR_MS,
        purpose="work",
        risk_level="LOW",
    )


class TestWriters:
    """Executors may write the topic of sessions, too: only the token service says whether a session lives, and what it
    may do."""

    @pytest.mark.parametrize("kind", sorted(PROVEN_EVENTS))
    def test_without_a_proof_it_was_not_said(self, kind: SessionEventType) -> None:
        bench = GateBench(with_session=kind is not SessionEventType.SESSION_ESTABLISHED)
        before = session_row(bench)
        bench.audits()
        genuine = of_the_token_service(bench, kind, bench.session)
        assert genuine.proof is not None
        of_another = of_the_token_service(bench, kind, SessionMaker("s-2")).proof
        elsewhere = SessionMaker(root_key=b"another deployment's root key...").proven(genuine).proof
        by_the_agent = Proof(
            alg=ProofAlg.HMAC_SHA256, value=make_hmac(bench.session.secret, session_event_message(genuine))
        )
        forged = [
            replace(genuine, proof=None),
            replace(genuine, proof=Proof(alg=ProofAlg.HMAC_SHA256, value=b"")),
            replace(genuine, proof=Proof(alg=ProofAlg.HMAC_SHA256, value=genuine.proof.value + b"\0")),
            replace(genuine, proof=Proof(alg=ProofAlg.UNKNOWN, value=genuine.proof.value)),
            replace(genuine, proof=Proof(alg=ProofAlg.ED25519, value=genuine.proof.value)),
            *(replace(genuine, proof=proof) for proof in (of_another, elsewhere, by_the_agent)),
            replace(genuine, sub="mallory"),
            replace(genuine, scopes=("read", "admin")),
            replace(genuine, expires=bench.now_ms + DAY_MS),
            replace(genuine, sequence=99),
            replace(genuine, header=replace(genuine.header, source="https://elsewhere.example")),
        ]
        for event in forged:
            bench.driver.pipe(SESSION.name, bench.session.key, event)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.WRITER_UNPROVEN] * len(forged)
        assert [audit.reason for audit in bench.audits(AuditEventType.DEAD_LETTER)] == ["writer_unproven"] * len(forged)
        assert session_row(bench) == before
        bench.driver.pipe(SESSION.name, bench.session.key, genuine)
        assert bench.dead_letters(SESSION.name) == []

    def test_who_passes_it_on_may_trace_it(self) -> None:
        bench = GateBench(with_session=False)
        event = bench.session.established(bench.now_ms)
        traced = replace(event, header=replace(event.header, traceparent="00-1-2-01", tracestate="a=b"))
        bench.driver.pipe(SESSION.name, bench.session.key, traced)
        assert bench.judge().outcome is Outcome.ALLOW

    def test_a_purpose_is_not_set_again_by_its_old_event(self) -> None:
        bench = GateBench()
        first, second = (
            bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose=purpose) for purpose in ("a", "b")
        )
        for event in (first, second, first, second):
            bench.driver.pipe(SESSION.name, bench.session.key, event)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.SEQUENCE_REPLAYED] * 2
        row = session_row(bench)
        assert row is not None
        assert row.identity.purpose == "b"


class TestHostileIntents:
    @pytest.mark.parametrize(
        ("args", "reason"),
        [
            ('{"path": NaN}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": 9223372036854775808}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": -9007199254740993}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": "a", "path": "b"}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": "\\ud800"}', Reason.ARGS_NOT_CANONICALIZABLE),
            ("[" * 10_000 + "]" * 10_000, Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"a":' * 10_000 + "1" + "}" * 10_000, Reason.ARGS_NOT_CANONICALIZABLE),
            ("[]", Reason.ARGS_NOT_CANONICALIZABLE),
            ("null", Reason.ARGS_NOT_CANONICALIZABLE),
            ("", Reason.ARGS_NOT_CANONICALIZABLE),
            ("\x00", Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": "a.txt"}', Reason.ARGS_DIGEST_MISMATCH),  # not in canonical form, as the digest says it is
            ('{"path":"' + "x" * 300_000 + '"}', Reason.ARGS_TOO_LARGE),
            ('{"path":"' + "\u20ac" * 100_000 + '"}', Reason.ARGS_TOO_LARGE),
            ('{"path":[' + "1e20," * 50_000 + "1]}", Reason.ARGS_TOO_LARGE),
        ],
    )
    def test_arguments_without_one_meaning_are_denied(self, args: str, reason: Reason) -> None:
        bench = GateBench()
        assert bench.judge(FILES_READ, args).reason == reason
        assert bench.judge().outcome is Outcome.ALLOW

    def test_two_megabytes_of_arguments_do_not_stop_the_partition(self) -> None:
        bench = GateBench()
        bench.driver.log.alter_config(INTENT.name, {"max.message.bytes": "4000000"})
        small = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
        bench.driver.pipe(INTENT.name, bench.session.key, _grown(small, 2_000_000))
        assert bench.dead_letters(INTENT.name) == [DeadLetterReason.RECORD_TOO_LARGE]
        assert bench.judge().outcome is Outcome.ALLOW

    def test_the_largest_records_that_topics_take_do_not_stop_the_partition(self) -> None:
        bench = GateBench()
        small = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
        for size in (900_000, 983_000, 1_048_000):
            bench.driver.pipe(INTENT.name, bench.session.key, _grown(small, size))
        assert len(bench.verdicts()) + len(bench.dead_letters(INTENT.name)) == 3
        assert bench.judge().outcome is Outcome.ALLOW

    def test_an_intent_that_was_not_proven_leaves_no_trace_in_its_session(self) -> None:
        bench = GateBench()
        before = session_row(bench)
        bench.judge(unproven={"proof": None})
        bench.judge(sub="mallory")
        assert session_row(bench) == before

    def test_a_denied_intent_spends_nothing(self) -> None:
        bench = GateBench()
        bench.judge(MAIL_SEND, {"to": "attacker@evil.example", "amount": 50})
        row = session_row(bench)
        assert row is not None
        assert (row.counters.denied_count, row.counters.spent_minor) == (1, 0)


class TestForgetting:
    def test_a_verdict_is_remembered_for_a_day_and_its_intent_is_too_old_afterwards(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 3 * DAY_MS)
        intent = bench.propose()
        bench.wait(5 * MINUTE_MS - 1)
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value
        bench.wait(DAY_MS - 5 * MINUTE_MS)
        bench.send(intent)
        assert bench.dead_letters(INTENT.name) == [DeadLetterReason.VERDICT_GIVEN_BEFORE]
        bench.wait(DAY_MS)
        bench.send(intent)
        assert bench.dead_letters(INTENT.name) == [DeadLetterReason.INTENT_TOO_OLD]
        assert bench.driver.read_raw(VERDICT.name) == []

    def test_an_intent_from_the_future_is_not_judged_again_when_its_time_has_come(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 9 * DAY_MS)
        intent = bench.propose(time_ms=bench.now_ms + 20 * HOUR_MS)
        assert bench.verdict().reason == Reason.INTENT_FROM_FUTURE
        for _ in range(20):
            bench.wait(5 * HOUR_MS)
            bench.send(intent)
        assert bench.verdicts() == []
        reasons = bench.dead_letters(INTENT.name)
        assert reasons[:8] == [DeadLetterReason.VERDICT_GIVEN_BEFORE] * 8
        assert set(reasons) == {DeadLetterReason.VERDICT_GIVEN_BEFORE, DeadLetterReason.INTENT_TOO_OLD}
        assert len(reasons) == 20

    def test_nothing_is_left_of_a_session_in_the_end(self) -> None:
        bench = GateBench()
        for _ in range(5):
            bench.judge()
        bench.judge(MAIL_SEND, {"ask": "one"})
        bench.judge(WEB_FETCH, {})
        bench.wait(3 * DAY_MS)
        assert [key for key in bench.driver.disk.rows(0) if b"acme|s-1" in key] == []

    @pytest.mark.parametrize("kind", [SessionEventType.SESSION_ENDED, SessionEventType.SESSION_REVOKED])
    def test_a_session_that_is_over_is_remembered_until_it_would_have_expired(self, kind: SessionEventType) -> None:
        bench = GateBench(with_session=False)
        opened = bench.session.established(bench.now_ms, expires_ms=bench.now_ms + 5 * DAY_MS)
        bench.driver.pipe(SESSION.name, bench.session.key, opened)
        bench.driver.pipe(SESSION.name, bench.session.key, bench.session.event(kind, bench.now_ms))
        bench.wait(4 * DAY_MS)
        bench.driver.pipe(SESSION.name, bench.session.key, opened)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.SEQUENCE_REPLAYED]
        assert bench.judge().outcome is Outcome.DENY

    def test_a_session_that_was_over_before_it_began_does_not_begin(self) -> None:
        bench = GateBench(with_session=False)
        ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, ended)
        bench.wait(23 * HOUR_MS)
        bench.establish(bench.session)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.SEQUENCE_REPLAYED]
        assert bench.judge().reason == Reason.SESSION_ENDED

    def test_a_grant_without_a_session_does_not_stay(self) -> None:
        bench = GateBench()
        lonely = SessionMaker("s-lonely")
        bench.driver.pipe(DELEGATION.name, lonely.key, lonely.grant("g-1", bench.now_ms))
        assert session_row(bench, lonely) is not None
        bench.wait(DAY_MS)
        assert session_row(bench, lonely) is None

    def test_a_long_session_is_tidied_up_a_part_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "ROWS_PER_VISIT_MAX", 3)
        bench = GateBench()
        for _ in range(10):
            bench.judge()
        bench.wait(3 * DAY_MS)
        assert [key for key in bench.driver.disk.rows(0) if b"acme|s-1" in key] == []

    def test_a_session_that_lives_is_kept(self) -> None:
        long_lived = replace(
            GATE_SETTINGS,
            session_age_max_ms=10 * DAY_MS,
            unattended_age_max_ms=10 * DAY_MS,
            session_idle_ms=DAY_MS,
        )
        bench = GateBench(settings=long_lived, with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 9 * DAY_MS)
        for _ in range(16):
            bench.wait(12 * HOUR_MS)
            assert bench.judge().outcome is Outcome.ALLOW
        verdicts = [key for key in bench.driver.disk.rows(0) if key.startswith(b"v")]
        assert len(verdicts) <= 4


class TestSessions:
    def test_claims_can_only_be_narrowed(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, scopes=("read", "write"), expires_ms=bench.now_ms + HOUR_MS)
        changed = bench.session.event(
            SessionEventType.TOKEN_CLAIMS_CHANGE, bench.now_ms, scopes=("read", "admin"), expires=bench.now_ms + DAY_MS
        )
        bench.driver.pipe(SESSION.name, bench.session.key, changed)
        row = session_row(bench)
        assert row is not None
        assert row.identity.scopes == ("read",)
        assert row.life.expires_ms == bench.now_ms + HOUR_MS

    def test_an_allow_may_not_be_used_beyond_its_session_or_deadline(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 10_000)
        assert bench.judge().expires_at == bench.now_ms + 10_000
        assert bench.judge(deadline=bench.now_ms + 3_000).expires_at == bench.now_ms + 3_000

    def test_taking_back_a_grant_that_the_session_does_not_hold_changes_nothing(self) -> None:
        bench = GateBench()
        revoked = bench.session.grant("g-other", bench.now_ms, op=DelegationOp.REVOKE)
        bench.driver.pipe(DELEGATION.name, bench.session.key, revoked)
        assert bench.judge().outcome is Outcome.ALLOW


def _grown(intent: Intent, size: int) -> bytes:
    """The intent's bytes with arguments that make it as large, whatever a codec of ours would say."""
    value = wire().encode(INTENT.name, replace(intent, txn="t"))
    text = b"x" * (size - len(value))
    return value.replace(b"\x02\x02t", b"\x02" + _avro_long(len(text)) + text, 1)


def _avro_long(number: int) -> bytes:
    zigzag, out = number << 1, bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*out, zigzag])


class TestOneReading:
    """What the rules saw is what runs."""

    @pytest.mark.parametrize("sent", ['{"n":7.0,"path":"a"}', '{ "path": "a", "n": 7e0 }', '{"n":7,"path":"\\u0061"}'])
    def test_arguments_are_judged_in_the_form_in_which_they_run(self, sent: str) -> None:
        intent = GateBench().session.intent(FILES_READ, {"n": 7, "path": "a"}, 0)
        case = Case(Asked(replace(intent, args_json=sent), b"acme|s-1", 0, 0), SessionRow())
        rules = Publications(GATE_SETTINGS.bundle_name, UNSIGNED, InlineCompiler(compile_published))
        control = ControlState(rules, Catalog(ANYBODY))
        assert check_arguments(case, control, GateSettings(root_key=bytes(32))) is None
        assert case.arguments == Arguments({"n": 7, "path": "a"}, '{"n":7,"path":"a"}')
        assert isinstance(case.arguments.values["n"], int)

    def test_nothing_is_kept_of_arguments_that_were_not_proven(self) -> None:
        bench = GateBench()
        verdict = bench.judge(unproven={"proof": None})
        assert (verdict.reason, verdict.args_json) == (Reason.PROOF_MISSING, "")

    def test_forged_intents_take_no_places_of_a_session_that_is_to_come(self) -> None:
        bench = GateBench(with_session=False)
        for _ in range(100):
            assert bench.judge(unproven={"proof": None}).reason == Reason.PROOF_MISSING
        bench.propose()
        bench.establish(bench.session)
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
