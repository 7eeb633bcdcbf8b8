"""How agents and executors open a log that is a file on this machine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from streams.embedded.log import EmbeddedLog
from streams.model.errors import SettingsError
from streams.model.topics import INTENT
from streams.ports import LogError
from streams.ports.open_log import LogMissingError
from streams.sdk import DevTokenService, connect
from tests.unit.sdk.hands import ACTOR, ISSUER, PARTITIONS, ROOT_KEY, TENANT


def test_it_is_the_log_of_the_folder(log: EmbeddedLog) -> None:
    with connect(log.path.parent) as transport:
        assert transport.partitions(INTENT.name) == PARTITIONS


def test_a_folder_without_a_log_is_an_error_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(LogMissingError, match="create it with `stoplog topics apply`"):
        connect(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_as_text_is_not_taken_for_brokers(log: EmbeddedLog) -> None:
    with pytest.raises(SettingsError, match="pass a `Path`"):
        connect(str(log.path.parent))


def test_many_brokers_are_not_taken_for_a_file() -> None:
    brokers = ",".join(f"b-{number}.cluster.example.com:9092" for number in range(20))
    with connect(brokers):
        pass


def test_settings_of_kafka_are_refused(log: EmbeddedLog) -> None:
    with pytest.raises(SettingsError, match="leave `extra` out"):
        connect(log.path.parent, extra={"security.protocol": "SASL_SSL"})


def test_closing_it_closes_the_log_with_its_threads(log: EmbeddedLog) -> None:
    before = set(threading.enumerate())
    with connect(log.path.parent) as transport:
        DevTokenService(transport, ROOT_KEY, issuer=ISSUER, tenant_uid=TENANT).open_session("alice", ACTOR, ())
        reader = transport.reader()
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) <= before
    with pytest.raises(LogError):
        reader.poll(1, 0)
