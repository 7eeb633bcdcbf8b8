"""Report releases, what was tried in place of one, and stops that would have shortened another one."""

from __future__ import annotations

from typing import NamedTuple

from streams.model.errors import RecordError
from streams.model.reasons import ControlReason
from streams.model.revocation import Revocation
from streams.model.topics import REVOCATION


class StopEvent(NamedTuple):
    """Reports that a stop was released, or that it stays in force although something was written to lift or shorten it.

    Attributes:
        name: the record key of the stop.
        offset: the offset of the record that caused the event; -1 if none has.
        record: the release or the shorter stop; None for a tombstone, or if a stop was missing.
        reason: the effect; None if the record was rejected.
        error: why the record was rejected.
        detail: further details in words.
    """

    name: str
    offset: int
    record: Revocation | None
    reason: ControlReason | None
    error: RecordError | None
    detail: str = ""

    @property
    def topic(self) -> str:
        """The topic of stops and releases."""
        return REVOCATION.name
