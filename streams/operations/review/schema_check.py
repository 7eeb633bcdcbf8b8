"""Checks whether a gate can use a tool's schema, and how many values it leaves to the arguments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from streams.operations.review.phrases import Concern
from streams.processors.control.schemas import WORK_MAX, ArgsSchema

VALUES_MIN = 1_000
"""A schema that leaves arguments fewer values is worth a finding."""

POINTER = "/inputSchema"


def schema_faults(tool: Mapping[str, object]) -> Iterator[tuple[str, Concern, str]]:
    """Return a code, a weight and a meaning for each fault of a tool's schema.

    Args:
        tool: the wire object of `tools/list`.
    """
    try:
        schema = ArgsSchema(json.dumps(tool.get("inputSchema")))
    except (ValueError, RecursionError) as error:
        yield (
            "schema_unusable",
            Concern.HIGH,
            f"can't be used by a gate, which would block the tool: {_first_line(error)}",
        )
        return
    if schema.values_max < VALUES_MIN:
        text = f"is costly: arguments with more than {schema.values_max} values may be denied for their "
        yield "schema_costly", Concern.MEDIUM, f"{text}more than {WORK_MAX} steps"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
