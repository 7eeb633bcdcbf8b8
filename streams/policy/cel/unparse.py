"""Converts a checked tree to CEL text for people."""

from __future__ import annotations

import json

from streams.policy.cel.convert import format_double
from streams.policy.cel.folds import Fold, FoldKind, classify
from streams.policy.cel.times import format_duration, format_timestamp
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, MakeMap, Select
from streams.policy.cel.values import Duration, Timestamp, UInt

_BINARY = {
    **{f"_{sign}_": sign for sign in ("&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%")},
    "@in": "in",
}


def unparse(node: Expr) -> str:
    """Return CEL text with the meaning of a tree. It may differ from the text that the author wrote."""
    return Unparser().text(node)


class Unparser:
    """Converts expressions that share parts: each part is converted once, however many expressions it is in."""

    def __init__(self) -> None:
        # With the part itself, so that its id is not given to another one.
        self._texts: dict[int, tuple[Expr, str]] = {}

    def text(self, node: Expr) -> str:
        """Do what `unparse` does."""
        known = self._texts.get(id(node))
        if known is None:
            known = self._texts[id(node)] = node, self._made(node)
        return known[1]

    def _made(self, node: Expr) -> str:
        if isinstance(node, Const):
            return _literal(node.value)
        if isinstance(node, Ident):
            return node.name
        if isinstance(node, Select):
            text = f"{self.text(node.operand)}.{node.field}"
            return f"has({text})" if node.test else text
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, MakeList):
            return f"[{', '.join(map(self.text, node.items))}]"
        if isinstance(node, MakeMap):
            return "{" + ", ".join(f"{self.text(key)}: {self.text(value)}" for key, value in node.entries) + "}"
        if isinstance(node, Comprehension):
            return self._fold(node, classify(node))
        return "?"

    def _call(self, node: Call) -> str:
        args = [self.text(arg) for arg in node.args]
        if node.function in _BINARY and len(args) == 2:
            return f" {_BINARY[node.function]} ".join(self._operand(arg) for arg in node.args)
        if node.function == "!_":
            return f"!{self._operand(node.args[0])}"
        if node.function == "-_":
            return f"-{self._operand(node.args[0])}"
        if node.function == "_?_:_":
            return "{} ? {} : {}".format(*(self._operand(arg) for arg in node.args))
        if node.function == "_[_]":
            return f"{self._operand(node.args[0])}[{args[1]}]"
        if node.member and args:
            return f"{self._operand(node.args[0])}.{node.function}({', '.join(args[1:])})"
        return f"{node.function}({', '.join(args)})"

    def _operand(self, node: Expr) -> str:
        text = self.text(node)
        compound = isinstance(node, Call) and (node.function in _BINARY or node.function in ("_?_:_", "-_"))
        return f"({text})" if compound else text

    def _fold(self, node: Comprehension, fold: Fold) -> str:
        if fold.kind is FoldKind.BIND:
            return f"cel.bind({node.accu_var}, {self.text(node.accu_init)}, {self.text(node.result)})"
        source = self._operand(node.iter_range)
        names = f"{node.iter_var}, {node.iter_var2}" if node.iter_var2 else node.iter_var
        if fold.kind is FoldKind.OTHER:
            return f"{source}.fold({names}, {self.text(node.step)})"
        if fold.kind is not FoldKind.LIST:
            return f"{source}.{fold.kind}({names}, {self.text(fold.body)})"
        if isinstance(fold.body, Ident) and fold.body.name == node.iter_var and fold.test is not None:
            return f"{source}.filter({names}, {self.text(fold.test)})"
        test = f"{self.text(fold.test)}, " if fold.test is not None else ""
        return f"{source}.map({names}, {test}{self.text(fold.body)})"


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, UInt):
        return f"{int(value)}u"
    if isinstance(value, float):
        text = format_double(value)
        return text if any(mark in text for mark in ".enI") else f"{text}.0"
    if isinstance(value, bytes):
        return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
    if isinstance(value, Timestamp):
        return f'timestamp("{format_timestamp(value)}")'
    if isinstance(value, Duration):
        return f'duration("{format_duration(value)}")'
    return json.dumps(value, ensure_ascii=False, default=str)
