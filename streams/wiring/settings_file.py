"""Checks the settings file by itself, so that a fault is reported with its line.

A value of the file must have the type of its setting: `"yes"` is not a boolean, and `"5000"` is not a number. The
environment has only texts, so that there `5000` and `true` stand for what they say.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

LINES_MAX = 2_000
"""In files with more lines, faults are reported without their line: to find it takes longer with each line."""

FAULTS_MAX = 50
"""How many faults are reported with their line."""

_TOO_DEEP = "it is nested too deeply"
_FROM_ELSEWHERE = frozenset({"missing", "value_error", "assertion_error"})
"""Faults that the environment or the command line can still mend, since they concern several settings together."""

_ADVICE = {
    "bool_type": "write `true` or `false`, without quotes",
    "int_type": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
    "string_type": "write a text, in quotes",
}


class FileFault(NamedTuple):
    """A fault of the settings file.

    Attributes:
        path: the setting, as its parts.
        line: where it is, counted from 1; None if that is not known.
        kind: the library's name of the fault.
        text: what is wrong.
        value: what the file has.
        advice: what to write; empty if that is obvious.
    """

    path: tuple[str | int, ...]
    line: int | None
    kind: str
    text: str
    value: object
    advice: str


def file_faults(
    file: Path, settings: type[BaseModel], section: Callable[[str], type[BaseModel] | None]
) -> Iterator[FileFault]:
    """Yield the unknown settings of a file, and those with values of a wrong type or out of bounds. Blocking.

    Args:
        file: a TOML file.
        settings: what it may have besides sections.
        section: returns the class of a section by its name; None if there is no such section.

    Raises:
        ValueError: it is not TOML.
        OSError: it can't be read.
    """
    text = file.read_bytes().decode()
    try:
        values = tomllib.loads(text)
        stated = json.dumps(values, default=str)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    # Strict, and from JSON, where a text may stand for a path and a list for a tuple.
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in settings.model_fields.items()}
    fields |= {name: (kind, {}) for name in values if (kind := section(name)) is not None}
    whole = create_model("SettingsFile", __config__=ConfigDict(extra="forbid", strict=True), **fields)
    try:
        whole.model_validate_json(stated, strict=True)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["type"] not in _FROM_ELSEWHERE]
        if any(fault["type"] == "json_invalid" for fault in faults):
            # The library nests less deeply than the parser of TOML.
            raise ValueError(_TOO_DEEP) from None
        lines = _lines_of(text, [fault["loc"] for fault in faults[:FAULTS_MAX]])
        for fault in faults:
            path, advice = fault["loc"], _ADVICE.get(fault["type"], "")
            yield FileFault(path, lines.get(path), fault["type"], fault["msg"], fault["input"], advice)


def _lines_of(text: str, paths: Sequence[tuple[str | int, ...]]) -> dict[tuple[str | int, ...], int]:
    """Return the lines of the statements that set paths, or as much of each as the file has.

    The parser knows no places, so ever longer beginnings of the file are parsed, once for all paths: the first one that
    has a path ends with its statement.
    """
    lines = text.splitlines(keepends=True)
    if len(lines) > LINES_MAX:
        return {}
    whole = tomllib.loads(text)
    missing = {path: reached for path in paths if (reached := _reach(whole, path))}
    found: dict[tuple[str | int, ...], int] = {}
    start = 1
    for count in range(1, len(lines) + 1):
        if not missing:
            break
        try:
            values = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        here = [path for path, reached in missing.items() if _reach(values, path) == reached]
        for path in here:
            found[path] = start
            del missing[path]
        start = count + 1
    return found


def _reach(values: object, path: Sequence[str | int]) -> int:
    """Return how many parts of a path there are in values."""
    for reached, part in enumerate(path):
        try:
            values = values[part]  # type: ignore[index]  # what has no such part is an error that is caught
        except (TypeError, LookupError):
            return reached
    return len(path)
