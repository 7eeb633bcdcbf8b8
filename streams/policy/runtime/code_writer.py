"""Writes checked expressions as Python; see `codegen.py` for what becomes of it.

Two kinds of code are told apart: raw code gives a value of whatever type it may be, typed code gives one whose class
was looked at, or raises. What the writer does not know how to write it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from streams.policy.cel.folds import Fold, FoldKind, classify
from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.ops import checked_int
from streams.policy.cel.simplify import simplify
from streams.policy.cel.step_bounds import max_range_length
from streams.policy.cel.strings import STRING_FUNCTIONS, compile_any_pattern, is_pattern, search_for, search_in_any
from streams.policy.cel.structural_hash import structural_key
from streams.policy.cel.substitute import substitute
from streams.policy.cel.times import TIME_FUNCTIONS
from streams.policy.cel.tree import DYN, Call, Comprehension, Const, Expr, Ident, MakeList, Select, walk
from streams.policy.cel.values import LISTS, TYPE_NAMES, DistinctTexts
from streams.policy.language.fact_types import Struct
from streams.policy.language.schema import FACT_NAMES
from streams.policy.runtime.code_guards import CLASSES, GUARDS, TypeMismatchError, guard_range
from streams.policy.runtime.common_subexpressions import common_folds, common_ranges, pattern_families

DEPTH_MAX = 60
CONSTANT_LOOP_MAX = 1_000
UNROLLED_MAX = 8

_ORDER_OPERATORS = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_ARITHMETIC = {"_+_": "+", "_-_": "-", "_*_": "*"}
_CALLS_OF_KNOWN_TYPE = frozenset(("size", "int", "double", "string", *STRING_FUNCTIONS, *TIME_FUNCTIONS)) - {"split"}
_LOGICAL_OPERATORS = {FoldKind.ALL: " and ", FoldKind.EXISTS: " or "}
_STRING_TESTS = {"startsWith": "startswith", "endsWith": "endswith"}


class _PatternFamily(NamedTuple):
    """Patterns that are looked for in one text.

    Attributes:
        local: tells whether any of them is there.
        search: the constant that finds that out.
    """

    local: str
    search: str
    patterns: frozenset[str]


class UnsupportedNodeError(Exception):
    """The fast path does not do this; the rule is left to the exact evaluator."""


BUILTINS = {"all": all, "any": any, "sum": sum, "len": len, "enumerate": enumerate, "Exception": Exception}


class Writer:
    """Writes expressions, and keeps the constants and the fields that they read."""

    def __init__(self, constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]) -> None:
        self.table: dict[str, Any] = {}
        self._constants = constants
        self._structs = structs
        self._names: dict[int, str] = {}
        self._texts: dict[str, str] = {}
        self._fields: dict[tuple[str, ...], str] = {}
        self._lookups: dict[str, str] = {}
        self._loads: list[str] = []
        self._shared: dict[Any, str] = {}
        self._ranges: dict[Any, str] = {}
        self._families: dict[Any, _PatternFamily] = {}
        self._scopes: list[dict[str, str]] = []
        self._sets: dict[tuple[Any, ...], frozenset[Any]] = {}
        self._locals = 0
        self._depth = 0
        self._in_iterable = 0
        self._unrolling = False
        self._max_range_length = self._max_shared_range_length = 0

    def prelude(self) -> list[str]:
        """Reads the fields that every intent has; where one is missing or odd, all rules go the exact way."""
        kept = (*self._shared.values(), *self._ranges.values(), *(family.local for family in self._families.values()))
        unset = [f"    {name} = {self._constant(_UNSET)}" for name in kept]
        if not self._loads:
            return unset
        return ["    try:", *self._loads, "    except Exception:", "        return None", *unset]

    def share(self, conditions: Sequence[Expr]) -> None:
        """Find what several conditions have in common; it is computed once, when first needed.

        Folds that are the same, and lists that several go through; and patterns that are looked for in one text: most
        texts hold none of them, which one look tells.
        """
        self._max_shared_range_length = min((max_range_length(condition) for condition in conditions), default=0)
        for key in common_folds(conditions):
            self._shared[key] = self._local()
        for key in common_ranges(conditions):
            self._ranges[key] = self._local()
        for key, patterns in pattern_families(conditions).items():
            any_of_them = compile_any_pattern(patterns)
            if any_of_them is not None:
                search = self._constant(any_of_them.search)
                self._families[key] = _PatternFamily(self._local(), search, frozenset(patterns))

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
        loads, fields, lookups = len(self._loads), dict(self._fields), dict(self._lookups)
        self._max_range_length = max_range_length(condition)
        try:
            if self._max_range_length < 0:
                raise UnsupportedNodeError
            return self.boolean(condition)
        except UnsupportedNodeError:
            del self._loads[loads:]
            self._fields, self._lookups, self._depth, self._in_iterable = fields, lookups, 0, 0
            self._scopes.clear()
            return None

    def boolean(self, node: Expr) -> str:
        """Code of a value that is True or False."""
        return self._typed(node, "bool")

    def _typed(self, node: Expr, kind: str) -> str:
        """Code of a value that certainly is of a kind."""
        code = self._raw(node)
        if self._has_known_type(node, kind):
            return code
        guard = GUARDS.get(kind)
        if guard is None:
            raise UnsupportedNodeError
        return f"{self._constant(guard)}({code})"

    def _has_known_type(self, node: Expr, kind: str) -> bool:
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
            fact = node.name in FACT_NAMES and not self._is_bound(node.name)
            return node.type.kind == kind and (fact or node.name in self._constants)
        return isinstance(node, MakeList) and kind == "list"

    def _call_has_known_type(self, call: Call) -> bool:
        """Return whether a call's value is of the declared type even where its operands are not of theirs."""
        if call.function in _ARITHMETIC:
            # All integers are looked at; and with one that is certain there is an integer or an error.
            integers = all(arg.type.kind == "int" for arg in call.args)
            return integers or (call.type.kind == "int" and any(self._has_known_type(arg, "int") for arg in call.args))
        if call.type.kind == "bool":
            return call.function not in ("_[_]", "_?_:_", "dyn")
        return call.function in _CALLS_OF_KNOWN_TYPE

    def _is_bound(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _raw(self, node: Expr) -> str:
        """Code of a value, of whatever type it may be."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise UnsupportedNodeError
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
            raise UnsupportedNodeError
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
        raise UnsupportedNodeError

    def _load(self, path: tuple[str, ...], kind: str) -> str:
        """Return a local variable that holds a field which every intent has."""
        known = self._fields.get(path)
        if known is not None:
            return known
        holder = "facts" if len(path) == 1 else self._load(path[:-1], "map")
        name = self._fields[path] = self._local()
        self._loads.append(f"        {name} = {holder}[{self._constant(path[-1])}]")
        if kind == "list":
            odd = f"not in {self._constant(LISTS)}"
        else:
            odd = f"is not {self._constant(CLASSES['map' if kind.startswith('struct:') else kind])}"
        self._loads.append(f"        if {name}.__class__ {odd}: raise {self._type_mismatch()}")
        return name

    def _type_mismatch(self) -> str:
        return self._constant(TypeMismatchError)

    def _field(self, node: Select) -> tuple[str, ...] | None:
        """Return the path of a field that every intent has; None of one that may be missing."""
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
        known = kind in CLASSES or kind == "list" or kind.startswith("struct:")
        return (top.name, *reversed(path)) if known else None

    def _select(self, node: Select) -> str:
        path = self._field(node)
        if path is not None:
            return self._load(path, node.type.kind)
        name = self._constant(node.field)
        if node.test:
            sure = self._is_known_map(node.operand)
            holder = self._raw(node.operand)
            return f"({name} in {holder if sure else self._guarded_map(holder)})"
        return f"{self._raw(node.operand)}[{name}]"

    def _is_known_map(self, operand: Expr) -> bool:
        """Return whether an operand is a map whose class was looked at when it was loaded."""
        kind = operand.type.kind
        return (kind == "map" or kind.startswith("struct:")) and self._is_loaded(operand)

    def _is_loaded(self, node: Expr) -> bool:
        """Return whether a value is in a local variable, and its class was looked at."""
        if isinstance(node, Ident):
            return node.name in FACT_NAMES and not self._is_bound(node.name)
        return isinstance(node, Select) and self._field(node) is not None

    def _guarded_map(self, code: str) -> str:
        return f"{self._constant(GUARDS['map'])}({code})"

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
        special = (
            self._comparison(node)
            or self._membership(node)
            or self._map_index(node)
            or self._arithmetic(node)
            or self._string_call(node)
            or self._size_call(node)
        )
        if special is not None:
            return special
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise UnsupportedNodeError
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
            return self._speculative(node, "int", f"{{}} {sign} {{}}")
        if node.function not in _ORDER_OPERATORS:
            return None
        if kind in ("string", "int", "double"):
            return f"({self._typed(left, kind)} {_ORDER_OPERATORS[node.function]} {self._typed(right, kind)})"
        return self._speculative(node, "int", f"{{}} {_ORDER_OPERATORS[node.function]} {{}}") or self._speculative(
            node, "double", f"{{}} {_ORDER_OPERATORS[node.function]} {{}}"
        )

    def _speculative(self, node: Call, kind: str, form: str) -> str | None:
        """Plain Python where a dynamic operand turns out to be of the other one's kind, else the function itself.

        Only outside of loops: a variable that is assigned within one would outlive it.
        """
        function = FUNCTIONS.get(node.function)
        if self._scopes or self._in_iterable or function is None:
            return None
        sure = [self._has_known_type(arg, kind) for arg in node.args]
        if sum(sure) != 1:
            return None
        tests, parts = [], []
        for arg, known in zip(node.args, sure, strict=True):
            code = self._raw(arg)
            if code.isidentifier():
                parts.append(code)
                name = code
            else:
                name = self._local()
                parts.append(name)
            wanted = self._constant(CLASSES[kind])
            value = code if name == code else f"({name} := {code})"
            if not known:
                tests.append(f"{value}.__class__ is {wanted}")
            elif name != code:
                tests.append(f"{value} is not None")
        plain, general = form.format(*parts), f"{self._constant(function)}({', '.join(parts)})"
        # What is sure comes first: where a test stops short, every part has its value all the same.
        tests.sort(key=lambda test: not test.endswith("None"))
        return f"({plain} if {' and '.join(tests)} else {general})"

    def _arithmetic(self, node: Call) -> str | None:
        sign = _ARITHMETIC.get(node.function)
        if sign is None:
            return None
        if all(arg.type.kind == "int" for arg in node.args):
            left, right = (self._typed(arg, "int") for arg in node.args)
            return f"{self._constant(checked_int)}({left} {sign} {right})"
        return self._speculative(node, "int", f"{self._constant(checked_int)}({{}} {sign} {{}})")

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
        if element.type.kind == "string" and self._is_known_map(container):
            return f"({self._typed(element, 'string')} in {self._raw(container)})"
        if container.type.kind == "list" and element.type.kind == "string":
            return f"({self._typed(element, 'string')} in {self._lookup_in(container)})"
        return None

    def _lookup_in(self, container: Expr) -> str:
        """Code of a list in which a text is looked for."""
        code = self._typed(container, "list")
        if not self._is_loaded(container):
            return code
        known = self._lookups.get(code)
        if known is None:
            known = self._lookups[code] = self._local()
            distinct = f"{code}.__class__ is {self._constant(DistinctTexts)}"
            self._loads.append(f"        {known} = {code}.known if {distinct} else {code}")
        return known

    def _map_index(self, node: Call) -> str | None:
        """Return the value under a text in a fact; one that is not there is an error in Python as in CEL."""
        if node.function != "_[_]":
            return None
        container, key = node.args
        if key.type.kind != "string" or not self._is_known_map(container):
            return None
        return f"{self._raw(container)}[{self._typed(key, 'string')}]"

    def _constant_set(self, values: Sequence[Any]) -> str:
        made = self._sets.setdefault(tuple(values), frozenset(values))
        return self._constant(made)

    def _string_call(self, node: Call) -> str | None:
        if len(node.args) != 2 or node.args[1].type.kind != "string":
            return None
        text, part = node.args
        form = None
        if node.function in _STRING_TESTS:
            form = f"{{}}.{_STRING_TESTS[node.function]}({{}})"
        elif node.function == "contains":
            form = "({1} in {0})"
        elif node.function == "split" and isinstance(part, Const) and part.value:
            form = "{}.split({})"
        elif node.function == "matches" and isinstance(part, Const):
            form = self._search(text, part)
        if form is None:
            return None
        if text.type.kind == "string":
            return form.format(self._typed(text, "string"), self._typed(part, "string"))
        return self._speculative(node, "string", form)

    def _search(self, text: Expr, pattern: Const) -> str | None:
        """Form of a search. In loops nothing is kept: see `_speculative`."""
        if pattern.value.__class__ is not str or not is_pattern(pattern.value):
            return None
        one = f"{self._constant(search_for(pattern.value))}({{0}})"
        family = None if self._scopes or self._in_iterable else self._families.get(structural_key(text))
        if family is None or pattern.value not in family.patterns:
            # INVARIANT: that none of a family is there says nothing of a pattern that is not of it.
            return one
        name = family.local
        found = f"{name} := {family.search}({{0}}.encode()) is not None"
        return f"(({name} if {name} is not {self._constant(_UNSET)} else ({found})) and {one})"

    def _size_call(self, node: Call) -> str | None:
        if node.function != "size" or len(node.args) != 1 or node.args[0].type.kind not in ("string", "list"):
            return None
        return f"len({self._typed(node.args[0], node.args[0].type.kind)})"

    def _fold(self, node: Comprehension) -> str:
        if self._scopes or self._in_iterable:
            return self._loop(node)
        shared = self._shared.get(structural_key(node))
        if shared is None:
            return self._loop(node)
        with self._within_shared_bounds():
            return f"({shared} if {shared} is not {self._constant(_UNSET)} else ({shared} := {self._loop(node)}))"

    def _loop(self, node: Comprehension) -> str:
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            name = self._local()
            value = self._iterable(node.accu_init)
            return f"[{self._in_scope({node.accu_var: name}, fold.body)} for {name} in ({value},)][0]"
        if fold.kind is FoldKind.OTHER:
            raise UnsupportedNodeError
        unrolled = self._unrolled(node, fold)
        if unrolled is not None:
            return unrolled
        if fold.kind in _LOGICAL_OPERATORS:
            return self._test(node, fold)
        source, names = self._range(node)
        target = ", ".join(names.values())
        if fold.kind is FoldKind.EXISTS_ONE:
            return f"(sum(1 for {target} in {source} if {self._in_scope(names, fold.body, 'bool')}) == 1)"
        test = f" if {self._in_scope(names, fold.test, 'bool')}" if fold.test is not None else ""
        return f"[{self._in_scope(names, fold.body)} for {target} in {source}{test}]"

    def _test(self, node: Comprehension, fold: Fold) -> str:
        """Return whether something holds for all of a range, or for any."""
        shared = None
        if not (self._scopes or self._in_iterable or node.iter_var2):
            shared = self._ranges.get(structural_key(node.iter_range))
        if shared is None:
            return self._test_of(node, fold, *self._range(node))
        unset = self._constant(_UNSET)
        with self._within_shared_bounds():
            source = self._bounded(self._typed(node.iter_range, "list"))
        listed = f"{shared} if {shared} is not {unset} else ({shared} := {source})"
        # A list is true of `is not`, so what counts is the second part; the language allows no assignment in it.
        return f"(({listed}) is not {unset} and {self._test_of(node, fold, shared, {node.iter_var: self._local()})})"

    def _test_of(self, node: Comprehension, fold: Fold, source: str, names: dict[str, str]) -> str:
        pattern = _searched(node, fold)
        if pattern is not None:
            return f"{self._constant(search_in_any(pattern))}({source})"
        word = "all" if fold.kind is FoldKind.ALL else "any"
        test = f"{word}({self._in_scope(names, fold.body, 'bool')} for {', '.join(names.values())} in {source})"
        listed = self._raw(node.iter_range) if self._is_loaded(node.iter_range) else None
        # Of an empty list the answer is known, as it mostly is of what has changed in a session.
        return test if listed is None else f"({test} if {listed} else {fold.kind is FoldKind.ALL})"

    @contextmanager
    def _within_shared_bounds(self) -> Iterator[None]:
        """Write what conditions share: it is within the bounds of each."""
        longest, self._max_range_length = self._max_range_length, self._max_shared_range_length
        try:
            yield
        finally:
            self._max_range_length = longest

    def _unrolled(self, node: Comprehension, fold: Fold) -> str | None:
        """Return the fold written out, where it goes through a few values that the rule names."""
        values = _known_values(node)
        if (
            fold.kind not in _LOGICAL_OPERATORS
            or node.iter_var2
            or self._unrolling
            or not 0 < len(values) <= UNROLLED_MAX
        ):
            return None
        if any(isinstance(part, Comprehension) for part in walk(fold.body)):
            # Loops in loops multiply, see `_range`.
            return None
        self._unrolling = True
        try:
            bodies = [self.boolean(simplify(substitute(fold.body, node.iter_var, value))) for value in values]
        finally:
            self._unrolling = False
        return f"({_LOGICAL_OPERATORS[fold.kind].join(bodies)})"

    def _range(self, node: Comprehension) -> tuple[str, dict[str, str]]:
        """Code of what is gone through, and local names of the fold's variables."""
        constant = isinstance(node.iter_range, Const) and len(node.iter_range.value) <= CONSTANT_LOOP_MAX
        if self._scopes and not constant:
            # Loops in loops multiply; the exact evaluator counts their steps.
            raise UnsupportedNodeError
        first = {node.iter_var: self._local()}
        if node.iter_var2:
            if node.iter_range.type.kind != "list":
                raise UnsupportedNodeError
            source = self._iterable(node.iter_range, "list")
            source = source if constant else self._bounded(source)
            return f"enumerate({source})", first | {node.iter_var2: self._local()}
        kind = "list" if node.iter_range.type.kind == "list" else ""
        source = self._iterable(node.iter_range, kind)
        return source if constant else self._bounded(source), first

    def _bounded(self, code: str) -> str:
        """Return a range that is short enough: beyond that the exact evaluator counts the steps, of all folds together."""
        return f"{self._constant(guard_range(self._max_range_length))}({code})"

    def _iterable(self, node: Expr, kind: str = "") -> str:
        """Code of what a Python comprehension goes through, where the language allows no assignment."""
        self._in_iterable += 1
        code = self._typed(node, kind) if kind else self._raw(node)
        self._in_iterable -= 1
        return code

    def _in_scope(self, names: dict[str, str], body: Expr, kind: str = "") -> str:
        self._scopes.append(names)
        try:
            return self._typed(body, kind) if kind else self._raw(body)
        finally:
            self._scopes.pop()


def _known_values(node: Comprehension) -> list[Expr]:
    """Return what a fold goes through, where that is written in the rule; empty where it is not."""
    source = node.iter_range
    if not isinstance(source, Const) or source.type.kind != "list":
        return []
    kind = source.type.params[0] if source.type.params else DYN
    return [Const(kind, source.offset, value) for value in source.value]


def _searched(node: Comprehension, fold: Fold) -> str | None:
    """Return the pattern that is looked for in a list of texts, where that is all that a fold does."""
    body = fold.body
    if fold.kind is not FoldKind.EXISTS or node.iter_var2 or node.iter_range.type.kind != "list":
        return None
    if not isinstance(body, Call) or body.function != "matches":
        return None
    text, pattern = body.args
    if not isinstance(text, Ident) or text.name != node.iter_var or not isinstance(pattern, Const):
        return None
    return pattern.value if pattern.value.__class__ is str and is_pattern(pattern.value) else None


class _Unset:
    """Marks a shared value that was not computed yet."""


_UNSET = _Unset()


def _kind_of_constant(value: Any) -> str:
    return {str: "string", int: "int", bool: "bool", float: "double", list: "list"}.get(value.__class__, "")
