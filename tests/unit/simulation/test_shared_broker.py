"""The broker that all test processes of one run share."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from simulation.broker.kafka import BrokerUnavailableError
from tests import shared_broker
from tests.shared_broker import SharedBroker, ask

ASKING = 4


def accepts(bootstrap: str) -> bool:
    host, _, port = bootstrap.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.broker
def test_all_who_ask_get_the_same_broker_which_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOPLOG_TEST_BOOTSTRAP", raising=False)
    with closing(SharedBroker()) as shared, ThreadPoolExecutor(ASKING) as asking:
        found = list(asking.map(ask, [shared.address] * ASKING))
        assert len(set(found)) == 1
        assert accepts(found[0])
    assert not accepts(found[0])


def test_no_broker_is_started_for_a_run_in_which_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(folder: Path) -> None:
        (tmp_path / "started").touch()

    monkeypatch.setattr(shared_broker, "find_bootstrap", started)
    with closing(SharedBroker()) as shared:
        pass
    assert not (tmp_path / "started").exists()
    with pytest.raises(OSError, match=r"No such file|refused"):
        ask(shared.address)


def test_everyone_who_asks_learns_why_there_is_no_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOPLOG_TEST_BOOTSTRAP", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with closing(SharedBroker()) as shared:
        for _ in range(2):
            with pytest.raises(BrokerUnavailableError, match=r"there is no broker to test with.*`java`"):
                ask(shared.address)


def test_an_error_that_nobody_foresaw_reaches_the_test_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(folder: Path) -> None:
        raise PermissionError("not in this folder")

    monkeypatch.setattr(shared_broker, "find_bootstrap", failing)
    with closing(SharedBroker()) as shared, pytest.raises(BrokerUnavailableError, match="not in this folder"):
        ask(shared.address)


def test_a_process_that_ends_before_it_is_answered_does_not_end_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("STOPLOG_TEST_BOOTSTRAP", "")
    with closing(SharedBroker()) as shared:
        Client(shared.address).close()
        with pytest.raises(BrokerUnavailableError):
            ask(shared.address)
