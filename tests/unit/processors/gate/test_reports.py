"""Reports of executors and agents: what counts, who proves it, and what it changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, report_keys, reviewed, tool_ref
from streams.audit.report_keys import ReportKey
from streams.audit.reviewers import Reviewers
from streams.audit.signatures import SigningKey
from streams.model.audit import AuditEventType
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.intent import Intent
from streams.model.proof import proven_event, session_report, session_secret, session_writer_key
from streams.model.reasons import ControlReason, DeadLetterReason, Reason
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REPORT
from streams.model.types import ToolRef
from streams.model.verdict import Outcome
from tests.keeping import REFUND, CountingBench
from tests.kit import GATE_SETTINGS, MAIL_SEND, ROOT_KEY, WEB_FETCH, GateBench

replace = msgspec.structs.replace
NOT_RUN, RESULT = SessionEventType.TOOL_NOT_RUN, SessionEventType.TOOL_RESULT
TO_OUTSIDE = {"to": "bob@outside.example"}
LIMIT = 5
RULES = f"""
budgets:
  few: {{per: session, measure: calls, match: {{tools: [pay.refund]}}, limit: {LIMIT}}}
rules:
  - {{id: T-001, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
"""


def report(bench: GateBench, intent: Intent, kind: SessionEventType = NOT_RUN, **fields: Any) -> SessionEvent:
    """A report of a call, as the executor of its server writes it."""
    maker = fields.pop("session", bench.session)
    return maker.event(kind, bench.now_ms, intent_id=intent.intent_id, tool=fields.pop("tool", intent.tool), **fields)


def send(bench: GateBench, event: SessionEvent, session: SessionMaker | None = None) -> list[str]:
    """Write a report; the reasons of the dead letters that follow."""
    bench.driver.pipe(REPORT.name, (session or bench.session).key, event)
    return bench.dead_letters(REPORT.name)


def fetched(bench: GateBench) -> Intent:
    """An intent of a call that was allowed, and whose result can't be trusted."""
    intent = bench.propose(WEB_FETCH, {})
    assert bench.verdict().outcome is Outcome.ALLOW
    return intent


def is_tainted(bench: GateBench) -> bool:
    return bench.judge(MAIL_SEND, TO_OUTSIDE).reason == Reason.RULE_DENIED


class TestWhoReports:
    def test_a_report_without_proof_gives_no_budget_back(self) -> None:
        bench = CountingBench(RULES)
        outcomes = []
        for _ in range(14):
            intent = bench.propose(REFUND, {})
            outcomes.append(bench.verdict().outcome)
            assert send(bench, replace(report(bench, intent), proof=None)) == [DeadLetterReason.REPORT_UNPROVEN]
        assert outcomes.count(Outcome.ALLOW) == LIMIT

    def test_one_with_a_proof_gives_it_back_once(self) -> None:
        bench = CountingBench(RULES)
        outcomes = []
        for number in range(LIMIT + 2):
            intent = bench.propose(REFUND, {})
            outcomes.append(bench.verdict().outcome)
            if number == 0:
                made = report(bench, intent)
                assert [send(bench, made), send(bench, made)] == [[], []]
        assert outcomes.count(Outcome.ALLOW) == LIMIT + 1

    def test_a_report_without_proof_takes_no_taint_away_and_is_audited(self) -> None:
        bench = GateBench()
        made = replace(report(bench, fetched(bench)), proof=None)
        bench.audits()
        assert send(bench, made) == [DeadLetterReason.REPORT_UNPROVEN]
        (audit,) = bench.audits(AuditEventType.DEAD_LETTER)
        assert (audit.reason, audit.session_id) == (DeadLetterReason.REPORT_UNPROVEN, bench.session.session_id)
        assert is_tainted(bench)

    @pytest.mark.parametrize("claims", ["the tool of the call", "a tool of its own"])
    def test_the_key_of_another_server_proves_nothing(self, claims: str) -> None:
        bench = GateBench()
        intent = fetched(bench)
        tool = intent.tool if claims == "the tool of the call" else tool_ref(MAIL_SEND)
        forged = ReportKey.derived(ROOT_KEY, "mail").proven(report(bench, intent, tool=tool))
        unproven = claims == "the tool of the call"
        expected = DeadLetterReason.REPORT_UNPROVEN if unproven else DeadLetterReason.REPORT_OF_NO_CALL
        assert send(bench, forged) == [expected]
        assert is_tainted(bench)

    @pytest.mark.parametrize("who", ["the session's agent", "the token service"])
    def test_neither_does_another_key(self, who: str) -> None:
        bench = GateBench()
        made = report(bench, fetched(bench))
        if who == "the session's agent":
            forged = session_report(bench.session.secret, made, "")
        else:
            forged = proven_event(session_writer_key(ROOT_KEY), made)
        assert send(bench, forged) == [DeadLetterReason.REPORT_UNPROVEN]
        assert is_tainted(bench)

    @pytest.mark.parametrize(
        "change",
        [
            {"type": RESULT},
            {"is_error": True},
            {"label": TRUSTED},
            {"content_digest": bytes(32)},
            {"sequence": 99},
            {"tool": ToolRef(server_id="web", name="other")},
        ],
    )
    def test_a_proof_covers_the_whole_report(self, change: dict[str, Any]) -> None:
        bench = GateBench()
        made = replace(report(bench, fetched(bench)), **change)
        assert send(bench, made) == [DeadLetterReason.REPORT_UNPROVEN]
        assert is_tainted(bench)

    def test_a_report_counts_in_its_deployment_only(self) -> None:
        bench = GateBench(settings=replace(GATE_SETTINGS, deployment="production"))
        made = report(bench, fetched(bench))
        assert send(bench, made) == [DeadLetterReason.REPORT_UNPROVEN]
        assert send(bench, ReportKey.derived(ROOT_KEY, "web", "production").proven(made)) == []


class TestWhatIsReported:
    def test_a_report_is_not_taken_in_another_session(self) -> None:
        bench = GateBench()
        other = SessionMaker("s-2")
        bench.establish(other)
        made = report(bench, fetched(bench))
        # The same intent id is allowed in the other session, too.
        mine = other.intent(WEB_FETCH, {}, bench.now_ms, intent_id=made.intent_id)
        bench.send(mine, other)
        assert bench.verdict().outcome is Outcome.ALLOW
        bench.driver.pipe(REPORT.name, other.key, made)
        assert bench.dead_letters(REPORT.name) == [DeadLetterReason.KEY_MISMATCH]
        assert send(bench, replace(made, session_id="s-2"), other) == [DeadLetterReason.REPORT_UNPROVEN]
        # The session alone changed: the server signs it again, but for the verdict of the first session.
        resigned = ReportKey.derived(ROOT_KEY, "web").proven(replace(made, session_id="s-2"))
        assert send(bench, resigned, other) == [DeadLetterReason.REPORT_OF_NO_CALL]
        assert bench.judge(MAIL_SEND, TO_OUTSIDE, session=other).reason == Reason.RULE_DENIED

    def test_the_first_report_of_a_verdict_counts_and_another_one_does_not(self) -> None:
        bench = GateBench()
        intent = fetched(bench)
        assert send(bench, report(bench, intent, RESULT)) == []
        bench.audits()
        assert send(bench, report(bench, intent, NOT_RUN)) == [DeadLetterReason.REPORT_CONTRADICTS]
        (audit,) = bench.audits(AuditEventType.DEAD_LETTER)
        assert audit.reason == DeadLetterReason.REPORT_CONTRADICTS
        assert is_tainted(bench)

    def test_the_same_report_again_changes_nothing(self) -> None:
        bench = GateBench()
        made = report(bench, fetched(bench), RESULT)
        assert send(bench, made) == []
        before = bench.driver.disk.rows(0)
        for _ in range(2):
            # A server signs it with another key, or an executor sends it under another name.
            again = replace(made, header=replace(made.header, source="executor/later"))
            assert send(bench, bench.session.proven(again)) == []
        changed = {key: row for key, row in bench.driver.disk.rows(0).items() if before.get(key) != row}
        assert {key[:1] for key in changed} <= {b"T", b"t", b"n"}, changed

    def test_it_is_remembered_by_the_next_gate(self) -> None:
        bench = GateBench()
        intent = fetched(bench)
        assert send(bench, report(bench, intent, RESULT)) == []
        bench.restart()
        assert send(bench, report(bench, intent, NOT_RUN)) == [DeadLetterReason.REPORT_CONTRADICTS]

    def test_nothing_is_reported_of_a_call_that_was_denied_or_never_judged(self) -> None:
        bench = GateBench()
        denied = bench.propose(MAIL_SEND, {"to": "attacker@evil.example"})
        assert bench.verdict().outcome is Outcome.DENY
        never = bench.session.intent(WEB_FETCH, {}, bench.now_ms)
        for intent in (denied, never):
            assert send(bench, report(bench, intent)) == [DeadLetterReason.REPORT_OF_NO_CALL]

    def test_a_report_names_the_verdict(self) -> None:
        bench = GateBench()
        intent = fetched(bench)
        wrong = report(bench, intent, verdict_id=intent.intent_id)
        assert send(bench, wrong) == [DeadLetterReason.REPORT_OF_NO_CALL]


class TestKeys:
    """The catalog says which keys a server has, and reviewers decide that."""

    def test_without_keys_in_the_catalog_no_report_counts(self) -> None:
        bench = GateBench()
        bench.publish(report_keys("web", catalog_version=2, state=EntryState.BLOCKED))
        assert send(bench, report(bench, fetched(bench))) == [DeadLetterReason.REPORT_UNPROVEN]
        assert is_tainted(bench)

    def test_a_key_is_replaced_by_way_of_both(self) -> None:
        bench, old = GateBench(), str(ReportKey.derived(ROOT_KEY, "web").public)
        new = SigningKey.made()
        counts = []
        for version, keys in ((2, (old, str(new.public))), (3, (str(new.public),))):
            bench.publish(report_keys("web", *keys, catalog_version=version))
            by_old = report(bench, fetched(bench))
            by_new = ReportKey(new).proven(report(bench, fetched(bench)))
            counts.append([not send(bench, by_old), not send(bench, by_new)])
        assert counts == [[True, True], [False, True]]

    def test_keys_whose_review_has_expired_do_not_count(self) -> None:
        bench = GateBench()
        bench.publish(report_keys("web", catalog_version=2, review_expires=bench.now_ms + 1_000))
        first, second = (report(bench, fetched(bench)) for _ in range(2))
        assert send(bench, first) == []
        bench.wait(1_000)
        assert send(bench, second) == [DeadLetterReason.REPORT_UNPROVEN]

    def test_the_entry_is_no_tool(self) -> None:
        bench = GateBench()
        verdict = bench.judge(report_keys("web"), {})
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.TOOL_UNKNOWN)

    @pytest.mark.parametrize(
        "change",
        [
            {"definition_json": None},
            {"definition_json": '{"name": "@reports"}'},
            {"input_schema_json": '{"type": "array"}'},
        ],
    )
    def test_an_entry_that_is_not_consistent_has_no_keys(self, change: dict[str, Any]) -> None:
        bench = GateBench()
        bench.publish(report_keys("web", catalog_version=2, **change))
        assert send(bench, report(bench, fetched(bench))) == [DeadLetterReason.REPORT_UNPROVEN]

    def test_who_may_only_propose_can_not_make_a_key_count(self) -> None:
        reviewer, thief = SigningKey.made(), SigningKey.made()
        reviewers = Reviewers.of({"ann": str(reviewer.public)}, required=1, allow_unsigned=False)
        bench = GateBench(reviewers=reviewers, signed_by=reviewer)
        bench.audits()
        mine = replace(report_keys("web", str(thief.public), catalog_version=2), proposed_by="mallory")
        for tried in (
            replace(mine, state=EntryState.PROPOSED),
            replace(mine, state=EntryState.REJECTED),
        ):
            bench.publish(tried)
        intent = fetched(bench)
        forged = ReportKey(thief).proven(report(bench, intent))
        assert send(bench, forged) == [DeadLetterReason.REPORT_UNPROVEN]
        assert send(bench, report(bench, intent)) == []
        # What claims to be approved and isn't blocks the keys, as it blocks a tool.
        for tried in (mine, reviewed(mine, thief)):
            bench.publish(tried)
            forged = ReportKey(thief).proven(report(bench, fetched(bench)))
            assert send(bench, forged) == [DeadLetterReason.REPORT_UNPROVEN]
        bench.audits()
        bench.publish(_signed(report_keys("web", catalog_version=3), reviewer))
        assert [audit.reason for audit in bench.audits()] == [ControlReason.REPORT_KEYS_APPROVED]
        assert send(bench, report(bench, fetched(bench))) == []
        # Records from before do not bring earlier keys back, not even after a restart.
        bench.publish(_signed(report_keys("web", catalog_version=2), reviewer))
        bench.restart()
        assert bench.judge(report_keys("web"), {}).reason == Reason.TOOL_UNKNOWN


class TestOtherReports:
    """What else happens in a session lowers trust alone, and is proven, too."""

    @pytest.mark.parametrize("kind", [SessionEventType.RETRIEVAL, SessionEventType.USER_MESSAGE])
    def test_without_proof_it_does_not_count(self, kind: SessionEventType) -> None:
        bench = GateBench()
        made = bench.session.event(kind, bench.now_ms, label=UNTRUSTED, unproven={"proof": None})
        assert send(bench, made) == [DeadLetterReason.REPORT_UNPROVEN]
        assert not is_tainted(bench)

    def test_the_agent_of_another_session_can_not_prove_it(self) -> None:
        bench = GateBench()
        made = bench.session.event(SessionEventType.RETRIEVAL, bench.now_ms, label=UNTRUSTED)
        forged = session_report(session_secret(ROOT_KEY, "acme", "s-2"), made, "")
        assert send(bench, forged) == [DeadLetterReason.REPORT_UNPROVEN]
        assert not is_tainted(bench)

    @pytest.mark.parametrize("who", ["the session's agent", "the token service", "the server"])
    def test_with_proof_it_does(self, who: str) -> None:
        bench = GateBench()
        made = bench.session.event(SessionEventType.RETRIEVAL, bench.now_ms, label=UNTRUSTED, tool=tool_ref(MAIL_SEND))
        if who == "the token service":
            made = proven_event(session_writer_key(ROOT_KEY), made)
        elif who == "the server":
            made = ReportKey.derived(ROOT_KEY, "mail").proven(made)
        assert send(bench, made) == []
        assert is_tainted(bench)

    @pytest.mark.parametrize("kind", [SessionEventType.USER_MESSAGE, SessionEventType.MODEL_OUTPUT])
    def test_no_server_says_what_the_user_or_the_model_has_said(self, kind: SessionEventType) -> None:
        bench = GateBench()
        made = bench.session.event(kind, bench.now_ms, label=UNTRUSTED, tool=tool_ref(MAIL_SEND))
        assert send(bench, ReportKey.derived(ROOT_KEY, "mail").proven(made)) == [DeadLetterReason.REPORT_UNPROVEN]
        assert not is_tainted(bench)

    @pytest.mark.parametrize("who", ["nobody", "the agent of another session", "the server, under another's name"])
    def test_a_type_that_is_not_known_needs_a_proof_as_well(self, who: str) -> None:
        bench = GateBench()
        made = bench.session.event(SessionEventType.UNKNOWN, bench.now_ms, tool=tool_ref(MAIL_SEND))
        if who == "the agent of another session":
            made = session_report(session_secret(ROOT_KEY, "acme", "s-2"), made, "")
        elif who == "the server, under another's name":
            made = ReportKey.derived(ROOT_KEY, "web").proven(made)
        before = bench.driver.disk.rows(0)
        bench.audits()
        assert send(bench, made) == [DeadLetterReason.REPORT_UNPROVEN]
        assert [audit.reason for audit in bench.audits()] == [DeadLetterReason.REPORT_UNPROVEN]
        changed = {key: row for key, row in bench.driver.disk.rows(0).items() if before.get(key) != row}
        # Stream time, and the window of the alert with its timer.
        assert {key[:1] for key in changed} <= {b"n", b"a", b"A", b"t"}, changed
        assert not is_tainted(bench)

    @pytest.mark.parametrize("who", ["the session's agent", "the token service", "the server"])
    def test_with_one_it_takes_all_trust(self, who: str) -> None:
        bench = GateBench()
        made = bench.session.event(SessionEventType.UNKNOWN, bench.now_ms, label=TRUSTED, tool=tool_ref(MAIL_SEND))
        if who == "the session's agent":
            made = session_report(bench.session.secret, made, "")
        elif who == "the token service":
            made = proven_event(session_writer_key(ROOT_KEY), made)
        else:
            made = ReportKey.derived(ROOT_KEY, "mail").proven(made)
        assert send(bench, made) == [DeadLetterReason.RECORD_INVALID]
        assert is_tainted(bench)


def _signed(entry: ToolCatalogEntry, key: SigningKey) -> ToolCatalogEntry:
    return reviewed(replace(entry, proposed_by="the kit"), key)
