"""Lays out tables for the width of a terminal, so that no column is cut off, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

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
WORD_CHARS_MAX = 12
"""What a column has room for at least: its longest word, up to this. Narrower columns are hard to read, and could break
the digest of rules in two."""

_NOTHING = ("", "-")


class _Widths(NamedTuple):
    """How wide a column is, in characters of the terminal.

    Attributes:
        least: with its texts wrapped between words.
        named: with its names in one piece.
        whole: with nothing wrapped.
    """

    least: int
    named: int
    whole: int


def column_widths(columns: Sequence[str], lines: Sequence[Sequence[RichText]], width_chars: int) -> list[int] | None:
    """Return the width of each column, in characters of the terminal.

    Args:
        columns: the names of the columns.
        lines: the cells of each row.
        width_chars: the width of the terminal.

    Returns:
        The widths, or None if the terminal has not enough room for all columns side by side.
    """
    measured = _all_measured(columns, lines)
    for naming in NAMING_COLUMNS:
        widths = [max(each.least, each.named if number < naming else 0) for number, each in enumerate(measured)]
        room = width_chars - sum(widths) - GAP_CHARS * (len(columns) - 1)
        if room >= 0:
            # Names are broken only where there is no room left for them; what has spaces is wrapped between words.
            named = _filled(widths, [each.named for each in measured], room)
            room = width_chars - sum(named) - GAP_CHARS * (len(columns) - 1)
            return _filled(named, [each.whole for each in measured], room)
    return None


def fits_whole(columns: Sequence[str], lines: Sequence[Sequence[RichText]], width_chars: int) -> bool:
    """Return whether all columns fit side by side with nothing wrapped."""
    widths = [each.whole for each in _all_measured(columns, lines)]
    return sum(widths) + GAP_CHARS * (len(columns) - 1) <= width_chars


def without_empty_columns(
    columns: Sequence[str], lines: Sequence[Sequence[RichText]]
) -> tuple[list[str], list[list[RichText]]]:
    """Return a table without the columns in which no row has anything, for a terminal that is too narrow for all."""
    kept = [
        number
        for number in range(len(columns))
        if any(number < len(line) and line[number].plain not in _NOTHING for line in lines)
    ]
    return [columns[number] for number in kept], [
        [line[number] for number in kept if number < len(line)] for line in lines
    ]


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


def _all_measured(columns: Sequence[str], lines: Sequence[Sequence[RichText]]) -> list[_Widths]:
    cells = [[line[number] for line in lines if number < len(line)] for number in range(len(columns))]
    return [_measured(name, of_column) for name, of_column in zip(columns, cells, strict=True)]


def _measured(name: str, cells: Sequence[RichText]) -> _Widths:
    from rich.cells import cell_len  # noqa: PLC0415 - for a person

    texts = (name, *(cell.plain for cell in cells))
    words = [word for text in texts for word in text.split()]
    names = [cell.cell_len for cell in cells if " " not in cell.plain]
    return _Widths(
        least=min(max(map(cell_len, words), default=0), WORD_CHARS_MAX),
        named=min(max(names, default=0), NAME_CHARS_MAX),
        whole=max(cell_len(line) for text in texts for line in text.split("\n")),
    )
