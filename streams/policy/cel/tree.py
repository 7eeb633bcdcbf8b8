"""The checked expression: an immutable tree in which every node has its type, its overloads and its offset.

It is read from the standard `cel.expr.CheckedExpr` (see `checked_expression.py`), in which macros are expanded and
names are resolved. Evaluators and the code generator use this tree and never the text of a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import msgspec


class StaticType(msgspec.Struct, frozen=True):
    """The static type of a value: `kind` is `int`, `list`, `struct:NAME`, ...; `params` are those of lists and maps."""

    kind: str
    params: tuple[StaticType, ...] = ()

    def __str__(self) -> str:
        name = self.kind.removeprefix("struct:").rpartition(".")[2] if self.kind.startswith("struct:") else self.kind
        return f"{name}({', '.join(str(param) for param in self.params)})" if self.params else name


DYN = StaticType("dyn")


class Expr(msgspec.Struct, frozen=True):
    """The base of all nodes: the static type, and the offset in the text (-1 if a macro made the node)."""

    type: StaticType
    offset: int


class Const(Expr, frozen=True):
    """A literal; `value` has the evaluator's representation (see `values.py`)."""

    value: Any


class Ident(Expr, frozen=True):
    """A variable, by its resolved name, which may contain dots; or the name of a type."""

    name: str


class Select(Expr, frozen=True):
    """`operand.field`, or `has(operand.field)` if `test` is true."""

    operand: Expr
    field: str
    test: bool


class Call(Expr, frozen=True):
    """A call of a function or operator. A receiver is the first of `args`; `overloads` are the checker's candidates."""

    function: str
    member: bool
    args: tuple[Expr, ...]
    overloads: tuple[str, ...]


class MakeList(Expr, frozen=True):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class MakeMap(Expr, frozen=True):
    """`{a: b}`."""

    entries: tuple[tuple[Expr, Expr], ...]


class MakeStruct(Expr, frozen=True):
    """`Name{...}`: it can be parsed, but rules must not use it."""

    name: str


class Comprehension(Expr, frozen=True):
    """A fold, to which the macros `all`, `exists`, `map`, `filter` and `cel.bind` are expanded."""

    iter_var: str
    iter_var2: str
    iter_range: Expr
    accu_var: str
    accu_init: Expr
    condition: Expr
    step: Expr
    result: Expr


def children(node: Expr) -> tuple[Expr, ...]:
    """Return the direct sub-expressions."""
    # By class, because most nodes are leaves, and `isinstance` would ask about every kind that has children.
    list_them = _CHILDREN.get(node.__class__)
    return () if list_them is None else list_them(node)


_CHILDREN: Mapping[type[Expr], Callable[[Any], tuple[Expr, ...]]] = {
    Select: lambda node: (node.operand,),
    Call: attrgetter("args"),
    MakeList: attrgetter("items"),
    MakeMap: lambda node: tuple(part for entry in node.entries for part in entry),
    Comprehension: attrgetter("iter_range", "accu_init", "condition", "step", "result"),
}
"""What has children, and how to list them. No class of nodes has subclasses."""


def walk(node: Expr) -> Iterator[Expr]:
    """Yield the node and all its descendants, parents first."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(children(top)))


def free_names(node: Expr, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the free variables of an expression, which include the names of types."""
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
