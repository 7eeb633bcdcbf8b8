"""Writes checked expressions as Python code; `codegen.py` makes functions of it.

There are two kinds of code. Raw code computes a value of any type. Typed code computes a value whose class is known or
checked; it raises an error for any other class. The writer rejects expressions that it can't write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.step_bounds import max_range_length
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, Select
from streams.policy.cel.values import TYPE_NAMES
from streams.policy.language.fact_types import Struct
from streams.policy.language.schema import FACT_NAMES
from streams.policy.runtime.code_folds import FoldWriter
from streams.policy.runtime.code_guards import GUARDS
from streams.policy.runtime.code_operators import write_operator
from streams.policy.runtime.code_shared import SharedValues
from streams.policy.runtime.code_symbols import UNSET, UnsupportedNodeError
from streams.policy.runtime.code_typing import TypedWriter

DEPTH_MAX = 60

BUILTINS = {"all": all, "any": any, "sum": sum, "len": len, "enumerate": enumerate, "Exception": Exception}


class Writer(TypedWriter):
    """Writes the conditions of one generated function; see `TypedWriter`."""

    def __init__(self, constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]) -> None:
        super().__init__(constants, structs)
        self._folds = FoldWriter(self)
        self._depth = 0

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

    def raw(self, node: Expr) -> str:
        """Return code whose value can have any type; see `TypedWriter`."""
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
