"""Field paths: finds the fields that an expression reads, and sets or removes fields of facts in test cases."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from streams.policy.cel.tree import Comprehension, Expr, Ident, Select, children

PATH_PARTS_MAX = 12


class PathError(Exception):
    """A path is malformed, or the facts have no such field."""


def split_path(path: str) -> tuple[str, ...]:
    """Return the parts of a path such as `args.amount`, or `/session/calls/mail.send` if a name contains a dot.

    Raises:
        PathError: it is not a path.
    """
    parts = tuple(path[1:].split("/") if path.startswith("/") else path.split("."))
    if not all(parts) or len(parts) > PATH_PARTS_MAX:
        raise PathError(f"`{path}` is not a path such as `args.amount`")
    return parts


def with_changes(facts: Mapping[str, Any], changes: Mapping[str, Any], removals: Sequence[str]) -> dict[str, Any]:
    """Return a deep copy of facts with values set and fields removed.

    Raises:
        PathError: a path leads through a value without fields, or a field to remove does not exist.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(facts))
    for path, value in changes.items():
        *parents, last = split_path(path)
        holder = _follow(changed, parents, path)
        if isinstance(holder, dict):
            holder[last] = copy.deepcopy(value)
        else:
            holder[_index(holder, last, path)] = copy.deepcopy(value)
    for path in removals:
        *parents, last = split_path(path)
        holder = _follow(changed, parents, path)
        if isinstance(holder, list):
            del holder[_index(holder, last, path)]
        elif last in holder:
            del holder[last]
        else:
            raise PathError(
                f"`{path}` can't be unset: it does not exist; `set` it in the case first, or remove its `unset`"
            )
    return changed


def _follow(facts: Any, parents: Sequence[str], path: str) -> Any:
    holder = facts
    for part in parents:
        if isinstance(holder, list):
            holder = holder[_index(holder, part, path)]
        elif isinstance(holder, dict) and part in holder:
            holder = holder[part]
        else:
            raise PathError(f"`{path}` does not exist: there is no `{part}`")
    if not isinstance(holder, dict | list):
        raise PathError(f"`{path}` does not exist: it is inside a value without fields")
    return holder


def _index(holder: list[Any], part: str, path: str) -> int:
    if not part.isdigit() or int(part) >= len(holder):
        raise PathError(f"`{path}` does not exist: there is no item `{part}` in a list of {len(holder)}")
    return int(part)


def read_paths(tree: Expr) -> frozenset[tuple[str, ...]]:
    """Return the field paths that an expression reads from facts, up to the first key that is not constant."""
    found: set[tuple[str, ...]] = set()
    _collect(tree, frozenset(), found)
    return frozenset(found)


def _collect(node: Expr, bound: frozenset[str], found: set[tuple[str, ...]]) -> None:
    parents: list[str] = []
    top = node
    while isinstance(top, Select):
        parents.append(top.field)
        top = top.operand
    if isinstance(top, Ident):
        if top.name not in bound:
            found.add((top.name, *reversed(parents)))
        return
    if isinstance(top, Comprehension):
        bound |= {top.iter_var, top.iter_var2, top.accu_var}
    for child in children(top):
        _collect(child, bound, found)


def first_missing(facts: Mapping[str, Any], read: Sequence[str]) -> str | None:
    """Return the first part of a path that is missing from its mapping, or None."""
    holder: Any = facts
    for part in read:
        if not isinstance(holder, Mapping):
            return None
        if part not in holder:
            return part
        holder = holder[part]
    return None


def overlaps(path: Sequence[str], read: Sequence[str]) -> bool:
    """Return whether changing the field `path` can change the value that is read at `read`."""
    return all(one == other for one, other in zip(path, read, strict=False))
