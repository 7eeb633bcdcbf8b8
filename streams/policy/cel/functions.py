"""Every function and operator, by the name under which a checked tree calls it.

The table does not include `&&`, `||`, `?:` and `@not_strictly_false`: these operators decide which of their operands
are evaluated, so each evaluator implements them itself.

This package holds CEL's own functions. A package above it adds its functions with `register_functions`, so that the
evaluators of this package do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.policy.cel import convert, ops
from streams.policy.cel.network import NETWORK_FUNCTIONS
from streams.policy.cel.strings import STRING_FUNCTIONS
from streams.policy.cel.times import TIME_FUNCTIONS
from streams.policy.cel.work import by_size, charged

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_==_": ops.equals,
    "_!=_": ops.not_equals,
    "_<_": ops.less,
    "_<=_": ops.less_equals,
    "_>_": ops.greater,
    "_>=_": ops.greater_equals,
    "_+_": ops.add,
    "_-_": ops.subtract,
    "_*_": ops.multiply,
    "_/_": ops.divide,
    "_%_": ops.modulo,
    "-_": ops.negate,
    "!_": ops.logical_not,
    "_[_]": ops.index,
    "@in": ops.contained,
    "_in_": ops.contained,
    "size": ops.size,
    "cel.@mapInsert": ops.map_insert,
    "int": convert.to_int,
    "uint": convert.to_uint,
    "double": convert.to_double,
    "bool": convert.to_bool,
    "bytes": convert.to_bytes,
    "string": convert.to_string,
    "timestamp": convert.to_timestamp,
    "duration": convert.to_duration,
    "dyn": convert.to_dyn,
    "type": convert.to_type,
    **STRING_FUNCTIONS,
    **TIME_FUNCTIONS,
    **NETWORK_FUNCTIONS,
}

_CHARGED = frozenset(
    (
        *("_+_", "cel.@mapInsert", "int", "uint", "double", "bool", "bytes", "string", "timestamp", "duration"),
        *STRING_FUNCTIONS,
        *NETWORK_FUNCTIONS,
    )
)
"""Functions that run over their arguments. Comparisons count by themselves, when they meet something large."""

FUNCTIONS |= {name: charged(FUNCTIONS[name], by_size) for name in _CHARGED}


def register_functions(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Add functions to the table.

    A function that is already in the table is replaced. The replacement must compute the same values for the arguments
    that the first one accepts: `matches`, for example, is extended to globs.

    Args:
        functions: the implementations by name.
    """
    FUNCTIONS.update(functions)
