"""Where a schema registry for tests comes from, and what is said when it comes from nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.broker import registry
from simulation.broker.artifacts import REGISTRY_POM, BrokerUnavailableError, fetch_registry, registry_version
from simulation.broker.kafka import free_port
from simulation.broker.registry import SchemaRegistry, container_settings, find_registry


def test_a_named_registry_that_does_not_answer_is_a_mistake_to_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPLOG_TEST_REGISTRY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(registry, "NAMED_S_MAX", 0.1)
    with pytest.raises(BrokerUnavailableError, match="STOPLOG_TEST_REGISTRY"), find_registry(tmp_path):
        pass


def test_with_no_way_at_all_every_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOPLOG_TEST_REGISTRY", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(BrokerUnavailableError, match=r"STOPLOG_TEST_REGISTRY.*container engine.*Maven.*`java`"),
        find_registry(tmp_path),
    ):
        pass


def test_without_maven_it_says_so_and_names_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("STOPLOG_REGISTRY_HOME", str(tmp_path / "registry"))
    with pytest.raises(BrokerUnavailableError, match=r"`mvn` is not on the path.*STOPLOG_REGISTRY_HOME"):
        fetch_registry()


@pytest.mark.parametrize(("status", "said"), [(1, "maven can't fetch the schema registry: no such"), (0, "has no ")])
def test_a_maven_that_fails_leaves_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    put_program(
        tmp_path / "bin" / "mvn",
        f'echo "no such artifact" >&2\nfor each; do case $each in -DoutputDirectory=*) '
        f'mkdir "${{each#*=}}";; esac; done\nexit {status}\n',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("STOPLOG_REGISTRY_HOME", str(tmp_path / "cache" / "registry"))
    with pytest.raises(BrokerUnavailableError, match=said):
        fetch_registry()
    assert [each for each in (tmp_path / "cache").rglob("*") if each.is_file()] == []
    assert not list((tmp_path / "cache").glob("fetching-*"))


def test_maven_keeps_its_notes_of_what_it_unpacked_with_the_cache() -> None:
    """Beside the project file they would outlive a cache that was removed, and it would not be filled again."""
    assert "<markersDirectory>${outputDirectory}-markers</markersDirectory>" in REGISTRY_POM.read_text()


def test_one_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path / "bin" / "java", "echo the reason\nexit 3\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("STOPLOG_REGISTRY_HOME", str(tmp_path))
    (tmp_path / "apicurio-registry-app-1-runner.jar").touch()
    with pytest.raises(BrokerUnavailableError, match=r"the schema registry in .* ended with status 3:\nthe reason"):
        SchemaRegistry.start(tmp_path / "run")


def test_a_container_reaches_the_broker_whose_network_it_shares() -> None:
    assert container_settings()["SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS"] == "PLAINTEXT://127.0.0.1:9094"
    assert registry_version().count(".") == 3


def put_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
