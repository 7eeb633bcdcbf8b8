"""A clock in the test's hands, and logs on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded import EmbeddedLog
from tests.unit.embedded.reading_writing import LEASE_MS, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stop.log"


@pytest.fixture
def log(path: Path, clock: ManualClock) -> Iterator[EmbeddedLog]:
    opened = EmbeddedLog(path, clock=clock, lease_ms=LEASE_MS)
    yield opened
    opened.close()
