"""Evaluates expressions for tests, by the exact evaluator and, where they are conditions, by generated code as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from streams.policy import EvaluationError
from streams.policy.cel.exact import compile_exact
from streams.policy.language.check import checker_for, structs_by_type_name
from streams.policy.language.fact_types import Kind
from streams.policy.language.tool_types import UNTYPED
from streams.policy.runtime.evaluate import Conditions


def value(text: str, lists: dict[str, Sequence[str]] | None = None, **args: Any) -> Any:
    """The value of an expression over `args` and `lists.NAME`; raises EvaluationError where it has none."""
    constants = {f"lists.{name}": tuple(items) for name, items in (lists or {}).items()}
    tree = checker_for(UNTYPED.args, dict.fromkeys(constants, Kind.STRING)).check(text).tree
    facts = {"args": args}
    if tree.type.kind != "bool":
        return compile_exact(tree, constants)(facts)
    verdicts = Conditions([tree], constants, structs_by_type_name(UNTYPED.args)).run(facts)
    if verdicts.failed:
        with pytest.raises(EvaluationError) as raised:
            compile_exact(tree, constants)(facts)
        assert verdicts.failed == [(0, str(raised.value))]
        raise raised.value
    exact = compile_exact(tree, constants)(facts)
    assert exact is (verdicts.true == [0])
    return exact


def error(text: str, **args: Any) -> str:
    """Why an expression has no value; fails where it has one."""
    try:
        found = value(text, **args)
    except EvaluationError as problem:
        return str(problem)
    raise AssertionError(f"`{text}` has the value {found!r}")
