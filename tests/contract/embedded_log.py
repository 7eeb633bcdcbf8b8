"""The embedded log, in the shape that the contract suites use."""

from __future__ import annotations

from pathlib import Path

from streams.embedded import EmbeddedLog
from tests.contract.log_under_test import LocalLogUnderTest, WallClock


class EmbeddedUnderTest(LocalLogUnderTest):
    """One file for the tests of a module."""

    name = "embedded"

    def __init__(self, path: Path) -> None:
        log = EmbeddedLog(path, clock=WallClock())
        super().__init__(log)
        self.close = log.close
