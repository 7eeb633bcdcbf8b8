"""What is known of the values that code computes: their types, and the variables that surround them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.strings import STRING_FUNCTIONS
from streams.policy.cel.times import TIME_FUNCTIONS
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, Select
from streams.policy.language.fact_types import Struct
from streams.policy.language.schema import FACT_NAMES
from streams.policy.runtime.code_guards import CLASSES, GUARDS
from streams.policy.runtime.code_shared import SharedValues
from streams.policy.runtime.code_symbols import Symbols, UnsupportedNodeError

ARITHMETIC = {"_+_": "+", "_-_": "-", "_*_": "*"}

_CALLS_OF_KNOWN_TYPE = frozenset(("size", "int", "double", "string", *STRING_FUNCTIONS, *TIME_FUNCTIONS)) - {"split"}


class TypedWriter(ABC):
    """Writes typed code of raw code, where the class of the value is not known, with a check.

    Args:
        constants: the named lists, by full name.
        structs: the records of the schema, by the checker's name of their type.

    Attributes:
        symbols: the names that the code uses.
        shared: the values that the conditions share.
    """

    def __init__(self, constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]) -> None:
        self.symbols = Symbols()
        self.shared = SharedValues()
        self._constants = constants
        self._structs = structs
        self._scopes: list[dict[str, str]] = []
        self._in_iterable = 0

    @abstractmethod
    def raw(self, node: Expr) -> str:
        """Return code whose value can have any type.

        Raises:
            UnsupportedNodeError: generated code can't express the expression.
        """

    def boolean(self, node: Expr) -> str:
        """Return code whose value is True or False."""
        return self.typed(node, "bool")

    def typed(self, node: Expr, kind: str) -> str:
        """Return code whose value certainly has a kind."""
        code = self.raw(node)
        if self.has_known_type(node, kind):
            return code
        guard = GUARDS.get(kind)
        if guard is None:
            raise UnsupportedNodeError
        return f"{self.symbols.constant(guard)}({code})"

    def has_known_type(self, node: Expr, kind: str) -> bool:
        """Return whether the value of raw code certainly has a kind."""
        if isinstance(node, Const):
            return _kind_of_constant(node.value) == kind
        if isinstance(node, Call):
            return node.type.kind == kind and self._call_has_known_type(node)
        if isinstance(node, Select):
            return node.test or (node.type.kind == kind and self._field(node) is not None)
        if isinstance(node, Comprehension):
            fold = classify(node)
            return fold.kind is not FoldKind.BIND and node.type.kind == kind
        if isinstance(node, Ident):
            fact = node.name in FACT_NAMES and not self.is_bound(node.name)
            return node.type.kind == kind and (fact or node.name in self._constants)
        return isinstance(node, MakeList) and kind == "list"

    def _call_has_known_type(self, call: Call) -> bool:
        """Return whether a call's value has its declared type even if the operands don't have theirs."""
        if call.function in ARITHMETIC:
            # The code checks all integers; and if one operand certainly is an integer, the result is one or an error.
            integers = all(arg.type.kind == "int" for arg in call.args)
            return integers or (call.type.kind == "int" and any(self.has_known_type(arg, "int") for arg in call.args))
        if call.type.kind == "bool":
            return call.function not in ("_[_]", "_?_:_", "dyn")
        return call.function in _CALLS_OF_KNOWN_TYPE

    def is_bound(self, name: str) -> bool:
        """Return whether a name is the variable of a surrounding fold."""
        return any(name in scope for scope in self._scopes)

    def named_list(self, name: str) -> Sequence[Any] | None:
        """Return the values of a named list, or None."""
        return self._constants.get(name)

    @property
    def in_scope(self) -> bool:
        """Return whether the current expression is the body of a fold."""
        return bool(self._scopes)

    @property
    def in_loop(self) -> bool:
        """Return whether the current expression is the body or the range of a fold."""
        return bool(self._scopes) or self._in_iterable > 0

    @contextmanager
    def scope(self, names: dict[str, str]) -> Iterator[None]:
        """Write the body of a fold.

        Args:
            names: the local variables, by the names of the fold's variables.
        """
        self._scopes.append(names)
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def iterable(self) -> Iterator[None]:
        """Write the range of a fold."""
        self._in_iterable += 1
        try:
            yield
        finally:
            self._in_iterable -= 1

    def _field(self, node: Select) -> tuple[str, ...] | None:
        """Return the path of a field that every intent has, or None if it can be missing."""
        path: list[str] = []
        top: Expr = node
        while isinstance(top, Select):
            struct = self._structs.get(top.operand.type.kind.removeprefix("struct:"))
            field = struct.field(top.field) if struct is not None else None
            if field is None or field.optional or top.test:
                return None
            path.append(top.field)
            top = top.operand
        if not isinstance(top, Ident) or top.name not in FACT_NAMES or self.is_bound(top.name):
            return None
        kind = node.type.kind
        known = kind in CLASSES or kind == "list" or kind.startswith("struct:")
        return (top.name, *reversed(path)) if known else None

    def is_known_map(self, operand: Expr) -> bool:
        """Return whether an operand is a map whose class was checked when it was loaded."""
        kind = operand.type.kind
        return (kind == "map" or kind.startswith("struct:")) and self.is_loaded(operand)

    def is_loaded(self, node: Expr) -> bool:
        """Return whether a value is in a local variable and its class was checked."""
        if isinstance(node, Ident):
            return node.name in FACT_NAMES and not self.is_bound(node.name)
        return isinstance(node, Select) and self._field(node) is not None


def _kind_of_constant(value: Any) -> str:
    return {str: "string", int: "int", bool: "bool", float: "double", list: "list"}.get(value.__class__, "")
