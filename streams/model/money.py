"""Read the amount of a call as exact minor units of a currency.

**Idea.** Everything that is summed (what a session has spent, grants' budgets) is whole numbers of minor units, as
always. A call's `amount` is converted once, exactly: by decimals, never by floats. Which unit it is in follows from the
tool's schema, because the value alone can't tell: 12 may be 12 cents or 12 euros.

| schema of `amount` | value | unit |
|---|---|---|
| integer | whole number | minor, as always |
| number or text | any | major: 12 is 12.00 |
| nothing | whole number | minor, as always |
| nothing | fraction, or text | major |

The number of minor units in a major one is that of ISO 4217, for the call's `currency`; without one, 100, or that of
the currency of what limits the call: 12 of a grant in KWD are 12,000, and as 1,200 they would count for a tenth. What
is finer than a minor unit is rounded up, so that many small amounts never count as nothing.

**Rejected.** To sum decimals: memories, budgets and grants count whole numbers, and CEL has no decimals. To guess the
unit from the size of a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

MINOR_MAX = 10**15
"""Larger amounts can't be read: sums of them would leave 64 bits."""
EXPONENT_UNSTATED = 2

_TEXT = re.compile(r"\s*\+?[0-9]{1,15}(?:\.[0-9]{1,15})?\s*\Z", re.ASCII)
_CODE = re.compile(r"[A-Z]{3}\Z", re.ASCII)


class Unit(Enum):
    """The unit that a tool's schema gives its amounts; UNSTATED if it says nothing."""

    MINOR = "minor"
    MAJOR = "major"
    UNSTATED = "unstated"


class Money(NamedTuple):
    """An amount in minor units, at least 0, and its currency, which is empty if the call states none."""

    minor: int
    currency: str


NO_MONEY = Money(0, "")


def unit_of(input_schema: object) -> Unit:
    """Return the unit of the argument `amount` according to a tool's JSON Schema."""
    properties = input_schema.get("properties") if isinstance(input_schema, Mapping) else None
    amount = properties.get("amount") if isinstance(properties, Mapping) else None
    kinds = amount.get("type") if isinstance(amount, Mapping) else None
    named = set(kinds) if isinstance(kinds, list) else {kinds}
    if named & {"number", "string"}:
        return Unit.MAJOR
    return Unit.MINOR if "integer" in named else Unit.UNSTATED


def read_money(arguments: Mapping[str, Any], unit: Unit, currency_unstated: str = "") -> Money | None:
    """Return the amount of a call: `NO_MONEY` if it names none, None if it can't be read.

    Args:
        arguments: of the call; `amount` and `currency` are read.
        unit: of the tool's amounts.
        currency_unstated: the currency whose minor units an amount is in that states no currency, if one is known.
    """
    if "amount" not in arguments:
        return NO_MONEY
    value, currency = arguments["amount"], arguments.get("currency", "")
    if not isinstance(currency, str):
        return None
    whole = _whole(value)
    if whole is not None and unit is not Unit.MAJOR:
        return Money(whole, currency) if 0 <= whole <= MINOR_MAX else None
    number, exponent = _decimal(value), _exponent(currency or currency_unstated.upper())
    if number is None or exponent is None or not 0 <= number <= MINOR_MAX:
        return None
    minor = int(number.scaleb(exponent).to_integral_value(rounding=ROUND_CEILING))
    return Money(minor, currency) if minor <= MINOR_MAX else None


def limit_of(amount: str, currency: str) -> int | None:
    """Return a limit in minor units; None if it can't be read. What is finer than a minor unit is cut off.

    Args:
        amount: an exact decimal in major units, such as `99.50`, as in the scope of a task.
        currency: its code; empty if it has none, which counts as one with two decimals.
    """
    number, exponent = _decimal(amount), _exponent(currency)
    if number is None or exponent is None or number > MINOR_MAX:
        return None
    return int(number.scaleb(exponent).to_integral_value(rounding=ROUND_FLOOR))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _decimal(value: Any) -> Decimal | None:
    """Return a number exactly as it was written: JSON numbers have the shortest text that gives their value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        number = Decimal(repr(value))
        return number if number.is_finite() else None
    # A comma is a separator of thousands to some and of decimals to others, so it can't be read.
    return Decimal(value.strip()) if isinstance(value, str) and _TEXT.match(value) else None


def _exponent(currency: str) -> int | None:
    """Return how many decimals a currency has; None if ISO 4217 has no such currency, or no minor unit of it."""
    if not currency:
        return EXPONENT_UNSTATED
    return _exponents().get(currency) if _CODE.match(currency) else None


@lru_cache(maxsize=1)
def _exponents() -> Mapping[str, int]:
    from iso4217 import Currency  # noqa: PLC0415 - reads a table, which only gates that meet such amounts need

    return {each.code: each.exponent for each in Currency if each.exponent is not None}
