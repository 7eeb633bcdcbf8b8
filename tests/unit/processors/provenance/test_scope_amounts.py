"""The limit of an amount in the scope of a task: exact, in the currency that is stated, and never too generous."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import tool_entry
from streams.model.money import limit_of
from streams.model.session import ScopeSource, TaskScope
from streams.model.verdict import Outcome
from tests.unit.processors.provenance_pack.tools import ACTS
from tests.unit.processors.talk import Talk, fired


def transfer(kind: str | None) -> Any:
    amount = {} if kind is None else {"type": kind}
    schema = {"type": "object", "properties": {"amount": amount, "currency": {"type": "string"}}}
    return tool_entry("bank", "pay", schema=schema, **ACTS)


def is_inside(kind: str | None, args: dict[str, Any], limit: str, currency: str | None = "EUR") -> bool:
    pay = transfer(kind)
    talk = Talk(entries=(pay,))
    scope = TaskScope(kind="pay", amount_max=limit, currency=currency)
    talk.purpose(scope_source=ScopeSource.ISSUER, task_scopes=(scope,))
    verdict = talk.judge(pay, args)
    assert (verdict.outcome is Outcome.ALLOW) is ("P-4" not in fired(verdict))
    return verdict.outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("kind", "amount", "limit", "inside"),
    [
        ("integer", 9950, "99.50", True),
        ("integer", 9951, "99.50", False),
        ("number", 99.5, "99.50", True),
        ("number", 99.51, "99.50", False),
        ("number", 0.1 + 0.2, "0.30", False),
        ("string", "99.50", "99.5", True),
        ("string", "99.501", "99.50", False),
        ("number", 100, "99.999", False),
        (None, 99, "99.50", True),
        (None, 100, "99.50", False),
        ("string", "1e1", "99.50", False),
        ("number", -1, "99.50", False),
        ("number", 1, "many", False),
        ("number", 1, "", True),
    ],
)
def test_an_amount_is_compared_in_minor_units(kind: str | None, amount: Any, limit: str, inside: bool) -> None:
    assert is_inside(kind, {"amount": amount, "currency": "EUR"}, limit) is inside


@pytest.mark.parametrize(
    ("args", "limit", "currency", "inside"),
    [
        ({"amount": 5, "currency": "USD"}, "10", "EUR", False),
        ({"amount": 5}, "10", "EUR", False),
        ({"currency": "EUR"}, "10", "EUR", False),
        ({"amount": 10, "currency": "JPY"}, "10", "JPY", True),
        ({"amount": 10.5, "currency": "JPY"}, "10", "JPY", False),
        ({"amount": 10.005, "currency": "KWD"}, "10.005", "KWD", True),
        ({"amount": 10.006, "currency": "KWD"}, "10.005", "KWD", False),
        ({"amount": 10, "currency": "USD"}, "10", None, True),
        ({"amount": 11, "currency": "JPY"}, "10", None, False),
        ({"amount": 10}, "10", None, True),
        ({"amount": 5, "currency": "no such"}, "10", None, False),
    ],
)
def test_the_currency_of_a_limit_is_that_of_the_call(
    args: dict[str, Any], limit: str, currency: str | None, inside: bool
) -> None:
    assert is_inside("number", args, limit, currency) is inside


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("99.50", "EUR", 9950), ("99.509", "EUR", 9950), ("10", "JPY", 10), ("10", "", 1000), ("1,5", "EUR", None),
     ("-1", "EUR", None), ("1", "XYZ", None)],
)  # fmt: skip
def test_a_limit_in_minor_units(amount: str, currency: str, minor: int | None) -> None:
    assert limit_of(amount, currency) == minor


@pytest.mark.parametrize(
    ("args", "inside"),
    [
        ({"value": 10}, True),
        ({"value": 10.01}, False),
        ({"fee": "ten"}, False),
        ({"value": 8, "fee": "1.99"}, True),
        ({"parts": [{"price": 6}, {"price": 4}]}, True),
        ({"parts": [{"price": 6}, {"price": 5}]}, False),
        ({"count": 3}, False),
        ({"value": 3, "count": 300}, True),
    ],
)
def test_a_limit_holds_for_amounts_of_money_by_any_name(args: dict[str, Any], inside: bool) -> None:
    schema = {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            "fee": {"type": "string"},
            "count": {"type": "integer"},
            "parts": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
        },
    }
    voucher = tool_entry("bank", "voucher", schema=schema, kind="pay", **ACTS)
    talk = Talk(entries=(voucher,))
    scope = TaskScope(kind="pay", amount_max="10")
    talk.purpose(scope_source=ScopeSource.ISSUER, task_scopes=(scope,))
    assert (talk.judge(voucher, args).outcome is Outcome.ALLOW) is inside


@pytest.mark.parametrize(
    ("args", "inside"),
    [
        ({"value": 5000, "amount": 1}, False),
        ({"value": 5, "amount": 1}, True),
        ({"amount": 9.5, "fee": 0.4}, True),
        ({"amount": 9.5, "fee": 0.6}, False),
    ],
)
def test_an_amount_hides_no_other_one(args: dict[str, Any], inside: bool) -> None:
    properties = {name: {"type": "number"} for name in args if name != "amount" or "fee" in args}
    voucher = tool_entry("bank", "voucher", schema={"type": "object", "properties": properties}, kind="pay", **ACTS)
    talk = Talk(entries=(voucher,))
    talk.purpose(scope_source=ScopeSource.ISSUER, task_scopes=(TaskScope(kind="pay", amount_max="10"),))
    assert (talk.judge(voucher, args).outcome is Outcome.ALLOW) is inside
