"""The code blocks of a page, and what a reader does with each: run it, save it, or add it to the settings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.deployment import ROOT

_BLOCK = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}[^\n]*\n|\n(?= {4}))+)")
_AS_USER = re.compile(r"\s+# (?P<user>[a-z][a-z0-9-]*)$", re.MULTILINE)
_CONTINUED = re.compile(r"\\\n\s*")
_PROPERTY = re.compile(r"[a-z][a-z0-9.]+=\S.*")
_PROGRAMS = ("stoplog ", "kafka-configs ", "pip ", "export ")
_RIGHTS = re.compile(r"^\| (?P<resource>cluster|topic)[^|]*\| (?P<operations>[A-Z]\w+(?:, [A-Z]\w+)*) \|", re.MULTILINE)


class Command(NamedTuple):
    """A command line; `user` is whose credentials the page says it needs, None for nobody's."""

    text: str
    user: str | None


class Fragment(NamedTuple):
    """A part of `stoplog.toml`."""

    text: str


class Properties(NamedTuple):
    """Lines of a Java properties file: a client's or a broker's."""

    lines: Mapping[str, str]

    @property
    def is_of_client(self) -> bool:
        """Whether they are credentials of Kafka's own tools."""
        return "sasl.jaas.config" in self.lines


Part = Command | Fragment | Properties


def text_of(name: str) -> str:
    """The text of a page of `docs/how-to/`."""
    return (ROOT / "docs" / "how-to" / name).read_text("utf-8")


def blocks(text: str) -> list[str]:
    """The indented blocks of a page, without their indentation."""
    return [re.sub(r"^ {4}", "", found, flags=re.MULTILINE).strip("\n") for found in _BLOCK.findall(text)]


def parts(text: str) -> Iterator[Part]:
    """What there is to do on a page, in order.

    Raises:
        AssertionError: a block is nothing that this knows.
    """
    for block in blocks(text):
        lines = _CONTINUED.sub("", block).splitlines()
        if all(line.startswith(_PROGRAMS) for line in lines):
            for line in lines:
                found = _AS_USER.search(line)
                yield Command(" ".join(_AS_USER.sub("", line).split()), None if found is None else found["user"])
        elif all(_PROPERTY.fullmatch(line) for line in lines):
            yield Properties(dict(line.split("=", 1) for line in lines))
        else:
            try:
                tomllib.loads(block)
            except tomllib.TOMLDecodeError as error:
                raise AssertionError(f"nobody knows what to do with this block ({error}):\n{block}") from error
            yield Fragment(block)


def stated_rights(text: str) -> list[tuple[str, str]]:
    """The administrator's rights in the page's table: resource and operation."""
    found = [
        (row["resource"], operation) for row in _RIGHTS.finditer(text) for operation in row["operations"].split(", ")
    ]
    assert found, "the page has no table of the administrator's rights"
    return found


def merged(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those of another fragment, section by section."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            into[name] = merged(dict(into.get(name, {})), value)
        else:
            into[name] = value
    return into


def as_toml(settings: Mapping[str, Any]) -> str:
    """Settings as a TOML file."""
    return "\n".join(_toml_lines(settings, ()))


def _toml_lines(settings: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield f"[{'.'.join(_text(name) for name in path)}]"
    yield from (f"{_text(name)} = {_value(value)}" for name, value in settings.items() if not isinstance(value, dict))
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _toml_lines(value, (*path, name))


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _text(str(value))


def _text(text: str) -> str:
    assert not set(text) & set('"\\\n'), text
    return f'"{text}"'


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file with these permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text)
    return path
