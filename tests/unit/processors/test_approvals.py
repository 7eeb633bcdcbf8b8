"""Questions that cover several calls, what people grant beyond a call, and who may answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, person, revocation, ruleset, tool_ref
from streams.model.alert import Alert
from streams.model.approval import (
    USES_MAX,
    AnsweredCall,
    ApprovalDecision,
    ApprovalGrant,
    ApprovalRequest,
    ApprovalStatus,
    GrantScope,
)
from streams.model.audit import AuditEventType
from streams.model.delegation import ArgumentConstraint, ConstraintType, ToolGrant
from streams.model.intent import Intent
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason, Reason, Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call
from streams.model.session import SessionEventType
from streams.model.topics import ALERT, APPROVAL_DECISION, APPROVAL_REQUEST, REVOCATION, RULESET, SESSION
from streams.model.types import Model, SubProfile
from streams.model.verdict import Outcome
from streams.processors.gate.approval_grants import GRANTS_PER_SESSION_MAX, grant_uid
from streams.processors.gate.questions import QUESTION_ARGS_CHARS_MAX, QUESTION_CALLS_MAX
from streams.sdk.tools import FunctionTool
from streams.sdk.verdict_checks import Cleared, Refused, Standard, check
from tests.kit import BUNDLE_FILES, FILES_READ, GATE_SETTINGS, HOUR_MS, MAIL_SEND, MINUTE_MS, RULES, GateBench

replace = msgspec.structs.replace
ONE = {"ask": "one"}
NOT_VALID = [DeadLetterReason.APPROVAL_NOT_VALID]


def requests(bench: GateBench) -> list[ApprovalRequest]:
    records = (read.record for read in bench.driver.read(APPROVAL_REQUEST.name))
    return [record for record in records if isinstance(record, ApprovalRequest)]


def answer(
    bench: GateBench, request: ApprovalRequest, by: str = "lena", *groups: str, **fields: Any
) -> ApprovalDecision:
    """Answer everything that a request shows; yes unless `fields` say something else."""
    calls = tuple(AnsweredCall(intent_id=c.intent_id, tool=c.tool, args_digest=c.args_digest) for c in request.calls)
    decision = ApprovalDecision(
        header=replace(
            request.header, id=derived_uuid("answer", request.header.id, by, str(bench.now_ms), str(fields))
        ),
        task_id=request.task_id,
        intent_id=request.intent_id,
        session_id=request.session_id,
        status=ApprovalStatus.APPROVED,
        approver=person(by),
        approver_groups=groups or request.eligible_approvers,
        args_digest=request.args_digest,
        calls=calls,
    )
    decision = replace(decision, **fields)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return decision


def ask(bench: GateBench, *targets: str, **changes: Any) -> list[Intent]:
    return [bench.propose(MAIL_SEND, {**ONE, "to": target}, **changes) for target in targets]


def publish(bench: GateBench, approval: str) -> None:
    """Publish the rules with other settings for the question to one lead."""
    before = "approval: {group: leads, quorum: 1, ttl: 10m}"
    files = {**BUNDLE_FILES, "testing/testing.rules.yaml": RULES.replace(before, approval)}
    bench.driver.pipe(RULESET.name, b"default", replace(ruleset(files), serial=2))


def by_intent(bench: GateBench) -> dict[str, Outcome]:
    return {verdict.intent_id: verdict.outcome for verdict in bench.verdicts()}


def reasons(bench: GateBench) -> list[str | None]:
    return [event.reason for event in bench.audits(AuditEventType.APPROVAL)]


def bound(argument: str, kind: ConstraintType, value_json: str) -> ArgumentConstraint:
    return ArgumentConstraint(argument=argument, type=kind, value_json=value_json)


def mail_grant(
    *bounds: ArgumentConstraint, scope: GrantScope = GrantScope.SESSION, name: str = "send", **fields: Any
) -> ApprovalGrant:
    asked = bound("/ask", ConstraintType.EXACT, '"one"')
    tool = ToolGrant(server_id="mail", name=name, constraints=(asked, *bounds) if bounds else ())
    return ApprovalGrant(scope=scope, tools=(tool,), **fields)


class Stops:
    """What an executor knows of revocations, which it has read up to now."""

    def __init__(self) -> None:
        self.known = RevocationSet()

    def is_stale(self) -> bool:
        return False

    def caught_up(self, offset: int) -> bool:
        del offset
        return True

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        return self.known.reason_against(call, now_ms)


TO_CORP = bound("/to", ConstraintType.WILDCARD, '"*@corp.example"')


class TestOneQuestion:
    def test_calls_of_one_task_join_one_question_and_one_answer_decides_all(self) -> None:
        bench = GateBench()
        intents = ask(bench, "a", "b", "c")
        first, _, last = requests(bench)
        assert {first.task_id} == {last.task_id}
        assert [call.intent_id for call in last.calls] == [intent.intent_id for intent in intents]
        assert [call.args_json for call in last.calls] == [intent.args_json for intent in intents]
        assert (last.revision, last.rules) == (2, ("T-031@1",))
        bench.verdicts()
        answer(bench, last)
        assert by_intent(bench) == {intent.intent_id: Outcome.ALLOW for intent in intents}
        assert reasons(bench) == ["approved"] * 3
        assert requests(bench) == []

    def test_what_joined_after_the_person_looked_is_not_approved(self) -> None:
        bench = GateBench()
        seen, unseen = ask(bench, "a", "attacker")
        first, _ = requests(bench)
        bench.verdicts()
        answer(bench, first)
        assert by_intent(bench) == {seen.intent_id: Outcome.ALLOW}
        (again,) = requests(bench)
        assert (again.task_id, again.intent_id, again.revision) == (first.task_id, unseen.intent_id, 2)
        assert [call.intent_id for call in again.calls] == [unseen.intent_id]
        answer(bench, again)
        assert by_intent(bench) == {unseen.intent_id: Outcome.ALLOW}

    def test_a_refusal_is_of_what_the_person_was_shown_too(self) -> None:
        bench = GateBench()
        seen, _ = ask(bench, "a", "b")
        first, _ = requests(bench)
        bench.verdicts()
        answer(bench, first, status=ApprovalStatus.DENIED)
        assert by_intent(bench) == {seen.intent_id: Outcome.DENY}
        assert len(requests(bench)) == 1

    def test_an_answer_to_one_call_alone_names_its_own_task(self) -> None:
        bench = GateBench()
        _, second = ask(bench, "a", "b")
        bench.verdicts()
        made = bench.session.decision(second, "lena", bench.now_ms, groups=("leads",))
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)
        assert by_intent(bench) == {second.intent_id: Outcome.ALLOW}

    def test_a_question_that_another_call_raised_can_still_be_refused_later(self) -> None:
        bench = GateBench()
        ask(bench, "a")
        second = bench.propose(MAIL_SEND, {**ONE, "later": True})
        _, both = requests(bench)
        answer(bench, both)
        assert by_intent(bench)[second.intent_id] is Outcome.DEFER
        bench.wait(1)
        answer(bench, both, status=ApprovalStatus.DENIED)
        assert by_intent(bench) == {second.intent_id: Outcome.DENY}

    @pytest.mark.parametrize(
        "other",
        [
            {"args": {"ask": "leads"}},
            {"args": {"ask": "one"}, "user_request_digest": bytes(32)},
        ],
    )
    def test_other_rules_and_other_tasks_are_other_questions(self, other: dict[str, Any]) -> None:
        bench = GateBench()
        ask(bench, "a")
        bench.propose(MAIL_SEND, other.pop("args"), **other)
        first, second = requests(bench)
        assert first.task_id != second.task_id

    def test_another_purpose_is_another_task(self) -> None:
        bench = GateBench()
        ask(bench, "a")
        made = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="something else")
        bench.driver.pipe(SESSION.name, bench.session.key, made)
        ask(bench, "a")
        first, second = requests(bench)
        assert first.task_id != second.task_id

    def test_each_call_waits_for_as_long_as_it_may(self) -> None:
        bench = GateBench()
        (first,) = ask(bench, "a")
        bench.wait(5 * MINUTE_MS)
        (second,) = ask(bench, "b")
        bench.verdicts()
        _, request = requests(bench)
        bench.wait(5 * MINUTE_MS)
        assert by_intent(bench) == {first.intent_id: Outcome.DENY}
        answer(bench, request)
        assert by_intent(bench) == {second.intent_id: Outcome.ALLOW}

    def test_a_quorum_counts_for_each_call(self) -> None:
        bench = GateBench()
        leads = {"ask": "leads"}
        first = bench.propose(MAIL_SEND, leads)
        (shown,) = requests(bench)
        answer(bench, shown, "lena")
        second = bench.propose(MAIL_SEND, {**leads, "to": "b"})
        (both,) = requests(bench)
        bench.verdicts()
        answer(bench, both, "liam")
        assert by_intent(bench) == {first.intent_id: Outcome.ALLOW}
        answer(bench, both, "lena")
        assert by_intent(bench) == {second.intent_id: Outcome.ALLOW}

    def test_a_question_has_no_more_calls_than_a_person_reads(self) -> None:
        bench = GateBench()
        ask(bench, *[f"n{number}" for number in range(QUESTION_CALLS_MAX + 1)])
        made = requests(bench)
        assert len({request.task_id for request in made}) == 2
        assert max(len(request.calls) for request in made) == QUESTION_CALLS_MAX

    def test_long_arguments_have_a_question_of_their_own(self) -> None:
        bench = GateBench()
        ask(bench, "a", "b" * QUESTION_ARGS_CHARS_MAX, "c")
        first, long, third = requests(bench)
        assert first.task_id == third.task_id != long.task_id
        assert long.args_json
        assert [call.args_json for call in long.calls] == [""]

    def test_restarts_change_nothing(self) -> None:
        bench = GateBench()
        intents = ask(bench, "a", "b")
        bench.restart()
        _, last = requests(bench)
        bench.verdicts()
        answer(bench, last)
        assert by_intent(bench) == {intent.intent_id: Outcome.ALLOW for intent in intents}


class TestBinding:
    def test_an_answer_that_comes_again_decides_nothing(self) -> None:
        bench = GateBench()
        ask(bench, "a", "b")
        _, last = requests(bench)
        made = answer(bench, last)
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_AWAITED]
        ask(bench, "c")
        (fresh,) = requests(bench)
        bench.verdicts()
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, replace(made, task_id=fresh.task_id))
        assert bench.verdicts() == []

    @pytest.mark.parametrize("wrong", [{"args_digest": bytes(32)}, {"tool": tool_ref(FILES_READ)}])
    def test_one_call_of_another_kind_makes_the_whole_answer_invalid(self, wrong: dict[str, Any]) -> None:
        bench = GateBench()
        ask(bench, "a", "b")
        _, last = requests(bench)
        bench.verdicts()
        calls = [AnsweredCall(intent_id=c.intent_id, tool=c.tool, args_digest=c.args_digest) for c in last.calls]
        answer(bench, last, calls=(calls[0], replace(calls[1], **wrong)))
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        assert bench.verdicts() == []

    def test_the_tool_is_bound_with_its_definition(self) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        call = request.calls[0]
        other = replace(call.tool, definition_digest=bytes(32))
        answer(
            bench, request, calls=(AnsweredCall(intent_id=call.intent_id, tool=other, args_digest=call.args_digest),)
        )
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID

    def test_an_answer_in_another_session_decides_nothing_here(self) -> None:
        bench = GateBench()
        other = SessionMaker("s-2")
        bench.establish(other)
        ask(bench, "a")
        (request,) = requests(bench)
        bench.verdicts()
        made = answer(bench, request, session_id="s-2")
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.KEY_MISMATCH]
        bench.driver.pipe(APPROVAL_DECISION.name, other.key, made)
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_AWAITED]
        assert bench.verdicts() == []

    def test_a_kill_that_comes_first_wins(self) -> None:
        bench = GateBench()
        ask(bench, "a", "b")
        _, last = requests(bench)
        bench.verdicts()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms))
        answer(bench, last, grant=mail_grant())
        assert {verdict.reason for verdict in bench.verdicts()} == {Reason.REVOKED_AGENT}

    def test_a_kill_that_comes_second_is_held_against_the_verdict_by_its_executor(self) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        bench.verdicts()
        answer(bench, request)
        verdict = bench.verdict()
        assert verdict.outcome is Outcome.ALLOW
        stops = Stops()
        tool = FunctionTool(lambda args: args, MAIL_SEND.definition_digest)
        standard = Standard(server_ids={"mail"}, tools={"mail/send": tool}, revocations=stops)
        assert isinstance(check(verdict, bench.session.key, standard, bench.now_ms), Cleared)
        _, kill = revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms)
        stops.known.apply(kill)
        refused = check(verdict, bench.session.key, standard, bench.now_ms)
        assert isinstance(refused, Refused)
        assert refused.refusal is Refusal.REVOKED

    @pytest.mark.parametrize(
        "approver",
        [
            replace(person("assistant"), sub_profile=SubProfile.AI_AGENT),
            replace(person("lena"), sub_profile=SubProfile.AI_AGENT),
            replace(person("lena"), sub_profile=SubProfile.UNKNOWN),
            replace(person("lena"), instance_uid="agent-7/session-3"),
            person("assistant"),
            person("alice"),
        ],
    )
    def test_no_agent_no_session_of_an_agent_and_not_the_subject(self, approver: Any) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        bench.verdicts()
        answer(bench, request, approver=approver)
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        assert bench.verdicts() == []

    def test_no_agent_that_the_session_descends_from(self) -> None:
        bench = GateBench()
        child = SessionMaker("s-2", act="helper")
        bench.establish_from(bench.session, child)
        bench.propose(MAIL_SEND, ONE, child)
        (request,) = requests(bench)
        bench.verdicts()
        made = answer(bench, request, "assistant")
        bench.dead_letters(APPROVAL_DECISION.name)
        bench.driver.pipe(APPROVAL_DECISION.name, child.key, made)
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        assert bench.verdicts() == []

    def test_a_person_without_the_group_and_one_person_twice(self) -> None:
        bench = GateBench()
        bench.propose(MAIL_SEND, {"ask": "leads"})
        (request,) = requests(bench)
        bench.verdicts()
        answer(bench, request, "sam", "security")
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        answer(bench, request, "lena")
        bench.wait(1)
        answer(bench, request, "Lena")
        assert bench.verdicts() == []

    def test_after_the_time_to_answer(self) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        bench.wait(10 * MINUTE_MS)
        assert [verdict.reason for verdict in bench.verdicts()][-1] == Reason.APPROVAL_EXPIRED
        answer(bench, request)
        assert bench.dead_letters(APPROVAL_DECISION.name) == [DeadLetterReason.APPROVAL_NOT_AWAITED]
        assert bench.verdicts() == []

    def test_an_approval_that_ends_before_the_quorum_is_reached_does_not_count(self) -> None:
        bench = GateBench()
        bench.propose(MAIL_SEND, {"ask": "leads"})
        (request,) = requests(bench)
        answer(bench, request, "lena", approved_until=bench.now_ms + MINUTE_MS)
        bench.wait(MINUTE_MS)
        bench.verdicts()
        answer(bench, request, "liam")
        assert bench.verdicts() == []
        answer(bench, request, "lena")
        assert bench.verdict().outcome is Outcome.ALLOW

    @pytest.mark.parametrize("name", ["lena", "Lena"])
    def test_somebody_who_is_stopped_approves_nothing(self, name: str) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        bench.verdicts()
        stop_person(bench, "lena")
        answer(bench, request, name)
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        assert bench.verdicts() == []
        answer(bench, request, "liam")
        assert bench.verdict().outcome is Outcome.ALLOW

    def test_an_approval_of_somebody_who_is_stopped_before_the_quorum_is_reached_does_not_count(self) -> None:
        bench = GateBench()
        bench.propose(MAIL_SEND, {"ask": "leads"})
        (request,) = requests(bench)
        answer(bench, request, "Lena")
        stop_person(bench, "Lena")
        bench.verdicts()
        answer(bench, request, "liam")
        assert bench.verdicts() == []
        answer(bench, request, "sam")
        assert bench.verdict().outcome is Outcome.ALLOW


def stop_person(bench: GateBench, name: str) -> None:
    bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SUBJECT, f"acme|{name}", time_ms=bench.now_ms))


class TestGrants:
    def granted(self, grant: ApprovalGrant, **settings: Any) -> tuple[GateBench, ApprovalDecision]:
        bench = GateBench(**settings)
        ask(bench, "first@corp.example")
        (request,) = requests(bench)
        made = answer(bench, request, grant=grant)
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
        assert reasons(bench) == ["approved", "grant_made"]
        return bench, made

    def outcome(self, bench: GateBench, to: str, **changes: Any) -> Outcome:
        bench.verdicts()
        ask(bench, to, **changes)
        return bench.verdict().outcome

    def test_it_answers_for_calls_within_its_bounds_and_each_use_is_recorded(self) -> None:
        bench, made = self.granted(mail_grant(TO_CORP))
        uid = grant_uid(made)
        ask(bench, "second@corp.example")
        verdict = bench.verdict()
        assert (verdict.outcome, verdict.approval_id, verdict.delegation_path[-1]) == (
            Outcome.ALLOW,
            uid.removeprefix("approval:"),
            uid,
        )
        (used,) = bench.audits(AuditEventType.APPROVAL)
        assert (used.reason, used.intent_id, used.act.sub) == ("grant_used", verdict.intent_id, "lena")
        assert used.parent_event_id == made.header.id
        assert self.outcome(bench, "second@elsewhere.example") is Outcome.REQUIRE_APPROVAL

    def test_without_bounds_any_arguments_are_granted(self) -> None:
        bench, _ = self.granted(mail_grant())
        assert self.outcome(bench, "anybody@elsewhere.example") is Outcome.ALLOW

    def test_it_is_counted_down(self) -> None:
        bench, _ = self.granted(mail_grant(uses_max=2))
        found = [self.outcome(bench, "a") for _ in range(3)]
        assert found == [Outcome.ALLOW, Outcome.ALLOW, Outcome.REQUIRE_APPROVAL]

    def test_a_call_that_is_denied_does_not_use_it(self) -> None:
        bench, _ = self.granted(mail_grant(uses_max=1))
        assert self.outcome(bench, "attacker@evil.example") is Outcome.DENY
        assert self.outcome(bench, "a") is Outcome.ALLOW

    def test_it_ends(self) -> None:
        bench, _ = self.granted(mail_grant(until=GateBench().now_ms + MINUTE_MS))
        assert self.outcome(bench, "a") is Outcome.ALLOW
        bench.wait(MINUTE_MS)
        assert self.outcome(bench, "a") is Outcome.REQUIRE_APPROVAL

    def test_for_a_task_it_ends_with_the_task(self) -> None:
        bench, _ = self.granted(mail_grant(scope=GrantScope.TASK))
        assert self.outcome(bench, "a") is Outcome.ALLOW
        assert self.outcome(bench, "a", user_request_digest=bytes(32)) is Outcome.REQUIRE_APPROVAL
        made = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="something else")
        bench.driver.pipe(SESSION.name, bench.session.key, made)
        assert self.outcome(bench, "a") is Outcome.REQUIRE_APPROVAL

    def test_for_a_session_it_does_not(self) -> None:
        bench, _ = self.granted(mail_grant(scope=GrantScope.SESSION))
        assert self.outcome(bench, "a", user_request_digest=bytes(32)) is Outcome.ALLOW

    def test_it_does_not_reach_other_sessions(self) -> None:
        bench, _ = self.granted(mail_grant())
        other = SessionMaker("s-2")
        bench.establish(other)
        assert bench.judge(MAIL_SEND, ONE, session=other).outcome is Outcome.REQUIRE_APPROVAL

    @pytest.mark.parametrize("kind", [RevocationKind.DELEGATION, RevocationKind.SUBJECT])
    def test_it_can_be_revoked_itself_or_with_its_approver(self, kind: RevocationKind) -> None:
        bench, made = self.granted(mail_grant())
        target = grant_uid(made) if kind is RevocationKind.DELEGATION else "acme|lena"
        bench.driver.pipe(REVOCATION.name, *revocation(kind, target, time_ms=bench.now_ms))
        assert self.outcome(bench, "a") is Outcome.REQUIRE_APPROVAL

    @pytest.mark.parametrize("name", ["Lena", "liam"])
    def test_it_ends_with_each_of_its_approvers(self, name: str) -> None:
        bench = GateBench()
        leads = {"ask": "leads"}
        bench.propose(MAIL_SEND, leads)
        (request,) = requests(bench)
        for by in ("Lena", "liam"):
            answer(bench, request, by, grant=mail_grant())
        assert bench.judge(MAIL_SEND, leads).outcome is Outcome.ALLOW
        stop_person(bench, name)
        assert bench.judge(MAIL_SEND, leads).outcome is Outcome.REQUIRE_APPROVAL

    def test_it_survives_a_restart_and_a_kill_ends_it(self) -> None:
        bench, _ = self.granted(mail_grant())
        bench.restart()
        assert self.outcome(bench, "a") is Outcome.ALLOW
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SESSION, "acme|s-1", time_ms=bench.now_ms))
        assert self.outcome(bench, "a") is Outcome.DENY

    def test_it_answers_only_for_its_group_and_its_rules(self) -> None:
        bench, _ = self.granted(mail_grant())
        both = bench.judge(MAIL_SEND, {"ask": "both"})
        assert both.outcome is Outcome.REQUIRE_APPROVAL
        # The leads' rule is answered by the grant; what is asked is the other group.
        assert requests(bench)[-1].eligible_approvers == ("security",)
        two = bench.judge(MAIL_SEND, {"ask": "leads"})
        assert two.outcome is Outcome.REQUIRE_APPROVAL

    def test_a_grant_of_one_group_is_not_used_until_the_other_has_approved(self) -> None:
        bench, _ = self.granted(mail_grant(uses_max=1))
        bench.propose(MAIL_SEND, {"ask": "both"})
        (request,) = requests(bench)
        assert request.eligible_approvers == ("security",)
        answer(bench, request, "sam", "security")
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
        assert self.outcome(bench, "a") is Outcome.REQUIRE_APPROVAL

    def test_a_use_counts_although_the_call_leads_to_another_grant(self) -> None:
        bench, _ = self.granted(mail_grant(uses_max=2))
        bench.propose(MAIL_SEND, {"ask": "both"})
        (request,) = requests(bench)
        answer(bench, request, "sam", "security", grant=mail_grant())
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
        assert self.outcome(bench, "a") is Outcome.ALLOW
        assert self.outcome(bench, "b") is Outcome.REQUIRE_APPROVAL

    @pytest.mark.parametrize(
        ("grants", "scope", "valid"),
        [
            ("none", GrantScope.TASK, False),
            ("task", GrantScope.SESSION, False),
            ("task", GrantScope.TASK, True),
            ("session", GrantScope.TASK, True),
        ],
    )
    def test_the_rule_says_how_far_people_may_go(self, grants: str, scope: GrantScope, valid: bool) -> None:
        bench = GateBench()
        publish(bench, f"approval: {{group: leads, quorum: 1, ttl: 10m, grants: {grants}}}")
        ask(bench, "a")
        (request,) = requests(bench)
        answer(bench, request, grant=mail_grant(scope=scope))
        assert bench.dead_letters(APPROVAL_DECISION.name) == ([] if valid else NOT_VALID)

    def test_rules_that_forbid_it_later_are_not_answered(self) -> None:
        bench, _ = self.granted(mail_grant())
        publish(bench, "approval: {group: leads, quorum: 1, ttl: 10m, grants: task}")
        assert self.outcome(bench, "a") is Outcome.REQUIRE_APPROVAL

    def test_one_that_is_bound_to_the_model_ends_with_the_model(self) -> None:
        bench = GateBench()
        publish(bench, "approval: {group: leads, quorum: 1, ttl: 10m, bind: [tool, args, session, model]}")
        first, other = Model(ai_provider="lab", name="large-1"), Model(ai_provider="lab", name="large-2")
        ask(bench, "a", model=first)
        answer(bench, requests(bench)[-1], grant=mail_grant())
        assert self.outcome(bench, "b", model=first) is Outcome.ALLOW
        assert self.outcome(bench, "b", model=other) is Outcome.REQUIRE_APPROVAL
        assert self.outcome(bench, "b") is Outcome.REQUIRE_APPROVAL

    def test_it_does_not_shorten_a_cancel_window(self) -> None:
        bench, _ = self.granted(mail_grant(uses_max=1))
        assert bench.judge(MAIL_SEND, {**ONE, "later": True}).outcome is Outcome.DEFER
        bench.wait(30_000)
        assert bench.verdict().outcome is Outcome.ALLOW
        assert self.outcome(bench, "a") is Outcome.REQUIRE_APPROVAL

    @pytest.mark.parametrize(
        "to",
        [
            "eve@evil.example,x@corp.example",
            "eve@evil.example; x@corp.example",
            "eve@evil.example x@corp.example",
            "eve@evil.example@corp.example",
            "<eve@evil.example> x@corp.example",
            '"eve@evil.example"@corp.example',
            "@corp.example",
        ],
    )
    def test_a_pattern_of_addresses_admits_one_address(self, to: str) -> None:
        bench, _ = self.granted(mail_grant(TO_CORP))
        assert self.outcome(bench, to) is Outcome.REQUIRE_APPROVAL
        assert self.outcome(bench, "o'neil+x@corp.example") is Outcome.ALLOW

    def test_a_pattern_of_addresses_among_others_admits_one_address(self) -> None:
        parts = '[{"type":"EXACT","value":"a,b@corp.example"},{"type":"WILDCARD","value":"*@corp.example"}]'
        bench, _ = self.granted(mail_grant(bound("/to", ConstraintType.ANY, parts)))
        assert self.outcome(bench, "a,b@corp.example") is Outcome.ALLOW
        assert self.outcome(bench, "a,c@corp.example") is Outcome.REQUIRE_APPROVAL

    @pytest.mark.parametrize(
        ("pattern", "to"),
        [("git@forge.example:corp/*", "git@forge.example:corp/a"), ("tool@1.*", "tool@1.2"), ("*a*", "a, b@c")],
    )
    def test_other_patterns_admit_any_text_of_their_form(self, pattern: str, to: str) -> None:
        bench = GateBench()
        ask(bench, to)
        answer(bench, requests(bench)[0], grant=mail_grant(bound("/to", ConstraintType.WILDCARD, f'"{pattern}"')))
        bench.verdicts()
        assert self.outcome(bench, to) is Outcome.ALLOW

    def test_calls_that_wait_already_are_decided_with_it(self) -> None:
        bench = GateBench()
        first, inside, outside = ask(bench, "a@corp.example", "b@corp.example", "c@elsewhere.example")
        shown = requests(bench)[0]
        bench.verdicts()
        answer(bench, shown, grant=mail_grant(TO_CORP))
        assert by_intent(bench) == {first.intent_id: Outcome.ALLOW, inside.intent_id: Outcome.ALLOW}
        (left,) = requests(bench)
        assert [call.intent_id for call in left.calls] == [outside.intent_id]

    def test_a_quorum_must_give_the_same_grant(self) -> None:
        bench = GateBench()
        leads = {"ask": "leads"}
        bench.propose(MAIL_SEND, leads)
        (request,) = requests(bench)
        tool = ToolGrant(server_id="mail", name="send")
        grant = ApprovalGrant(scope=GrantScope.SESSION, tools=(tool,), uses_max=3)
        answer(bench, request, "lena", grant=grant)
        answer(bench, request, "liam", grant=replace(grant, uses_max=4))
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        answer(bench, request, "liam", grant=grant)
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
        assert bench.judge(MAIL_SEND, {**leads, "to": "b"}).outcome is Outcome.ALLOW

    def test_one_of_a_quorum_alone_grants_nothing(self) -> None:
        bench = GateBench()
        bench.propose(MAIL_SEND, {"ask": "leads"})
        (request,) = requests(bench)
        grant = ApprovalGrant(scope=GrantScope.SESSION, tools=(ToolGrant(server_id="mail", name="send"),))
        answer(bench, request, "lena", grant=grant)
        answer(bench, request, "liam")
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
        assert bench.judge(MAIL_SEND, {"ask": "leads"}).outcome is Outcome.REQUIRE_APPROVAL

    @pytest.mark.parametrize(
        "grant",
        [
            mail_grant(scope=GrantScope.UNKNOWN),
            mail_grant(uses_max=0),
            mail_grant(uses_max=USES_MAX + 1),
            mail_grant(until=1),
            mail_grant(rules=("T-030@1",)),
            mail_grant(rules=("T-031@2",)),
            mail_grant(name="delete"),
            mail_grant(name="*"),
            mail_grant(bound("/to", ConstraintType.UNKNOWN, "null")),
            ApprovalGrant(scope=GrantScope.SESSION),
        ],
    )
    def test_one_that_is_wider_than_the_question_or_not_understood_makes_the_answer_invalid(
        self, grant: ApprovalGrant
    ) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        bench.verdicts()
        answer(bench, request, grant=grant)
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        assert bench.verdicts() == []

    def test_a_session_has_so_many_and_room_again_when_they_are_over(self) -> None:
        bench = GateBench()
        targets: Sequence[str] = [f"n{number}" for number in range(GRANTS_PER_SESSION_MAX + 1)]
        for target in targets:
            ask(bench, target)
            exact = bound("/to", ConstraintType.EXACT, f'"{target}"')
            answer(bench, requests(bench)[-1], grant=mail_grant(exact, until=bench.now_ms + MINUTE_MS))
        assert bench.dead_letters(APPROVAL_DECISION.name) == NOT_VALID
        bench.wait(MINUTE_MS)
        ask(bench, "another")
        answer(bench, requests(bench)[-1], grant=mail_grant())
        assert bench.dead_letters(APPROVAL_DECISION.name) == []

    def test_nothing_is_left_of_it_in_the_end(self) -> None:
        bench, _ = self.granted(mail_grant())
        bench.wait(GATE_SETTINGS.dedup_retention_ms + 2 * HOUR_MS)
        bench.wait(GATE_SETTINGS.dedup_retention_ms)
        assert [key for key in bench.driver.disk.rows(0) if key.startswith(b"G")] == []


class TestBudget:
    def test_a_session_that_asks_more_often_than_it_may_raises_an_alert(self) -> None:
        bench = GateBench(settings=replace(GATE_SETTINGS, questions_per_session_budget=2))
        for number in range(3):
            # Each is of another task, and so a question of its own.
            ask(bench, "a", "b", user_request_digest=bytes([number]) * 32)
        (alert,) = [read.record for read in bench.driver.read(ALERT.name)]
        assert isinstance(alert, Alert)
        assert (alert.analytic_uid, alert.session_id) == ("questions_over_budget", "s-1")
        assert alert.desc.startswith("3 questions to people, 2 are budgeted")
        assert "stoplog approvals list" in alert.suggested_response

    def test_calls_that_join_a_question_or_are_granted_do_not_count(self) -> None:
        bench = GateBench(settings=replace(GATE_SETTINGS, questions_per_session_budget=1))
        ask(bench, "a", "b", "c")
        answer(bench, requests(bench)[-1], grant=mail_grant())
        ask(bench, "d")
        assert bench.driver.read(ALERT.name) == []
