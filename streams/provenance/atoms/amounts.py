"""Amounts of money: how they are written, what currencies are called, and which fields hold money."""

from __future__ import annotations

import re

from streams.provenance.atoms.decimals import decimal_value
from streams.provenance.atoms.found import AtomKind
from streams.provenance.words import listed, thing_of

CURRENCY_SIGNS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr"}
CURRENCY_CODES = listed(
    "aed ars aud bdt bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd huf idr ils inr jpy kes krw kwd mad "
    "mxn myr ngn nok nzd pen php pkr pln ron rub sar sek sgd thb try twd uah usd vnd zar btc eth usdt usdc"
)
CURRENCIES = {
    **{code: code for code in CURRENCY_CODES},
    "dollar": "usd", "dollars": "usd", "euro": "eur", "euros": "eur", "pound": "gbp", "pounds": "gbp", "yen": "jpy",
    "rupees": "inr", "bucks": "usd",
}  # fmt: skip
_MONEY_FIELDS = listed(
    "amount price total cost fee sum balance subtotal tax charge payment refund deposit salary budget limit value"
)
AMOUNT = re.compile(
    r"([-+]?)([$€£¥₹]?) ?(\d{1,3}(?:[,'. ]\d{3}){1,5}(?:[.,]\d{1,8})?(?!\d)|\d{1,18}(?!\d)(?:[.,]\d{1,8})?)"
    r"(?: ?([$€£¥₹]|[^\W\d_]{3,7}))?"
)
_CENTS = re.compile(r"[.,]\d\d\Z")
"""Two digits behind a point make an amount, also if they are zeros."""
_ONE_POINT = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}\Z")
"""Three digits behind one point are a fraction to some, and thousands to others: "1.250 EUR"."""


def is_money(field: str) -> bool:
    """Return whether a field's name says that it holds an amount of money."""
    thing = thing_of(field) if field else ""
    return thing in _MONEY_FIELDS or thing in CURRENCIES


def amounts_in(match: re.Match[str], before: str, *, loose: bool) -> tuple[list[tuple[AtomKind, str]], int]:
    """Return the readings of a number as an amount, and where it ends; none if it is something else.

    Args:
        match: where `AMOUNT` matches.
        before: the word before it.
        loose: whether a bare number is an amount, too.
    """
    sign, mark, number, unit = match.groups()
    values = [decimal_value(number)]
    if _ONE_POINT.match(number):
        values.append(number.replace(".", ""))
    currency = CURRENCY_SIGNS.get(mark) or CURRENCIES.get(before)
    end = match.end(3)
    if unit and (after := CURRENCY_SIGNS.get(unit) or CURRENCIES.get(unit.lower())):
        currency, end = currency or after, match.end(4)
    if sign == "-":
        values = [f"-{value}" if value != "0" else value for value in values]
    if currency:
        return [(AtomKind.AMOUNT, each) for value in values for each in (f"{value} {currency}", value)], end
    if loose:
        return [(AtomKind.AMOUNT, value) for value in values], end
    if "." in values[0] or _CENTS.search(number):
        return [(AtomKind.AMOUNT, values[0])], end
    return [], match.start()
