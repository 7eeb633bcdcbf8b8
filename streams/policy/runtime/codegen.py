"""The fast path of evaluation: one generated Python function for the conditions of all rules of a tool.

The idea is that the code must be correct only for values of their declared types. If it finds any other value, or an
error, it gives up on that rule and the exact evaluator decides. So the code is simple. It is fast because it reads the
fields that every intent has, and checks their types, once for all rules; a condition is then plain Python on local
variables.

The code is made of checked trees only. Names, literals and functions are passed in a table of constants and appear in
the code as `k0`, `k1`, ... No character of a rule's text is ever part of it.

Compiling each condition to closures, as the exact evaluator does, was rejected as the only method: it is several times
slower. Generating code that implements all of CEL was rejected too: it would be as complex as an evaluator, and could
not be compared with a simpler one.
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

    Attributes:
        run: returns, for given facts, the indexes of the conditions that are true and of those that it gave up on; or
            None if it gave up on all of them.
        refused: the indexes of the conditions that the function does not contain.
        source: the source code, for people.
    """

    run: GeneratedFunction
    refused: tuple[int, ...]
    source: str


def generate(
    conditions: Sequence[Expr], constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]
) -> Generated:
    """Generate the function for some conditions.

    Args:
        conditions: checked trees of type bool.
        constants: the named lists, by full name.
        structs: the records of the schema, by the checker's name of their type.
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
    namespace: dict[str, Any] = {"__builtins__": {}, **BUILTINS, **writer.symbols.table}
    try:
        code_object = compile(source, "<generated rules>", "exec")
    except (SyntaxError, RecursionError, MemoryError):
        # The code exceeds a limit of Python's compiler. The exact evaluator is slower, but gives the same results.
        return Generated(lambda _: None, (), "")
    exec(code_object, namespace)  # noqa: S102 - made of checked trees only, see above
    return Generated(namespace["run"], tuple(refused), source)
