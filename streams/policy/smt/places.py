"""The facts as variables of formulas: each field that a rule reads, and whether it is there.

Facts are taken to be as the schema says: of their types, and with every field that is not optional. Arguments may be of
any type and missing, whatever the tool's schema says, so that what is shown holds for every tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import z3

from streams.policy.cel.tree import Call, Const, Expr, Ident, Select
from streams.policy.schema import Struct, fact
from streams.policy.smt.terms import NO, YES, Sort, Term, Truth, bounds, every, is_of, negated, variable

Path = tuple[str, ...]

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
            return self.root(node.name, node.type.kind)
        if isinstance(node, Select):
            holder = self.find(node.operand)
            return None if holder is None else self._field(node.operand, holder, node.field, node.type.kind)
        if isinstance(node, Call) and node.function == "_[_]":
            held, key = node.args
            holder = self.find(held)
            if holder is not None and isinstance(key, Const) and type(key.value) is str:
                return self._field(held, holder, key.value, node.type.kind)
        return None

    def root(self, name: str, kind: str = "string") -> Place | None:
        """A top-level fact; None where there is none of that name."""
        if fact(name) is None:
            return None
        sort = Sort.MAP if name == "args" else _sort_of(kind)
        there = YES if name in ALWAYS_THERE else z3.Not(z3.Bool(f"{(name,)} is missing"))
        return self._made((name,), YES, there, sort)

    def text(self, *path: str) -> Place:
        """A text that the schema knows: of the tool, the agent, the tenant."""
        place = self.root(path[0], "string" if len(path) == 1 else "struct:")
        if place is None or len(path) == 1:
            return place or self._made(path, YES, YES, Sort.STRING)
        return self._made(path, place.term.ok, YES, Sort.STRING)

    def key(self, holder: Place, key: str, kind: str = "dyn") -> Place:
        """What stands under a key of a map."""
        sort = Sort.ANY if holder.path[0] == "args" else _sort_of(kind)
        path = (*holder.path, key)
        return self._made(path, _has_fields(holder.term), z3.Not(z3.Bool(f"{path} is missing")), sort)

    def _field(self, held: Expr, holder: Place, name: str, kind: str) -> Place:
        struct = self._structs.get(held.type.kind.removeprefix("struct:"))
        field = struct.field(name) if struct is not None and holder.path[0] != "args" else None
        if field is None or field.optional:
            return self.key(holder, name, kind)
        return self._made((*holder.path, name), holder.term.ok, YES, _sort_of(kind))

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
        return [bounds(place.term), *(() if place.size is None else (place.size >= 0,))]


def _has_fields(term: Term) -> Any:
    if term.sort is Sort.MAP:
        return term.ok
    return every((term.ok, is_of(Sort.MAP, term.value))) if term.sort is Sort.ANY else NO


_SORTS = {sort: Sort(sort) for sort in ("bool", "int", "double", "string", "list", "map")}


def _sort_of(kind: str) -> Sort:
    """The kind of a value, by the checker's name of its type."""
    return Sort.MAP if kind.startswith("struct:") else _SORTS.get(kind, Sort.ANY)
