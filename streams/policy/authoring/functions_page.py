"""Makes the reference page of the functions."""

from __future__ import annotations

from streams.policy.authoring.facts_page import struct_table
from streams.policy.language.extension_declarations import EXTENSION_STRUCTS, GROUPS, Group, Overload
from streams.policy.language.fact_types import ListOf, Struct

_NETWORK = (
    ("ip(string)", "net.IP", "the address; an error if the text is not an address"),
    ("isIP(string)", "bool", "`ip` accepts the text"),
    ("ip.isCanonical(string)", "bool", "the address is written in its canonical form"),
    ("net.IP.family()", "int", "4 or 6"),
    ("net.IP.isLoopback()", "bool", "the address is of the local machine"),
    ("net.IP.isUnspecified()", "bool", "the address is 0.0.0.0 or ::"),
    ("net.IP.isGlobalUnicast()", "bool", "the address is of one machine, in a public or private network"),
    ("net.IP.isLinkLocalUnicast()", "bool", "the address is of one machine on this link, such as 169.254.169.254"),
    ("net.IP.isLinkLocalMulticast()", "bool", "the address is of all machines on this link"),
    ("cidr(string)", "net.CIDR", "a network such as 10.0.0.0/8"),
    ("isCIDR(string)", "bool", "`cidr` accepts the text"),
    ("net.CIDR.containsIP(string or net.IP)", "bool", "the network contains the address"),
    ("net.CIDR.containsCIDR(string or net.CIDR)", "bool", "the network contains the other network"),
    ("net.CIDR.ip()", "net.IP", "the address of the network"),
    ("net.CIDR.masked()", "net.CIDR", "the network without the bits of a single machine"),
    ("net.CIDR.prefixLength()", "int", "the number after the slash"),
)

_HEAD = """# Functions

Conditions can use the standard functions of CEL, its strings extension (`lowerAscii`, `split`, `join`, `replace`,
`substring`, `format`, ...), macros with one and two variables, `cel.bind`, and the following functions.

**All of them are total and bounded.** If a text is not a valid URL, address, path or SQL text, or if it can be read in
two ways, the condition is in *error*. Errors fail closed: a permit in error does not permit, and any other rule in
error denies. Test the text first with `isUrl`, `isPath` and so on. Errors never repeat the text.

**`string(value)`** returns the canonical form of a URL, address, path, glob or version. Two values are equal if their
canonical forms are equal.

An *optional* field of a record is missing if it can't be known; test it with `has()`.

**Time zones.** `now.hour`, `now.minute` and `now.weekday` are in UTC. CEL's functions of a timestamp take the name of a
time zone, or an offset such as `"+02:00"`: `timestamp(now.ms / 1000).getHours("Europe/Berlin")`. Summer time is taken
into account. `getDayOfWeek` counts from 0 (Sunday), `getMonth` and `getDayOfMonth` from 0. The name of a zone that
does not exist is an error. The zones are those of the Python package `tzdata`, never those of the host: install the
same version of it on all gates, and update it with them.
"""


def functions_page() -> str:
    """Return the reference page of the functions, generated from their declarations."""
    parts = [_HEAD, *(_group(group) for group in GROUPS)]
    rows = "\n".join(f"| `{call}` | {result} | {doc} |" for call, result, doc in _NETWORK)
    parts.append(f"## IP addresses and networks\n\n| call | result | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _group(group: Group) -> str:
    lines = [f"## {group.title}", "", group.intro, "", "| call | result | meaning |", "|---|---|---|"]
    structs: list[Struct] = []
    for name, overloads in group.functions:
        lines += [f"| `{_call(name, overload)}` | {overload.result} | {overload.doc} |" for overload in overloads]
    for struct in _structs_of(group):
        _collect(struct, structs)
    for struct in structs:
        lines += ["", f"### {struct.name}", "", *struct_table(struct)]
    return "\n".join(lines) + "\n"


def _call(name: str, overload: Overload) -> str:
    receiver = f"{overload.receiver}." if overload.receiver else ""
    return f"{receiver}{name}({', '.join(overload.parameters)})"


def _structs_of(group: Group) -> list[Struct]:
    results = {overload.result for _, overloads in group.functions for overload in overloads}
    return [struct for struct in EXTENSION_STRUCTS if struct.name in results]


def _collect(struct: Struct, found: list[Struct]) -> None:
    found.append(struct)
    for field in struct.fields:
        inner = field.type.element if isinstance(field.type, ListOf) else field.type
        if isinstance(inner, Struct):
            _collect(inner, found)
