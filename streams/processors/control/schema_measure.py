"""How large a schema is once its references are followed, and how much work it can make of arguments."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from streams.processors.control.schema_patterns import PATTERNS_MAX, SchemaPatterns
from streams.processors.control.schema_references import References

SUBSCHEMAS_MAX = 20_000
"""Most subschemas of a schema in which every reference is expanded once."""

STEPS_MAX = 1_000_000
"""In how many ways a schema that refers to itself may be tried on nested arguments."""

_COMPARED_WEIGHT = 12
"""To compare an object or array with another takes so much longer than any other step."""

_IN_PLACE = ("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "dependentSchemas")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_LISTS_BESIDE = ("anyOf", "oneOf", "allOf")
_MAPS_BESIDE = ("dependentSchemas", "dependencies")
_BESIDE = ("not", "if", "then", "else")
_LISTS_PLACED = ("prefixItems", "items")
_MAPS_PLACED = ("properties",)
_MAPS_BELOW = ("patternProperties",)
_BELOW = (
    "items",
    "additionalItems",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)


class _Weight(NamedTuple):
    """How many parts of a schema are tried: on the value in question, and at most on any one value below it."""

    here: int
    below: int

    @property
    def most(self) -> int:
        """The larger of the two."""
        return max(self.here, self.below)


class ExpandedSchema:
    """Measures a schema whose references are followed.

    Attributes:
        branches: whether the schema has alternatives or references.
        names: the names of properties that the schema itself has.
        fan_out: in how many ways a schema that refers to itself leads from a value to one below it.
        patterns: the schema's patterns.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._references = References(schema)
        self.names: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._open: set[str] = set()
        self._refers_to_itself = False
        self.branches = False
        self.fan_out = 1
        self._weights: dict[str, _Weight] = {}
        self._texts: dict[str, int] = {}
        self._patterns: dict[str, None] = {}
        self._size(schema)
        self._whole = self._weight_of(schema)
        self.patterns = SchemaPatterns(self._patterns)

    def depth_max(self) -> int | None:
        """Return how deep arguments may be nested; None if the depth makes no difference."""
        if not self._refers_to_itself or self.fan_out < 2:
            return None
        return int(math.log(STEPS_MAX) / math.log(self.fan_out))

    def _size(self, node: object) -> int:
        """Return the number of subschemas at and below `node`.

        Raises:
            ValueError: there are more than `SUBSCHEMAS_MAX`.
        """
        if isinstance(node, list):
            return self._checked(sum(self._size(item) for item in node))
        if not isinstance(node, dict):
            return 0
        size = 1 + sum(self._size(value) for value in node.values())
        self._collect_patterns(node)
        self.names.update(_property_names(node))
        in_place = sum(len(value) if isinstance(value, (list, dict)) else 1 for value in _in_place(node))
        self.branches = self.branches or in_place > 0
        self.fan_out = max(self.fan_out, in_place)
        for name in _REFERENCES:
            if isinstance(node.get(name), str):
                self.branches = True
                size += self._referred(node[name])
        return self._checked(size)

    def weight(self) -> int:
        """Return how many parts of the schema can meet at one value, of arguments of any form; at least 1."""
        return max(1, self._whole.most)

    def _weight_of(self, node: object) -> _Weight:
        """Return how many parts a subschema brings to the value that it is tried on, and to a value below that."""
        if not isinstance(node, dict):
            return _Weight(1, 0)
        beside = [self._weight_of(member) for member in _members(node, _LISTS_BESIDE, _MAPS_BESIDE, _BESIDE)]
        beside += [self._weight_referred(node[name]) for name in _REFERENCES if isinstance(node.get(name), str)]
        # A value has one name or one position, so the heaviest of these counts.
        placed = (self._weight_of(member).most for member in _members(node, _LISTS_PLACED, _MAPS_PLACED))
        below = max(placed, default=0) + sum(
            self._weight_of(member).most for member in _members(node, (), _MAPS_BELOW, _BELOW)
        )
        return _Weight(
            here=1 + _compared(node) + sum(weight.here for weight in beside),
            below=below + sum(weight.below for weight in beside),
        )

    def _weight_referred(self, reference: str) -> _Weight:
        if reference in self._open:
            return _Weight(1, 0)
        if reference not in self._weights:
            targets = self._references.targets(reference)
            self._open.add(reference)
            found = [_Weight(1, 0) if each is self._root else self._weight_of(each) for each in targets]
            self._open.discard(reference)
            self._weights[reference] = _Weight(sum(w.here for w in found), sum(w.below for w in found))
        return self._weights[reference]

    def text_weights(self) -> tuple[int, dict[str, int]]:
        """Return the weight of the patterns that may be tried on any text, and on that of each argument beside it."""
        root = self._root
        named = root.get("properties")
        members = named if isinstance(named, dict) else {}
        by_name = {name: self._text_weight(member) for name, member in members.items()}
        return self._text_weight({**root, "properties": {}}), by_name

    def _text_weight(self, node: object) -> int:
        """Return the weight of the patterns of a subschema that may be tried on one text of the value."""
        if not isinstance(node, dict):
            return 0
        named = node.get("patternProperties")
        total = self.patterns.weight(node.get("pattern"))
        total += sum(map(self.patterns.weight, named)) if isinstance(named, dict) else 0
        each_of = _members(node, _LISTS_BESIDE, (*_MAPS_BESIDE, *_MAPS_BELOW), (*_BESIDE, *_BELOW))
        total += sum(map(self._text_weight, each_of))
        total += sum(self._text_weight_referred(node[name]) for name in _REFERENCES if isinstance(node.get(name), str))
        return total + max(map(self._text_weight, _members(node, _LISTS_PLACED, _MAPS_PLACED)), default=0)

    def _text_weight_referred(self, reference: str) -> int:
        if reference in self._open:
            return 0
        if reference not in self._texts:
            targets = self._references.targets(reference)
            self._open.add(reference)
            self._texts[reference] = sum(self._text_weight(each) for each in targets if each is not self._root)
            self._open.discard(reference)
        return self._texts[reference]

    def _collect_patterns(self, node: dict[str, Any]) -> None:
        found = [node.get("pattern"), *(named if isinstance(named := node.get("patternProperties"), dict) else ())]
        self._patterns.update((pattern, None) for pattern in found if isinstance(pattern, str))
        if len(self._patterns) > PATTERNS_MAX:
            raise ValueError(f"it has more than {PATTERNS_MAX} patterns")

    def _referred(self, reference: str) -> int:
        if reference in self._open:
            self._refers_to_itself = True
            return 1
        if reference in self._sizes:
            return self._sizes[reference]
        targets = self._references.targets(reference)
        self._refers_to_itself = self._refers_to_itself or any(each is self._root for each in targets)
        self._open.add(reference)
        size = sum(1 if each is self._root else self._size(each) for each in targets)
        self._open.discard(reference)
        self._sizes[reference] = self._checked(size)
        return size

    @staticmethod
    def _checked(size: int) -> int:
        if size > SUBSCHEMAS_MAX:
            raise ValueError(f"with its references expanded it has over {SUBSCHEMAS_MAX} parts")
        return size


def _in_place(node: dict[str, Any]) -> Iterator[object]:
    return (node[name] for name in _IN_PLACE if name in node)


def _members(
    node: dict[str, Any], lists: tuple[str, ...], maps: tuple[str, ...], single: tuple[str, ...] = ()
) -> Iterator[object]:
    """Yield the subschemas under these keywords of a schema."""
    for name in lists:
        yield from node[name] if isinstance(node.get(name), list) else ()
    for name in maps:
        yield from node[name].values() if isinstance(node.get(name), dict) else ()
    yield from (node[name] for name in single if isinstance(node.get(name), dict))


def _property_names(node: dict[str, Any]) -> Iterator[str]:
    """Return the names of properties that a subschema has itself."""
    for keyword in ("properties", "dependentSchemas", "dependentRequired"):
        yield from node[keyword] if isinstance(node.get(keyword), dict) else ()
    required = node.get("required")
    yield from (name for name in required if isinstance(name, str)) if isinstance(required, list) else ()


def _compared(node: dict[str, Any]) -> int:
    """Return what comparing a value with those that a schema lists weighs. Texts and numbers are looked up."""
    listed = node.get("enum")
    found = [*(listed if isinstance(listed, list) else ()), node.get("const")]
    return _COMPARED_WEIGHT * sum(isinstance(value, (dict, list)) for value in found)
