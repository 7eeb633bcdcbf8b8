"""A real schema registry for tests, whichever there is first: one that is named, one in a container, one from Maven.

`ops/registry/pom.xml` names the version of the one from Maven, Apicurio Registry, which speaks Confluent's protocol and
keeps everything in memory. It is fetched once into `.cache/registry/<version>` of the repository (or the folder that
the environment variable STOPLOG_REGISTRY_HOME names) and needs Java 17 and Maven. In a container it is Confluent's.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from simulation.broker.artifacts import BrokerUnavailableError, fetch_registry, require_program
from simulation.broker.bootstrap import CONTAINER_S_MAX, NAMED_S_MAX, find_first, start_container
from simulation.broker.kafka import free_port
from simulation.broker.process import PROBE_INTERVAL_S, JavaProcess

REGISTRY_VARIABLE = "STOPLOG_TEST_REGISTRY"
CONTAINER_IMAGE = "confluentinc/cp-schema-registry:8.0.0"
CONTAINER_PORT = 8081
HEAP = "-Xmx384m"
PROBE_S_MAX = 3.0
# Where Apicurio speaks Confluent's protocol.
PATH = "/apis/ccompat/v7"


class SchemaRegistry:
    """A running registry on the loopback interface. Made by `start`; a context manager that stops it.

    Attributes:
        url: for clients of a Confluent Schema Registry.
    """

    def __init__(self, url: str, process: JavaProcess) -> None:
        """Use `start`."""
        self.url = url
        self._process = process

    @classmethod
    def start(cls, workdir: Path) -> SchemaRegistry:
        """Fetch the registry if it is missing, run it, wait for it. It knows no schema.

        Args:
            workdir: holds its log.

        Raises:
            BrokerUnavailableError: no Java, no Maven, or it did not come up (with the end of its log).
        """
        workdir = workdir.resolve()
        workdir.mkdir(parents=True, exist_ok=True)
        require_program("java", "a Java 17 runtime")
        runner, port = fetch_registry(), free_port()
        url = f"http://127.0.0.1:{port}{PATH}"
        process = JavaProcess("the schema registry", workdir, "registry.log", quick=True, heap=HEAP)
        process.run_java("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}", "-jar", str(runner))
        process.await_ready(lambda: _answers(url), url)
        return cls(url, process)

    def stop(self) -> None:
        """Stop it, with everything that it knows. Does nothing if it is not running."""
        self._process.stop()

    def __enter__(self) -> SchemaRegistry:
        """Return the registry, which runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


@contextlib.contextmanager
def find_registry(workdir: Path) -> Iterator[str]:
    """Yields the address of a registry that answers, and ends what was started for it.

    The first there is of: the one that STOPLOG_TEST_REGISTRY names; Confluent's image beside the `apache/kafka` image,
    where a container engine answers; Apicurio Registry from its Maven artifact.

    Args:
        workdir: for the log of one from Maven.

    Raises:
        BrokerUnavailableError: there is none; says for each way why, and what to do. For tests that is a failure,
            never a reason to skip.
    """
    advice = f"check the environment variable {REGISTRY_VARIABLE}"
    with find_first(
        "schema registry",
        REGISTRY_VARIABLE,
        await_named=lambda named: _await_answer(named, NAMED_S_MAX, advice),
        contained=_contained,
        from_maven=lambda stack: stack.enter_context(SchemaRegistry.start(workdir)).url,
    ) as url:
        yield url


def container_settings() -> dict[str, str]:
    """Return the environment of a registry in a container that shares the network of a broker's container."""
    return {
        "SCHEMA_REGISTRY_HOST_NAME": "127.0.0.1",
        "SCHEMA_REGISTRY_LISTENERS": f"http://0.0.0.0:{CONTAINER_PORT}",
        "SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS": "PLAINTEXT://127.0.0.1:9094",
        "SCHEMA_REGISTRY_KAFKASTORE_TOPIC_REPLICATION_FACTOR": "1",
    }


def _contained(stack: contextlib.ExitStack) -> str:
    """Start a registry in a container beside a broker of its own, and return its URL."""
    docker: Any = importlib.import_module("docker")
    containers: Any = importlib.import_module("testcontainers.core.container")
    broker_port = free_port()
    port = free_port(other_than=(broker_port,))
    url = f"http://127.0.0.1:{port}"
    broker = start_container(stack, broker_port, {f"{CONTAINER_PORT}/tcp": port})
    try:
        registry = containers.DockerContainer(CONTAINER_IMAGE)
        registry.with_kwargs(network_mode=f"container:{broker.get_wrapped_container().id}")
        for name, value in container_settings().items():
            registry.with_env(name, value)
        registry.start()
        stack.callback(registry.stop)
        _await_answer(url, CONTAINER_S_MAX, "see the container's log")
    except (docker.errors.DockerException, BrokerUnavailableError) as error:
        raise BrokerUnavailableError(f"the container did not come up: {error}") from error
    return url


def _await_answer(url: str, duration_s_max: float, advice: str) -> None:
    deadline_s = time.monotonic() + duration_s_max
    while not _answers(url):
        if time.monotonic() > deadline_s:
            raise BrokerUnavailableError(f"no schema registry answers at `{url}` within {duration_s_max} s: {advice}")
        time.sleep(PROBE_INTERVAL_S)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/subjects", timeout=PROBE_S_MAX).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
