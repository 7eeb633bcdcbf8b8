"""Compile the input schemas of tools, and validate arguments against them at a bounded cost.

A schema comes from a tool's server and arguments come from an agent, and a validator can't be interrupted. So anything
that would take disproportionate time is rejected first: a schema whose references multiply when it is compiled, and
arguments that are nested too deeply for a schema that refers to itself, or that have more values than the schema's
alternatives allow.

**How the time is bounded.** A validator's work is the number of pairs of a value in the arguments and a part of the
schema that is tried on it. How many parts can meet at one value is worked out when the schema is compiled (its weight):
`properties` adds only its heaviest member, because a value has one name; `anyOf`, `enum` and the like add all of
theirs. Weight times values is the work. Nearly every schema is so light that the size of the arguments alone settles
it.

What is wrong with arguments is said in words of the schema alone: the library's own messages quote the value, and would
put arguments on the audit topic in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import jsonschema_rs

from streams.model.canonical import parse_strict
from streams.processors.control.schema_measure import SUBSCHEMAS_MAX, ExpandedSchema
from streams.processors.control.schema_patterns import PATTERN_BYTES_MAX, PATTERN_WORK_MAX, PATTERNS_MAX

__all__ = ["PATTERNS_MAX", "PATTERN_BYTES_MAX", "SUBSCHEMAS_MAX", "ArgsSchema"]

SCHEMA_BYTES_MAX = 262_144

WORK_MAX = 5_000_000
"""How many pairs of a value and a part of the schema may have to be tried: some 50 ms."""

_DETAIL_CHARS_MAX = 200
_VALUE = "it"
"""Replaces the value in the library's messages."""

_TELLING_KEYWORDS = frozenset(
    (
        *("type", "enum", "const", "required", "pattern", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    )
)
"""Keywords whose messages consist of the schema alone once the value is replaced. That of `additionalProperties`, for
example, names what the agent has sent."""

ARGS_UNMEASURED = 2**62
"""The size of arguments whose text is not at hand: they are counted."""


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
        expanded = ExpandedSchema(schema)
        self._depth_max = expanded.depth_max()
        self._weight = expanded.weight()
        self._fan_out = 1 if self._depth_max is None else expanded.fan_out
        self._names_fault = not expanded.branches
        self._names = expanded.names
        self._text_weights = expanded.text_weights()
        self._heaviest_text = self._text_weights[0] + max(self._text_weights[1].values(), default=0)
        self._validator = jsonschema_rs.validator_for(
            schema,
            retriever=_refuse_to_fetch,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=expanded.patterns.bytes_max),
            mask=_VALUE,
        )

    def fault(self, args: Mapping[str, Any], size: int = ARGS_UNMEASURED) -> str | None:
        """Explain how the arguments violate the schema; None if they fit it.

        The explanation is bounded in length and has nothing of the arguments in it but positions.

        Args:
            args: the arguments.
            size: the length of their JSON text, if it is known. It spares most arguments being counted.
        """
        if self._depth_max is not None and _deeper_than(args, self._depth_max):
            return f"they are nested deeper than {self._depth_max} levels, and the schema refers to itself"
        if self._takes_long(args, size):
            return f"they have too many values for the schema's alternatives: over {WORK_MAX} steps to check them"
        if self._heaviest_text * size > PATTERN_WORK_MAX and self._matches_long(args):
            return f"their texts are too long for the schema's patterns: over {PATTERN_WORK_MAX} steps to match them"
        if self._validator.is_valid(args):
            return None
        if not self._names_fault:
            # An explanation tries every branch to its end, which `is_valid` does not.
            return "they fit no branch of the schema"
        try:
            # Stops at the first fault. `iter_errors` words all of them before it yields one, which takes minutes.
            self._validator.validate(args)
        except jsonschema_rs.ValidationError as error:
            return self._explained(error)
        return "they do not fit"

    @property
    def values_max(self) -> int:
        """How many values arguments may have, whatever they are."""
        return WORK_MAX // self._weight

    def _explained(self, error: jsonschema_rs.ValidationError) -> str:
        steps = (step if isinstance(step, int) or step in self._names else "*" for step in error.instance_path)
        pointer = "/" + "/".join(map(str, steps))
        keyword = error.kind.name
        told = error.message if keyword in _TELLING_KEYWORDS else f"`{keyword}` is violated"
        return f"at `{pointer}`: {told}"[:_DETAIL_CHARS_MAX]

    def _takes_long(self, args: Mapping[str, Any], size: int) -> bool:
        if self._depth_max is not None and _tries(args, self._fan_out, WORK_MAX + 1) > WORK_MAX:
            return True
        # Every value but the first takes two characters at least.
        if self._weight * size <= 2 * WORK_MAX:
            return False
        return self._weight * _tries(args, 1, WORK_MAX // self._weight + 1) > WORK_MAX

    def _matches_long(self, args: Mapping[str, Any]) -> bool:
        everywhere, by_name = self._text_weights
        return sum(
            (everywhere + by_name.get(name, 0)) * (len(name) + _chars(value)) for name, value in args.items()
        ) > PATTERN_WORK_MAX  # fmt: skip


def _tries(value: object, fan_out: int, enough: int) -> int:
    """Return how often a part of the schema is tried on all values together; each level multiplies it by `fan_out`.

    Args:
        value: the arguments.
        fan_out: in how many ways a schema that refers to itself leads to each value below; 1 for all others.
        enough: no larger number makes a difference.
    """
    tries, waiting = 0, [(value, 1)]
    while waiting and tries < enough:
        node, times = waiting.pop()
        tries += times
        if isinstance(node, (dict, list)):
            children = node.values() if isinstance(node, dict) else node
            tries += times * len(node) if isinstance(node, dict) else 0
            waiting += [(child, times * fan_out) for child in children]
    return tries


def _chars(value: object) -> int:
    """Return the bytes of all texts in a value, the names of fields included."""
    total, left = 0, [value]
    while left:
        node = left.pop()
        if isinstance(node, str):
            total += len(node) if node.isascii() else len(node.encode("utf-8", "surrogatepass"))
        elif isinstance(node, dict):
            left += node
            left += node.values()
        elif isinstance(node, list):
            left += node
    return total


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
