"""JSON that programs read and nobody hashes: lines of commands and logs, events for other systems."""

from __future__ import annotations

import json
from typing import Any

import orjson


def json_line(value: Any, *, sort_keys: bool = False) -> str:
    """Return a value as JSON, without line ends.

    Numbers that JSON doesn't have (NaN, infinities) become null. Lone surrogates and integers of more than 64 bits,
    which orjson rejects, are written by the standard library, so that no value of a hostile record ends a command.

    Args:
        sort_keys: whether members are in the order of their names, so that equal values have equal texts.

    Raises:
        TypeError: the value has no form in JSON.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None).decode()
    except orjson.JSONEncodeError:
        # Read back once, because the standard library writes numbers that JSON doesn't have by their names.
        finite = json.loads(json.dumps(value), parse_constant=lambda _name: None)
        return json.dumps(finite, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
