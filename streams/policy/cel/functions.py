"""Every function and operator by the name that the checked tree calls it by.

`&&`, `||`, `?:` and `@not_strictly_false` are missing on purpose: they decide which of their operands count, which
only an evaluator can do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.policy.cel import convert, ops
from streams.policy.cel.network import NETWORK_FUNCTIONS
from streams.policy.cel.strings import TEXT_FUNCTIONS
from streams.policy.cel.times import TIME_FUNCTIONS
from streams.policy.ext.table import EXTENSION_FUNCTIONS

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
    **TEXT_FUNCTIONS,
    **TIME_FUNCTIONS,
    **NETWORK_FUNCTIONS,
    **EXTENSION_FUNCTIONS,
}
