"""Reads a topic record by record, and can look at the next one."""

from __future__ import annotations

from collections.abc import Iterator

from streams.model.errors import InvariantError
from streams.ports import Received


class Cursor:
    """The records of one partition of a topic.

    Attributes:
        next: the next record; None behind the last one.
        first: the offset of the first one.
    """

    def __init__(self, records: Iterator[Received], end: int) -> None:
        self._records = records
        self.next = next(records, None)
        # Of a topic that retention has emptied, everything below its end is gone.
        self.first = end if self.next is None else self.next.offset

    def take(self) -> Received:
        """Return the next record, which must be there."""
        found = self.next
        if found is None:
            raise InvariantError("nothing is left to be taken")
        self.next = next(self._records, None)
        return found
