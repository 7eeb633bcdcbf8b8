"""The terms of formulas: the value of an expression, of a known or unknown kind, and whether it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import z3

from streams.policy.cel.values import INT_MAX, INT_MIN

EXACT_INTEGER_MAX = 2**53
"""Integers below this limit are represented exactly as doubles."""

CODE_POINT_MAX = 0x2FFFF
"""The last character that z3 supports."""

TRUE = z3.BoolVal(True)
FALSE = z3.BoolVal(False)

# z3 has each formula once, so that its number tells which one it is; to ask what a formula is takes five calls.
_TRUE_ID = TRUE.get_id()
_FALSE_ID = FALSE.get_id()

TYPED_TERMS_MAX = 2_000
"""For how many terms the kinds are kept."""


class Sort(StrEnum):
    """The kinds of values; ANY means that the kind is not known."""

    NULL = "null"
    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    LIST = "list"
    MAP = "map"
    ANY = "any"


def _declare_any() -> Any:
    declared = z3.Datatype("Any")
    declared.declare("null")
    declared.declare("bool", ("get_bool", z3.BoolSort()))
    declared.declare("int", ("get_int", z3.IntSort()))
    declared.declare("double", ("get_nan", z3.BoolSort()), ("get_real", z3.RealSort()))
    declared.declare("string", ("get_string", z3.StringSort()))
    declared.declare("list")
    declared.declare("map")
    return declared.create()


ANY: Any = _declare_any()
"""The sort of z3 for values of unknown kind. All lists are equal in it, and all maps, so the equality of two of them
means nothing."""


class Double(NamedTuple):
    """A double: a real number or NaN. Infinities are reals beyond all constants."""

    is_nan: Any
    real: Any


class TruthFormula(NamedTuple):
    """A condition in three-valued logic: formulas for true and for false. If neither holds, it is in error."""

    yes: Any
    no: Any

    @property
    def failed(self) -> Any:
        """Return the formula which means that the condition is in error."""
        return z3.And(z3.Not(self.yes), z3.Not(self.no))


@dataclass(frozen=True, slots=True)
class Term:
    """The value of an expression.

    Attributes:
        ok: the formula which means that the expression is not in error.
        sort: the kind of the value.
        value: the expression of z3; a `Double` for doubles; None for null, lists and maps.
    """

    ok: Any
    sort: Sort
    value: Any


class TypedValue(NamedTuple):
    """One possible kind of a term: if `when` is true, the term has this kind and this value."""

    when: Any
    sort: Sort
    value: Any


def conjunction(parts: Iterable[Any]) -> Any:
    """Return the conjunction of formulas, without trivial ones."""
    kept = [part for part in parts if part.get_id() != _TRUE_ID]
    return TRUE if not kept else kept[0] if len(kept) == 1 else z3.And(kept)


def disjunction(parts: Iterable[Any]) -> Any:
    """Return the disjunction of formulas, without trivial ones."""
    kept = [part for part in parts if part.get_id() != _FALSE_ID]
    return FALSE if not kept else kept[0] if len(kept) == 1 else z3.Or(kept)


def negation(part: Any) -> Any:
    """Return the negation of a formula."""
    if part.get_id() == _TRUE_ID:
        return FALSE
    return TRUE if part.get_id() == _FALSE_ID else z3.Not(part)


def typed_values(term: Term) -> Iterable[TypedValue]:
    """Return the value of a term for each kind that it can have."""
    if term.sort is not Sort.ANY:
        return (TypedValue(term.ok, term.sort, term.value),)
    # The rules of a bundle read the same facts.
    key = (term.ok.get_id(), term.value.get_id())
    kept = _typed_terms.get(key)
    if kept is None:
        if len(_typed_terms) >= TYPED_TERMS_MAX:
            _typed_terms.clear()
        kept = _typed_terms[key] = (term, tuple(_kinds_of(term)))
    return kept[1]


_typed_terms: dict[tuple[int, int], tuple[Term, tuple[TypedValue, ...]]] = {}
"""The kinds of terms by the numbers of their formulas. The term is kept too, because z3 uses numbers again."""


def _kinds_of(term: Term) -> Iterator[TypedValue]:
    value = term.value
    contents: dict[Sort, Any] = {
        Sort.NULL: None,
        Sort.BOOL: ANY.get_bool(value),
        Sort.INT: ANY.get_int(value),
        Sort.DOUBLE: Double(ANY.get_nan(value), ANY.get_real(value)),
        Sort.STRING: ANY.get_string(value),
        Sort.LIST: None,
        Sort.MAP: None,
    }
    for sort, content in contents.items():
        yield TypedValue(conjunction((term.ok, is_of(sort, value))), sort, content)


def is_of(sort: Sort, value: Any) -> Any:
    """Return the formula which means that a value of sort `ANY` has a kind."""
    return getattr(ANY, f"is_{sort}")(value)


def truth_of(term: Term) -> TruthFormula:
    """Return a term as a condition; it is in error if the value is not a bool."""
    found = [typed for typed in typed_values(term) if typed.sort is Sort.BOOL]
    return TruthFormula(
        disjunction(conjunction((when, value)) for when, _, value in found),
        disjunction(conjunction((when, negation(value))) for when, _, value in found),
    )


def term_of(truth: TruthFormula) -> Term:
    """Return a condition as a term of kind bool."""
    return Term(disjunction((truth.yes, truth.no)), Sort.BOOL, truth.yes)


def constant(value: object) -> Term | None:
    """Return the term of a literal, or None if formulas can't express it."""
    if value is None:
        return Term(TRUE, Sort.NULL, None)
    if isinstance(value, bool):
        return Term(TRUE, Sort.BOOL, z3.BoolVal(value))
    if type(value) is int:
        return Term(TRUE, Sort.INT, z3.IntVal(value))
    if type(value) is float and value - value == 0:
        return Term(TRUE, Sort.DOUBLE, Double(FALSE, z3.RatVal(*value.as_integer_ratio())))
    if type(value) is str and all(ord(character) < CODE_POINT_MAX for character in value):
        return Term(TRUE, Sort.STRING, text(value))
    return None


def text(value: str) -> Any:
    """Return a text literal of z3, in which a backslash would begin an escape sequence."""
    return z3.StringVal(value.replace("\\", "\\u{5c}"))


def variable(sort: Sort, name: str, ok: Any = TRUE) -> Term:
    """Return an unconstrained term of a kind."""
    makers: dict[Sort, Callable[[], Any]] = {
        Sort.BOOL: lambda: z3.Bool(name),
        Sort.INT: lambda: z3.Int(name),
        Sort.STRING: lambda: z3.String(name),
        Sort.DOUBLE: lambda: Double(z3.Bool(f"{name} is nan"), z3.Real(name)),
        Sort.ANY: lambda: z3.Const(name, ANY),
    }
    maker = makers.get(sort)
    return Term(ok, sort, None if maker is None else maker())


def in_int64(value: Any) -> Any:
    """Return the formula which means that an integer fits 64 bits."""
    return z3.And(value >= INT_MIN, value <= INT_MAX)


def bounds(term: Term) -> Any:
    """Return the axiom about an unconstrained term: integers have 64 bits."""
    if term.sort is Sort.INT:
        return in_int64(term.value)
    if term.sort is Sort.ANY:
        return z3.Implies(ANY.is_int(term.value), in_int64(ANY.get_int(term.value)))
    return TRUE
