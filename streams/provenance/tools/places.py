"""The places that a JSON Schema gives values: where arguments of a tool, or fields of its results, can stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from streams.provenance.pointers import escaped, unescaped
from streams.provenance.words import words_of_name

PLACES_MAX = 400
"""Places of one schema that are looked at."""
NODES_MAX = 4_000
"""Parts of one schema that are looked at."""
DEPTH_MAX = 8

_CHOICES = ("anyOf", "oneOf", "allOf")
_NO_PLURALS = frozenset({"address", "business", "access", "status", "this", "process", "class", "gas"})


class Place(NamedTuple):
    """A place that holds plain values.

    Attributes:
        path: where, with `*` for the members of lists and of objects with free names.
        names: the names of the members on the way, the last one first.
        schema: what the schema says about the value there, without references and choices.
        is_required: whether every member on the way is required.
    """

    path: str
    names: tuple[str, ...]
    schema: Mapping[str, Any]
    is_required: bool

    @property
    def name(self) -> str:
        """Return the innermost name; empty for the members of an object that has none but free names."""
        return self.names[0] if self.names else ""


def places_of(schema: object) -> tuple[Place, ...]:
    """Return the places of plain values, in the order of the schema; at most `PLACES_MAX`. Never raises."""
    if not isinstance(schema, Mapping):
        return ()
    found: dict[str, Place] = {}
    left = [_Node(schema, "", (), is_required=True, depth=0)]
    # Schemas can contain themselves, many times over: what is looked at is counted, not only what is found.
    for _ in range(NODES_MAX):
        if not left or len(found) >= PLACES_MAX:
            break
        node = left.pop()
        read = _resolved(schema, node.schema)
        inside = [] if node.depth >= DEPTH_MAX else list(_inside(schema, read, node))
        if not inside and node.path and read.get("type") != "null":
            found.setdefault(node.path, Place(node.path, node.names, read, node.is_required))
        left += reversed(inside)
    return tuple(found.values())


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of an identifier, in lower case and in the singular: `orderIds` is `order`, `id`."""
    return tuple(_singular(word) for word in words_of_name(name))


def _singular(word: str) -> str:
    if (len(word) <= 3 and word != "ids") or not word.endswith("s") or word in _NO_PLURALS:
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word if word.endswith("ss") else word[:-1]


class _Node(NamedTuple):
    """A part of a schema that is to be looked at; like `Place`, but not resolved yet."""

    schema: object
    path: str
    names: tuple[str, ...]
    is_required: bool
    depth: int


def _inside(root: Mapping[str, Any], schema: Mapping[str, Any], node: _Node) -> Iterator[_Node]:
    path, names, depth = node.path, node.names, node.depth + 1
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        required = schema.get("required")
        needed = set(map(str, required)) if isinstance(required, list) else set()
        for name, each in properties.items():
            is_required = node.is_required and name in needed
            yield _Node(each, f"{path}/{escaped(str(name))}", (str(name), *names), is_required, depth)
    for word in ("additionalProperties", "items"):
        if isinstance(schema.get(word), Mapping):
            yield _Node(schema[word], f"{path}/*", names, node.is_required, depth)
    # Each choice stands at the same place; what holds plain values is found there once.
    for word in _CHOICES:
        choices = schema.get(word)
        if isinstance(choices, list):
            for each in choices:
                yield _Node({**_own(schema), **_resolved(root, each)}, path, names, node.is_required, depth)


def _own(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the schema says besides its choices and members, such as a description."""
    return {name: each for name, each in schema.items() if name in ("title", "description", "format", "type")}


def _resolved(root: Mapping[str, Any], node: object) -> Mapping[str, Any]:
    """Return a schema with its reference followed; references to other documents lead nowhere."""
    for _ in range(DEPTH_MAX):
        if not isinstance(node, Mapping):
            return {}
        reference = node.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return node
        target: Any = root
        for step in reference[2:].split("/"):
            name = unescaped(step)
            target = target.get(name) if isinstance(target, Mapping) else None
        beside = {name: each for name, each in node.items() if name != "$ref"}
        node = {**target, **beside} if isinstance(target, Mapping) else beside
    return {}


_ASSIGNEES = frozenset((("assignee",), ("assigned", "to"), ("assignee", "id"), ("assignee", "email"), ("responsible",)))


def names_assignee(name: str) -> bool:
    """Return whether a field says by its name who has to do something: `assignee`, `assigned_to`."""
    return words_of(name) in _ASSIGNEES


def is_id_of_element(steps: Sequence[str]) -> bool:
    """Return whether a field is the id of an element of a list, and no other value of it.

    It is called `id`, or after what the list is called after: `task` or `task_id` in `tasks`.

    Args:
        steps: the way to the field.
    """
    if len(steps) < 2 or not steps[-2].isdigit():
        return False
    words = words_of(steps[-1])
    if words == ("id",):
        return True
    listed_things = words_of(steps[-3])[-1:] if len(steps) > 2 else ()
    return bool(listed_things) and words in (listed_things, (*listed_things, "id"))
