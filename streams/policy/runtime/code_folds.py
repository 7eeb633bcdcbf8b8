"""Writes folds (`all`, `exists`, `map`, `filter`, `cel.bind`) as Python comprehensions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streams.policy.cel.folds import Fold, FoldKind, classify
from streams.policy.cel.simplify import simplify
from streams.policy.cel.strings import is_free_pattern, search_in_any
from streams.policy.cel.structural_hash import structural_key
from streams.policy.cel.substitute import substitute
from streams.policy.cel.tree import DYN, Call, Comprehension, Const, Expr, Ident, walk
from streams.policy.cel.work import SMALL_MAX
from streams.policy.runtime.code_guards import guard_range
from streams.policy.runtime.code_symbols import UNSET, UnsupportedNodeError
from streams.policy.runtime.code_typing import TypedWriter
from streams.policy.runtime.code_work import LoopBound, bound_of

CONSTANT_LOOP_MAX = 1_000
NESTED_CONSTANT_LOOP_MAX = 16
"""The longest constant list for a loop within a loop whose body may read large texts."""

UNROLLED_MAX = 8

_LOGICAL_OPERATORS = {FoldKind.ALL: " and ", FoldKind.EXISTS: " or "}


class FoldWriter:
    """Writes the folds of conditions.

    Args:
        writer: writes the expressions in them.

    Attributes:
        max_range_length: the longest list for which the steps of the current condition are within their bound.
    """

    def __init__(self, writer: TypedWriter) -> None:
        self.max_range_length = 0
        self._writer = writer
        self._symbols = writer.symbols
        self._unrolling = False

    def write(self, node: Comprehension) -> str:
        """Return the code of a fold.

        Raises:
            UnsupportedNodeError: generated code can't express it.
        """
        if self._writer.in_loop:
            return self._loop(node)
        shared = self._writer.shared.folds.get(structural_key(node))
        if shared is None:
            return self._loop(node)
        with self._within_shared_bounds():
            return f"({shared} if {shared} is not {self._unset()} else ({shared} := {self._loop(node)}))"

    def _unset(self) -> str:
        return self._symbols.constant(UNSET)

    def _loop(self, node: Comprehension) -> str:
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            name = self._symbols.local()
            value = self._iterable(node.accu_init)
            return f"[{self._in_scope({node.accu_var: name}, fold.body)} for {name} in ({value},)][0]"
        if fold.kind is FoldKind.OTHER:
            raise UnsupportedNodeError
        unrolled = self._unrolled(node, fold)
        if unrolled is not None:
            return unrolled
        if fold.kind in _LOGICAL_OPERATORS:
            return self._test(node, fold)
        source, names = self._range(node, self._bound_of(node, fold))
        target = ", ".join(names.values())
        if fold.kind is FoldKind.EXISTS_ONE:
            return f"(sum(1 for {target} in {source} if {self._in_scope(names, fold.body, 'bool')}) == 1)"
        test = f" if {self._in_scope(names, fold.test, 'bool')}" if fold.test is not None else ""
        return f"[{self._in_scope(names, fold.body)} for {target} in {source}{test}]"

    def _test(self, node: Comprehension, fold: Fold) -> str:
        """Return the code of `all` or `exists`."""
        shared = None
        if not (self._writer.in_loop or node.iter_var2):
            shared = self._writer.shared.ranges.get(structural_key(node.iter_range))
        bound = self._bound_of(node, fold)
        if shared is None:
            return self._test_of(node, fold, *self._range(node, bound))
        unset = self._unset()
        with self._within_shared_bounds():
            source = self._bounded(
                self._writer.typed(node.iter_range, "list"), LoopBound(self.max_range_length, 1, is_linear=True)
            )
        listed = f"{shared} if {shared} is not {unset} else ({shared} := {source})"
        # The first operand only assigns the list and is always true. Python allows no assignment in a comprehension's
        # iterable.
        names = {node.iter_var: self._symbols.local()}
        # Lists of ordinary length are not checked again for this fold.
        visited = f"({shared} if len({shared}) <= {SMALL_MAX} else {self._bounded(shared, bound)})"
        return f"(({listed}) is not {unset} and {self._test_of(node, fold, visited, names)})"

    def _test_of(self, node: Comprehension, fold: Fold, source: str, names: dict[str, str]) -> str:
        pattern = _searched_pattern(node, fold)
        if pattern is not None:
            return f"{self._symbols.constant(search_in_any(pattern))}({source})"
        word = "all" if fold.kind is FoldKind.ALL else "any"
        test = f"{word}({self._in_scope(names, fold.body, 'bool')} for {', '.join(names.values())} in {source})"
        is_loaded = self._writer.is_loaded(node.iter_range)
        listed = self._writer.raw(node.iter_range) if is_loaded else None
        # For an empty list the result is known. Many lists, such as `session.changed`, are nearly always empty.
        return test if listed is None else f"({test} if {listed} else {fold.kind is FoldKind.ALL})"

    @contextmanager
    def _within_shared_bounds(self) -> Iterator[None]:
        """Write code that several conditions share, within the bounds of all of them."""
        before, self.max_range_length = self.max_range_length, self._writer.shared.max_range_length
        try:
            yield
        finally:
            self.max_range_length = before

    def _unrolled(self, node: Comprehension, fold: Fold) -> str | None:
        """Return the unrolled code of a fold over a few constants, or None for other folds."""
        values = _known_values(node)
        is_logical = fold.kind in _LOGICAL_OPERATORS and not node.iter_var2
        if not is_logical or self._unrolling or not 0 < len(values) <= UNROLLED_MAX:
            return None
        if any(isinstance(part, Comprehension) for part in walk(fold.body)):
            # Nested loops multiply; see `_range`.
            return None
        self._unrolling = True
        try:
            predicates = (simplify(substitute(fold.body, node.iter_var, value)) for value in values)
            bodies = [self._writer.boolean(predicate) for predicate in predicates]
        finally:
            self._unrolling = False
        return f"({_LOGICAL_OPERATORS[fold.kind].join(bodies)})"

    def _bound_of(self, node: Comprehension, fold: Fold) -> LoopBound:
        return bound_of(node, fold, self.max_range_length)

    def _range(self, node: Comprehension, bound: LoopBound) -> tuple[str, dict[str, str]]:
        """Return the code of a fold's range, and the local names of its variables."""
        is_nested = self._writer.in_scope and not bound.is_linear
        constant_max = NESTED_CONSTANT_LOOP_MAX if is_nested else CONSTANT_LOOP_MAX
        constant = isinstance(node.iter_range, Const) and len(node.iter_range.value) <= constant_max
        if self._writer.in_scope and not constant:
            # Nested loops multiply; the exact evaluator counts their steps.
            raise UnsupportedNodeError
        first = {node.iter_var: self._symbols.local()}
        if node.iter_var2:
            if node.iter_range.type.kind != "list":
                raise UnsupportedNodeError
            source = self._iterable(node.iter_range, "list")
            source = source if constant else self._bounded(source, bound)
            return f"enumerate({source})", first | {node.iter_var2: self._symbols.local()}
        kind = "list" if node.iter_range.type.kind == "list" else ""
        source = self._iterable(node.iter_range, kind)
        if constant:
            return source, first
        checked = self._bounded(source, bound)
        if bound.longest >= SMALL_MAX and source.isidentifier() and self._writer.is_loaded(node.iter_range):
            # Its class was checked when it was loaded, and of a list of ordinary length there is nothing else to check.
            return f"({source} if len({source}) <= {SMALL_MAX} else {checked})", first
        return checked, first

    def _bounded(self, code: str, bound: LoopBound) -> str:
        """Return the code of a range with a check of its length; longer ones are left to the exact evaluator."""
        return f"{self._symbols.constant(guard_range(bound.longest, bound.nodes_count))}({code})"

    def _iterable(self, node: Expr, kind: str = "") -> str:
        """Return the code of the iterable of a comprehension, in which Python allows no assignment."""
        with self._writer.iterable():
            return self._writer.typed(node, kind) if kind else self._writer.raw(node)

    def _in_scope(self, names: dict[str, str], body: Expr, kind: str = "") -> str:
        with self._writer.scope(names):
            return self._writer.typed(body, kind) if kind else self._writer.raw(body)


def _known_values(node: Comprehension) -> list[Expr]:
    """Return the elements of a fold's range if it is a constant list, or none."""
    source = node.iter_range
    if not isinstance(source, Const) or source.type.kind != "list":
        return []
    kind = source.type.params[0] if source.type.params else DYN
    return [Const(kind, source.offset, value) for value in source.value]


def _searched_pattern(node: Comprehension, fold: Fold) -> str | None:
    """Return the pattern if a fold only searches for one in each text of a list, or None."""
    body = fold.body
    if fold.kind is not FoldKind.EXISTS or node.iter_var2 or node.iter_range.type.kind != "list":
        return None
    if not isinstance(body, Call) or body.function != "matches":
        return None
    text, pattern = body.args
    if not isinstance(text, Ident) or text.name != node.iter_var or not isinstance(pattern, Const):
        return None
    return pattern.value if pattern.value.__class__ is str and is_free_pattern(pattern.value) else None
