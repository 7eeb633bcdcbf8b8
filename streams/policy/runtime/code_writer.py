"""Writes checked expressions as Python code; `codegen.py` makes functions of it.

There are two kinds of code. Raw code computes a value of any type. Typed code computes a value whose class is known or
checked; it raises an error for any other class. The writer rejects expressions that it can't write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.step_bounds import max_range_length
from streams.policy.cel.strings import STRING_FUNCTIONS
from streams.policy.cel.times import TIME_FUNCTIONS
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, Select
from streams.policy.cel.values import TYPE_NAMES
from streams.policy.language.fact_types import Struct
from streams.policy.language.schema import FACT_NAMES
from streams.policy.runtime.code_folds import FoldWriter
from streams.policy.runtime.code_guards import CLASSES, GUARDS
from streams.policy.runtime.code_operators import ARITHMETIC, write_operator
from streams.policy.runtime.code_shared import SharedValues
from streams.policy.runtime.code_symbols import UNSET, Symbols, UnsupportedNodeError

DEPTH_MAX = 60

_CALLS_OF_KNOWN_TYPE = frozenset(("size", "int", "double", "string", *STRING_FUNCTIONS, *TIME_FUNCTIONS)) - {"split"}

BUILTINS = {"all": all, "any": any, "sum": sum, "len": len, "enumerate": enumerate, "Exception": Exception}


class Writer:
    """Writes the conditions of one generated function.

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
        self._folds = FoldWriter(self)
        self._scopes: list[dict[str, str]] = []
        self._depth = 0
        self._in_iterable = 0

    def prelude(self) -> list[str]:
        """Return the lines that load fields. If one is missing or has a wrong type, the function returns None."""
        unset = [f"    {name} = {self.symbols.constant(UNSET)}" for name in self.shared.locals]
        loads = self.symbols.loads
        if not loads:
            return unset
        return ["    try:", *loads, "    except Exception:", "        return None", *unset]

    def share(self, conditions: Sequence[Expr]) -> None:
        """Find the values that the conditions share. Each is computed once, when it is first needed."""
        self.shared = SharedValues.of(conditions, self.symbols)

    def attempt(self, condition: Expr) -> str | None:
        """Return the code of a condition, or None if generated code can't express it."""
        mark = self.symbols.mark()
        self._folds.max_range_length = max_range_length(condition)
        try:
            if self._folds.max_range_length < 0:
                raise UnsupportedNodeError
            return self.boolean(condition)
        except UnsupportedNodeError:
            self.symbols.reset(mark)
            return None

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

    def raw(self, node: Expr) -> str:
        """Return code whose value can have any type.

        Raises:
            UnsupportedNodeError: generated code can't express the expression.
        """
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise UnsupportedNodeError
        try:
            if isinstance(node, Const):
                return self.symbols.literal(node.value)
            if isinstance(node, Ident):
                return self._ident(node)
            if isinstance(node, Select):
                return self._select(node)
            if isinstance(node, Call):
                return self._call(node)
            if isinstance(node, Comprehension):
                return self._folds.write(node)
            if isinstance(node, MakeList):
                return f"[{', '.join(self.raw(item) for item in node.items)}]"
            raise UnsupportedNodeError
        finally:
            self._depth -= 1

    def _ident(self, node: Ident) -> str:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return scope[node.name]
        name = node.name.removeprefix(".")
        if name in self._constants:
            return self.symbols.constant(self._constants[name])
        if name in FACT_NAMES:
            return self.symbols.load((name,), node.type.kind)
        if name in TYPE_NAMES:
            return self.symbols.constant(TYPE_NAMES[name])
        raise UnsupportedNodeError

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

    def _select(self, node: Select) -> str:
        path = self._field(node)
        if path is not None:
            return self.symbols.load(path, node.type.kind)
        name = self.symbols.constant(node.field)
        if node.test:
            holder = self.raw(node.operand)
            if not self.is_known_map(node.operand):
                holder = f"{self.symbols.constant(GUARDS['map'])}({holder})"
            return f"({name} in {holder})"
        return f"{self.raw(node.operand)}[{name}]"

    def is_known_map(self, operand: Expr) -> bool:
        """Return whether an operand is a map whose class was checked when it was loaded."""
        kind = operand.type.kind
        return (kind == "map" or kind.startswith("struct:")) and self.is_loaded(operand)

    def is_loaded(self, node: Expr) -> bool:
        """Return whether a value is in a local variable and its class was checked."""
        if isinstance(node, Ident):
            return node.name in FACT_NAMES and not self.is_bound(node.name)
        return isinstance(node, Select) and self._field(node) is not None

    def _call(self, node: Call) -> str:
        if node.function == "_&&_":
            return f"({self.boolean(node.args[0])} and {self.boolean(node.args[1])})"
        if node.function == "_||_":
            return f"({self.boolean(node.args[0])} or {self.boolean(node.args[1])})"
        if node.function == "_?_:_":
            condition, then, otherwise = node.args
            return f"({self.raw(then)} if {self.boolean(condition)} else {self.raw(otherwise)})"
        if node.function == "!_":
            return f"(not {self.boolean(node.args[0])})"
        operator = write_operator(self, node)
        if operator is not None:
            return operator
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise UnsupportedNodeError
        return f"{self.symbols.constant(function)}({', '.join(self.raw(arg) for arg in node.args)})"


def _kind_of_constant(value: Any) -> str:
    return {str: "string", int: "int", bool: "bool", float: "double", list: "list"}.get(value.__class__, "")
