"""Every reason code, reached through the driven gate by at least one case."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from simulation.records import ROOT_KEY, SessionMaker, agent, revocation, ruleset, tool_entry
from streams.model.approval import ApprovalStatus
from streams.model.catalog import EntryState
from streams.model.control import RulesetBundle
from streams.model.delegation import DelegationOp
from streams.model.intent import ReplyTo
from streams.model.reasons import REASON_TEXTS, Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, DELEGATION, REVOCATION, RULESET, SESSION
from streams.model.types import Actor, Model, Proof, ProofAlg, ToolRef
from streams.model.verdict import Outcome, Verdict
from streams.policy import CompiledRuleset, Facts, PolicyResult, bundle_from_files
from streams.processors.settings import GateSettings
from tests.kit import (
    ADMIN_WIPE,
    BUNDLE,
    BUNDLE_FILES,
    FILES_READ,
    GATE_SETTINGS,
    HOUR_MS,
    MAIL_SEND,
    MINUTE_MS,
    GateBench,
    NoEnds,
    compile_published,
)
from tests.unit.delegation.denials import DENIALS
from tests.unit.processors.absent_allocator import Absent

replace = msgspec.structs.replace
Case = Callable[[], Verdict]
CASES: dict[str, tuple[Reason, Case]] = dict(DENIALS)


def case(reason: Reason) -> Callable[[Case], Case]:
    """Register a case; its name says what is special about it."""

    def register(function: Case) -> Case:
        CASES[function.__name__] = (reason, function)
        return function

    return register


def revoke(bench: GateBench, kind: RevocationKind, target: str, **fields: object) -> None:
    made = revocation(kind, target, time_ms=bench.now_ms, **fields)
    bench.driver.pipe(REVOCATION.name, *made)


@case(Reason.PERMITTED)
def a_rule_permits_it() -> Verdict:
    return GateBench().judge(FILES_READ, {"path": "a.txt"})


@case(Reason.SESSION_UNKNOWN)
def the_session_never_appears() -> Verdict:
    bench = GateBench(with_session=False)
    bench.propose()
    bench.wait(2_000)
    return bench.verdict()


@case(Reason.SESSION_EXPIRED)
def the_session_is_over_by_time() -> Verdict:
    bench = GateBench()
    bench.wait(HOUR_MS)
    return bench.judge()


@case(Reason.SESSION_IDLE)
def nothing_happens_in_the_session() -> Verdict:
    bench = GateBench(settings=GateSettings(root_key=ROOT_KEY, session_idle_ms=MINUTE_MS))
    bench.wait(MINUTE_MS)
    return bench.judge()


@case(Reason.SESSION_TOO_OLD)
def the_session_is_older_than_sessions_may_be() -> Verdict:
    bench = GateBench(settings=GateSettings(root_key=ROOT_KEY, unattended_age_max_ms=MINUTE_MS))
    bench.wait(MINUTE_MS)
    return bench.judge()


@case(Reason.SESSION_PARENT_ENDED)
def the_session_that_it_was_opened_from_is_stopped() -> Verdict:
    bench = GateBench(with_session=False)
    bench.establish_from(SessionMaker("s-parent"), bench.session)
    revoke(bench, RevocationKind.SESSION, "acme|s-parent")
    return bench.judge()


@case(Reason.SESSION_ENDED)
def the_session_was_ended() -> Verdict:
    bench = GateBench()
    bench.driver.pipe(
        SESSION.name, bench.session.key, bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
    )
    return bench.judge()


@case(Reason.SESSION_REVOKED)
def the_token_service_revoked_the_session() -> Verdict:
    bench = GateBench()
    event = bench.session.event(SessionEventType.SESSION_REVOKED, bench.now_ms)
    bench.driver.pipe(SESSION.name, bench.session.key, event)
    return bench.judge()


@case(Reason.SESSION_REVOKED)
def the_session_is_on_the_revocation_topic() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.SESSION, "acme|s-1")
    return bench.judge()


@case(Reason.SESSION_REVOKED)
def the_grant_of_the_session_was_taken_back() -> Verdict:
    bench = GateBench()
    for op in (DelegationOp.GRANT, DelegationOp.REVOKE):
        bench.driver.pipe(DELEGATION.name, bench.session.key, bench.session.grant("g-1", bench.now_ms, op=op))
    return bench.judge()


@case(Reason.SESSION_FROZEN)
def the_session_was_quarantined_before() -> Verdict:
    bench = GateBench()
    bench.judge(MAIL_SEND, {"to": "exfil@evil.example"})
    return bench.judge()


@case(Reason.SUBJECT_MISMATCH)
def it_names_another_subject() -> Verdict:
    return GateBench().judge(sub="mallory")


@case(Reason.ACTOR_MISMATCH)
def it_names_another_actor() -> Verdict:
    return GateBench().judge(act=agent("somebody-else"))


@case(Reason.ACTOR_MISMATCH)
def it_names_an_actor_of_another_issuer() -> Verdict:
    return GateBench().judge(act=Actor(iss="https://elsewhere.example", sub="assistant"))


@case(Reason.DELEGATION_UNKNOWN)
def it_names_a_grant_that_the_session_does_not_hold() -> Verdict:
    return GateBench().judge(delegation_uid="stolen")


@case(Reason.INTENT_STALE)
def it_was_made_long_ago() -> Verdict:
    bench = GateBench()
    return bench.judge(time_ms=bench.now_ms - 300_001)


@case(Reason.INTENT_FROM_FUTURE)
def the_agents_clock_is_ahead() -> Verdict:
    bench = GateBench()
    return bench.judge(time_ms=bench.now_ms + 30_001)


@case(Reason.DEADLINE_PASSED)
def its_own_deadline_has_passed() -> Verdict:
    bench = GateBench()
    return bench.judge(deadline=bench.now_ms)


@case(Reason.REVOKED_DELEGATION)
def an_ancestor_of_its_grant_is_revoked() -> Verdict:
    bench, mother = GateBench(), SessionMaker("s-0")
    grant = mother.handed_on(mother.grant("g-0", bench.now_ms), "g-1", bench.now_ms, bench.session)
    bench.driver.pipe(DELEGATION.name, bench.session.key, grant)
    revoke(bench, RevocationKind.DELEGATION, "g-0")
    return bench.judge()


@case(Reason.REVOKED_AGENT)
def its_agent_is_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.AGENT, "acme|assistant")
    return bench.judge()


@case(Reason.REVOKED_SUBJECT)
def its_subject_is_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.SUBJECT, "acme|alice")
    return bench.judge()


@case(Reason.REVOKED_TOOL)
def its_tool_is_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.TOOL, "files/read")
    return bench.judge()


@case(Reason.REVOKED_TOOL)
def all_tools_of_its_server_are_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.TOOL, "files/*")
    return bench.judge()


@case(Reason.REVOKED_MODEL)
def its_model_is_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.MODEL, "example/large-1")
    return bench.judge(model=Model(ai_provider="example", name="large-1"))


@case(Reason.REVOKED_RULESET)
def the_rules_in_force_are_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.RULESET, bundle_from_files(BUNDLE_FILES).digest.hex())
    return bench.judge()


@case(Reason.REVOKED_ALL)
def rules_are_revoked_by_a_name_that_may_mean_any() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.RULESET, "default")
    return bench.judge()


@case(Reason.REVOKED_TENANT)
def its_tenant_is_revoked() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.TENANT, "acme")
    return bench.judge()


@case(Reason.REVOKED_ALL)
def everything_is_stopped() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.ALL, "*")
    return bench.judge()


@case(Reason.REVOKED_ALL)
def a_revocation_of_a_kind_that_is_not_known_here() -> Verdict:
    bench = GateBench()
    revoke(bench, RevocationKind.UNKNOWN, "something new")
    return bench.judge()


@case(Reason.PROOF_MISSING)
def it_has_no_proof() -> Verdict:
    return GateBench().judge(unproven={"proof": None})


@case(Reason.PROOF_UNSUPPORTED)
def its_proof_is_of_another_kind() -> Verdict:
    return GateBench().judge(unproven={"proof": Proof(alg=ProofAlg.ED25519, value=bytes(64))})


@case(Reason.PROOF_INVALID)
def its_proof_is_forged() -> Verdict:
    return GateBench().judge(unproven={"proof": Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32))})


@case(Reason.PROOF_INVALID)
def it_was_altered_after_it_was_proven() -> Verdict:
    return GateBench().judge(unproven={"turn": 7})


@case(Reason.PROOF_INVALID)
def it_is_for_somebody_elses_session() -> Verdict:
    bench = GateBench()
    victim = bench.session
    attacker = SessionMaker("s-2", sub=victim.sub)
    bench.establish(attacker)
    bench.verdicts()
    bench.send(attacker.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms, unproven={"session_id": "s-1"}), victim)
    return bench.verdict()


@case(Reason.ARGS_NOT_CANONICALIZABLE)
def its_arguments_are_no_json() -> Verdict:
    return GateBench().judge(args="{")


@case(Reason.ARGS_DIGEST_MISMATCH)
def its_arguments_are_not_those_of_the_digest() -> Verdict:
    return GateBench().judge(unproven={"args_json": '{"path":"b.txt"}'})


@case(Reason.ARGS_TOO_LARGE)
def its_arguments_are_large() -> Verdict:
    return GateBench().judge(args={"path": "x" * 300_000})


@case(Reason.ARGS_INVALID)
def its_arguments_do_not_fit_the_schema() -> Verdict:
    return GateBench().judge(args={"path": 7})


@case(Reason.TOOL_UNKNOWN)
def its_tool_is_in_no_catalog() -> Verdict:
    return GateBench().judge(tool_entry("nobody", "knows"), {})


@case(Reason.TOOL_NOT_APPROVED)
def its_tool_is_only_proposed() -> Verdict:
    bench = GateBench()
    proposed = tool_entry("files", "write", state=EntryState.PROPOSED)
    bench.publish(proposed)
    return bench.judge(proposed, {})


@case(Reason.TOOL_REVIEW_EXPIRED)
def the_review_of_its_tool_is_too_old() -> Verdict:
    bench = GateBench()
    bench.publish(replace(FILES_READ, catalog_version=2, review_expires=bench.now_ms + MINUTE_MS))
    assert bench.judge().outcome is Outcome.ALLOW
    bench.wait(MINUTE_MS)
    return bench.judge()


@case(Reason.TOOL_DEFINITION_UNSTATED)
def it_does_not_say_which_definition_the_model_saw() -> Verdict:
    return GateBench().judge(tool=ToolRef(server_id="files", name="read"))


@case(Reason.TOOL_DEFINITION_CHANGED)
def the_model_saw_another_definition() -> Verdict:
    return GateBench().judge(tool=ToolRef(server_id="files", name="read", definition_digest=bytes(32)))


@case(Reason.CONTROL_STATE_STALE)
def the_log_does_not_say_whether_there_is_more_to_know() -> Verdict:
    bench = GateBench()
    bench.driver.log.faults = NoEnds()
    bench.wait(10_001)
    return bench.judge()


@case(Reason.NO_RULESET)
def no_rules_were_published() -> Verdict:
    return GateBench(with_rules=False).judge()


@case(Reason.NO_RULESET)
def the_rules_were_withdrawn() -> Verdict:
    bench = GateBench()
    bench.driver.pipe(RULESET.name, b"default", ruleset({}, serial=2))
    return bench.judge()


@case(Reason.NO_PERMIT)
def no_rule_permits_it() -> Verdict:
    return GateBench().judge(ADMIN_WIPE, {})


@case(Reason.RULE_DENIED)
def a_rule_denies_it() -> Verdict:
    return GateBench().judge(MAIL_SEND, {"to": "attacker@evil.example"})


@case(Reason.RULE_ERROR)
def a_rule_that_could_deny_it_fails() -> Verdict:
    return GateBench().judge(MAIL_SEND, {"to": "bob@example.com", "divide": 0})


@case(Reason.QUARANTINED_BY_RULE)
def a_rule_freezes_the_session() -> Verdict:
    return GateBench().judge(MAIL_SEND, {"to": "exfil@evil.example"})


@case(Reason.APPROVAL_REQUIRED)
def a_person_must_say_so() -> Verdict:
    return GateBench().judge(MAIL_SEND, {"ask": "one"})


@case(Reason.APPROVAL_DENIED)
def a_person_refuses() -> Verdict:
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"ask": "one"})
    bench.verdicts()
    decision = bench.session.decision(intent, "lena", bench.now_ms, status=ApprovalStatus.DENIED, groups=("leads",))
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return bench.verdict()


@case(Reason.APPROVAL_EXPIRED)
def nobody_decides() -> Verdict:
    bench = GateBench()
    bench.judge(MAIL_SEND, {"ask": "one"})
    bench.wait(10 * MINUTE_MS)
    return bench.verdict()


@case(Reason.DEFERRED_BY_RULE)
def a_rule_holds_it_for_a_while() -> Verdict:
    return GateBench().judge(MAIL_SEND, {"later": True})


@case(Reason.DEFERRAL_CANCELLED)
def a_person_cancels_it_in_time() -> Verdict:
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"later": True})
    bench.verdicts()
    decision = bench.session.decision(intent, "lena", bench.now_ms, status=ApprovalStatus.CANCELLED)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return bench.verdict()


@case(Reason.TOO_MANY_PENDING)
def too_many_wait_for_their_session() -> Verdict:
    bench = GateBench(with_session=False, settings=GateSettings(root_key=ROOT_KEY, pending_per_session_max=2))
    for _ in range(2):
        bench.propose()
    return bench.judge()


@case(Reason.TOO_MANY_PENDING)
def too_many_wait_for_a_person() -> Verdict:
    bench = GateBench(settings=GateSettings(root_key=ROOT_KEY, pending_per_session_max=2))
    for _ in range(2):
        bench.judge(MAIL_SEND, {"ask": "one"})
    return bench.judge(MAIL_SEND, {"ask": "one"})


_BUDGET = """
apiVersion: rules/v1
pack: testing
budgets:
  reads: {per: PER, measure: calls, match: {tools: [files.read]}, limit: 1, window: 1h}
rules:
  - {id: B-1, effect: permit, match: {tools: [files.read]}, when: "true", reason: fine}
"""


def with_budget(per: str) -> GateBench:
    bench = GateBench(with_rules=False)
    files = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": _BUDGET.replace("PER", per)}
    bench.driver.pipe(RULESET.name, b"default", ruleset(files))
    return bench


@case(Reason.REPLY_TOPIC_FOREIGN)
def the_outcome_is_asked_for_on_another_tenants_topic() -> Verdict:
    return GateBench().judge(reply_to=ReplyTo(topic="agent.outcome.zeta.v1", partition=0))


@case(Reason.BUDGET_EXHAUSTED)
def a_budget_is_used_up() -> Verdict:
    bench = with_budget("session")
    bench.judge()
    return bench.judge()


@case(Reason.BUDGET_UNAVAILABLE)
def the_owner_of_a_shared_budget_does_not_answer() -> Verdict:
    bench = with_budget("user")
    bench.driver.log.faults = Absent()
    bench.propose()
    bench.wait(GATE_SETTINGS.budget_wait_max_ms)
    return bench.verdict()


@case(Reason.BUDGET_KEY_INVALID)
def the_key_of_a_budget_is_not_in_the_call() -> Verdict:
    return with_budget("tenant, key: args.customer").judge(FILES_READ, {"path": "a.txt"})


@case(Reason.BUDGET_KEYS_EXHAUSTED)
def a_budget_has_no_room_for_another_key() -> Verdict:
    bench = with_budget("tenant, key: args.path, keys_max: 1")
    bench.judge(FILES_READ, {"path": "a.txt"})
    return bench.judge(FILES_READ, {"path": "b.txt"})


@case(Reason.INTERNAL_ERROR)
def judging_it_fails() -> Verdict:
    class Broken(CompiledRuleset):
        def evaluate(self, facts: Facts) -> PolicyResult:
            raise ZeroDivisionError("a bug")

    def compile_broken(bundle: RulesetBundle) -> CompiledRuleset:
        made = compile_published(bundle)
        broken = Broken.__new__(Broken)
        broken.__dict__.update(made.__dict__)
        return broken

    return GateBench(compiler=compile_broken).judge()


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_reached(name: str) -> None:
    reason, reach = CASES[name]
    verdict = reach()
    assert verdict.reason == reason.value
    assert verdict.reason_text
    assert (verdict.outcome is Outcome.ALLOW) is (reason is Reason.PERMITTED)


def test_no_reason_is_left_out() -> None:
    reached = {reason for reason, _ in CASES.values()}
    unreached = sorted(reason.value for reason in set(Reason) - reached)
    assert not unreached, f"no case reaches: {', '.join(unreached)}"


def test_every_reason_has_its_text() -> None:
    assert set(REASON_TEXTS) == set(Reason)


def test_a_release_gives_back_what_was_revoked() -> None:
    bench = GateBench()
    revoke(bench, RevocationKind.AGENT, "acme|assistant")
    assert bench.judge().reason == Reason.REVOKED_AGENT
    revoke(bench, RevocationKind.AGENT, "acme|assistant", state=RevocationState.RELEASED)
    assert bench.judge().outcome is Outcome.ALLOW


def test_a_revocation_with_an_end_ends_then() -> None:
    bench = GateBench()
    revoke(bench, RevocationKind.TENANT, "acme", until_ms=bench.now_ms + 5_000)
    bench.wait(4_999)
    assert bench.judge().reason == Reason.REVOKED_TENANT
    bench.wait(1)
    assert bench.judge().outcome is Outcome.ALLOW


def test_a_tombstone_forgets_a_revocation() -> None:
    bench = GateBench()
    revoke(bench, RevocationKind.ALL, "*")
    assert bench.judge().reason == Reason.REVOKED_ALL
    bench.driver.pipe(REVOCATION.name, b"ALL:*", None)
    assert bench.judge().outcome is Outcome.ALLOW


def test_what_is_revoked_elsewhere_does_not_matter_here() -> None:
    bench = GateBench()
    for kind, target in (
        (RevocationKind.SESSION, "globex|s-1"),
        (RevocationKind.AGENT, "globex|assistant"),
        (RevocationKind.SUBJECT, "acme|bob"),
        (RevocationKind.TOOL, "mail/*"),
        (RevocationKind.DELEGATION, "g-9"),
        (RevocationKind.TENANT, "globex"),
        (RevocationKind.MODEL, "example/large-1"),
        (RevocationKind.RULESET, "ab" * 32),
    ):
        revoke(bench, kind, target)
    other = Model(ai_provider="example", name="small-1")
    assert bench.judge(model=other).outcome is Outcome.ALLOW


def test_not_naming_a_model_is_no_way_past_its_revocation() -> None:
    bench = GateBench()
    revoke(bench, RevocationKind.MODEL, "example/large-1")
    assert bench.judge(model=None).reason == Reason.REVOKED_MODEL
    assert bench.judge(model=Model(ai_provider="Example", name="LARGE-1")).reason == Reason.REVOKED_MODEL


def test_other_rules_decide_while_some_are_revoked() -> None:
    bench = GateBench()
    revoke(bench, RevocationKind.RULESET, bundle_from_files(BUNDLE_FILES).digest.hex())
    later = {**BUNDLE_FILES, "bundle.yaml": BUNDLE_FILES["bundle.yaml"].replace('"1"', '"2"')}
    bench.driver.pipe(RULESET.name, b"default", ruleset(later, serial=2))
    assert bench.judge().outcome is Outcome.ALLOW


def test_rules_come_back_with_a_later_bundle() -> None:
    bench = GateBench()
    bench.driver.pipe(RULESET.name, b"default", ruleset({}, serial=2))
    assert bench.judge().reason == Reason.NO_RULESET
    bench.driver.pipe(RULESET.name, b"default", ruleset(BUNDLE_FILES, serial=3))
    assert bench.judge().outcome is Outcome.ALLOW
