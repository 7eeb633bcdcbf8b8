"""What people grant beyond a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, revocation
from streams.model.approval import USES_MAX, ApprovalDecision, ApprovalGrant, GrantScope
from streams.model.audit import AuditEventType
from streams.model.delegation import ConstraintType, ToolGrant
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, REVOCATION, SESSION
from streams.model.types import Model
from streams.model.verdict import Outcome
from streams.processors.gate.approval_grants import GRANTS_PER_SESSION_MAX, grant_uid
from tests.kit import GATE_SETTINGS, HOUR_MS, MAIL_SEND, MINUTE_MS, GateBench
from tests.unit.processors.gate.approvals_hand import (
    NOT_VALID,
    ONE,
    answer,
    ask,
    bound,
    by_intent,
    mail_grant,
    publish,
    reasons,
    stop_person,
)
from tests.unit.processors.gate_hand import requests

replace = msgspec.structs.replace


TO_CORP = bound("/to", ConstraintType.WILDCARD, '"*@corp.example"')


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

    def test_what_it_has_allowed_can_not_be_used_once_it_has_ended(self) -> None:
        until_ms = GateBench().now_ms + GATE_SETTINGS.verdict_ttl_ms // 2
        bench, _ = self.granted(mail_grant(until=until_ms))
        bench.verdicts()
        ask(bench, "a")
        assert bench.verdict().expires_at == until_ms

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

    @pytest.mark.parametrize("name", ["Lena", "lena", "LENA", "liam", "Liam"])
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
