"""Wire forms that are kept: of lists that many records have in common."""

from __future__ import annotations

from typing import Any

from streams.model.types import Recurring

FORMS_MAX = 1_024
"""Kept for one field; past it all are dropped and made again as they come."""


class Forms:
    """The wire forms of one field's recurring lists. A list is known again by being the same object."""

    def __init__(self) -> None:
        # What is kept alive keeps its id to itself.
        self._known: dict[int, tuple[Recurring[Any], bytes]] = {}

    def find(self, items: Recurring[Any]) -> bytes | None:
        """The form of a list, if it was kept."""
        known = self._known.get(id(items))
        return None if known is None else known[1]

    def keep(self, items: Recurring[Any], form: bytes) -> None:
        """Keep the form of a list."""
        if len(self._known) >= FORMS_MAX:
            self._known.clear()
        self._known[id(items)] = items, form
