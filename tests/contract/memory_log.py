"""The log in memory under the contract suites: what simulations and drivers run on must be a log like any other."""

from __future__ import annotations

from streams.inmemory.log import MemoryLog
from tests.contract.log_under_test import LocalLogUnderTest, WallClock


class MemoryUnderTest(LocalLogUnderTest):
    """`LogUnderTest` in memory."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__(MemoryLog(WallClock()))

    def close(self) -> None:
        """Nothing to release."""
