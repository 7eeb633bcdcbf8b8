"""Compile the input schemas of tools, and validate arguments against them at a bounded cost.

A schema comes from a tool's server and arguments come from an agent, and a validator can't be interrupted. So anything
that would take disproportionate time is rejected first: a schema whose references multiply when it is compiled, and
arguments that are nested too deeply for a schema that refers to itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import jsonschema_rs

from streams.model.canonical import parse_strict

SCHEMA_BYTES_MAX = 262_144
SUBSCHEMAS_MAX = 20_000
"""Most subschemas of a schema in which every reference is expanded once."""

STEPS_MAX = 1_000_000
"""In how many ways a schema that refers to itself may be tried on nested arguments."""

PATTERN_BYTES_MAX = 100_000
"""Largest compiled pattern. The time of a match is proportional to it and to the length of the text."""

PATTERNS_MAX = 100
"""Most patterns of a schema. All of them may be tried on one text, and each is kept compiled."""

_DETAIL_CHARS_MAX = 200
_IN_PLACE = ("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "dependentSchemas")
_LOCAL = "#/"
_Path = tuple[str, ...]


class ArgsSchema:
    """Validates arguments against a tool's input schema."""

    def __init__(self, schema_json: str) -> None:
        """Compile a schema.

        Raises:
            ValueError: the schema is not a JSON Schema object, is too large, refers to other documents, or has
                references that multiply.
        """
        if len(schema_json) > SCHEMA_BYTES_MAX:
            raise ValueError(f"it has {len(schema_json)} characters, at most {SCHEMA_BYTES_MAX} are accepted")
        schema = parse_strict(schema_json)
        if not isinstance(schema, dict):
            raise ValueError("the input schema of a tool must be an object")
        expanded = _ExpandedSchema(schema)
        self._depth_max = expanded.depth_max()
        self._names_fault = not expanded.branches
        self._validator = jsonschema_rs.validator_for(
            schema, retriever=_refuse_to_fetch, pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX)
        )

    def fault(self, args: Mapping[str, Any]) -> str | None:
        """Explain how the arguments violate the schema; None if they fit it."""
        if self._depth_max is not None and _deeper_than(args, self._depth_max):
            return f"they are nested deeper than {self._depth_max} levels, and the schema refers to itself"
        if self._validator.is_valid(args):
            return None
        if not self._names_fault:
            # An explanation tries every branch to its end, which `is_valid` does not.
            return "they fit no branch of the schema"
        error = next(self._validator.iter_errors(args), None)
        if error is None:
            return "they do not fit"
        pointer = "/" + "/".join(str(step) for step in error.instance_path)
        return f"at `{pointer}`: {error.message}"[:_DETAIL_CHARS_MAX]


class _ExpandedSchema:
    """Measures a schema whose references are followed.

    Attributes:
        branches: whether the schema has alternatives or references.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._sizes: dict[str, int] = {}
        self._open: set[str] = set()
        self._refers_to_itself = False
        self.branches = False
        self._fan_out = 1
        self._patterns: set[str] = set()
        self._size(schema)

    def depth_max(self) -> int | None:
        """Return how deep arguments may be nested; None if the depth makes no difference."""
        if not self._refers_to_itself or self._fan_out < 2:
            return None
        return int(math.log(STEPS_MAX) / math.log(self._fan_out))

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
        in_place = sum(len(value) if isinstance(value, (list, dict)) else 1 for value in _in_place(node))
        self.branches = self.branches or in_place > 0
        self._fan_out = max(self._fan_out, in_place)
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(node.get(name), str):
                self.branches = True
                size += self._referred(node[name])
        return self._checked(size)

    def _collect_patterns(self, node: dict[str, Any]) -> None:
        found = [node.get("pattern"), *(named if isinstance(named := node.get("patternProperties"), dict) else ())]
        self._patterns.update(pattern for pattern in found if isinstance(pattern, str))
        if len(self._patterns) > PATTERNS_MAX:
            raise ValueError(f"it has more than {PATTERNS_MAX} patterns")

    def _referred(self, reference: str) -> int:
        if reference in self._open:
            self._refers_to_itself = True
            return 1
        if reference in self._sizes:
            return self._sizes[reference]
        target = self._resolve(reference)
        if target is self._root:
            self._refers_to_itself = True
            return 1
        self._open.add(reference)
        size = self._sizes[reference] = self._size(target)
        self._open.discard(reference)
        return size

    def _resolve(self, reference: str) -> object:
        """Return the target of a reference; one by `$id` or anchor counts as a reference to the whole schema."""
        if not reference.startswith(_LOCAL):
            return self._root
        node: object = self._root
        for step in reference[len(_LOCAL) :].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            else:
                return self._root
        return node

    @staticmethod
    def _checked(size: int) -> int:
        if size > SUBSCHEMAS_MAX:
            raise ValueError(f"with its references expanded it has over {SUBSCHEMAS_MAX} parts")
        return size


def _in_place(node: dict[str, Any]) -> Iterator[object]:
    return (node[name] for name in _IN_PLACE if name in node)


def _deeper_than(value: object, levels: int) -> bool:
    """Tell whether arrays and objects are nested deeper than `levels`. Arguments are at most 64 levels deep."""
    if not isinstance(value, (dict, list)):
        return False
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(child, levels - 1) for child in children)


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise ValueError(f"the schema refers to `{uri}`; copy what it needs into `$defs`")
