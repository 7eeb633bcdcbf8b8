"""Renders the reference of all settings, from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from streams.services.section_table import inner_sections, section_table
from streams.wiring.settings import SECTIONS, Settings, section_class
from streams.wiring.settings_loading import SETTINGS_FILE, SETTINGS_FILE_VARIABLE

_INTRODUCTION = f"""\
# Settings

Commands that use settings read them from these places. Each place overrides those before it:

1. `{SETTINGS_FILE}` in the current folder, or the file that `stoplog --settings FILE` or `{SETTINGS_FILE_VARIABLE}`
   names;
2. environment variables: `STOPLOG_` and the path of the setting in capitals, with `__` between its parts:
   `STOPLOG_BOOTSTRAP`, `STOPLOG_GATE__VERDICT_TTL_MS`. Lists and tables are written as JSON;
3. options of the command.

A setting that is unknown or has a wrong value is an error, which names the file with the line, or the variable.
`stoplog doctor` shows where the settings come from. Settings in `_ms` are milliseconds. `NAME` in the name of a section
stands for a name of your choice."""


def settings_page() -> str:
    """Return the page in Markdown.

    Raises:
        ValueError: a setting has no meaning.
    """
    sections = dict.fromkeys(each for name in SECTIONS if name != "desk" for each in _with_inner(section_class(name)))
    parts = [_INTRODUCTION, section_table(Settings), *map(section_table, sections)]
    parts.append("## `[desk]`\n\nThe desk has [a page of its own](desk.md).")
    return "\n\n".join(parts) + "\n"


def _with_inner(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a section, and the sections within it, each before those within it."""
    yield section
    for field in section.model_fields.values():
        for inner in inner_sections(field.annotation):
            yield from _with_inner(inner)
