"""The variables of formulas that stand for facts: the value of each field, and whether it is present.

Facts are assumed to conform to their schema: they have the declared types, and every field that is not optional. Only
arguments can have any type or be missing, whatever the tool's schema declares, so that proofs hold for every tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import z3

from streams.model.errors import InvariantError
from streams.policy.authoring.smt.terms import (
    ANY,
    FALSE,
    TRUE,
    Sort,
    Term,
    TruthFormula,
    bounds,
    conjunction,
    is_of,
    negation,
    variable,
)
from streams.policy.cel.tree import Call, Const, Expr, Ident, Select
from streams.policy.language.fact_types import FactType, Kind, ListOf, MapOf, Struct
from streams.policy.language.schema import fact

Path = tuple[str, ...]

_SCALARS = frozenset(("bool", "int", "double", "string"))
ALWAYS_THERE = frozenset({"tool"})
"""Top-level facts that are always present, because without them no rule is evaluated."""


@dataclass(frozen=True, slots=True)
class FactVariable:
    """The variables for one field.

    Attributes:
        path: the path of the field in the facts.
        holder: true if the value that contains the field has fields at all.
        present: true if the field is present, provided that `holder` is true.
        term: the value of the field.
        size: the number of elements, if the field can be a list.
    """

    path: Path
    holder: Any
    present: Any
    term: Term
    size: Any

    @property
    def presence(self) -> TruthFormula:
        """Return the formula of `has(...)` for the field."""
        return TruthFormula(
            conjunction((self.holder, self.present)), conjunction((self.holder, negation(self.present)))
        )


class FactVariables:
    """Finds the field that an expression reads, and makes the variables of each field once.

    Args:
        structs: the records of the schema, by the checker's name of their type.
    """

    def __init__(self, structs: Mapping[str, Struct]) -> None:
        self._structs = structs
        self._variables: dict[Path, FactVariable] = {}
        self.used: set[Path] = set()

    def __getitem__(self, path: Path) -> FactVariable:
        return self._variables[path]

    def find(self, node: Expr) -> FactVariable | None:
        """Return the variables for a chain of fields and constant keys from a fact, or None for other expressions."""
        if isinstance(node, Ident):
            return None if fact(node.name) is None else self.root(node.name)
        if isinstance(node, Select):
            holder = self.find(node.operand)
            return None if holder is None else self.within(holder, node.operand, node.field)
        if isinstance(node, Call) and node.function == "_[_]":
            held, key = node.args
            holder = self.find(held)
            if holder is not None and isinstance(key, Const) and type(key.value) is str:
                return self.within(holder, held, key.value)
        return None

    def root(self, name: str) -> FactVariable:
        """Return the variables for a top-level fact."""
        declared = fact(name)
        if declared is None:
            raise InvariantError(f"`{name}` is not a fact")
        present = TRUE if name in ALWAYS_THERE else _not_missing((name,))
        return self._made((name,), TRUE, present, _sort_of(declared.type))

    def text(self, root: str, field: str) -> FactVariable:
        """Return the variables for a text field of a top-level fact."""
        return self._made((root, field), self.root(root).term.ok, TRUE, Sort.STRING)

    def within(self, holder: FactVariable, held: Expr, name: str) -> FactVariable:
        """Return the variables for a field of a record or a key of a map.

        Args:
            holder: the variables for the record or map.
            held: the expression of the record or map, which has its type.
            name: the field or key.
        """
        path = (*holder.path, name)
        if holder.path[0] == "args":
            return self._made(path, _has_fields(holder.term), _not_missing(path), Sort.ANY)
        struct = self._structs.get(held.type.kind.removeprefix("struct:"))
        field = struct.field(name) if struct is not None else None
        if field is not None:
            present = _not_missing(path) if field.optional else TRUE
            return self._made(path, holder.term.ok, present, _sort_of(field.type))
        params = held.type.params
        kind = params[1].kind if held.type.kind == "map" and len(params) > 1 else ""
        sort = Sort(kind) if kind in _SCALARS else Sort.ANY
        return self._made(path, _has_fields(holder.term), _not_missing(path), sort)

    def _made(self, path: Path, holder: Any, present: Any, sort: Sort) -> FactVariable:
        self.used.add(path)
        fact_variable = self._variables.get(path)
        if fact_variable is None:
            term = variable(sort, str(path), conjunction((holder, present)))
            size = z3.Int(f"size of {path}") if sort in (Sort.LIST, Sort.ANY) else None
            fact_variable = self._variables[path] = FactVariable(path, holder, present, term, size)
        return fact_variable

    def axioms(self, path: Path) -> list[Any]:
        """Return the axioms about the variables for a field."""
        fact_variable = self._variables[path]
        found = [bounds(fact_variable.term)]
        if fact_variable.size is not None:
            found.append(fact_variable.size >= 0)
        if fact_variable.term.sort is Sort.ANY:
            # JSON has no NaN.
            found.append(
                z3.Implies(ANY.is_double(fact_variable.term.value), z3.Not(ANY.get_nan(fact_variable.term.value)))
            )
        return found


def _not_missing(path: Path) -> Any:
    return z3.Not(z3.Bool(f"{path} is missing"))


def _has_fields(term: Term) -> Any:
    if term.sort is Sort.MAP:
        return term.ok
    return conjunction((term.ok, is_of(Sort.MAP, term.value))) if term.sort is Sort.ANY else FALSE


def _sort_of(declared: FactType) -> Sort:
    """Return the sort for a declared type."""
    if isinstance(declared, ListOf):
        return Sort.LIST
    if isinstance(declared, MapOf | Struct):
        return Sort.MAP
    return Sort.ANY if declared is Kind.DYN else Sort(declared.value)
