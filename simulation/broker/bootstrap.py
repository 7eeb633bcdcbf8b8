"""A broker for tests, whichever there is first: one that is named, one in a container, one from Maven artifacts."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulation.broker.artifacts import BrokerUnavailableError, kafka_version
from simulation.broker.kafka import BASE_PROPERTIES, KafkaBroker, await_answer, free_port

BOOTSTRAP_VARIABLE = "STOPLOG_TEST_BOOTSTRAP"
NAMED_S_MAX = 20.0
CONTAINER_S_MAX = 90.0
ENGINE_S_MAX = 5
DOCKER_HOST = "unix:///var/run/docker.sock"


@contextlib.contextmanager
def find_bootstrap(workdir: Path) -> Iterator[str]:
    """Yields the address of a broker that answers, and ends what was started for it.

    The first there is of: the one that STOPLOG_TEST_BOOTSTRAP names; the `apache/kafka` image, where the package
    testcontainers is installed and a container engine answers; Kafka from its Maven artifacts.

    Args:
        workdir: for data and log of a broker from Maven.

    Raises:
        BrokerUnavailableError: there is none; says for each way why, and what to do. For tests that is a failure,
            never a reason to skip.
    """
    named = os.environ.get(BOOTSTRAP_VARIABLE)
    if named:
        # A name that leads nowhere is a mistake to be told, not a reason to test on something else.
        await_answer(named, NAMED_S_MAX, "check the environment variable STOPLOG_TEST_BOOTSTRAP")
        yield named
        return
    with contextlib.ExitStack() as stack:
        bootstrap, why_not = _contained(stack)
        if bootstrap is None:
            try:
                bootstrap = stack.enter_context(KafkaBroker.start(workdir)).bootstrap
            except BrokerUnavailableError as error:
                raise BrokerUnavailableError(
                    f"there is no broker to test with. Either set {BOOTSTRAP_VARIABLE} to the address of one, or "
                    f"install the package testcontainers and a container engine ({why_not}), or make Kafka from its "
                    f"Maven artifacts run: {error}"
                ) from error
        yield bootstrap


def _contained(stack: contextlib.ExitStack) -> tuple[str | None, str]:
    """A broker in a container, or why there is none."""
    why_not = why_no_engine()
    if why_not:
        return None, why_not
    port = free_port()
    try:
        start_container(stack, port)
    except BrokerUnavailableError as error:
        return None, str(error)
    return f"127.0.0.1:{port}", ""


def why_no_engine() -> str:
    """Return why no container can be started, or nothing if one can."""
    try:
        docker: Any = importlib.import_module("docker")
        importlib.import_module("testcontainers.core.container")
    except ImportError:
        return "the package is not installed"
    try:
        # The client leaves a socket open where there is nobody to connect to.
        address = os.environ.get("DOCKER_HOST", DOCKER_HOST)
        if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
            return "no engine is installed"
        with contextlib.closing(docker.from_env(timeout=ENGINE_S_MAX)) as engine:
            engine.ping()
    except docker.errors.DockerException:
        return "no engine answers"
    return ""


def start_container(stack: contextlib.ExitStack, port: int, ports: Mapping[str, int] | None = None) -> Any:
    """Start a broker in a container that `stack` ends, wait until it answers, and return the container.

    Args:
        port: of the host, for its clients.
        ports: further ports of the host, by those of the container. They are for containers that share its network.

    Raises:
        BrokerUnavailableError: it did not come up.
    """
    docker: Any = importlib.import_module("docker")
    containers: Any = importlib.import_module("testcontainers.core.container")
    container = containers.DockerContainer(f"apache/kafka:{kafka_version()}")
    published = {"9092/tcp": port, **(ports or {})}
    container.ports = {inside: ("127.0.0.1", outside) for inside, outside in published.items()}
    for name, value in container_properties(port).items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    try:
        container.start()
        stack.callback(container.stop)
        await_answer(f"127.0.0.1:{port}", CONTAINER_S_MAX, "see the container's log")
    except (docker.errors.DockerException, BrokerUnavailableError) as error:
        raise BrokerUnavailableError(f"the container did not come up: {error}") from error
    return container


def container_properties(port: int) -> dict[str, str]:
    """The settings of a broker in a container whose listener is `port` of the host.

    The broker talks to itself, too, and can't reach the host's port: hence a listener inside.
    """
    return {
        **BASE_PROPERTIES,
        "listeners": "PLAINTEXT://0.0.0.0:9092,INSIDE://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},INSIDE://127.0.0.1:9094",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INSIDE",
        "controller.quorum.voters": "1@127.0.0.1:9093",
    }
