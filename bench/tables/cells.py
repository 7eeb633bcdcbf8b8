"""Cells and tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Result = dict[str, Any]
"""What a measurement has found, as it is saved."""


def table_lines(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table with a head."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table with a head."""
    return "\n".join(table_lines(head, rows)) + "\n"


def whole(value: float) -> str:
    """Return a number without decimals."""
    return f"{value:,.0f}"


def tenths(value: float | None) -> str:
    """Return a number with one decimal; nothing where there is none."""
    return "" if value is None else f"{value:,.1f}"
