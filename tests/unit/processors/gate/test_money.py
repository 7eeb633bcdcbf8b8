"""Amounts of calls: read exactly, counted by currency, and denied where they can't be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulation.records import ruleset, tool_entry
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import Budget
from streams.model.money import NO_MONEY, Money, Unit, read_money, unit_of
from streams.model.topics import DELEGATION, RULESET
from streams.model.verdict import Outcome, RuleEffect
from streams.processors.session_row import CURRENCIES_MAX
from tests.kit import BUNDLE, GateBench

MINOR, MAJOR, UNSTATED = Unit.MINOR, Unit.MAJOR, Unit.UNSTATED


@pytest.mark.parametrize(
    ("kinds", "unit"),
    [("integer", MINOR), ("number", MAJOR), ("string", MAJOR), (["string", "number"], MAJOR), (None, UNSTATED)],
)
def test_the_unit_follows_from_the_schema(kinds: object, unit: Unit) -> None:
    amount = {} if kinds is None else {"type": kinds}
    assert unit_of({"properties": {"amount": amount}}) is unit
    assert unit_of(None) is UNSTATED


@pytest.mark.parametrize(
    ("value", "currency", "unit", "minor"),
    [
        (12, "EUR", MINOR, 12),
        (12, "EUR", UNSTATED, 12),
        (12, "EUR", MAJOR, 1200),
        (12.5, "EUR", UNSTATED, 1250),
        ("12.50", "EUR", UNSTATED, 1250),
        ("12.50", "", MAJOR, 1250),
        (0.1, "EUR", MAJOR, 10),
        (0.29, "EUR", MAJOR, 29),
        (1.005, "EUR", MAJOR, 101),
        ("0.001", "EUR", MAJOR, 1),
        (500, "JPY", MAJOR, 500),
        ("1.5", "KWD", MAJOR, 1500),
        (0, "EUR", MAJOR, 0),
        (12, "points", MINOR, 12),
    ],
)
def test_amounts_are_read_exactly(value: object, currency: str, unit: Unit, minor: int) -> None:
    assert read_money({"amount": value, "currency": currency}, unit) == Money(minor, currency)


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        [1],
        {"value": 1},
        "",
        "1,200.50",
        "1e3",
        "0x10",
        "NaN",
        "-1",
        -1,
        -0.5,
        float("inf"),
        10**16,
        "9" * 16,
    ],
)
def test_what_is_no_amount_can_not_be_read(value: object) -> None:
    assert read_money({"amount": value, "currency": "EUR"}, UNSTATED) is None


@pytest.mark.parametrize("currency", ["euro", "eur", "XXX", "ZZZ", 7, None])
def test_a_fraction_of_no_known_currency_can_not_be_read(currency: object) -> None:
    assert read_money({"amount": "1.50", "currency": currency}, UNSTATED) is None


def test_without_an_amount_there_is_no_money() -> None:
    assert read_money({"currency": "EUR"}, MAJOR) == NO_MONEY


RULES = """
apiVersion: rules/v1
pack: testing
budgets:
  moved: {per: session, measure: {sum: money.minor}, match: {tools: [bank.move]}, limit: 1000}
rules:
  - {id: M-001, effect: permit, match: {tools: ["pay.*"]}, when: "true", reason: fine}
  - {id: M-002, effect: permit, match: {tools: [bank.move]}, when: "true", reason: fine}
  - id: M-010
    effect: deny
    match: {tools: [pay.wire, pay.card]}
    when: >-
      money.minor + (money.currency in session.spent_in ? session.spent_in[money.currency] : 0) > 10000
    reason: more than 100 in one currency
"""


IN_EURO = """
  - id: M-011
    effect: deny
    match: {tools: [pay.wire]}
    when: '("EUR" in session.spent_in ? session.spent_in["EUR"] : 0) > 5000'
    reason: no more once 50 were spent in EUR
"""


def pay(name: str, kind: str | None) -> Any:
    amount = {} if kind is None else {"type": kind}
    return tool_entry("pay", name, schema={"type": "object", "properties": {"amount": amount}})


WIRE, CARD, NOTE = pay("wire", "number"), pay("card", "integer"), pay("note", None)
MOVE = tool_entry("bank", "move", schema={"type": "object", "properties": {"amount": {"type": "string"}}})


def bench(files: dict[str, str] | None = None) -> GateBench:
    made = GateBench(with_rules=False)
    for entry in (WIRE, CARD, NOTE, MOVE):
        made.publish(entry)
    files = files or {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES}
    made.driver.pipe(RULESET.name, b"default", ruleset(files))
    return made


def test_rules_compare_what_is_spent_in_one_currency() -> None:
    made = bench()

    def outcome(entry: Any, amount: object, currency: str) -> str:
        return made.judge(entry, {"amount": amount, "currency": currency}).outcome.value

    assert outcome(WIRE, 60.5, "EUR") == "ALLOW"
    assert outcome(WIRE, 90, "USD") == "ALLOW"
    assert outcome(CARD, 3950, "EUR") == "ALLOW"
    assert outcome(CARD, 1, "EUR") == "DENY"
    assert outcome(WIRE, 0.01, "EUR") == "DENY"
    assert outcome(WIRE, 10, "USD") == "ALLOW"


def test_another_spelling_of_a_currency_has_no_limit_of_its_own() -> None:
    made = bench()
    outcomes = [
        made.judge(CARD, {"amount": 6_000, "currency": currency}).outcome.value
        for currency in ("EUR", "eur", "Eur ", "USD", "EUR")
    ]
    assert outcomes == ["ALLOW", "DENY", "DENY", "ALLOW", "DENY"]


def test_a_rule_on_one_currency_finds_all_of_its_spellings() -> None:
    files = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES + IN_EURO}
    made = bench(files)
    outcomes = [
        made.judge(CARD, {"amount": 6_000, "currency": currency}).outcome.value for currency in ("eur", "USD", "Eur")
    ]
    assert outcomes == ["ALLOW", "ALLOW", "DENY"]
    verdict = made.judge(WIRE, {"amount": 1, "currency": "CHF"})
    assert [hit.rule_id for hit in verdict.rules if hit.effect is RuleEffect.DENY] == ["M-011"]


def test_many_currencies_hide_nothing_that_was_spent_in_one() -> None:
    made = bench()

    def outcome(amount: int, currency: str) -> tuple[str, str]:
        verdict = made.judge(CARD, {"amount": amount, "currency": currency})
        return verdict.outcome.value, verdict.reason

    for number in range(CURRENCIES_MAX):
        assert outcome(1, f"token {number}")[0] == "ALLOW"
    assert outcome(9_000, "EUR")[0] == "ALLOW"
    assert outcome(9_000, "EUR") == ("DENY", "rule_error")


def test_after_an_amount_that_can_not_be_read_nothing_is_guessed() -> None:
    made = bench()
    assert made.judge(NOTE, {"amount": "2 cups"}).outcome is Outcome.ALLOW
    verdict = made.judge(CARD, {"amount": 1, "currency": "EUR"})
    assert (verdict.outcome, verdict.reason, [fault.rule_id for fault in verdict.errors]) == (
        Outcome.DENY,
        "rule_error",
        ["M-010"],
    )


def test_an_amount_of_the_call_that_can_not_be_read_is_denied_where_it_counts() -> None:
    verdict = bench().judge(WIRE, {"amount": 1.5, "currency": "beads"})
    assert (verdict.outcome, [fault.rule_id for fault in verdict.errors]) == (Outcome.DENY, ["M-010"])


def test_the_budget_of_a_grant_counts_fractions() -> None:
    made = bench()
    maker = made.session
    made.driver.pipe(
        DELEGATION.name,
        maker.key,
        maker.grant("g-1", made.now_ms, budget=Budget(amount_minor=10_000, currency="EUR")),
    )
    outcomes = [
        made.judge(WIRE, {"amount": amount, "currency": "EUR"}, delegation_uid="g-1").reason
        for amount in (60.5, "x", 39.51, 39.5)
    ]
    assert outcomes == ["permitted", "budget_exhausted", "budget_exhausted", "permitted"]


def reasons_under(budget: Budget, tool: ToolCatalogEntry, amounts: Sequence[str]) -> list[str]:
    """How calls with these amounts, and no currency, are judged under a grant with this budget."""
    made = bench()
    maker = made.session
    made.driver.pipe(DELEGATION.name, maker.key, maker.grant("g-1", made.now_ms, budget=budget))
    return [made.judge(tool, {"amount": amount}, delegation_uid="g-1").reason for amount in amounts]


@pytest.mark.parametrize(
    ("currency", "amounts"),
    [("KWD", ("0.9", "0.101", "0.1")), ("JPY", ("900", "101", "100")), ("usd", ("9", "1.01", "1"))],
)
def test_an_amount_without_a_currency_is_one_in_the_currency_of_the_grant(
    currency: str, amounts: tuple[str, ...]
) -> None:
    reasons = reasons_under(Budget(amount_minor=1_000, currency=currency), NOTE, amounts)
    assert reasons == ["permitted", "budget_exhausted", "permitted"]


def test_rules_and_budgets_read_it_as_the_budget_of_the_grant_does() -> None:
    reasons = reasons_under(Budget(amount_minor=10_000, currency="KWD"), MOVE, ("0.9", "0.101", "0.1"))
    assert reasons == ["permitted", "budget_exhausted", "permitted"]


def test_a_currency_of_a_grant_that_limits_no_amount_changes_nothing() -> None:
    made = bench()
    maker = made.session
    budget = Budget(calls=9, currency="points")
    made.driver.pipe(DELEGATION.name, maker.key, maker.grant("g-1", made.now_ms, budget=budget))
    reasons = [
        made.judge(tool, {"amount": amount}, delegation_uid="g-1").reason for tool, amount in ((NOTE, 1.5), (CARD, 1))
    ]
    assert reasons == ["permitted", "permitted"]


def test_a_budget_sums_exact_amounts() -> None:
    made = bench()
    outcomes = [made.judge(MOVE, {"amount": amount}).reason for amount in ("6.01", "4.00", "3.99", "much")]
    assert outcomes == ["permitted", "budget_exhausted", "permitted", "rule_error"]
