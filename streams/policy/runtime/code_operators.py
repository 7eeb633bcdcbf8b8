"""Writes operators and functions as plain Python, where their operands have types for which that is exact."""

from __future__ import annotations

from typing import Any

from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.ops import checked_int
from streams.policy.cel.strings import is_free_pattern, search_for
from streams.policy.cel.structural_hash import structural_key
from streams.policy.cel.tree import Call, Const, Expr, Ident
from streams.policy.runtime.code_guards import CLASSES
from streams.policy.runtime.code_symbols import UNSET
from streams.policy.runtime.code_typing import ARITHMETIC, TypedWriter

_ORDER_OPERATORS = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_STRING_TESTS = {"startsWith": "startswith", "endsWith": "endswith"}


def write_operator(writer: TypedWriter, node: Call) -> str | None:
    """Return plain Python for a call, or None if only the function that implements it is exact."""
    return (
        _comparison(writer, node)
        or _membership(writer, node)
        or _map_index(writer, node)
        or _arithmetic(writer, node)
        or _string_call(writer, node)
        or _size_call(writer, node)
    )


def _comparison(writer: TypedWriter, node: Call) -> str | None:
    if len(node.args) != 2:
        return None
    left, right = node.args
    kinds = {left.type.kind, right.type.kind}
    kind = left.type.kind if len(kinds) == 1 else ""
    if node.function in ("_==_", "_!=_"):
        sign = "==" if node.function == "_==_" else "!="
        if any(isinstance(arg, Const) and arg.value.__class__ is str for arg in node.args):
            # A text is not equal to any value of another type, in Python as in CEL.
            return f"({writer.raw(left)} {sign} {writer.raw(right)})"
        if any(isinstance(arg, Const) and arg.value is None for arg in node.args):
            return f"({writer.raw(left)} {'is' if sign == '==' else 'is not'} {writer.raw(right)})"
        if kind in ("string", "int", "bool"):
            return f"({writer.typed(left, kind)} {sign} {writer.typed(right, kind)})"
        return _speculative(writer, node, "int", f"{{}} {sign} {{}}")
    if node.function not in _ORDER_OPERATORS:
        return None
    sign = _ORDER_OPERATORS[node.function]
    if kind in ("string", "int", "double"):
        return f"({writer.typed(left, kind)} {sign} {writer.typed(right, kind)})"
    return _speculative(writer, node, "int", f"{{}} {sign} {{}}") or _speculative(
        writer, node, "double", f"{{}} {sign} {{}}"
    )


def _speculative(writer: TypedWriter, node: Call, kind: str, form: str) -> str | None:
    """Return plain Python that is guarded by a type test of a dynamic operand; otherwise the function itself is called.

    Only outside of loops, because a variable that is assigned in a loop would outlive it.

    Args:
        writer: writes the operands.
        node: the call.
        kind: the kind that one operand is known to have, and the other one probably has.
        form: the plain Python code, with `{}` for the operands.
    """
    function = FUNCTIONS.get(node.function)
    if writer.in_loop or function is None:
        return None
    are_known = [writer.has_known_type(arg, kind) for arg in node.args]
    if sum(are_known) != 1:
        return None
    symbols = writer.symbols
    tests, parts = [], []
    for arg, is_known in zip(node.args, are_known, strict=True):
        code = writer.raw(arg)
        if code.isidentifier():
            parts.append(code)
            name = code
        else:
            name = symbols.local()
            parts.append(name)
        wanted = symbols.constant(CLASSES[kind])
        value = code if name == code else f"({name} := {code})"
        if not is_known:
            tests.append(f"{value}.__class__ is {wanted}")
        elif name != code:
            tests.append(f"{value} is not None")
    plain, general = form.format(*parts), f"{symbols.constant(function)}({', '.join(parts)})"
    # The tests that are always true come first, so that every part has its value even if another test is false.
    tests.sort(key=lambda test: not test.endswith("None"))
    return f"({plain} if {' and '.join(tests)} else {general})"


def _arithmetic(writer: TypedWriter, node: Call) -> str | None:
    sign = ARITHMETIC.get(node.function)
    if sign is None:
        return None
    if all(arg.type.kind == "int" for arg in node.args):
        left, right = (writer.typed(arg, "int") for arg in node.args)
        return f"{writer.symbols.constant(checked_int)}({left} {sign} {right})"
    return _speculative(writer, node, "int", f"{writer.symbols.constant(checked_int)}({{}} {sign} {{}})")


def _membership(writer: TypedWriter, node: Call) -> str | None:
    if node.function != "@in":
        return None
    element, container = node.args
    values = container.value if isinstance(container, Const) else None
    if isinstance(container, Ident) and not writer.is_bound(container.name):
        values = writer.named_list(container.name)
    if isinstance(values, list | tuple) and values:
        if all(value.__class__ is str for value in values):
            return f"({writer.raw(element)} in {writer.symbols.constant_set(values)})"
        if all(value.__class__ is int for value in values) and element.type.kind == "int":
            return f"({writer.typed(element, 'int')} in {writer.symbols.constant_set(values)})"
    if element.type.kind == "string" and writer.is_known_map(container):
        return f"({writer.typed(element, 'string')} in {writer.raw(container)})"
    if container.type.kind == "list" and element.type.kind == "string":
        return f"({writer.typed(element, 'string')} in {_searched_list(writer, container)})"
    return None


def _searched_list(writer: TypedWriter, container: Expr) -> str:
    """Return the code of a list in which a text is looked up."""
    code = writer.typed(container, "list")
    return writer.symbols.load_lookup(code) if writer.is_loaded(container) else code


def _map_index(writer: TypedWriter, node: Call) -> str | None:
    """Return the code of a lookup in a map of facts; a missing key is an error in Python as in CEL."""
    if node.function != "_[_]":
        return None
    container, key = node.args
    if key.type.kind != "string" or not writer.is_known_map(container):
        return None
    return f"{writer.raw(container)}[{writer.typed(key, 'string')}]"


def _string_call(writer: TypedWriter, node: Call) -> str | None:
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
        form = _search(writer, text, part)
    if form is None:
        return None
    if text.type.kind == "string":
        return form.format(writer.typed(text, "string"), writer.typed(part, "string"))
    return _speculative(writer, node, "string", form)


def _search(writer: TypedWriter, text: Expr, pattern: Const) -> str | None:
    """Return the form of a search for a pattern. In loops no variable is shared; see `_speculative`."""
    if pattern.value.__class__ is not str or not is_free_pattern(pattern.value):
        return None
    symbols = writer.symbols
    search: Any = search_for(pattern.value)
    one = f"{symbols.constant(search)}({{0}})"
    family = None if writer.in_loop else writer.shared.families.get(structural_key(text))
    if family is None or pattern.value not in family.patterns:
        # INVARIANT: that no pattern of a family is found tells nothing about a pattern that doesn't belong to it.
        return one
    name = family.local
    found = f"{name} := {family.search}({{0}}.encode()) is not None"
    return f"(({name} if {name} is not {symbols.constant(UNSET)} else ({found})) and {one})"


def _size_call(writer: TypedWriter, node: Call) -> str | None:
    if node.function != "size" or len(node.args) != 1 or node.args[0].type.kind not in ("string", "list"):
        return None
    return f"len({writer.typed(node.args[0], node.args[0].type.kind)})"
