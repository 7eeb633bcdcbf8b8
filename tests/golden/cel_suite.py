"""Runs cases of the official CEL conformance suite: the checker's library, the exact evaluator and generated code.

The suite is Google's `cel-spec` (Apache-2.0), as JSON.
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

from cel_expr_python import cel

from streams.policy.cel.checked_expression import read_checked_expression
from streams.policy.cel.exact import UnsupportedExpressionError, compile_exact
from streams.policy.cel.substitute import substitute
from streams.policy.cel.tree import DYN, Call, Const, Expr, Ident, Select, StaticType
from streams.policy.cel.values import CelMap, Duration, Timestamp, TypeValue, UInt
from streams.policy.errors import EvaluationError
from streams.policy.language.check import CHECKER_CONFIG
from streams.policy.language.function_declarations import NETWORK_TYPES

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).parent / "cel" / "suite.json.gz"

CORE = (
    *("basic", "comparisons", "conversions", "fields", "fp_math", "integer_math", "lists", "logic", "macros"),
    *("namespace", "parse", "plumbing", "string", "timestamps"),
)
SCOPE = {"core": CORE, "string_ext": ("string_ext",), "network_ext": ("network_ext",), "macros2": ("macros2",),
         "bindings": ("bindings_ext",)}  # fmt: skip

_SCALARS = frozenset({"bool", "int", "uint", "double", "string", "bytes"})
_BOOL = StaticType("bool")
_KINDS = {"BOOL": "bool", "INT64": "int", "DOUBLE": "double", "STRING": "string", "BYTES": "bytes", "UINT64": "uint"}
_PRIMITIVES = {
    "BOOL": "bool",
    "INT64": "int",
    "UINT64": "uint",
    "DOUBLE": "double",
    "STRING": "string",
    "BYTES": "bytes",
}


def read_suite() -> list[dict[str, Any]]:
    """The cases in scope."""
    files = {file for group in SCOPE.values() for file in group}
    cases = json.loads(gzip.decompress(SUITE.read_bytes()))
    return [case for case in cases if case["file"] in files and not case["needs_proto"]]


def case_id(case: dict[str, Any]) -> str:
    """`file/section/name`."""
    return f"{case['file']}/{case['section']}/{case['name']}"


def to_value(encoded: Any) -> Any:
    """A value of the suite in the evaluator's representation."""
    kind, value = encoded
    if kind == "null":
        return None
    if kind in ("bool", "int", "string"):
        return value
    if kind == "uint":
        return UInt(value)
    if kind == "double":
        return float(value)
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "list":
        return [to_value(item) for item in value]
    if kind == "map":
        return CelMap([(to_value(key), to_value(item)) for key, item in value])
    if kind == "type":
        return TypeValue(value)
    if kind in ("duration", "timestamp"):
        return (Duration if kind == "duration" else Timestamp)(value[0] * 10**9 + value[1])
    raise AssertionError(f"unknown kind of value {kind}")


def same(found: Any, wanted: Any) -> bool:
    """Equality of value and type, in which NaN equals NaN and -0.0 differs from 0.0."""
    if isinstance(wanted, float):
        return isinstance(found, float) and (
            (math.isnan(found) and math.isnan(wanted)) or (found == wanted and str(found) == str(wanted))
        )
    if isinstance(wanted, list):
        return isinstance(found, list | tuple) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, CelMap):
        found = CelMap(found.items())
        return len(found) == len(wanted) and all(key in found and same(found[key], wanted[key]) for key in wanted)
    return type(found) is type(wanted) and found == wanted


def _type(encoded: dict[str, Any]) -> Any:
    if "primitive" in encoded:
        return cel.Type(_PRIMITIVES[encoded["primitive"]])
    if "listType" in encoded:
        return cel.Type.List(_type(encoded["listType"]["elemType"]))
    if "mapType" in encoded:
        return cel.Type.Map(_type(encoded["mapType"]["keyType"]), _type(encoded["mapType"]["valueType"]))
    if encoded.get("messageType") == "google.protobuf.Duration" or encoded.get("wellKnown") == "DURATION":
        return cel.Type.DURATION
    if encoded.get("wellKnown") == "TIMESTAMP":
        return cel.Type.TIMESTAMP
    if "null" in encoded:
        return cel.Type.NULL
    if "dyn" in encoded:
        return cel.Type.DYN
    raise AssertionError(f"unknown type {encoded}")


def checked_tree(case: dict[str, Any]) -> Expr:
    """The case's expression, as the library reads and types it.

    Raises:
        RuntimeError: it does not.
    """
    variables = {name: _type(decl["ident"]["type"]) for name, _, decl in case["type_env"]}
    variables |= dict.fromkeys(NETWORK_TYPES, cel.Type.DYN)
    env = cel.NewEnv(config=cel.NewEnvConfigFromYaml(CHECKER_CONFIG), variables=variables, container=case["container"])
    return read_checked_expression(env.compile(case["expr"], disable_check=case["disable_check"]).serialize())


def bound(case: dict[str, Any]) -> dict[str, Any]:
    """The values of the case's variables."""
    return {name: to_value(value) for name, value in case["bindings"].items()}


def outcome(case: dict[str, Any]) -> tuple[str, Any]:
    """`value` and the value, or `error` and the message."""
    try:
        return "value", compile_exact(checked_tree(case))(bound(case))
    except (RuntimeError, UnsupportedExpressionError, EvaluationError) as error:
        return "error", str(error)


def as_condition(case: dict[str, Any]) -> tuple[Expr, dict[str, Any]]:
    """A condition that holds if the case comes out as the suite says, or is in error where that is an error; and facts.

    Variables become arguments of the call, so that generated code knows them.

    Raises:
        RuntimeError: the library does not read the expression.
    """
    tree = checked_tree(case)
    for name, _, declared in case["type_env"]:
        args = Ident(StaticType("map", (StaticType("string"), DYN)), -1, "args")
        known = StaticType(_KINDS.get(declared["ident"]["type"].get("primitive"), "dyn"))
        for written in (name, f".{name}"):
            tree = substitute(tree, written, Select(known, -1, args, name, test=False))
    kind, wanted = case["expect"]
    if kind == "value" and wanted[0] in _SCALARS:
        tree = Call(_BOOL, -1, "_==_", member=False, args=(tree, Const(tree.type, -1, to_value(wanted))), overloads=())
    elif tree.type != _BOOL:
        tree = Call(_BOOL, -1, "_==_", member=False, args=(tree, tree), overloads=())
    return tree, {"args": bound(case)}


def agrees(case: dict[str, Any]) -> bool:
    """Whether a case comes out as the suite says; of errors only that there is one."""
    kind, found = outcome(case)
    wanted_kind, wanted = case["expect"]
    if wanted_kind == "value":
        return kind == "value" and same(found, to_value(wanted))
    return kind == wanted_kind
