"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulation.broker.bootstrap import find_bootstrap


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker, which is started for the first test that wants it."""
    with find_bootstrap(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap
