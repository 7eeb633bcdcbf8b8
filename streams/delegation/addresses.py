"""Patterns of mail addresses that admit one address each.

A grant that a program makes admits by `*@corp.example` any text that ends so, as its wildcards are documented. A person
who writes that means one address, and not a list of addresses that ends so.
"""

from __future__ import annotations

import re
from dataclasses import replace

from msgspec import structs

from streams.delegation.constraints import AllOf, AnyOf, Constraint, IsAddress, Wildcard
from streams.delegation.tools import GrantedTool

_HOST_PATTERN = re.compile(r"""[^\s,;:/\\<>()"\[\]]*[^\s,;:/\\<>()"\[\]0-9]""")


def of_single_addresses(tool: GrantedTool, is_address: IsAddress) -> GrantedTool:
    """Return a tool whose patterns of addresses admit only texts that are an address.

    Args:
        tool: the tool.
        is_address: whether a text is one.
    """
    return replace(tool, bounds={path: _narrowed(bound, is_address) for path, bound in tool.bounds.items()})


def _narrowed(bound: Constraint, is_address: IsAddress) -> Constraint:
    match bound:
        case AllOf() | AnyOf():
            return structs.replace(bound, parts=tuple(_narrowed(part, is_address) for part in bound.parts))
        case Wildcard() if _is_of_addresses(bound.pattern):
            return structs.replace(bound, is_address=is_address)
        case _:
            return bound


def _is_of_addresses(pattern: str) -> bool:
    """Return whether a pattern is one of mail addresses, as `*@corp.example` and unlike `git@host:*` and `tool@1.*`."""
    _, at, host = pattern.partition("@")
    if not at or "@" in host or _HOST_PATTERN.fullmatch(host) is None:
        return False
    return host == "*" or any(map(str.isalpha, host))
