"""Lays out tables for the width of a terminal, so that no column is cut off, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Loaded where something is shown to a person.
    from rich.text import Text as RichText

GAP_CHARS = 2
"""What is between two columns."""

NAMING_COLUMNS = (2, 1)
"""How many columns, from the left, have names and ids, which stay in one piece so that they can be copied.

Where there is not enough room for two, only the first one's do.
"""

NAME_CHARS_MAX = 64
WORD_CHARS_MAX = 10
"""What a column has room for at least: its longest word, up to this. Narrower columns are hard to read."""

_NOTHING = ("", "-")


def column_widths(columns: Sequence[str], lines: Sequence[Sequence[RichText]], width_chars: int) -> list[int] | None:
    """Return the width of each column, in characters of the terminal.

    Args:
        columns: the names of the columns.
        lines: the cells of each row.
        width_chars: the width of the terminal.

    Returns:
        The widths, or None if the terminal has not enough room for all columns side by side.
    """
    cells = [[line[number] for line in lines if number < len(line)] for number in range(len(columns))]
    for naming in NAMING_COLUMNS:
        widths = [_least_width(name, cells[number], number < naming) for number, name in enumerate(columns)]
        room = width_chars - sum(widths) - GAP_CHARS * (len(columns) - 1)
        if room >= 0:
            return _filled(widths, [_whole_width(name, cells[number]) for number, name in enumerate(columns)], room)
    return None


def stacked(columns: Sequence[str], lines: Sequence[Sequence[RichText]]) -> Iterator[RichText]:
    """Yield the lines that show a table where it is too wide: a line for each cell, after the name of its column.

    Cells without content are left out.
    """
    from rich.text import Text as RichText  # noqa: PLC0415 - for a person

    label_chars = max(len(name.strip()) for name in columns)
    for number, line in enumerate(lines):
        if number:
            yield RichText()
        for name, cell in zip(columns, line, strict=False):
            if cell.plain not in _NOTHING:
                yield RichText.assemble((f"{name.strip():<{label_chars + GAP_CHARS}}", "dim"), cell)


def _filled(widths: list[int], wanted: Sequence[int], room: int) -> list[int]:
    """Return the widths after having given the room to the narrowest columns first.

    So a long text in one column doesn't squeeze the others.
    """
    while room and (wanting := [number for number, width in enumerate(widths) if width < wanted[number]]):
        widths[min(wanting, key=widths.__getitem__)] += 1
        room -= 1
    return widths


def _least_width(name: str, cells: Sequence[RichText], in_one_piece: bool) -> int:
    words = [word for text in (name, *(cell.plain for cell in cells)) for word in text.split()]
    least = min(max(map(_width, words), default=0), WORD_CHARS_MAX)
    if not in_one_piece:
        return least
    names = [cell.cell_len for cell in cells if " " not in cell.plain]
    return max(least, min(max(names, default=0), NAME_CHARS_MAX))


def _whole_width(name: str, cells: Sequence[RichText]) -> int:
    return max(_width(line) for text in (name, *(cell.plain for cell in cells)) for line in text.split("\n"))


def _width(text: str) -> int:
    from rich.cells import cell_len  # noqa: PLC0415 - for a person

    return cell_len(text)
