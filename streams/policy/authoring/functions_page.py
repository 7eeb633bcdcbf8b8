"""The functions of conditions as a reference page."""

from __future__ import annotations

from streams.policy.authoring.facts_page import struct_table
from streams.policy.language.extension_declarations import EXTENSION_STRUCTS, GROUPS, Group, Overload
from streams.policy.language.schema import ListOf, Struct

_NETWORK = (
    ("ip(string)", "net.IP", "an address; an error where the text is none"),
    ("isIP(string)", "bool", "whether `ip` would have a value"),
    ("ip.isCanonical(string)", "bool", "an address is written as it would be printed"),
    ("net.IP.family()", "int", "4 or 6"),
    ("net.IP.isLoopback()", "bool", "of this machine"),
    ("net.IP.isUnspecified()", "bool", "0.0.0.0 or ::"),
    ("net.IP.isGlobalUnicast()", "bool", "of one machine, private networks included"),
    ("net.IP.isLinkLocalUnicast()", "bool", "of this link, as 169.254.169.254 is"),
    ("net.IP.isLinkLocalMulticast()", "bool", "of all on this link"),
    ("cidr(string)", "net.CIDR", "a network such as 10.0.0.0/8"),
    ("isCIDR(string)", "bool", "whether `cidr` would have a value"),
    ("net.CIDR.containsIP(string or net.IP)", "bool", "the address lies in the network"),
    ("net.CIDR.containsCIDR(string or net.CIDR)", "bool", "the network lies in the network"),
    ("net.CIDR.ip()", "net.IP", "its address"),
    ("net.CIDR.masked()", "net.CIDR", "it without the bits of a single machine"),
    ("net.CIDR.prefixLength()", "int", "what stands after the slash"),
)

_HEAD = """# Functions

What conditions have beside CEL's standard functions, its strings extension (`lowerAscii`, `split`, `join`, `replace`,
`substring`, `format`, ...), macros with one and two variables, and `cel.bind`.

**All of them are total and bounded.** A text that is no URL, no address, no path or no SQL, or could be read as two
different ones, is an *error* of the condition, and errors fail closed: in a permit it does not permit, in any other
rule it denies. `isUrl`, `isPath` and their like ask first. No error repeats the text.

**`string(value)`** gives the one form of a URL, address, path, glob or version. Two of them are equal where these forms
are.

A record's *optional* field is missing where it can't be known; test it with `has()`.
"""


def functions_page() -> str:
    """The reference page of the functions, made of their declarations."""
    parts = [_HEAD, *(_group(group) for group in GROUPS)]
    rows = "\n".join(f"| `{call}` | {result} | {doc} |" for call, result, doc in _NETWORK)
    parts.append(f"## IP addresses and networks\n\n| call | gives | what it is |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _group(group: Group) -> str:
    lines = [f"## {group.title}", "", group.intro, "", "| call | gives | what it is |", "|---|---|---|"]
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
