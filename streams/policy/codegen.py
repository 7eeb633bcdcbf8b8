"""The fast path: the conditions of one tool's rules as one generated Python function.

The code is made from checked trees alone. Names, literals and functions are handed over in a table of constants and
appear in the code as `k0`, `k1`, ...; not one character of a rule is written into it. Wherever the code meets a value
that is not of its declared type, or an error, it gives up on that rule, and the exact evaluator decides. So the code
may be simple: it has to be right only where nothing is wrong.

What makes it fast: fields that every intent has are read and their types looked at once for all rules; then a
condition is plain Python on local variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.ops import checked_int
from streams.policy.cel.simplify import simplify
from streams.policy.cel.texts import TEXT_FUNCTIONS, compiled
from streams.policy.cel.times import TIME_FUNCTIONS
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, Select, children
from streams.policy.cel.values import TYPE_NAMES
from streams.policy.errors import EvaluationError
from streams.policy.schema import FACT_NAMES, Struct

RULES_PER_FUNCTION_MAX = 200
DEPTH_MAX = 60
CONSTANT_LOOP_MAX = 1_000

Fast = Callable[[Mapping[str, Any]], "tuple[list[int], list[int]] | None"]

_CLASSES: dict[str, type] = {"string": str, "int": int, "bool": bool, "double": float, "map": dict}
_ORDERS = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_ARITHMETIC = {"_+_": "+", "_-_": "-", "_*_": "*"}
_CERTAIN = frozenset(("size", "int", "double", "string", *TEXT_FUNCTIONS, *TIME_FUNCTIONS)) - {"split"}
_TEXT_TESTS = {"startsWith": "startswith", "endsWith": "endswith"}


class _RefusedError(Exception):
    """The fast path does not do this; the rule is left to the exact evaluator."""


class _OddError(Exception):
    """A value is not of the type it was declared with."""


def _guard(wanted: type) -> Callable[[Any], Any]:
    def guard(value: Any) -> Any:
        if value.__class__ is wanted:
            return value
        raise _OddError

    return guard


def _guard_list(value: Any) -> Any:
    if value.__class__ is list or value.__class__ is tuple:
        return value
    raise _OddError


def _guard_range(value: Any) -> Any:
    if value.__class__ is list or value.__class__ is tuple or value.__class__ is dict:
        return value
    raise _OddError


_GUARDS: dict[str, Callable[[Any], Any]] = {
    **{kind: _guard(wanted) for kind, wanted in _CLASSES.items()},
    "list": _guard_list,
}
_BUILTINS = {"all": all, "any": any, "sum": sum, "len": len, "enumerate": enumerate, "Exception": Exception}


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated function.

    `run(facts)` gives the indexes of the conditions that are true and of those it gave up on; None when it gave up
    on all of them. `refused` are the indexes that it was not made for. `source` is for people.
    """

    run: Fast
    refused: tuple[int, ...]
    source: str


def generate(
    conditions: Sequence[Expr], constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]
) -> Generated:
    """Generate the function of some conditions.

    Args:
        conditions: checked trees of type bool.
        constants: the named lists, by full name.
        structs: the schema's records by the checker's name of their type.
    """
    writer = _Writer(constants, structs)
    bodies: list[str] = []
    refused: list[int] = []
    simplified = [simplify(condition) for condition in conditions]
    writer.share(simplified)
    for index, condition in enumerate(simplified):
        code = writer.attempt(condition)
        if code is None:
            refused.append(index)
            continue
        bodies += ["    try:", f"        if {code}:", f"            h.append({index})"]
        bodies += ["    except Exception:", f"        s.append({index})"]
    lines = ["def run(facts):", "    h, s = [], []", *writer.prelude(), *bodies, "    return h, s"]
    source = "\n".join(lines)
    namespace: dict[str, Any] = {"__builtins__": {}, **_BUILTINS, **writer.table}
    exec(compile(source, "<generated rules>", "exec"), namespace)  # noqa: S102 - made of checked trees only, see above
    return Generated(namespace["run"], tuple(refused), source)


class _Writer:
    """Writes expressions, and keeps the constants and the fields that they read."""

    def __init__(self, constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]) -> None:
        self.table: dict[str, Any] = {}
        self._constants = constants
        self._structs = structs
        self._names: dict[int, str] = {}
        self._texts: dict[str, str] = {}
        self._fields: dict[tuple[str, ...], str] = {}
        self._loads: list[str] = []
        self._shared: dict[Any, str] = {}
        self._scopes: list[dict[str, str]] = []
        self._sets: dict[tuple[Any, ...], frozenset[Any]] = {}
        self._locals = 0
        self._depth = 0

    def prelude(self) -> list[str]:
        """Reads the fields that every intent has; where one is missing or odd, all rules go the exact way."""
        unset = [f"    {name} = {self._constant(_UNSET)}" for name in self._shared.values()]
        if not self._loads:
            return unset
        return ["    try:", *self._loads, "    except Exception:", "        return None", *unset]

    def share(self, conditions: Sequence[Expr]) -> None:
        """Find folds that several conditions have in common; each is computed once, when first needed."""
        counts: dict[Any, int] = {}
        for condition in conditions:
            for node in _outer_folds(condition):
                key = _shape(node)
                counts[key] = counts.get(key, 0) + 1
        for key, count in counts.items():
            if count > 1:
                self._shared[key] = self._local()

    def _local(self) -> str:
        self._locals += 1
        return f"v{self._locals}"

    def _constant(self, value: Any) -> str:
        if value.__class__ is str:
            name = self._texts.get(value)
            if name is None:
                name = self._texts[value] = f"k{len(self.table)}"
                self.table[name] = value
            return name
        name = self._names.get(id(value))
        if name is None:
            # The table keeps the value alive, so its id stays its own.
            name = self._names[id(value)] = f"k{len(self.table)}"
            self.table[name] = value
        return name

    def attempt(self, condition: Expr) -> str | None:
        """Code of a condition, or None; what was noted for one that is refused is forgotten."""
        loads, fields = len(self._loads), dict(self._fields)
        try:
            return self.boolean(condition)
        except _RefusedError:
            del self._loads[loads:]
            self._fields, self._depth = fields, 0
            self._scopes.clear()
            return None

    def boolean(self, node: Expr) -> str:
        """Code of a value that is True or False."""
        return self._typed(node, "bool")

    def _typed(self, node: Expr, kind: str) -> str:
        """Code of a value that certainly is of a kind."""
        code = self._raw(node)
        if self._is_sure(node, kind):
            return code
        guard = _GUARDS.get(kind)
        if guard is None:
            raise _RefusedError
        return f"{self._constant(guard)}({code})"

    def _is_sure(self, node: Expr, kind: str) -> bool:
        if isinstance(node, Const):
            return _kind_of_constant(node.value) == kind
        if isinstance(node, Call):
            return node.type.kind == kind and _is_certain(node)
        if isinstance(node, Select):
            return node.test or (node.type.kind == kind and self._field(node) is not None)
        if isinstance(node, Comprehension):
            fold = classify(node)
            return fold.kind is not FoldKind.BIND and node.type.kind == kind
        if isinstance(node, Ident):
            fact = node.name in FACT_NAMES and not self._is_bound(node.name)
            return node.type.kind == kind and (fact or node.name in self._constants)
        return isinstance(node, MakeList) and kind == "list"

    def _is_bound(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _raw(self, node: Expr) -> str:
        """Code of a value, of whatever type it may be."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _RefusedError
        try:
            if isinstance(node, Const):
                return self._literal(node.value)
            if isinstance(node, Ident):
                return self._ident(node)
            if isinstance(node, Select):
                return self._select(node)
            if isinstance(node, Call):
                return self._call(node)
            if isinstance(node, Comprehension):
                return self._fold(node)
            if isinstance(node, MakeList):
                return f"[{', '.join(self._raw(item) for item in node.items)}]"
            raise _RefusedError
        finally:
            self._depth -= 1

    def _literal(self, value: Any) -> str:
        if value is None or value is True or value is False:
            return str(value)
        return self._constant(value)

    def _ident(self, node: Ident) -> str:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return scope[node.name]
        name = node.name.removeprefix(".")
        if name in self._constants:
            return self._constant(self._constants[name])
        if name in FACT_NAMES:
            return self._load((name,), node.type.kind)
        if name in TYPE_NAMES:
            return self._constant(TYPE_NAMES[name])
        raise _RefusedError

    def _load(self, path: tuple[str, ...], kind: str) -> str:
        """A local variable that holds a field which every intent has."""
        known = self._fields.get(path)
        if known is not None:
            return known
        holder = "facts" if len(path) == 1 else self._load(path[:-1], "map")
        name = self._fields[path] = self._local()
        self._loads.append(f"        {name} = {holder}[{self._constant(path[-1])}]")
        if kind == "list":
            self._loads.append(f"        {self._constant(_guard_list)}({name})")
        else:
            wanted = _CLASSES["map" if kind.startswith("struct:") else kind]
            self._loads.append(f"        if {name}.__class__ is not {self._constant(wanted)}: raise {self._odd()}")
        return name

    def _odd(self) -> str:
        return self._constant(_OddError)

    def _field(self, node: Select) -> tuple[str, ...] | None:
        """The path of a field that every intent has; None of one that may be missing."""
        path: list[str] = []
        top: Expr = node
        while isinstance(top, Select):
            struct = self._structs.get(top.operand.type.kind.removeprefix("struct:"))
            field = struct.field(top.field) if struct is not None else None
            if field is None or field.optional or top.test:
                return None
            path.append(top.field)
            top = top.operand
        if not isinstance(top, Ident) or top.name not in FACT_NAMES or self._is_bound(top.name):
            return None
        kind = node.type.kind
        known = kind in _CLASSES or kind == "list" or kind.startswith("struct:")
        return (top.name, *reversed(path)) if known else None

    def _select(self, node: Select) -> str:
        path = self._field(node)
        if path is not None:
            return self._load(path, node.type.kind)
        name = self._constant(node.field)
        if node.test:
            sure = self._struct_operand(node.operand)
            holder = self._raw(node.operand)
            return f"({name} in {holder if sure else self._guarded_map(holder)})"
        return f"{self._raw(node.operand)}[{name}]"

    def _struct_operand(self, operand: Expr) -> bool:
        """Whether an operand's class was looked at when it was loaded."""
        if isinstance(operand, Ident):
            return operand.name in FACT_NAMES and not self._is_bound(operand.name)
        return isinstance(operand, Select) and self._field(operand) is not None

    def _guarded_map(self, code: str) -> str:
        return f"{self._constant(_GUARDS['map'])}({code})"

    def _call(self, node: Call) -> str:
        if node.function == "_&&_":
            return f"({self.boolean(node.args[0])} and {self.boolean(node.args[1])})"
        if node.function == "_||_":
            return f"({self.boolean(node.args[0])} or {self.boolean(node.args[1])})"
        if node.function == "_?_:_":
            chosen, then, otherwise = node.args
            return f"({self._raw(then)} if {self.boolean(chosen)} else {self._raw(otherwise)})"
        if node.function == "!_":
            return f"(not {self.boolean(node.args[0])})"
        special = self._comparison(node) or self._membership(node) or self._of_text(node) or self._of_size(node)
        if special is not None:
            return special
        if node.function in _ARITHMETIC and all(arg.type.kind == "int" for arg in node.args):
            left, right = (self._typed(arg, "int") for arg in node.args)
            return f"{self._constant(checked_int)}({left} {_ARITHMETIC[node.function]} {right})"
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise _RefusedError
        return f"{self._constant(function)}({', '.join(self._raw(arg) for arg in node.args)})"

    def _comparison(self, node: Call) -> str | None:
        if len(node.args) != 2:
            return None
        left, right = node.args
        kinds = {left.type.kind, right.type.kind}
        kind = left.type.kind if len(kinds) == 1 else ""
        if node.function in ("_==_", "_!=_"):
            sign = "==" if node.function == "_==_" else "!="
            if any(isinstance(arg, Const) and arg.value.__class__ is str for arg in node.args):
                # A text is equal to no value of another type, in Python as in CEL.
                return f"({self._raw(left)} {sign} {self._raw(right)})"
            if any(isinstance(arg, Const) and arg.value is None for arg in node.args):
                return f"({self._raw(left)} {'is' if sign == '==' else 'is not'} {self._raw(right)})"
            if kind in ("string", "int", "bool"):
                return f"({self._typed(left, kind)} {sign} {self._typed(right, kind)})"
        elif node.function in _ORDERS and kind in ("string", "int", "double"):
            return f"({self._typed(left, kind)} {_ORDERS[node.function]} {self._typed(right, kind)})"
        return None

    def _membership(self, node: Call) -> str | None:
        if node.function != "@in":
            return None
        element, container = node.args
        values = container.value if isinstance(container, Const) else None
        if isinstance(container, Ident) and not self._is_bound(container.name):
            values = self._constants.get(container.name)
        if isinstance(values, list | tuple) and values:
            if all(value.__class__ is str for value in values):
                return f"({self._raw(element)} in {self._constant_set(values)})"
            if all(value.__class__ is int for value in values) and element.type.kind == "int":
                return f"({self._typed(element, 'int')} in {self._constant_set(values)})"
        if container.type.kind == "list" and element.type.kind == "string":
            return f"({self._typed(element, 'string')} in {self._typed(container, 'list')})"
        return None

    def _constant_set(self, values: Sequence[Any]) -> str:
        made = self._sets.setdefault(tuple(values), frozenset(values))
        return self._constant(made)

    def _of_text(self, node: Call) -> str | None:
        if len(node.args) != 2 or node.args[0].type.kind != "string" or node.args[1].type.kind != "string":
            return None
        text = node.args[0]
        if node.function in _TEXT_TESTS:
            return f"{self._typed(text, 'string')}.{_TEXT_TESTS[node.function]}({self._typed(node.args[1], 'string')})"
        if node.function == "contains":
            return f"({self._typed(node.args[1], 'string')} in {self._typed(text, 'string')})"
        if node.function == "matches" and isinstance(node.args[1], Const):
            try:
                pattern = compiled(node.args[1].value)
            except EvaluationError:
                return None
            return f"({self._constant(pattern)}.search({self._typed(text, 'string')}) is not None)"
        return None

    def _of_size(self, node: Call) -> str | None:
        if node.function != "size" or len(node.args) != 1 or node.args[0].type.kind not in ("string", "list"):
            return None
        return f"len({self._typed(node.args[0], node.args[0].type.kind)})"

    def _fold(self, node: Comprehension) -> str:
        if self._scopes:
            return self._loop(node)
        shared = self._shared.get(_shape(node))
        if shared is None:
            return self._loop(node)
        return f"({shared} if {shared} is not {self._constant(_UNSET)} else ({shared} := {self._loop(node)}))"

    def _loop(self, node: Comprehension) -> str:
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            name = self._local()
            value = self._raw(node.accu_init)
            return f"[{self._inside({node.accu_var: name}, fold.body)} for {name} in ({value},)][0]"
        if fold.kind is FoldKind.OTHER:
            raise _RefusedError
        source, names = self._range(node)
        target = ", ".join(names.values())
        if fold.kind in (FoldKind.ALL, FoldKind.EXISTS):
            word = "all" if fold.kind is FoldKind.ALL else "any"
            return f"{word}({self._inside(names, fold.body, 'bool')} for {target} in {source})"
        if fold.kind is FoldKind.EXISTS_ONE:
            return f"(sum(1 for {target} in {source} if {self._inside(names, fold.body, 'bool')}) == 1)"
        test = f" if {self._inside(names, fold.test, 'bool')}" if fold.test is not None else ""
        return f"[{self._inside(names, fold.body)} for {target} in {source}{test}]"

    def _range(self, node: Comprehension) -> tuple[str, dict[str, str]]:
        """Code of what is gone through, and local names of the fold's variables."""
        constant = isinstance(node.iter_range, Const) and len(node.iter_range.value) <= CONSTANT_LOOP_MAX
        if self._scopes and not constant:
            # Loops in loops multiply; the exact evaluator counts their steps.
            raise _RefusedError
        first = {node.iter_var: self._local()}
        if node.iter_var2:
            if node.iter_range.type.kind != "list":
                raise _RefusedError
            return f"enumerate({self._typed(node.iter_range, 'list')})", first | {node.iter_var2: self._local()}
        if node.iter_range.type.kind == "list":
            return self._typed(node.iter_range, "list"), first
        return f"{self._constant(_guard_range)}({self._raw(node.iter_range)})", first

    def _inside(self, names: dict[str, str], body: Expr, kind: str = "") -> str:
        self._scopes.append(names)
        try:
            return self._typed(body, kind) if kind else self._raw(body)
        finally:
            self._scopes.pop()


class _Unset:
    """Marks a shared value that was not computed yet."""


_UNSET = _Unset()


def _is_certain(call: Call) -> bool:
    """Whether a call's value is of the declared type even where its operands are not of theirs."""
    if call.function in _ARITHMETIC:
        return all(arg.type.kind == "int" for arg in call.args)
    if call.type.kind == "bool":
        return call.function not in ("_[_]", "_?_:_", "dyn")
    return call.function in _CERTAIN


def _kind_of_constant(value: Any) -> str:
    return {str: "string", int: "int", bool: "bool", float: "double", list: "list"}.get(value.__class__, "")


def _outer_folds(node: Expr) -> list[Comprehension]:
    """The folds of a tree that lie in no other fold."""
    if isinstance(node, Comprehension):
        return [node]
    return [fold for child in children(node) for fold in _outer_folds(child)]


def _shape(node: Expr) -> Any:
    """A tree without its places: equal for equal expressions, wherever they were written."""
    if isinstance(node, Const):
        return ("const", type(node.value).__name__, repr(node.value))
    if isinstance(node, Ident):
        return ("ident", node.name)
    parts = tuple(_shape(child) for child in children(node))
    if isinstance(node, Select):
        return ("select", node.field, node.test, parts)
    if isinstance(node, Call):
        return ("call", node.function, parts)
    if isinstance(node, Comprehension):
        return ("fold", node.iter_var, node.iter_var2, node.accu_var, parts)
    return (type(node).__name__, parts)
