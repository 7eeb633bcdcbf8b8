"""Tools' input schemas, made ready to hold arguments against, with their cost bounded.

A schema comes from a tool's server and arguments from an agent, and a validator can't be interrupted. So what would
take time out of proportion is refused before: a schema whose references multiply when it is taken in, arguments that
are nested too deeply for a schema that refers to itself when they are checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import jsonschema_rs

from streams.model.canonical import parse_strict

SCHEMA_BYTES_MAX = 262_144
SUBSCHEMAS_MAX = 20_000
"""Of a schema with every reference written out once."""

STEPS_MAX = 1_000_000
"""How many ways a schema that refers to itself may be tried on nested arguments."""

PATTERN_BYTES_MAX = 100_000
"""Of a compiled pattern; patterns take time in proportion to it and to the text."""

PATTERNS_MAX = 100
"""Of a schema: all of them may be tried on one text, and each is kept compiled."""

_DETAIL_CHARS_MAX = 200
_IN_PLACE = ("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "dependentSchemas")
_LOCAL = "#/"
_Path = tuple[str, ...]


class ArgsSchema:
    """A tool's input schema."""

    def __init__(self, schema_json: str) -> None:
        """Make it ready.

        Raises:
            ValueError: no JSON Schema object, too large, refers to other documents, or its references multiply.
        """
        if len(schema_json) > SCHEMA_BYTES_MAX:
            raise ValueError(f"{len(schema_json)} characters are more than {SCHEMA_BYTES_MAX}")
        schema = parse_strict(schema_json)
        if not isinstance(schema, dict):
            raise ValueError("a tool's input schema must be an object")
        reach = _Reach(schema)
        self._depth_max = reach.depth_max()
        self._names_fault = not reach.branches
        self._validator = jsonschema_rs.validator_for(
            schema, retriever=_refuse_to_fetch, pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX)
        )

    def fault(self, args: Mapping[str, Any]) -> str | None:
        """What is wrong with the arguments; None when they fit."""
        if self._depth_max is not None and _deeper_than(args, self._depth_max):
            return f"nested deeper than {self._depth_max} levels, where the schema refers to itself"
        if self._validator.is_valid(args):
            return None
        if not self._names_fault:
            # Explaining tries every branch to its end, which is_valid does not; the answer is the same.
            return "they fit no branch of the schema"
        error = next(self._validator.iter_errors(args), None)
        if error is None:
            return "they do not fit"
        pointer = "/" + "/".join(str(step) for step in error.instance_path)
        return f"at `{pointer}`: {error.message}"[:_DETAIL_CHARS_MAX]


class _Reach:
    """What a schema comes to when its references are followed.

    Attributes:
        branches: whether parts of it are tried in place of one another, or it has references at all.
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
        """How deep arguments may be nested; None where it makes no difference."""
        if not self._refers_to_itself or self._fan_out < 2:
            return None
        return int(math.log(STEPS_MAX) / math.log(self._fan_out))

    def _size(self, node: object) -> int:
        """Subschemas below and at `node`.

        Raises:
            ValueError: more than `SUBSCHEMAS_MAX`.
        """
        if isinstance(node, list):
            return self._checked(sum(self._size(item) for item in node))
        if not isinstance(node, dict):
            return 0
        size = 1 + sum(self._size(value) for value in node.values())
        self._note_patterns(node)
        in_place = sum(len(value) if isinstance(value, (list, dict)) else 1 for value in _in_place(node))
        self.branches = self.branches or in_place > 0
        self._fan_out = max(self._fan_out, in_place)
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(node.get(name), str):
                self.branches = True
                size += self._referred(node[name])
        return self._checked(size)

    def _note_patterns(self, node: dict[str, Any]) -> None:
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
        """The local target; references by `$id` or anchor count as ones to the whole, which is the costly side."""
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
            raise ValueError(f"with its references written out it has over {SUBSCHEMAS_MAX} parts")
        return size


def _in_place(node: dict[str, Any]) -> Iterator[object]:
    return (node[name] for name in _IN_PLACE if name in node)


def _deeper_than(value: object, levels: int) -> bool:
    """Whether arrays and objects nest beyond `levels`. Arguments are at most 64 deep by then."""
    if not isinstance(value, (dict, list)):
        return False
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(child, levels - 1) for child in children)


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise ValueError(f"the schema refers to `{uri}`; put what it needs into `$defs`")
