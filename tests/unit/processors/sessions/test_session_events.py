"""What events change in a session, and which of them count."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, tool_ref
from streams.model.audit import AuditEventType
from streams.model.delegation import DelegationOp
from streams.model.labels import WORST, Confidentiality, Integrity
from streams.model.proof import derived_uuid, make_hmac, session_event_message
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import PROVEN_EVENTS, SessionEvent, SessionEventType
from streams.model.topics import DELEGATION, REPORT, SESSION
from streams.model.types import Proof, ProofAlg, ToolRef
from streams.model.verdict import Outcome
from tests.kit import FILES_READ, HOUR_MS, MAIL_SEND, WEB_FETCH, GateBench
from tests.unit.processors.gate_hand import DAY_MS, TO_OUTSIDE, happen, session_row

replace = msgspec.structs.replace
STRANGE_ID = derived_uuid("an intent of nobody")


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
