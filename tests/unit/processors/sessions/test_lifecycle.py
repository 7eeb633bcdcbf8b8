"""The life of a session, through the driven gate: what ends it, what is told of its end, what it was opened with."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from simulation.records import ROOT_KEY, SessionMaker, revocation, ruleset, tool_ref
from streams.audit.report_keys import ReportKey
from streams.engine.task import PartitionTask
from streams.model.approval import ApprovalStatus
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.canonical import sha256
from streams.model.delegation import DelegationOp
from streams.model.reasons import Reason, SessionChange
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import APPROVAL_DECISION, DELEGATION, REPORT, REVOCATION, RULESET, SESSION
from streams.model.types import Model
from streams.model.verdict import Outcome
from tests.kit import BUNDLE_FILES, GATE_SETTINGS, HOUR_MS, MAIL_SEND, MINUTE_MS, START_MS, GateBench

replace = msgspec.structs.replace
SETTINGS = replace(
    GATE_SETTINGS,
    session_age_max_ms=2 * HOUR_MS,
    unattended_age_max_ms=HOUR_MS,
    session_idle_ms=10 * MINUTE_MS,
    approval_ttl_ms=30 * MINUTE_MS,
)
GPT = Model(ai_provider="lab", name="m", version="1")
PROMPT, OTHER_PROMPT = sha256(b"be helpful"), sha256(b"be harmful")
TOOLS = sha256(b"tools")
DAY_MS = 24 * HOUR_MS


def opened(bench: GateBench, session: SessionMaker | None = None, **fields: Any) -> SessionEvent:
    """A session is established, its event having these fields."""
    maker = session or bench.session
    event = replace(maker.established(bench.now_ms, expires_ms=bench.now_ms + DAY_MS), **fields)
    event = maker.proven(event)
    bench.driver.pipe(SESSION.name, maker.key, event)
    return event


def bench_with(**fields: Any) -> GateBench:
    """A gate with a session that was opened with these fields."""
    bench = GateBench(settings=SETTINGS, with_session=False)
    opened(bench, **fields)
    return bench


def say(bench: GateBench, kind: SessionEventType, **fields: Any) -> None:
    """An event of the session."""
    bench.driver.pipe(SESSION.name, bench.session.key, bench.session.event(kind, bench.now_ms, **fields))


def told(bench: GateBench) -> list[AuditEvent]:
    """What the audit tells of sessions."""
    return bench.audits(AuditEventType.SESSION)


class TestIdleness:
    def test_a_session_ends_when_nothing_happens_in_it(self) -> None:
        bench = bench_with()
        bench.wait(10 * MINUTE_MS - 1)
        assert not told(bench)
        bench.wait(1)
        (ended,) = told(bench)
        assert (ended.reason, ended.session_id, ended.sub) == (Reason.SESSION_IDLE, "s-1", "alice")

    def test_its_calls_keep_it_alive(self) -> None:
        bench = bench_with()
        for _ in range(5):
            bench.wait(9 * MINUTE_MS)
            assert bench.judge().outcome is Outcome.ALLOW
        assert not told(bench)

    @pytest.mark.parametrize(
        "kind",
        [SessionEventType.USER_MESSAGE, SessionEventType.MODEL_OUTPUT, SessionEventType.RETRIEVAL],
    )
    def test_its_events_keep_it_alive(self, kind: SessionEventType) -> None:
        bench = bench_with()
        for _ in range(3):
            bench.wait(9 * MINUTE_MS)
            say(bench, kind)
        assert not told(bench)
        assert bench.judge().outcome is Outcome.ALLOW

    @pytest.mark.parametrize(
        "kind",
        [SessionEventType.USER_MESSAGE, SessionEventType.MODEL_OUTPUT, SessionEventType.RETRIEVAL],
    )
    def test_copies_of_an_event_do_not(self, kind: SessionEventType) -> None:
        bench = bench_with()
        made = bench.session.event(kind, bench.now_ms)
        for _ in range(5):
            bench.driver.pipe(REPORT.name, bench.session.key, made)
            bench.wait(3 * MINUTE_MS)
        assert bench.judge().reason == Reason.SESSION_IDLE

    def test_an_event_of_a_clock_that_is_behind_keeps_it_alive(self) -> None:
        bench = bench_with()
        for _ in range(3):
            bench.wait(9 * MINUTE_MS)
            made = bench.session.event(SessionEventType.USER_MESSAGE, bench.now_ms - SETTINGS.intent_age_max_ms)
            bench.driver.pipe(REPORT.name, bench.session.key, made)
        assert bench.judge().outcome is Outcome.ALLOW

    def test_an_older_event_does_not_shorten_its_life(self) -> None:
        bench = bench_with()
        bench.wait(9 * MINUTE_MS)
        say(bench, SessionEventType.USER_MESSAGE)
        made = bench.session.event(SessionEventType.USER_MESSAGE, START_MS)
        bench.driver.pipe(REPORT.name, bench.session.key, made)
        bench.wait(9 * MINUTE_MS)
        assert bench.judge().outcome is Outcome.ALLOW

    def test_the_report_of_a_call_keeps_it_alive_however_late_it_comes(self) -> None:
        bench = bench_with()
        intent = bench.propose()
        assert bench.verdict().outcome is Outcome.ALLOW
        made = bench.session.event(
            SessionEventType.TOOL_RESULT, bench.now_ms, intent_id=intent.intent_id, tool=intent.tool
        )
        bench.wait(9 * MINUTE_MS)
        bench.driver.pipe(REPORT.name, bench.session.key, made)
        bench.wait(9 * MINUTE_MS)
        assert bench.judge().outcome is Outcome.ALLOW

    def test_what_others_say_of_it_does_not(self) -> None:
        bench = bench_with()
        bench.wait(9 * MINUTE_MS)
        say(bench, SessionEventType.RISK_LEVEL_CHANGE, risk_level="LOW")
        bench.wait(MINUTE_MS)
        assert [event.reason for event in told(bench)] == [Reason.SESSION_IDLE]

    def test_what_a_server_reports_beside_its_calls_does_not(self) -> None:
        bench = bench_with()
        bench.wait(9 * MINUTE_MS)
        made = bench.session.event(SessionEventType.RETRIEVAL, bench.now_ms, tool=tool_ref(MAIL_SEND))
        bench.driver.pipe(REPORT.name, bench.session.key, ReportKey.derived(ROOT_KEY, "mail").proven(made))
        assert bench.dead_letters(REPORT.name) == []
        bench.wait(MINUTE_MS)
        assert bench.judge().reason == Reason.SESSION_IDLE

    def test_calls_that_are_not_its_own_do_not(self) -> None:
        bench = bench_with()
        bench.wait(9 * MINUTE_MS)
        assert bench.judge(unproven={"turn": 9}).reason == Reason.PROOF_INVALID
        bench.wait(MINUTE_MS)
        assert bench.judge().reason == Reason.SESSION_IDLE

    def test_a_session_that_waits_for_a_person_is_not_idle(self) -> None:
        bench = bench_with()
        held = bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        bench.wait(9 * MINUTE_MS + 50_000)
        assert not told(bench)
        decision = bench.session.decision(held, "lea", bench.now_ms, groups=("leads",))
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
        assert bench.verdict().outcome is Outcome.ALLOW

    def test_no_event_brings_it_back(self) -> None:
        bench = bench_with()
        bench.wait(10 * MINUTE_MS)
        for kind in (SessionEventType.USER_MESSAGE, SessionEventType.PURPOSE_SET, SessionEventType.TOKEN_CLAIMS_CHANGE):
            say(bench, kind, scopes=("all",), expires=bench.now_ms + DAY_MS)
        opened(bench)
        assert bench.judge().reason == Reason.SESSION_IDLE


class TestAge:
    @pytest.mark.parametrize(("attended", "life_ms"), [(True, 2 * HOUR_MS), (False, HOUR_MS)])
    def test_an_unattended_session_lives_less_long(self, attended: bool, life_ms: int) -> None:
        bench = bench_with(attended=attended)
        while bench.now_ms + 5 * MINUTE_MS < START_MS + life_ms:
            bench.wait(5 * MINUTE_MS)
            assert bench.judge().outcome is Outcome.ALLOW
        told(bench)
        bench.wait(START_MS + life_ms - bench.now_ms)
        assert [event.reason for event in told(bench)] == [Reason.SESSION_TOO_OLD]
        assert bench.judge().reason == Reason.SESSION_TOO_OLD

    def test_a_verdict_is_no_good_beyond_it(self) -> None:
        bench = GateBench(settings=replace(SETTINGS, unattended_age_max_ms=10_000), with_session=False)
        opened(bench)
        assert bench.judge().expires_at == bench.now_ms + 10_000

    def test_a_credential_that_ends_earlier_ends_it(self) -> None:
        bench = GateBench(settings=SETTINGS, with_session=False)
        opened(bench, expires=bench.now_ms + 5 * MINUTE_MS)
        bench.wait(5 * MINUTE_MS)
        assert [event.reason for event in told(bench)] == [Reason.SESSION_EXPIRED]

    def test_its_opening_is_of_no_use_later(self) -> None:
        bench = GateBench(settings=SETTINGS, with_session=False)
        opening = opened(bench, expires=bench.now_ms + 5 * DAY_MS)
        bench.wait(4 * DAY_MS)
        bench.driver.pipe(SESSION.name, bench.session.key, opening)
        assert bench.judge().reason == Reason.SESSION_IDLE


class TestWhatWaits:
    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            (SessionEventType.SESSION_ENDED, Reason.SESSION_ENDED),
            (SessionEventType.SESSION_REVOKED, Reason.SESSION_REVOKED),
        ],
    )
    def test_it_ends_with_the_session(self, kind: SessionEventType, reason: Reason) -> None:
        bench = bench_with()
        asked = bench.propose(MAIL_SEND, {"ask": "one"})
        deferred = bench.propose(MAIL_SEND, {"later": True})
        bench.verdicts()
        say(bench, kind)
        ends = bench.verdicts()
        assert [(end.intent_id, end.outcome, end.reason) for end in ends] == [
            (asked.intent_id, Outcome.DENY, reason),
            (deferred.intent_id, Outcome.DENY, reason),
        ]
        assert [event.reason for event in told(bench)] == [reason]

    def test_it_ends_with_the_session_s_age(self) -> None:
        bench = GateBench(settings=replace(SETTINGS, unattended_age_max_ms=5 * MINUTE_MS), with_session=False)
        opened(bench)
        bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        bench.wait(5 * MINUTE_MS)
        (end,) = bench.verdicts()
        assert end.outcome is Outcome.DENY
        assert end.reason in {Reason.SESSION_TOO_OLD, Reason.APPROVAL_EXPIRED}

    def test_it_ends_with_its_grant(self) -> None:
        bench = bench_with()
        grant = bench.session.grant("g-1", bench.now_ms)
        bench.driver.pipe(DELEGATION.name, bench.session.key, grant)
        bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        taken = bench.session.grant("g-1", bench.now_ms, op=DelegationOp.REVOKE)
        bench.driver.pipe(DELEGATION.name, bench.session.key, taken)
        assert [end.reason for end in bench.verdicts()] == [Reason.SESSION_REVOKED]

    def test_a_decision_comes_too_late(self) -> None:
        bench = bench_with()
        held = bench.propose(MAIL_SEND, {"ask": "one"})
        say(bench, SessionEventType.SESSION_ENDED)
        bench.verdicts()
        decision = bench.session.decision(held, "lea", bench.now_ms, groups=("leads",), status=ApprovalStatus.APPROVED)
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
        assert not bench.verdicts()


class TestSessionsThatAreOverBeforeTheyAreSeen:
    """A gate that was away takes in what has happened meanwhile."""

    @pytest.mark.parametrize("delegation_uid", [None, "g-1"])
    def test_what_waited_for_it_ends_once(self, delegation_uid: str | None) -> None:
        bench = GateBench(settings=SETTINGS, with_session=False)
        waits = bench.propose()
        opened(bench, expires=bench.now_ms - 1, delegation_uid=delegation_uid)
        (end,) = bench.verdicts()
        assert (end.intent_id, end.reason) == (waits.intent_id, Reason.SESSION_EXPIRED)
        assert [event.reason for event in told(bench)] == [Reason.SESSION_EXPIRED]
        bench.send(waits)
        assert [again.verdict_id for again in bench.verdicts()] == [end.verdict_id]
        bench.wait(HOUR_MS)
        assert not bench.verdicts()
        assert not told(bench)

    def test_an_intent_that_comes_again_as_its_session_ends_has_one_verdict(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = GateBench(settings=SETTINGS, with_session=False)
        opened(bench, delegation_uid="g-1", expires=bench.now_ms + 1_000)
        waits = bench.propose()
        # With many timers due a record may be taken in before the timer of its session has fired.
        monkeypatch.setattr(PartitionTask, "fire_timers", lambda _task: False)
        bench.driver.clock.set_ms(bench.now_ms + 1_500)
        bench.send(waits)
        end = bench.verdict()
        assert (end.intent_id, end.reason) == (waits.intent_id, Reason.SESSION_EXPIRED)
        assert len(bench.audits(AuditEventType.VERDICT)) == 1


class TestAncestors:
    def bench(self) -> GateBench:
        """A gate with a session that was opened from another one."""
        bench = GateBench(settings=SETTINGS, with_session=False)
        bench.establish_from(SessionMaker("s-mother"), bench.session)
        return bench

    def test_a_session_descends_from_those_of_its_grant(self) -> None:
        bench, mother = GateBench(settings=SETTINGS, with_session=False), SessionMaker("s-mother")
        grandmother = SessionMaker("s-grandmother")
        root = grandmother.grant("g-0", bench.now_ms)
        hop = grandmother.handed_on(root, "g-1", bench.now_ms, mother)
        bench.establish(bench.session, delegation_uid="g-2", parent_session_id="s-mother")
        grant = mother.handed_on(hop, "g-2", bench.now_ms, bench.session)
        bench.driver.pipe(DELEGATION.name, bench.session.key, grant)
        assert bench.judge().ancestor_session_ids == ("s-grandmother", "s-mother")
        for ancestor in ("s-grandmother", "s-mother"):
            stop = revocation(RevocationKind.SESSION, f"acme|{ancestor}", time_ms=bench.now_ms)
            bench.driver.pipe(REVOCATION.name, *stop)
            assert bench.judge().reason == Reason.SESSION_PARENT_ENDED

    def test_what_waits_in_a_child_ends_with_its_parent(self) -> None:
        bench = self.bench()
        bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SESSION, "acme|s-mother", time_ms=bench.now_ms))
        assert [end.reason for end in bench.verdicts()] == [Reason.SESSION_PARENT_ENDED]

    def test_siblings_live_on(self) -> None:
        bench = self.bench()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SESSION, "acme|s-sister", time_ms=bench.now_ms))
        assert bench.judge().outcome is Outcome.ALLOW


FINGERPRINT_RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: F-001, effect: permit, match: {tools: [files.read]}, when: "true", reason: fine}
  - id: F-002
    effect: deny
    match: {tools: [files.read]}
    when: session.fingerprint_changed && "system_prompt" in session.changed
    reason: another prompt
"""


class TestFingerprint:
    STATED: ClassVar[dict[str, Any]] = {"model": GPT, "system_prompt_digest": PROMPT, "toolset_digest": TOOLS}

    def bench(self, **fields: Any) -> GateBench:
        bench = GateBench(settings=SETTINGS, with_rules=False, with_session=False)
        files = {**BUNDLE_FILES, "testing/testing.rules.yaml": FINGERPRINT_RULES}
        bench.driver.pipe(RULESET.name, b"default", ruleset(files))
        opened(bench, **fields)
        return bench

    def test_the_same_throughout_is_no_change(self) -> None:
        bench = self.bench(**self.STATED)
        assert bench.judge(**self.STATED).outcome is Outcome.ALLOW
        assert not told(bench)

    def test_a_change_is_told_once_and_stays_known(self) -> None:
        bench = self.bench(**self.STATED)
        assert bench.judge(**{**self.STATED, "system_prompt_digest": OTHER_PROMPT}).reason == Reason.RULE_DENIED
        assert bench.judge(**self.STATED).reason == Reason.RULE_DENIED
        (change,) = told(bench)
        assert change.reason == SessionChange.FINGERPRINT_CHANGED
        assert change.reason_text is not None
        assert change.reason_text.endswith(": system_prompt")

    @pytest.mark.parametrize(
        ("said", "name"),
        [
            ({"model": Model(ai_provider="lab", name="n", version="1")}, "model"),
            ({"model": Model(ai_provider="lab", name="m", version="2")}, "model"),
            ({"toolset_digest": sha256(b"more tools")}, "toolset"),
            ({"toolset_digest": None}, "toolset"),
            ({"model": None}, "model"),
        ],
    )
    def test_each_part_counts_and_so_does_not_to_state_it(self, said: dict[str, Any], name: str) -> None:
        bench = self.bench(**self.STATED)
        bench.judge(**{**self.STATED, **said})
        (change,) = told(bench)
        assert change.reason_text is not None
        assert change.reason_text.endswith(f": {name}")

    def test_what_was_not_stated_at_the_start_binds_nothing(self) -> None:
        bench = self.bench()
        assert bench.judge(**self.STATED).outcome is Outcome.ALLOW
        assert bench.judge(**{**self.STATED, "system_prompt_digest": OTHER_PROMPT}).outcome is Outcome.ALLOW

    def test_an_intent_that_is_not_its_own_changes_nothing(self) -> None:
        bench = self.bench(**self.STATED)
        bench.judge(**self.STATED, unproven={"system_prompt_digest": OTHER_PROMPT})
        assert bench.judge(**self.STATED).outcome is Outcome.ALLOW
        assert not told(bench)
