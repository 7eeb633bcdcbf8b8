"""Declares to the type checker the functions that its library does not ship, and registers their implementations.

These are the functions on IP addresses and networks, and those of `extension_declarations.py`. The overload ids are our
own. `string` is declared here with all of its overloads, because the overloads of a function must be declared together.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.policy.cel.functions import register_functions
from streams.policy.ext.table import EXTENSION_FUNCTIONS
from streams.policy.language.descriptors import PACKAGE
from streams.policy.language.extension_declarations import EXTENSION_OVERLOADS, EXTENSION_STRUCTS, TEXT_OVERLOADS

_IP, _CIDR = "net.IP", "net.CIDR"
NETWORK_TYPES = (_IP, _CIDR)

# function -> (overload id, receiver or "", parameters, result)
NETWORK_OVERLOADS: dict[str, tuple[tuple[str, str, tuple[str, ...], str], ...]] = {
    "isIP": (("is_ip_string", "", ("string",), "bool"),),
    "ip": (("ip_string", "", ("string",), _IP), ("cidr_ip", _CIDR, (), _IP)),
    "ip.isCanonical": (("ip_is_canonical_string", "", ("string",), "bool"),),
    "family": (("ip_family", _IP, (), "int"),),
    "isUnspecified": (("ip_is_unspecified", _IP, (), "bool"),),
    "isLoopback": (("ip_is_loopback", _IP, (), "bool"),),
    "isGlobalUnicast": (("ip_is_global_unicast", _IP, (), "bool"),),
    "isLinkLocalMulticast": (("ip_is_link_local_multicast", _IP, (), "bool"),),
    "isLinkLocalUnicast": (("ip_is_link_local_unicast", _IP, (), "bool"),),
    "isCIDR": (("is_cidr_string", "", ("string",), "bool"),),
    "cidr": (("cidr_string", "", ("string",), _CIDR),),
    "containsIP": (
        ("cidr_contains_ip_ip", _CIDR, (_IP,), "bool"),
        ("cidr_contains_ip_string", _CIDR, ("string",), "bool"),
    ),
    "containsCIDR": (
        ("cidr_contains_cidr_cidr", _CIDR, (_CIDR,), "bool"),
        ("cidr_contains_cidr_string", _CIDR, ("string",), "bool"),
    ),
    "masked": (("cidr_masked", _CIDR, (), _CIDR),),
    "prefixLength": (("cidr_prefix_length", _CIDR, (), "int"),),
    "string": (
        ("string_to_string", "", ("string",), "string"),
        ("bool_to_string", "", ("bool",), "string"),
        ("bytes_to_string", "", ("bytes",), "string"),
        ("double_to_string", "", ("double",), "string"),
        ("duration_to_string", "", ("duration",), "string"),
        ("int64_to_string", "", ("int",), "string"),
        ("timestamp_to_string", "", ("timestamp",), "string"),
        ("uint64_to_string", "", ("uint",), "string"),
        ("ip_to_string", "", (_IP,), "string"),
        ("cidr_to_string", "", (_CIDR,), "string"),
        *TEXT_OVERLOADS,
    ),
}

FUNCTION_NAMES = (
    *(name for name in (*NETWORK_OVERLOADS, *EXTENSION_OVERLOADS) if "." not in name),
    *("size", "contains", "startsWith", "endsWith", "matches", "charAt", "indexOf", "lastIndexOf", "lowerAscii"),
    *("upperAscii", "replace", "split", "substring", "trim", "join", "format", "reverse", "int", "uint", "double"),
    *("bool", "bytes", "dyn", "type", "duration", "timestamp", "has", "all", "exists", "exists_one", "existsOne"),
    *("filter", "map", "transformList", "transformMap", "transformMapEntry", "getFullYear", "getMonth", "getDate"),
    *("getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
"""The names that a hint can suggest for a misspelt function."""


_Declared = tuple[str, str, tuple[str, ...], str]


def _config() -> str:
    lines = ["functions:"]
    extensions = {name: [overload[:4] for overload in overloads] for name, overloads in EXTENSION_OVERLOADS.items()}
    declared: dict[str, Iterable[_Declared]] = {**NETWORK_OVERLOADS, **extensions}
    for name, overloads in declared.items():
        lines += [f"  - name: {name}", "    overloads:"]
        for overload_id, receiver, parameters, result in overloads:
            target = f"target: {_type(receiver)}, " if receiver else ""
            args = ", ".join(map(_type, parameters))
            lines.append(f"      - {{id: {overload_id}, {target}args: [{args}], return: {_type(result)}}}")
    return "\n".join(lines)


_RECORDS = frozenset(struct.name for struct in EXTENSION_STRUCTS)


def _type(name: str) -> str:
    """Return a type in the checker's configuration format."""
    if name.startswith("list("):
        return f"{{type_name: list, params: [{_type(name[5:-1])}]}}"
    return f"{{type_name: {PACKAGE}.{name}}}" if name in _RECORDS else f"{{type_name: {name}}}"


FUNCTIONS_CONFIG = _config()
"""The declarations in the checker's configuration format."""

# INVARIANT: a function that the checker accepts has an implementation. Every evaluator gets its trees from the checker,
# whose module imports this one.
register_functions(EXTENSION_FUNCTIONS)
