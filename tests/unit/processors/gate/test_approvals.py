"""Questions that cover several calls, and who may answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, person, revocation, tool_ref
from streams.model.alert import Alert
from streams.model.approval import AnsweredCall, ApprovalStatus
from streams.model.reasons import DeadLetterReason, Reason, Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call
from streams.model.session import SessionEventType
from streams.model.topics import ALERT, APPROVAL_DECISION, REVOCATION, SESSION
from streams.model.types import SubProfile
from streams.model.verdict import Outcome
from streams.processors.gate.questions import QUESTION_ARGS_CHARS_MAX, QUESTION_CALLS_MAX
from streams.sdk.executor.verdict_checks import Cleared, Refused, Standard, check
from streams.sdk.tools import FunctionTool
from tests.kit import FILES_READ, GATE_SETTINGS, MAIL_SEND, MINUTE_MS, GateBench
from tests.unit.processors.gate.approvals_hand import (
    NOT_VALID,
    ONE,
    answer,
    ask,
    by_intent,
    mail_grant,
    reasons,
    stop_person,
)
from tests.unit.processors.gate_hand import requests

replace = msgspec.structs.replace


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

    @pytest.mark.parametrize(
        ("stopped", "name"),
        [
            ("lena", "lena"),
            ("lena", "Lena"),
            ("Lena", "lena"),
            ("Lena", "LENA"),
            (" lena", "lena"),
            ("l\u00e9na", "le\u0301na"),
            ("le\u0301na", "L\u00c9NA"),
            ("\uff2cena", "lena\u200b"),
        ],
    )
    def test_somebody_who_is_stopped_approves_nothing(self, stopped: str, name: str) -> None:
        bench = GateBench()
        ask(bench, "a")
        (request,) = requests(bench)
        bench.verdicts()
        stop_person(bench, stopped)
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
