"""Trees share what they have in common, and an explanation compiles each part once."""

from __future__ import annotations

from typing import Any

import pytest

from streams.policy.cel import exact
from streams.policy.cel.exact import PartsCompiler, compile_exact
from streams.policy.cel.substitute import map_children, substitute
from streams.policy.cel.tree import DYN, Call, Comprehension, Const, Expr, Ident, children, walk
from streams.policy.cel.work import CURRENT, Account
from streams.policy.language.check import checker_for
from streams.policy.language.tool_types import UNTYPED

CONDITION = 'args.to.all(t, t != "x" && [1, 2].exists(n, n > size(t))) || tenant in ["a", "b"]'
FACTS = {"args": {"to": ["x", "yy"]}, "tenant": "b"}


@pytest.fixture
def tree() -> Expr:
    return checker_for(UNTYPED.args, {}).check(CONDITION).tree


def test_a_tree_without_the_variable_is_the_same_tree(tree: Expr) -> None:
    assert substitute(tree, "absent", Const(DYN, -1, 1)) is tree
    assert map_children(tree, lambda part: part) is tree
    # What a fold binds is another variable.
    assert any(isinstance(node, Comprehension) and node.iter_var == "t" for node in walk(tree))
    assert substitute(tree, "t", Const(DYN, -1, 1)) is tree


def test_only_what_has_changed_is_made_anew(tree: Expr) -> None:
    assert isinstance(tree, Call)
    changed = substitute(tree, "tenant", Const(DYN, -1, "b"))
    assert children(changed)[0] is tree.args[0]
    assert Ident not in {type(node) for node in walk(children(changed)[1])}
    assert compile_exact(changed)({}) is True


def test_each_part_is_compiled_once_and_costs_the_same(tree: Expr, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Expr] = []
    compile_node = exact._Compiler.node

    def noted(self: Any, node: Expr) -> Any:
        made.append(node)
        return compile_node(self, node)

    monkeypatch.setattr(exact._Compiler, "node", noted)
    compiler = PartsCompiler({})
    for part in walk(tree):
        compiler.compile(part)
    assert len(made) == len({id(node) for node in made})
    assert _costs(compiler.compile(tree)) == _costs(compile_exact(tree))


def _costs(program: exact.Program) -> tuple[Any, int]:
    """The value, and the work that it took."""
    account = Account()
    token = CURRENT.set(account)
    try:
        return program(FACTS), account.left
    finally:
        CURRENT.reset(token)
