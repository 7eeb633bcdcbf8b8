"""What sessions remember, through the driven gate."""

from __future__ import annotations

import pytest

from simulation.records import SessionMaker, revocation
from streams.model.approval import ApprovalStatus
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.topics import INTENT, REVOCATION
from streams.ports import Outgoing
from streams.processors.sessions.memory import BUCKETS_COUNT, KEYS_MAX
from tests.keeping import LOOKUP, PURGE, REFUND, SEND, CountingBench
from tests.kit import HOUR_MS, MINUTE_MS, wire

PUBLIC = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PUBLIC)
DAY_MS = 24 * HOUR_MS

THIRD_REFUND = """
history:
  refunds: {keep: count, on: allowed, match: {tools: [pay.refund]}, when: args.amount > 0, key: args.account,
            within: 30m}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: [pay.refund]}, when: history.refunds >= 2, reason: third refund to it}
"""


def refund(bench: CountingBench, account: str | int, amount: object = 5, **changes: object) -> str:
    return bench.outcome(REFUND, {"account": account, "amount": amount}, **changes)


def test_the_third_refund_to_one_account_is_denied_and_another_account_has_its_own_count() -> None:
    bench = CountingBench(THIRD_REFUND)
    assert [refund(bench, "a") for _ in range(4)] == ["ALLOW", "ALLOW", "rule_denied", "rule_denied"]
    assert [refund(bench, "b") for _ in range(3)] == ["ALLOW", "ALLOW", "rule_denied"]
    assert [refund(bench, 7) for _ in range(3)] == ["ALLOW", "ALLOW", "rule_denied"]
    assert refund(bench, "7") == "ALLOW"


def test_what_the_condition_does_not_take_is_not_counted() -> None:
    bench = CountingBench(THIRD_REFUND)
    assert [refund(bench, "a", 0) for _ in range(5)] == ["ALLOW"] * 5
    assert [refund(bench, "a") for _ in range(3)] == ["ALLOW", "ALLOW", "rule_denied"]


def test_the_window_forgets_never_too_early_and_at_most_a_bucket_too_late() -> None:
    bench = CountingBench(THIRD_REFUND)
    within_ms = 30 * MINUTE_MS
    assert [refund(bench, "a"), refund(bench, "a")] == ["ALLOW", "ALLOW"]
    bench.wait(within_ms - 1)
    assert refund(bench, "a") == "rule_denied"
    bench.wait(1 + within_ms // BUCKETS_COUNT)
    assert refund(bench, "a") == "ALLOW"


def test_a_redelivered_intent_counts_once() -> None:
    bench = CountingBench(THIRD_REFUND)
    first = bench.propose(REFUND, {"account": "a", "amount": 5})
    for _ in range(5):
        bench.send(first)
    assert {verdict.outcome.value for verdict in bench.verdicts()} == {"ALLOW"}
    assert [refund(bench, "a"), refund(bench, "a")] == ["ALLOW", "rule_denied"]


def test_parallel_calls_of_one_turn_see_each_other() -> None:
    bench = CountingBench(THIRD_REFUND)
    made = [bench.session.intent(REFUND, {"account": "a", "amount": 5}, bench.now_ms, turn=3) for _ in range(3)]
    for intent in made:
        value = wire().encode(INTENT.name, intent)
        bench.driver.log.append(Outgoing(INTENT.name, 0, bench.session.key, value), timestamp_ms=bench.now_ms)
    bench.driver.settle()
    assert [verdict.outcome.value for verdict in bench.verdicts()] == ["ALLOW", "ALLOW", "DENY"]


def test_a_call_of_which_cannot_be_told_what_to_remember_is_not_allowed() -> None:
    bench = CountingBench(THIRD_REFUND)
    verdict = bench.judge(REFUND, {"amount": 5})
    assert (verdict.outcome.value, verdict.reason) == ("DENY", "rule_error")
    verdict = bench.judge(REFUND, {"account": ["a"], "amount": 5})
    assert (verdict.outcome.value, verdict.reason) == ("DENY", "rule_error")
    bench.put_in_force(THIRD_REFUND.replace("history.refunds >= 2", "false"))
    verdict = bench.judge(REFUND, {"amount": 5})
    assert verdict.reason == "rule_error"
    assert "memory `refunds` can't be updated for this call" in verdict.reason_text


def test_sessions_do_not_share_memories() -> None:
    bench = CountingBench(THIRD_REFUND)
    other = SessionMaker("s-2")
    bench.establish(other)
    assert [refund(bench, "a"), refund(bench, "a")] == ["ALLOW", "ALLOW"]
    assert refund(bench, "a", session=other) == "ALLOW"


PRIVATE_READS = """
history:
  private_reads: {keep: count, on: ran, when: 'label.confidentiality != "public"', reset: {tools: [data.purge]}}
  failures: {keep: count, on: failed}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: [post.send]}, when: history.private_reads > 0, reason: private read}
  - {id: C-3, effect: deny, match: {tools: [pay.refund]}, when: history.failures > 1, reason: failed twice}
"""


def test_no_private_read_since_the_last_purge() -> None:
    bench = CountingBench(PRIVATE_READS)
    read = bench.propose(LOOKUP, {})
    assert bench.outcome(SEND, {}) == "ALLOW", "the read was allowed, it is not known to have run"
    bench.report(read)
    assert bench.outcome(SEND, {}) == "rule_denied"
    purge = bench.propose(PURGE, {})
    assert bench.outcome(SEND, {}) == "rule_denied", "the purge has not run yet"
    bench.report(purge, is_error=True)
    assert bench.outcome(SEND, {}) == "rule_denied", "it failed"
    bench.report(bench.propose(PURGE, {}))
    bench.verdicts()
    assert bench.outcome(SEND, {}) == "ALLOW"


def test_the_result_s_own_label_counts_where_it_is_worse_than_the_catalog_s() -> None:
    bench = CountingBench(PRIVATE_READS)
    bench.report(bench.propose(PURGE, {}), label=PUBLIC)
    bench.verdicts()
    assert bench.outcome(SEND, {}) == "ALLOW"
    bench.report(bench.propose(REFUND, {"amount": 1, "account": "a"}), label=LOOKUP.output_label)
    bench.verdicts()
    assert bench.outcome(SEND, {}) == "rule_denied"


def test_a_report_counts_once_and_only_for_a_call_that_was_allowed() -> None:
    bench = CountingBench(PRIVATE_READS)
    call = bench.propose(PURGE, {})
    for _ in range(4):
        bench.report(call, is_error=True)
    never = bench.session.intent(PURGE, {}, bench.now_ms)
    bench.report(never, is_error=True)
    bench.verdicts()
    assert refund(bench, "a") == "ALLOW"
    bench.report(bench.propose(PURGE, {}), is_error=True)
    bench.verdicts()
    assert refund(bench, "a") == "rule_denied"


APPROVED = """
history:
  by_finance: {keep: any, on: approved, group: finance}
  by_anybody: {keep: count, on: approved}
  denied: {keep: count, on: denied, match: {tools: [pay.refund]}}
  asked: {keep: last, on: judged, match: {tools: [pay.refund]}}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - id: C-2
    effect: require_approval
    match: {tools: [pay.refund]}
    when: '!history.by_finance && args.amount < 100'
    approval: {group: finance, ttl: 10m}
    reason: finance has to know them first
  - id: C-3
    effect: require_approval
    match: {tools: [pay.refund]}
    when: args.amount >= 100
    approval: {group: directors, ttl: 10m}
    reason: large
  - {id: C-4, effect: deny, match: {tools: [data.purge]}, when: history.denied >= 3, reason: refused too often}
  - id: C-5
    effect: deny
    match: {tools: [post.send]}
    when: has(history.asked) && history.asked < 60000
    reason: a refund was judged within a minute
"""


def test_approved_by_finance_before() -> None:
    bench = CountingBench(APPROVED)
    large = bench.propose(REFUND, {"account": "a", "amount": 500})
    bench.decide(large, "dora", groups=("directors",))
    assert [v.reason for v in bench.verdicts()] == ["approval_required", "permitted"]
    assert refund(bench, "a") == "approval_required", "directors are not finance"
    small = bench.propose(REFUND, {"account": "b", "amount": 5})
    bench.verdicts()
    bench.decide(small, "fred", groups=("finance",))
    assert bench.verdict().outcome.value == "ALLOW"
    assert refund(bench, "c") == "ALLOW", "finance has approved one before"


def test_an_approval_counts_also_where_the_call_is_denied_after_it() -> None:
    late = "  - {id: C-6, effect: deny, match: {tools: [pay.refund]}, when: approval.granted, reason: too late}\n"
    bench = CountingBench(APPROVED + late)
    asked = bench.propose(REFUND, {"account": "a", "amount": 5})
    bench.verdicts()
    bench.decide(asked, "fred", groups=("finance",))
    assert bench.verdict().reason == "rule_denied"
    assert refund(bench, "b") == "ALLOW"


def test_a_pending_approval_that_a_revocation_ends_is_no_approval() -> None:
    bench = CountingBench(APPROVED)
    assert refund(bench, "a") == "approval_required"
    for state in (RevocationState.REVOKED, RevocationState.RELEASED):
        record = revocation(RevocationKind.TOOL, "pay/refund", time_ms=bench.now_ms, state=state)
        bench.driver.pipe(REVOCATION.name, *record)
    assert [verdict.reason for verdict in bench.verdicts()] == ["revoked_tool"]
    assert refund(bench, "a") == "approval_required", "nobody has approved anything"


def test_what_persons_refuse_or_let_expire_is_denied() -> None:
    bench = CountingBench(APPROVED)
    for _ in range(2):
        asked = bench.propose(REFUND, {"account": "a", "amount": 500})
        bench.decide(asked, "dora", groups=("directors",), status=ApprovalStatus.DENIED)
    bench.propose(REFUND, {"account": "a", "amount": 500})
    bench.verdicts()
    assert bench.outcome(PURGE, {}) == "ALLOW"
    bench.wait(10 * MINUTE_MS)
    assert bench.verdict().reason == "approval_expired"
    assert bench.outcome(PURGE, {}) == "rule_denied"


def test_the_time_since_the_last_one() -> None:
    bench = CountingBench(APPROVED)
    assert bench.outcome(SEND, {}) == "ALLOW"
    asked = bench.propose(REFUND, {"account": "a", "amount": 500})
    bench.verdicts()
    bench.decide(asked, "dora", groups=("directors",))
    assert bench.verdict().outcome.value == "ALLOW"
    bench.wait(MINUTE_MS - 1)
    assert bench.outcome(SEND, {}) == "rule_denied"
    bench.wait(1)
    assert bench.outcome(SEND, {}) == "ALLOW"


SUMS = """
history:
  paid: {keep: sum, on: allowed, match: {tools: [pay.refund]}, of: args.amount}
rules:
  - {id: C-1, effect: permit, match: {tools: [pay.refund]}, when: history.paid + args.amount <= 100, reason: below}
"""


def test_sums_never_shrink() -> None:
    bench = CountingBench(SUMS)
    assert [refund(bench, "a", amount) for amount in (60, -50, 40, 1)] == ["ALLOW", "ALLOW", "ALLOW", "no_permit"]
    assert refund(bench, "a", 1.5) == "no_permit"


MANY_KEYS = THIRD_REFUND.replace("within: 30m", "within: 20m")


def test_when_there_are_too_many_keys_the_new_ones_fail_closed_until_there_is_room() -> None:
    bench = CountingBench(MANY_KEYS)
    for number in range(KEYS_MAX):
        bench.propose(REFUND, {"account": number, "amount": 5})
    assert {verdict.outcome.value for verdict in bench.verdicts()} == {"ALLOW"}
    assert len(bench.rows(b"m")) == KEYS_MAX
    assert refund(bench, 3) == "ALLOW", "a key that is known goes on"
    assert refund(bench, "new") == "ALLOW", "nothing of a new key was lost so far"
    assert refund(bench, "new") == "rule_error", "its first event was"
    assert refund(bench, "newer") == "rule_error"
    assert refund(bench, 3) == "rule_denied"
    assert len(bench.rows(b"m")) == KEYS_MAX
    bench.wait(25 * MINUTE_MS)
    assert [refund(bench, "new") for _ in range(3)] == ["ALLOW", "ALLOW", "rule_denied"]
    assert len(bench.rows(b"m")) == 1


def test_what_is_remembered_goes_with_its_session() -> None:
    bench = CountingBench(PRIVATE_READS + "\n")
    bench.report(bench.propose(LOOKUP, {}))
    bench.propose(LOOKUP, {})
    assert bench.rows(b"m")
    assert bench.rows(b"p")
    bench.wait(3 * DAY_MS)
    assert [bench.rows(prefix) for prefix in (b"m", b"k", b"p", b"b", b"s", b"v")] == [[]] * 6


def test_what_was_counted_lives_on_in_a_new_bundle() -> None:
    bench = CountingBench(THIRD_REFUND)
    assert [refund(bench, "a"), refund(bench, "a")] == ["ALLOW", "ALLOW"]
    bench.put_in_force(THIRD_REFUND.replace("within: 30m", "within: 20h").replace(">= 2", ">= 3"))
    assert [refund(bench, "a"), refund(bench, "a")] == ["ALLOW", "rule_denied"]
    bench.put_in_force(THIRD_REFUND.replace("within: 30m", "").replace("args.account,", "args.account"))
    assert refund(bench, "a") == "rule_denied"


def test_tools_that_nothing_is_kept_of_leave_no_rows() -> None:
    bench = CountingBench(THIRD_REFUND)
    assert bench.outcome(LOOKUP, {}) == "ALLOW"
    assert [bench.rows(prefix) for prefix in (b"m", b"k", b"p")] == [[]] * 3


@pytest.mark.parametrize("agents", ["[assistant]", "[other]"])
def test_a_memory_can_be_about_some_agents(agents: str) -> None:
    bench = CountingBench(
        THIRD_REFUND.replace("{tools: [pay.refund]}, when", f"{{tools: [pay.refund], agents: {agents}}}, when")
    )
    third = [refund(bench, "a") for _ in range(3)][-1]
    assert third == ("rule_denied" if agents == "[assistant]" else "ALLOW")
