"""Records as models of pydantic: what would records cost in the other library? For `bench.parts.codec`."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, create_model

_UNIONS = (Union, types.UnionType)


def model_of(kind: type[msgspec.Struct]) -> type[BaseModel]:
    """Return a frozen model with the fields, types and defaults of a record."""
    return _model_of(kind, {})


def _model_of(kind: type[msgspec.Struct], made: dict[type, type[BaseModel]]) -> type[BaseModel]:
    if kind not in made:
        fields: Mapping[str, Any] = {
            field.name: (_type_of(field.type, made), _default_of(field)) for field in msgspec.structs.fields(kind)
        }
        made[kind] = create_model(kind.__name__, __config__=ConfigDict(frozen=True), **fields)
    return made[kind]


def _type_of(kind: Any, made: dict[type, type[BaseModel]]) -> Any:
    arguments = get_args(kind)
    if arguments:
        inner = tuple(argument if argument is ... else _type_of(argument, made) for argument in arguments)
        return Union[inner] if get_origin(kind) in _UNIONS else get_origin(kind)[inner]  # noqa: UP007 - made at run time
    return _model_of(kind, made) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else kind


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return ... if field.default_factory is msgspec.NODEFAULT else field.default_factory()
