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
from streams.policy.authoring.smt.terms import ANY, NO, YES, Sort, Term, Truth, bounds, every, is_of, negated, variable
from streams.policy.cel.tree import Call, Const, Expr, Ident, Select
from streams.policy.language.schema import FactType, Kind, ListOf, MapOf, Struct, fact

Path = tuple[str, ...]

_SCALARS = frozenset(("bool", "int", "double", "string"))
ALWAYS_THERE = frozenset({"tool"})
"""Top-level facts without which nothing is evaluated."""


@dataclass(frozen=True, slots=True)
class Place:
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
    there: Any
    term: Term
    size: Any

    @property
    def truth_of_presence(self) -> Truth:
        """`has(...)` of it."""
        return Truth(every((self.holder, self.there)), every((self.holder, negated(self.there))))


class Places:
    """Finds the place that an expression names, and makes the variables of each once.

    Args:
        structs: the schema's records by the checker's name of their type.
    """

    def __init__(self, structs: Mapping[str, Struct]) -> None:
        self._structs = structs
        self._places: dict[Path, Place] = {}
        self.used: set[Path] = set()

    def __getitem__(self, path: Path) -> Place:
        return self._places[path]

    def find(self, node: Expr) -> Place | None:
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

    def root(self, name: str) -> Place:
        """A top-level fact."""
        declared = fact(name)
        if declared is None:
            raise InvariantError(f"`{name}` is not a fact")
        there = YES if name in ALWAYS_THERE else _not_missing((name,))
        return self._made((name,), YES, there, _sort_of(declared.type))

    def text(self, root: str, field: str) -> Place:
        """A text that the schema knows: of the tool, or of the agent."""
        return self._made((root, field), self.root(root).term.ok, YES, Sort.STRING)

    def within(self, holder: Place, held: Expr, name: str) -> Place:
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
            there = _not_missing(path) if field.optional else YES
            return self._made(path, holder.term.ok, there, _sort_of(field.type))
        params = held.type.params
        kind = params[1].kind if held.type.kind == "map" and len(params) > 1 else ""
        sort = Sort(kind) if kind in _SCALARS else Sort.ANY
        return self._made(path, _has_fields(holder.term), _not_missing(path), sort)

    def _made(self, path: Path, holder: Any, there: Any, sort: Sort) -> Place:
        self.used.add(path)
        place = self._places.get(path)
        if place is None:
            term = variable(sort, str(path), every((holder, there)))
            size = z3.Int(f"size of {path}") if sort in (Sort.LIST, Sort.ANY) else None
            place = self._places[path] = Place(path, holder, there, term, size)
        return place

    def axioms(self, path: Path) -> list[Any]:
        """What holds of the variables of a place."""
        place = self._places[path]
        found = [bounds(place.term)]
        if place.size is not None:
            found.append(place.size >= 0)
        if place.term.sort is Sort.ANY:
            # JSON has no number that is not a number.
            found.append(z3.Implies(ANY.is_double(place.term.value), z3.Not(ANY.get_nan(place.term.value))))
        return found


def _not_missing(path: Path) -> Any:
    return z3.Not(z3.Bool(f"{path} is missing"))


def _has_fields(term: Term) -> Any:
    if term.sort is Sort.MAP:
        return term.ok
    return every((term.ok, is_of(Sort.MAP, term.value))) if term.sort is Sort.ANY else NO


def _sort_of(declared: FactType) -> Sort:
    """The kind of what the schema declares."""
    if isinstance(declared, ListOf):
        return Sort.LIST
    if isinstance(declared, MapOf | Struct):
        return Sort.MAP
    return Sort.ANY if declared is Kind.DYN else Sort(declared.value)
