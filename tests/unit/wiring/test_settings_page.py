"""The reference of the settings names every setting, and what a wrong value of it could be."""

from __future__ import annotations

import re

import pytest
from pydantic import Field

from streams.services.desk.settings import DeskSection
from streams.services.section_table import section_table
from streams.services.sections import Section
from streams.wiring.settings import setting_names
from streams.wiring.settings_page import settings_page


def test_every_setting_has_a_row_in_its_section() -> None:
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", settings_page(), re.MULTILINE | re.DOTALL))
    for name in setting_names():
        section, _, setting = name.rpartition(".")
        if section != "desk":
            assert f"| `{setting}` | " in sections[f"`[{section}]`" if section else "What all commands read"], name


def test_every_meaning_is_whole() -> None:
    rows = re.findall(r"^\| `[a-z_]+` \| .* \|$", settings_page(), re.MULTILINE)
    assert len(rows) > 100
    assert [row for row in rows if not row.endswith(". |")] == []


def test_every_setting_of_the_desk_has_a_row_on_its_page() -> None:
    table = section_table(DeskSection)
    for name in DeskSection.model_fields:
        assert f"| `{name}` | " in table


def test_a_setting_without_a_meaning_is_an_error() -> None:
    class Undocumented(Section):
        """`[undocumented]`: a section.

        Attributes:
            stated: what is stated.
        """

        stated: int = 1
        forgotten: int = 2

    with pytest.raises(ValueError, match="`forgotten` of `Undocumented` has no meaning"):
        section_table(Undocumented)


def test_a_row_says_what_a_setting_can_be() -> None:
    class Described(Section):
        """`[described]`: a section.

        Attributes:
            bounded: with bounds.
            from_below: with one bound.
            listed: of a list.
            named: of a table.
            either: of two kinds.
        """

        bounded: int = Field(5, ge=1, le=1_000_000)
        from_below: int = Field(2_000, ge=1_000)
        listed: list[str] = Field([])
        named: dict[str, list[str]] = Field({})
        either: str | bool | None = None

    assert section_table(Described).splitlines()[6:] == [
        "| `bounded` | 1 to 1_000_000 | `5` | with bounds. |",
        "| `from_below` | at least 1_000 | `2_000` | with one bound. |",
        "| `listed` | list of texts | none | of a list. |",
        "| `named` | table of lists of texts | none | of a table. |",
        "| `either` | text or true or false | none | of two kinds. |",
    ]
