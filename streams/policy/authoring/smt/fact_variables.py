"""The facts as variables of formulas: each field that a rule reads, and whether it is there.

Facts are taken to be as the schema says: of their types, and with every field that is not optional. Arguments may be of
any type and missing, whatever the tool's schema says, so that what is shown holds for every tool.
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
from streams.policy.language.schema import FactType, Kind, ListOf, MapOf, Struct, fact

Path = tuple[str, ...]

_SCALARS = frozenset(("bool", "int", "double", "string"))
ALWAYS_THERE = frozenset({"tool"})
"""Top-level facts without which nothing is evaluated."""


@dataclass(frozen=True, slots=True)
class FactVariable:
    """A field.

    Attributes:
        path: from the top of the facts.
        holder: when that which holds it has fields at all.
        there: when it is there, if it is held.
        term: its value.
        size: the size of a list.
    """

    path: Path
    holder: Any
    present: Any
    term: Term
    size: Any

    @property
    def presence(self) -> TruthFormula:
        """`has(...)` of it."""
        return TruthFormula(
            conjunction((self.holder, self.present)), conjunction((self.holder, negation(self.present)))
        )


class FactVariables:
    """Finds the place that an expression names, and makes the variables of each once.

    Args:
        structs: the schema's records by the checker's name of their type.
    """

    def __init__(self, structs: Mapping[str, Struct]) -> None:
        self._structs = structs
        self._variables: dict[Path, FactVariable] = {}
        self.used: set[Path] = set()

    def __getitem__(self, path: Path) -> FactVariable:
        return self._variables[path]

    def find(self, node: Expr) -> FactVariable | None:
        """The place of a chain of fields and constant keys that begins at a fact; None of anything else."""
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
        """A top-level fact."""
        declared = fact(name)
        if declared is None:
            raise InvariantError(f"`{name}` is not a fact")
        present = TRUE if name in ALWAYS_THERE else _not_missing((name,))
        return self._made((name,), TRUE, present, _sort_of(declared.type))

    def text(self, root: str, field: str) -> FactVariable:
        """A text that the schema knows: of the tool, or of the agent."""
        return self._made((root, field), self.root(root).term.ok, TRUE, Sort.STRING)

    def within(self, holder: FactVariable, held: Expr, name: str) -> FactVariable:
        """A field of a record, or what stands under a key of a map.

        Args:
            holder: the place of the record or the map.
            held: the expression of it, which says what type it has.
            name: of the field, or the key.
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
        """What holds of the variables of a place."""
        fact_variable = self._variables[path]
        found = [bounds(fact_variable.term)]
        if fact_variable.size is not None:
            found.append(fact_variable.size >= 0)
        if fact_variable.term.sort is Sort.ANY:
            # JSON has no number that is not a number.
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
    """The kind of what the schema declares."""
    if isinstance(declared, ListOf):
        return Sort.LIST
    if isinstance(declared, MapOf | Struct):
        return Sort.MAP
    return Sort.ANY if declared is Kind.DYN else Sort(declared.value)
