"""The session's broker, by its adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.kafka_log import KafkaLog


@pytest.fixture
def log(kafka_bootstrap: str) -> Iterator[KafkaLog]:
    """The session's broker, clients closed after the test."""
    made = KafkaLog(kafka_bootstrap)
    yield made
    made.close()
