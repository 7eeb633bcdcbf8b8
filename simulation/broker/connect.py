"""A real worker of Kafka Connect for tests, from its Maven artifacts (`ops/connect/pom.xml`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from simulation.broker.artifacts import fetch_connect, require_program
from simulation.broker.kafka import free_port
from simulation.broker.process import JavaProcess

HEAP = "-Xmx256m"
REQUEST_S_MAX = 60.0


class ConnectWorker:
    """A running worker with a REST interface on the loopback interface; a context manager that stops it.

    Attributes:
        url: of the REST interface.
    """

    def __init__(self, url: str, process: JavaProcess) -> None:
        """Use `start`."""
        self.url = url
        self._process = process

    @classmethod
    def start(cls, workdir: Path, bootstrap: str) -> ConnectWorker:
        """Fetch the worker if it is missing, run it, wait for it. It has no connector, and this process's environment.

        Args:
            workdir: holds its settings, its offsets and its log.
            bootstrap: the address of the brokers.

        Raises:
            BrokerUnavailableError: no Java, no Maven, or it did not come up (with the end of its log).
        """
        workdir.mkdir(parents=True, exist_ok=True)
        require_program("java", "a Java 17 runtime")
        libraries, port = fetch_connect(), free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {
            "bootstrap.servers": bootstrap,
            "listeners": url,
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.storage.file.filename": str(workdir / "offsets"),
            "offset.flush.interval.ms": "1000",
            # As ops/connect/README.md asks for.
            "connector.client.config.override.policy": "All",
            "config.providers": "env",
            "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        }
        file = workdir / "worker.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        process = JavaProcess("the worker of Kafka Connect", workdir, "connect.log", quick=True, heap=HEAP)
        process.run_java(
            "-Dorg.apache.logging.log4j.level=WARN",
            "-cp",
            f"{libraries}{os.sep}*",
            "org.apache.kafka.connect.cli.ConnectStandalone",
            str(file),
        )
        process.await_ready(lambda: _answers(url), url)
        return cls(url, process)

    def create(self, connector: Mapping[str, Any]) -> None:
        """Create a connector, as `curl -X POST` does with a file of `ops/connect`.

        Raises:
            AssertionError: the worker refuses it.
        """
        answer = httpx2.post(f"{self.url}/connectors", json=dict(connector), timeout=REQUEST_S_MAX)
        if answer.status_code != httpx2.codes.CREATED:
            raise AssertionError(f"the worker refuses `{connector['name']}`: {answer.text}")

    def states(self, name: str) -> set[str]:
        """Return the states of a connector and of its tasks."""
        found = httpx2.get(f"{self.url}/connectors/{name}/status", timeout=REQUEST_S_MAX).json()
        return {found["connector"]["state"], *(task["state"] for task in found["tasks"])}

    def log_tail(self) -> str:
        """Return the last lines that the worker has logged."""
        return self._process.log_tail()

    def __enter__(self) -> ConnectWorker:
        """Return the worker, which runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._process.stop()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/connectors", timeout=REQUEST_S_MAX).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
