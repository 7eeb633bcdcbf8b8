"""The checked expression: an immutable tree in which every node knows its type, its overloads and its place.

It is read from the standard `cel.expr.CheckedExpr` (see `wire.py`), in which macros are expanded and names are
resolved. Evaluators and the code generator work on this tree and never on a rule's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StaticType:
    """What the checker knows of a value: `kind` is `int`, `list`, `struct:NAME`, ...; `params` of lists and maps."""

    kind: str
    params: tuple[StaticType, ...] = ()

    def __str__(self) -> str:
        name = self.kind.removeprefix("struct:").rpartition(".")[2] if self.kind.startswith("struct:") else self.kind
        return f"{name}({', '.join(str(param) for param in self.params)})" if self.params else name


DYN = StaticType("dyn")


@dataclass(frozen=True, slots=True)
class Expr:
    """What all nodes have: the checker's type, and the offset in the text (-1 where a macro made the node)."""

    type: StaticType
    offset: int


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A literal; `value` is in the evaluator's representation (see `values.py`)."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ident(Expr):
    """A variable, by its resolved (possibly dotted) name, or the name of a type."""

    name: str


@dataclass(frozen=True, slots=True)
class Select(Expr):
    """`operand.field`; with `test` it is `has(operand.field)`."""

    operand: Expr
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function or operator; a receiver is the first of `args`. `overloads` are the checker's candidates."""

    function: str
    member: bool
    args: tuple[Expr, ...]
    overloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MakeList(Expr):
    """`[a, b]`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class MakeMap(Expr):
    """`{a: b}`."""

    entries: tuple[tuple[Expr, Expr], ...]


@dataclass(frozen=True, slots=True)
class MakeStruct(Expr):
    """`Name{...}`: parsed, but nothing in the rules may make one."""

    name: str


@dataclass(frozen=True, slots=True)
class Comprehension(Expr):
    """A fold, which is what `all`, `exists`, `map`, `filter` and `cel.bind` become."""

    iter_var: str
    iter_var2: str
    iter_range: Expr
    accu_var: str
    accu_init: Expr
    condition: Expr
    step: Expr
    result: Expr


def children(node: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions."""
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Call):
        return node.args
    if isinstance(node, MakeList):
        return node.items
    if isinstance(node, MakeMap):
        return tuple(part for entry in node.entries for part in entry)
    if isinstance(node, Comprehension):
        return (node.iter_range, node.accu_init, node.condition, node.step, node.result)
    return ()


def walk(node: Expr) -> Iterator[Expr]:
    """The node and everything below it, parents first."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(children(top)))


def free_names(node: Expr, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """The variables that the expression reads from outside; names of types are among them."""
    if isinstance(node, Ident):
        if node.name not in bound:
            yield node.name
        return
    if not isinstance(node, Comprehension):
        for child in children(node):
            yield from free_names(child, bound)
        return
    yield from free_names(node.iter_range, bound)
    yield from free_names(node.accu_init, bound)
    inside = bound | {node.accu_var}
    yield from free_names(node.result, inside)
    inside |= {node.iter_var, node.iter_var2}
    yield from free_names(node.condition, inside)
    yield from free_names(node.step, inside)
