"""A cache of encoded lists that many records have in common."""

from __future__ import annotations

from typing import Any

from streams.model.types import Recurring

FORMS_MAX = 1_024
"""How many forms are kept for one field; when they are more, all are dropped and encoded again as they come."""


class Forms:
    """The encoded forms of one field's recurring lists. A list is recognised by being the same object."""

    def __init__(self) -> None:
        # While an object is kept alive, no other object has its id.
        self._known: dict[int, tuple[Recurring[Any], bytes]] = {}

    def find(self, items: Recurring[Any]) -> bytes | None:
        """Return the form of a list, if it is cached."""
        known = self._known.get(id(items))
        return None if known is None else known[1]

    def keep(self, items: Recurring[Any], form: bytes) -> None:
        """Cache the form of a list."""
        if len(self._known) >= FORMS_MAX:
            self._known.clear()
        self._known[id(items)] = items, form
