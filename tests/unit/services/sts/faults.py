"""A log that fails where a test says so, and what must be on it in any case."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from streams.ports import Outgoing, Producer
from tests.unit.services.sts.house import House


class Faulty:
    """A producer that fails where it is told to."""

    def __init__(self, inner: Producer, faults: list[tuple[str, Exception]]) -> None:
        self._inner = inner
        self._faults = faults
        self.init_transactions = inner.init_transactions
        self.begin = inner.begin
        self.abort = inner.abort
        self.close = inner.close

    def _meet(self, where: str) -> None:
        if self._faults and self._faults[0][0] == where:
            raise self._faults.pop(0)[1]

    def send(self, record: Outgoing, on_stored: Any = None) -> None:
        self._inner.send(record, on_stored)
        self._meet(f"after {record.topic}")

    def commit(self) -> None:
        self._meet("before commit")
        self._inner.commit()
        self._meet("after commit")


def together(house: House) -> int:
    """How many sessions are on the log, each with its grant and its record."""
    sessions = sorted(event.session_id for event in house.sessions())
    assert sessions == sorted(grant.session_id or "" for grant in house.grants())
    assert sessions == sorted(audit.session_id for audit in house.audits() if audit.session_id)
    return len(sessions)


def dying(where: str) -> Callable[[Producer], Faulty]:
    """Makes producers that end the process, at once and without a word."""

    class Dying(Faulty):
        def _meet(self, at: str) -> None:
            if at == where:
                os._exit(9)

    return lambda inner: Dying(inner, [])
