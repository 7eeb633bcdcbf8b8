"""Constant folding: computes the constant parts of a tree when it is compiled."""

from __future__ import annotations

from msgspec.structs import replace

from streams.policy.cel.exact import UnsupportedExpressionError, compile_exact
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.substitute import map_children
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, MakeList, MakeMap
from streams.policy.errors import EvaluationError

_NOT_FOLDED = frozenset(("_&&_", "_||_", "_?_:_", "@not_strictly_false"))


def simplify(node: Expr) -> Expr:
    """Return the tree in which calls and lists of constants are replaced by their values, unless they have an error."""
    if isinstance(node, Comprehension):
        # The parts that the macro made are not changed, so that the macro is still recognized.
        kind = classify(node).kind
        if kind is FoldKind.BIND:
            return replace(node, accu_init=simplify(node.accu_init), result=simplify(node.result))
        step = node.step if kind is FoldKind.OTHER else _step(node.step)
        return replace(node, iter_range=simplify(node.iter_range), step=step)
    if isinstance(node, MakeMap):
        return node
    node = map_children(node, simplify)
    if isinstance(node, MakeList) and all(isinstance(item, Const) for item in node.items):
        return Const(node.type, node.offset, [item.value for item in node.items if isinstance(item, Const)])
    if isinstance(node, Call) and node.function not in _NOT_FOLDED:
        return _folded(node) if all(isinstance(arg, Const) for arg in node.args) else node
    return node


def _step(step: Expr) -> Expr:
    """Return the step of a fold in which only the parts that the author wrote are simplified."""
    if not isinstance(step, Call):
        return step
    if step.function == "_?_:_":
        test, then, otherwise = step.args
        return replace(step, args=(simplify(test), _step(then), otherwise))
    accu, part = step.args
    if step.function == "_+_" and isinstance(part, MakeList):
        return replace(step, args=(accu, replace(part, items=tuple(simplify(item) for item in part.items))))
    return replace(step, args=(accu, simplify(part)))


def _folded(call: Call) -> Expr:
    try:
        return Const(call.type, call.offset, compile_exact(call)({}))
    except (EvaluationError, UnsupportedExpressionError):
        return call
