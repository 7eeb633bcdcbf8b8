"""The log in memory under the contract suites: what simulations and drivers run on must be a log like any other."""

from __future__ import annotations

from streams.inmemory.log import MemoryLog
from streams.ports import Admin, Consumer, Producer, Publisher, Reader
from tests.contract.helpers import Names, WallClock


class MemoryUnderTest(Names):
    """`LogUnderTest` in memory."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._log = MemoryLog(WallClock())

    def admin(self) -> Admin:
        return self._log.admin()

    def consumer(self, group: str, instance: str) -> Consumer:
        return self._log.consumer(group, instance)

    def named_consumer(self, group: str, instance: str) -> Consumer:
        return self._log.consumer(group, instance)

    def producer(self, transactional_id: str) -> Producer:
        return self._log.producer(transactional_id)

    def publisher(self) -> Publisher:
        return self._log.publisher()

    def reader(self) -> Reader:
        return self._log.reader()

    def close(self) -> None:
        """Nothing to release."""
