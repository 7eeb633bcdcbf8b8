"""The embedded log, in the shape that the contract suites use."""

from __future__ import annotations

from pathlib import Path

from streams.embedded import EmbeddedLog
from streams.ports import Admin, Consumer, Producer, Publisher, Reader
from tests.contract.helpers import Names, WallClock


class EmbeddedUnderTest:
    """One file for the tests of a module."""

    name = "embedded"

    def __init__(self, path: Path) -> None:
        self._log = EmbeddedLog(path, clock=WallClock())
        self._names = Names()

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

    def unique(self, name: str) -> str:
        return self._names.unique(name)

    def close(self) -> None:
        self._log.close()
