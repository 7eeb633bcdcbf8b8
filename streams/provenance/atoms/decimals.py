"""Numbers in one form, however they are written: "1.234,50", "1,234.5" and 1234.5 of JSON are `1234.5`."""

from __future__ import annotations


def decimal_value(number: str) -> str:
    """Return a number's exact decimal form: without separators of thousands, and without zeros at its ends."""
    if number.isdigit():
        return number.lstrip("0") or "0"
    last = max(number.rfind("."), number.rfind(","))
    marks = sum(number.count(mark) for mark in ".,")
    fraction = number[last + 1 :] if last >= 0 else ""
    is_group = len(fraction) == 3 and (marks > 1 or number[last] == ",") if last >= 0 else False
    if last < 0 or is_group:
        whole, fraction = number, ""
    else:
        whole = number[:last]
    digits = "".join(filter(str.isdigit, whole)).lstrip("0") or "0"
    fraction = fraction.rstrip("0")
    return f"{digits}.{fraction}" if fraction else digits


def plain_number(value: int | float) -> str:
    """Return a number of JSON as its exact decimal form."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return repr(value)
