"""An alert before a budget is exhausted: once in its window, and never after so much is spent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.records import SessionMaker
from streams.model.alert import Alert
from streams.model.topics import ALERT
from streams.policy import bundle_from_files, compile_bundle
from streams.policy.errors import BundleError
from tests.keeping import LOOKUP, REFUND, CountingBench, bundle_files
from tests.kit import MINUTE_MS
from tests.unit.processors.budgets.budget_hand import PERMIT, not_run, refund, send

CODE = "budget_nearly_exhausted"
OWN = (
    """
budgets:
  refunds:
    {per: session, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100, warn_percent: 80}
  targets:
    {per: session, measure: {distinct: args.to}, match: {tools: [post.send]}, limit: 3, warn_percent: 60}
  hourly:
    {per: session, measure: calls, match: {tools: [pay.lookup]}, limit: 3, window: 1m, warn_percent: 50}
"""
    + PERMIT
)
SHARED = (
    OWN.replace("per: session", "per: tenant")
    .replace("limit: 100,", "limit: 100, window: 24h,")
    .replace("limit: 3, warn_percent: 60", "limit: 3, window: 24h, warn_percent: 60")
)
PARTITIONS = 4


def raised(bench: CountingBench) -> list[Alert]:
    """The alerts that were raised since the last call."""
    read = [each.record for each in bench.driver.read(ALERT.name)]
    return [alert for alert in read if isinstance(alert, Alert) and alert.analytic_uid == CODE]


@pytest.fixture(params=[OWN, SHARED], ids=["own", "shared"])
def bench(request: pytest.FixtureRequest) -> CountingBench:
    return CountingBench(request.param)


def test_it_is_raised_once_with_the_call_that_takes_so_much(bench: CountingBench) -> None:
    assert [refund(bench, amount) for amount in (40, 39)] == ["ALLOW", "ALLOW"]
    before = raised(bench)
    assert refund(bench, 1) == "ALLOW"
    (alert,) = (*before, *raised(bench))
    assert alert.title == "budget nearly exhausted: refunds"
    assert " of 100 of budget `refunds` per " in alert.desc
    assert (alert.count, alert.header.tenant_uid) == (1, bench.session.tenant)
    assert [refund(bench, amount) for amount in (5, 15, 1)] == ["ALLOW", "ALLOW", "budget_exhausted"]
    assert raised(bench) == []


def test_values_are_counted_like_units(bench: CountingBench) -> None:
    assert send(bench, "a") == "ALLOW"
    assert raised(bench) == []
    assert [send(bench, to) for to in ("b", "a", "c", "d")] == ["ALLOW"] * 3 + ["budget_exhausted"]
    (alert,) = raised(bench)
    assert "`targets`" in alert.desc


def test_each_window_has_an_alert_of_its_own(bench: CountingBench) -> None:
    bench.wait(MINUTE_MS - bench.now_ms % MINUTE_MS)
    found = []
    for _ in range(3):
        assert [bench.outcome(LOOKUP, {}) for _ in range(4)] == ["ALLOW"] * 3 + ["budget_exhausted"]
        found += raised(bench)
        bench.wait(MINUTE_MS)
    assert len(found) == len({alert.finding_uid for alert in found}) == len({alert.dedup_key for alert in found}) == 3


def test_what_is_given_back_and_taken_again_raises_nothing_more(bench: CountingBench) -> None:
    intent = bench.propose(REFUND, {"amount": 90})
    bench.verdict()
    assert len(raised(bench)) == 1
    not_run(bench, intent)
    assert refund(bench, 85) == "ALLOW"
    assert raised(bench) == []


def test_a_call_that_is_denied_raises_nothing(bench: CountingBench) -> None:
    assert bench.outcome(REFUND, {"amount": 90, "no": True}) == "rule_denied"
    assert refund(bench, 101) == "budget_exhausted"
    assert raised(bench) == []


@pytest.mark.parametrize("rules", [OWN, SHARED], ids=["own", "shared"])
def test_without_a_threshold_nothing_is_raised(rules: str) -> None:
    for share in (80, 60, 50):
        rules = rules.replace(f", warn_percent: {share}", "")
    assert "warn" not in rules
    silent = CountingBench(rules)
    assert [refund(silent, amount) for amount in (90, 10)] == ["ALLOW", "ALLOW"]
    assert {send(silent, to) for to in ("a", "b", "c")} == {"ALLOW"}
    assert raised(silent) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 90)), min_size=30, max_size=60))
def test_partitions_that_share_it_raise_one_and_never_late(calls: list[tuple[int, int]]) -> None:
    bench = CountingBench(SHARED.replace("limit: 100,", "limit: 1000,"), partitions=PARTITIONS)
    sessions = [SessionMaker(f"w-{number}") for number in range(12)]
    for session in sessions:
        bench.establish(session)
    spent, found = 0, []
    for number, amount in calls:
        if refund(bench, amount, session=sessions[number]) == "ALLOW":
            spent += amount
        found += raised(bench)
        assert spent < 800 or found
    assert len({alert.finding_uid for alert in found}) == len({alert.dedup_key for alert in found}) <= 1
    assert all("of 1000 of budget `refunds` per tenant are spent, or leased to gates" in each.desc for each in found)


def test_of_a_budget_with_a_key_the_value_stays_untold() -> None:
    rules = SHARED.replace("measure: {sum: args.amount}", "key: args.customer, measure: {sum: args.amount}")
    bench = CountingBench(rules)
    for customer in ("C-17", "C-18"):
        assert bench.outcome(REFUND, {"amount": 90, "customer": customer}) == "ALLOW"
    alerts = raised(bench)
    assert len(alerts) == 1, "one finding, whose count has the others"
    told = f"{alerts[0]}"
    assert "C-17" not in told
    assert "per tenant and key" in told


@pytest.mark.parametrize("stated", ["0", "100", "-1", "80%", "0.8", "true"])
def test_a_threshold_is_a_whole_number_of_percent(stated: str) -> None:
    with pytest.raises(BundleError, match="`warn_percent` must be an integer from 1 to 99"):
        compile_bundle(bundle_from_files(bundle_files(OWN.replace("warn_percent: 80", f"warn_percent: {stated}"))))
