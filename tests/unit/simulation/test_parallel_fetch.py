"""Several processes that need Kafka or the registry at once on a clean machine: one fetches, all have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulation.broker.artifacts import REPOSITORY, RUNNER

PROCESSES = 4
# Writes two files with a pause between them, as a download does, and notes that it was called.
MAVEN = """#!/bin/sh
echo fetching >> "$NOTES"
for each; do case $each in -DoutputDirectory=*) folder="${each#*=}";; esac; done
mkdir "$folder"
sleep 0.5
echo first > "$folder/first.jar"
sleep 0.5
echo last > "$folder/$PROOF"
"""
# Each waits at the door, so that all of them find nothing there.
FETCHER = """
import sys
from simulation.broker import artifacts
print("ready", flush=True)
sys.stdin.readline()
print(getattr(artifacts, sys.argv[1])())
"""


@pytest.mark.parametrize(
    ("function", "variable", "proof", "found"),
    [
        ("fetch_libraries", "STOPLOG_KAFKA_HOME", "kafka_2.13-4.2.1.jar", ""),
        ("fetch_connect", "STOPLOG_CONNECT_HOME", "connect-runtime-4.2.1.jar", ""),
        ("fetch_registry", "STOPLOG_REGISTRY_HOME", RUNNER.replace("*", "3.1.0"), RUNNER.replace("*", "3.1.0")),
    ],
)
def test_processes_that_need_it_at_once_fetch_it_once(
    tmp_path: Path, function: str, variable: str, proof: str, found: str
) -> None:
    maven, notes, home = tmp_path / "bin" / "mvn", tmp_path / "notes", tmp_path / "cache" / "home"
    maven.parent.mkdir()
    maven.write_text(MAVEN)
    maven.chmod(0o755)
    environment = {
        "PATH": f"{maven.parent}:/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "NOTES": str(notes),
        "PROOF": proof,
        variable: str(home),
    }
    fetchers = [
        subprocess.Popen(
            [sys.executable, "-c", FETCHER, function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for each in fetchers:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in fetchers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    ended = [each.communicate() for each in fetchers]
    assert [errors for _, errors in ended if errors] == []
    assert {output.strip() for output, _ in ended} == {str(home / found)}
    assert notes.read_text() == "fetching\n"
    assert sorted(each.name for each in home.iterdir()) == sorted(["first.jar", proof])
    assert [each.name for each in home.parent.iterdir()] == ["home"]
