"""Avro by another library: what the codec is held against."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import msgspec

from streams.model.types import Record


def write(schema: Any, value: Any) -> bytes:
    """The Avro form of a plain value."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _without_logical_types(schema), value, disable_tuple_notation=True)
    return out.getvalue()


def read(schema: Any, data: bytes) -> Any:
    """The plain value of an Avro form."""
    return fastavro.schemaless_reader(io.BytesIO(data), _without_logical_types(schema), None)


def plain(record: Record) -> Any:
    """A record as dicts, lists, texts and numbers."""
    return msgspec.to_builtins(record, builtin_types=(bytes,))


def _without_logical_types(node: Any) -> Any:
    """A schema whose instants are plain ints and uuids plain texts, as in our records."""
    if isinstance(node, dict):
        return {key: _without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node
