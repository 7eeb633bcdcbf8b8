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

from streams.policy.cel.simplify import simplify
from streams.policy.cel.tree import Expr
from streams.policy.language.fact_types import Struct
from streams.policy.runtime.code_writer import BUILTINS, Writer

RULES_PER_FUNCTION_MAX = 200

GeneratedFunction = Callable[[Mapping[str, Any]], "tuple[list[int], list[int]] | None"]


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated function.

    `run(facts)` gives the indexes of the conditions that are true and of those it gave up on; None when it gave up
    on all of them. `refused` are the indexes that it was not made for. `source` is for people.
    """

    run: GeneratedFunction
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
    writer = Writer(constants, structs)
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
    namespace: dict[str, Any] = {"__builtins__": {}, **BUILTINS, **writer.table}
    try:
        code_object = compile(source, "<generated rules>", "exec")
    except (SyntaxError, RecursionError, MemoryError):
        # Beyond some limit of Python's own compiler: slower, but as right.
        return Generated(lambda _: None, (), "")
    exec(code_object, namespace)  # noqa: S102 - made of checked trees only, see above
    return Generated(namespace["run"], tuple(refused), source)
