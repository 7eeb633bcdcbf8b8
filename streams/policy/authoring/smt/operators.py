"""Translates CEL's operators to formulas, for each kind of operand. Without a matching overload the result is an error.

`Free` makes an unconstrained variable for what formulas can't express. The same expression always gets the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import z3

from streams.policy.authoring.smt.terms import (
    EXACT_INTEGER_MAX,
    FALSE,
    TRUE,
    Double,
    Sort,
    Term,
    TruthFormula,
    TypedValue,
    conjunction,
    disjunction,
    in_int64,
    negation,
    typed_values,
)
from streams.policy.cel.ops import TEXT_SIZE_MAX

Free = Callable[[str], Any]
"""Makes an unconstrained bool; the argument distinguishes several of them for one expression."""

_NUMBERS = frozenset({Sort.INT, Sort.DOUBLE})
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "_<_": lambda left, right: left < right,
    "_<=_": lambda left, right: left <= right,
    "_>_": lambda left, right: left > right,
    "_>=_": lambda left, right: left >= right,
}
_TEXT_TESTS: dict[str, Callable[[Any, Any], Any]] = {
    "startsWith": lambda text, part: z3.PrefixOf(part, text),
    "endsWith": lambda text, part: z3.SuffixOf(part, text),
    "contains": z3.Contains,
}
_OPERANDS = {"_+_": frozenset({*_NUMBERS, Sort.STRING, Sort.LIST}), "_%_": frozenset({Sort.INT})}
ORDERS = frozenset(_COMPARE)
TEXT_TESTS = frozenset(_TEXT_TESTS)
ARITHMETIC = frozenset(("_+_", "_-_", "_*_", "_/_", "_%_"))


def equality(left: Term, right: Term, free: Free) -> TruthFormula:
    """Translate `==`. Values of different kinds are not equal, except numbers."""
    same = []
    for one, other in product(typed_values(left), typed_values(right)):
        if one.sort is other.sort or {one.sort, other.sort} == _NUMBERS:
            same.append(conjunction((one.when, other.when, _equal(one, other, free))))
    yes = disjunction(same)
    return TruthFormula(yes, conjunction((left.ok, right.ok, negation(yes))))


def _equal(one: TypedValue, other: TypedValue, free: Free) -> Any:
    if one.sort is Sort.NULL:
        return TRUE
    if one.sort in (Sort.LIST, Sort.MAP):
        return free(str(one.sort))
    if one.sort is other.sort and one.sort is not Sort.DOUBLE:
        return one.value == other.value
    return _compare_numbers(one, other, lambda left, right: left == right, free)


def _compare_numbers(one: TypedValue, other: TypedValue, compare: Callable[[Any, Any], Any], free: Free) -> Any:
    """Compare two numbers of which at least one is a double; an integer is converted to a double, with rounding."""
    if {one.sort, other.sort} == _NUMBERS and not (_is_small(one) or _is_small(other)):
        return free("numbers")
    numbers = [typed.value for typed in (one, other) if isinstance(typed.value, Double)]
    left, right = (typed.value.real if typed.sort is Sort.DOUBLE else z3.ToReal(typed.value)
                   for typed in (one, other))  # fmt: skip
    return conjunction((*(negation(number.is_nan) for number in numbers), compare(left, right)))


def _is_small(typed: TypedValue) -> bool:
    """Return whether it is a constant that is small enough to compare integers and doubles exactly."""
    value = typed.value.real if typed.sort is Sort.DOUBLE else typed.value
    if z3.is_int_value(value):
        return bool(abs(value.as_long()) < EXACT_INTEGER_MAX)
    return z3.is_rational_value(value) and bool(abs(value.as_fraction()) < EXACT_INTEGER_MAX)


def order(function: str, left: Term, right: Term, free: Free) -> TruthFormula:
    """Translate `<`, `<=`, `>` or `>=` of numbers, texts and bools."""
    compare = _COMPARE[function]

    def apply(one: TypedValue, other: TypedValue) -> Any:
        sorts = {one.sort, other.sort}
        if sorts == {Sort.INT}:
            return compare(one.value, other.value)
        if sorts <= _NUMBERS:
            return _compare_numbers(one, other, compare, free)
        if sorts == {Sort.BOOL}:
            return compare(*(z3.If(typed.value, 1, 0) for typed in (one, other)))
        return free("order") if sorts == {Sort.STRING} else None

    return _test(apply, left, right)


def text_test(function: str, left: Term, right: Term) -> TruthFormula:
    """Translate `startsWith`, `endsWith` or `contains` of texts."""
    test = _TEXT_TESTS[function]

    def apply(one: TypedValue, other: TypedValue) -> Any:
        return test(one.value, other.value) if one.sort is other.sort is Sort.STRING else None

    return _test(apply, left, right)


def _test(apply: Callable[[TypedValue, TypedValue], Any], left: Term, right: Term) -> TruthFormula:
    yes, no = [], []
    for one, other in product(typed_values(left), typed_values(right)):
        holds = apply(one, other)
        if holds is not None:
            yes.append(conjunction((one.when, other.when, holds)))
            no.append(conjunction((one.when, other.when, negation(holds))))
    return TruthFormula(disjunction(yes), disjunction(no))


def arithmetic(function: str, left: Term, right: Term) -> Term | None:
    """Translate `+`, `-`, `*`, `/` or `%`; None if the kind or the value of the result can't be expressed."""
    results: list[tuple[Any, Term]] = []
    for one, other in product(typed_values(left), typed_values(right)):
        if one.sort is not other.sort or one.sort not in _OPERANDS.get(function, _NUMBERS):
            continue
        result = None
        if one.sort is Sort.INT:
            result = _integers(function, one.value, other.value)
        elif one.sort is Sort.STRING:
            joined = z3.Concat(one.value, other.value)
            result = Term(z3.Length(joined) <= TEXT_SIZE_MAX, Sort.STRING, joined)
        if result is None:
            return None
        results.append((conjunction((one.when, other.when)), result))
    return select_case(results)


def _integers(function: str, left: Any, right: Any) -> Term | None:
    if function in ("_/_", "_%_"):
        if not z3.is_int_value(right):
            return None
        return _divided(function, left, right.as_long())
    value = {"_+_": lambda: left + right, "_-_": lambda: left - right, "_*_": lambda: left * right}[function]()
    return Term(in_int64(value), Sort.INT, value)


def _divided(function: str, left: Any, divisor: int) -> Term:
    """Divide towards zero, with a remainder of the sign of the dividend; the division of z3 rounds down."""
    if divisor == 0:
        return Term(FALSE, Sort.INT, left)
    size, by = z3.If(left < 0, -left, left), abs(divisor)
    whole = size / by if function == "_/_" else size % by
    negative = left < 0 if function == "_%_" or divisor > 0 else left >= 0
    value = z3.If(negative, -whole, whole)
    # The only overflow is the least integer divided by -1. CEL also rejects its remainder.
    ok = in_int64(-left) if divisor == -1 else TRUE
    return Term(ok, Sort.INT, value)


def negative(term: Term) -> Term | None:
    """Translate the negation of a number."""
    results = []
    for when, sort, value in typed_values(term):
        if sort is Sort.INT:
            results.append((when, Term(in_int64(-value), Sort.INT, -value)))
        elif sort is Sort.DOUBLE:
            results.append((when, Term(TRUE, sort, Double(value.is_nan, -value.real))))
    return select_case(results)


def select_case(results: Iterable[tuple[Any, Term]]) -> Term | None:
    """Return the value of the case whose condition is true, or None if the cases have different kinds."""
    results = list(results)
    if len({term.sort for _, term in results}) != 1:
        return None
    sort = results[0][1].sort
    ok = disjunction(conjunction((when, term.ok)) for when, term in results)
    value = results[-1][1].value
    for when, term in reversed(results[:-1]):
        value = _either(when, term.value, value)
    return Term(ok, sort, value)


def _either(when: Any, one: Any, other: Any) -> Any:
    if isinstance(one, Double):
        return Double(z3.If(when, one.is_nan, other.is_nan), z3.If(when, one.real, other.real))
    return one if one is None else z3.If(when, one, other)
