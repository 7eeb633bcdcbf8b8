"""Where a broker for tests comes from, and what is said when it comes from nowhere."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.broker import bootstrap, kafka
from simulation.broker.artifacts import REPOSITORY, BrokerUnavailableError, fetch_libraries, kafka_version
from simulation.broker.kafka import KafkaBroker, free_port, main
from tests.waiting import until


def test_without_java_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerUnavailableError, match="`java` is not on the path: install"):
        KafkaBroker.start(tmp_path)


def test_without_maven_it_says_so_and_names_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("STOPLOG_KAFKA_HOME", str(tmp_path / "kafka"))
    with pytest.raises(BrokerUnavailableError, match=r"`mvn` is not on the path.*STOPLOG_KAFKA_HOME"):
        fetch_libraries()


def test_a_folder_with_the_jars_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("STOPLOG_KAFKA_HOME", str(tmp_path))
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.2.1.jar").touch()
    assert fetch_libraries() == tmp_path / "libs"


def test_a_maven_that_fails_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho 'no such artifact' >&2\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:/usr/bin:/bin")
    monkeypatch.setenv("STOPLOG_KAFKA_HOME", str(tmp_path / "cache" / "kafka"))
    with pytest.raises(BrokerUnavailableError, match="maven can't fetch Kafka: no such artifact"):
        fetch_libraries()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailableError, match=rf"port {port} .* is taken"):
            KafkaBroker.start(tmp_path, port=port)


def test_a_bad_setting_is_told_with_the_end_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nfor line in $(seq 100); do echo line $line; done\necho the reason\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{java.parent}:/usr/bin:/bin")
    (tmp_path / "kafka_2.13.jar").touch()
    monkeypatch.setenv("STOPLOG_KAFKA_HOME", str(tmp_path))
    with pytest.raises(BrokerUnavailableError, match=r"(?s)can't format.*the reason") as caught:
        KafkaBroker.start(tmp_path / "broker")
    assert "line 1\n" not in str(caught.value)
    (tmp_path / "broker" / "data").mkdir()
    (tmp_path / "broker" / "data" / "meta.properties").touch()
    with pytest.raises(BrokerUnavailableError, match="ended with status 3:\nline 77\n"):
        KafkaBroker.start(tmp_path / "broker")
    assert main(["--dir", str(tmp_path / "broker")]) == 1
    assert "the reason" in capsys.readouterr().err


def test_a_named_broker_that_does_not_answer_is_a_mistake_to_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPLOG_TEST_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(bootstrap, "NAMED_S_MAX", 0.1)
    monkeypatch.setattr(kafka, "PROBE_S_MAX", 0.1)
    with pytest.raises(BrokerUnavailableError, match="STOPLOG_TEST_BOOTSTRAP"), bootstrap.find_bootstrap(tmp_path):
        pass


def test_with_no_way_at_all_every_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOPLOG_TEST_BOOTSTRAP", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(BrokerUnavailableError, match=r"STOPLOG_TEST_BOOTSTRAP.*testcontainers.*Maven.*`java`"),
        bootstrap.find_bootstrap(tmp_path),
    ):
        pass


def test_a_container_has_the_settings_of_any_test_broker_and_can_reach_itself() -> None:
    settings = bootstrap.container_properties(21_000)
    assert settings["transaction.state.log.replication.factor"] == "1"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:21000,INSIDE://127.0.0.1:9094"
    assert settings["inter.broker.listener.name"] == "INSIDE"
    assert kafka_version().count(".") == 2


def test_a_broker_ends_with_its_process(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\necho $$ > "$PID_FILE"\nexec sleep 60\n')
    java.chmod(0o755)
    (tmp_path / "kafka_2.13.jar").touch()
    (tmp_path / "broker" / "data").mkdir(parents=True)
    (tmp_path / "broker" / "data" / "meta.properties").touch()
    pid_file = tmp_path / "pid"
    environment = {
        "PATH": f"{java.parent}:/usr/bin:/bin",
        "STOPLOG_KAFKA_HOME": str(tmp_path),
        "PID_FILE": str(pid_file),
    }
    command = [sys.executable, "-m", "simulation.broker.kafka", "--dir", str(tmp_path / "broker")]
    with subprocess.Popen(command, env=environment, cwd=REPOSITORY) as owner:
        try:
            until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        finally:
            owner.kill()
    pid = int(pid_file.read_text())
    until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    ).stdout.strip()
    # Whether anybody collects what has ended is not the matter here.
    return bool(state) and not state.startswith("Z")
