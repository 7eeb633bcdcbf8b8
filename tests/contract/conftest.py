"""Every adapter of a port, under one fixture: the suites run the same tests on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.ports import StoreProvider
from streams.stores.memory import MemoryStores
from streams.stores.rocks import RocksStores
from tests.contract.embedded_log import EmbeddedUnderTest
from tests.contract.log_under_test import LogUnderTest
from tests.contract.memory_log import MemoryUnderTest


@pytest.fixture(scope="module", params=["memory", "embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogUnderTest]:
    """The log ports on a file and on a Kafka broker; topics and groups live as long as the module's tests."""
    under_test: LogUnderTest
    if request.param == "memory":
        under_test = MemoryUnderTest()
    elif request.param == "embedded":
        under_test = EmbeddedUnderTest(tmp_path_factory.mktemp("log") / "contract.log")
    else:
        from tests.contract.kafka_log import KafkaLog

        under_test = KafkaLog(request.getfixturevalue("kafka_bootstrap"))
    yield under_test
    under_test.close()


@pytest.fixture(params=["memory", "rocksdb"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> StoreProvider:
    """The store ports in memory and on RocksDB; empty for each test."""
    return MemoryStores() if request.param == "memory" else RocksStores(tmp_path / "stores")
