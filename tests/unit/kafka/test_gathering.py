"""A producer that gathers lets records wait for further ones, unless the deployment says otherwise."""

from __future__ import annotations

import pytest

from streams.kafka import producer as producer_module
from streams.kafka.producer import GATHERING_MS, KafkaProducer
from streams.kafka.settings import NO_SETTINGS, Settings


@pytest.mark.parametrize(
    ("gathers", "extra", "linger_ms"),
    [
        (False, NO_SETTINGS, 5),
        (True, NO_SETTINGS, GATHERING_MS),
        (True, {"linger.ms": 7}, 7),
    ],
)
def test_how_long_records_wait(gathers: bool, extra: Settings, linger_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Settings] = []
    monkeypatch.setattr(producer_module, "Producer", given.append)
    KafkaProducer("host:1", "writer", gathers=gathers, extra=extra)
    assert [each["linger.ms"] for each in given] == [linger_ms]
