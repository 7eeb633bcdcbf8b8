"""Renders sections of the settings as tables, from their fields and docstrings, for the reference pages.

A section documents its settings under `Attributes:`, as do the classes that it derives from. A section that sets up a
core may leave the meaning of a setting to the class of the core's settings, which it names in `documented_in`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_ATTRIBUTES = "Attributes:\n"
_ATTRIBUTE = re.compile(r"^    ([a-z_]+(?:, [a-z_]+)*): (.*)$")
_INHERITS = "It has the settings of "
_WORDS: dict[object, tuple[str, str]] = {
    bool: ("true or false", "true or false"),
    int: ("integer", "integers"),
    str: ("text", "texts"),
    Path: ("path", "paths"),
    datetime: ("time with its zone", "times with their zones"),
    NoneType: ("", ""),
}
"""The values of a type in words: of one setting, and of a list."""


def section_table(section: type[BaseModel]) -> str:
    """Return a section in Markdown: its name, what it is for, and a row for each of its settings.

    Raises:
        ValueError: a setting has no meaning.
    """
    title, about = described(section)
    rows = [
        f"| `{name}` | {_values(field)} | {_default(field)} | {meaning} |"
        for name, field, meaning in _documented_fields(section)
    ]
    head = ["| setting | values | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n\n".join([f"## {title}", *about, "\n".join([*head, *rows])])


def described(section: type[BaseModel]) -> tuple[str, list[str]]:
    """Return the name of a section, as its docstring begins with it, and the paragraphs that say what it is for."""
    before = cleandoc(section.__doc__ or "").partition(_ATTRIBUTES)[0]
    paragraphs = [" ".join(each.split()) for each in before.split("\n\n") if each.strip()]
    title, _, about = paragraphs[0].partition(": ")
    more = [each for each in paragraphs[1:] if not each.startswith(_INHERITS)]
    return title.rstrip("."), [about[:1].upper() + about[1:], *more] if about else more


def inner_sections(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the sections that a type of a setting consists of, such as `dict[str, SourceSection]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from inner_sections(part)


def _documented_fields(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, str]]:
    meanings = _all_meanings(section)
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue  # a section of its own, with a table of its own
        if name not in meanings:
            raise ValueError(f"setting `{name}` of `{section.__name__}` has no meaning in its docstring")
        yield name, field, meanings[name]


def _all_meanings(section: type[BaseModel]) -> dict[str, str]:
    meanings: dict[str, str] = {}
    core = getattr(section, "documented_in", None)
    for each in (core, *reversed(section.__mro__)):
        if each is not None:
            meanings |= _meanings(cleandoc(each.__doc__ or ""))
    return meanings


def _meanings(text: str) -> dict[str, str]:
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in text.partition(_ATTRIBUTES)[2].splitlines():
        found = _ATTRIBUTE.match(line)
        if found is not None:
            names = found[1].split(", ")
            meanings |= dict.fromkeys(names, found[2])
        else:
            meanings |= {name: f"{meanings[name]} {line.strip()}" for name in names}
    return meanings


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or field.default in ([], {}, ""):
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, int):
        return f"`{field.default:_}`"
    if isinstance(field.default, list):
        return ", ".join(f"`{each}`" for each in field.default)
    if isinstance(field.default, dict):
        return ", ".join(f"`{name} = {each:_}`" for name, each in field.default.items())
    return f"`{field.default}`"


def _values(field: FieldInfo) -> str:
    least = next((each.ge for each in field.metadata if isinstance(each, annotated_types.Ge)), None)
    most = next((each.le for each in field.metadata if isinstance(each, annotated_types.Le)), None)
    if isinstance(least, int) and isinstance(most, int):
        return f"{least:_} to {most:_}"
    if isinstance(least, int):
        return f"at least {least:_}"
    return _kind(field.annotation)


def _kind(annotation: Any, *, several: bool = False) -> str:
    """Return the values of a type in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(parts[0], several=several)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(word for part in parts if (word := _kind(part, several=several)))
    if origin is list:
        return f"{'lists' if several else 'list'} of {_kind(parts[0], several=True)}"
    if origin is dict:
        return f"{'tables' if several else 'table'} of {_kind(parts[1], several=True)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "tables" if several else "table"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{each.value}`" for each in annotation)
    return _WORDS.get(annotation, ("any value", "any values"))[several]
