"""A broker for tests, whichever there is first: one that is named, one in a container, one from Maven artifacts.

A schema registry for tests is looked for in the same ways, see `simulation.broker.registry`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
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
    advice = f"check the environment variable {BOOTSTRAP_VARIABLE}"
    with find_first(
        "broker",
        BOOTSTRAP_VARIABLE,
        await_named=lambda named: await_answer(named, NAMED_S_MAX, advice),
        contained=_contained,
        from_maven=lambda stack: stack.enter_context(KafkaBroker.start(workdir)).bootstrap,
    ) as bootstrap:
        yield bootstrap


@contextlib.contextmanager
def find_first(
    what: str,
    variable: str,
    *,
    await_named: Callable[[str], None],
    contained: Callable[[contextlib.ExitStack], str],
    from_maven: Callable[[contextlib.ExitStack], str],
) -> Iterator[str]:
    """Yields the address of a server that answers, and ends what was started for it.

    Args:
        what: what is looked for, for messages.
        variable: the environment variable that may name one.
        await_named: waits until the one that is named answers.
        contained: starts one in a container that the stack ends, and returns its address.
        from_maven: starts one from its Maven artifacts that the stack ends, and returns its address.

    Raises:
        BrokerUnavailableError: there is none; says for each way why, and what to do.
    """
    named = os.environ.get(variable)
    if named:
        # A name that leads nowhere is a mistake to be told, not a reason to test with something else.
        await_named(named)
        yield named
        return
    with contextlib.ExitStack() as stack:
        address, why_not = None, why_no_engine()
        if not why_not:
            try:
                address = contained(stack)
            except BrokerUnavailableError as error:
                why_not = str(error)
        if address is None:
            try:
                address = from_maven(stack)
            except BrokerUnavailableError as error:
                raise BrokerUnavailableError(
                    f"there is no {what} to test with. Either set {variable} to the address of one, or install the "
                    f"package testcontainers and a container engine ({why_not}), or make the one from Maven run: "
                    f"{error}"
                ) from error
        yield address


def _contained(stack: contextlib.ExitStack) -> str:
    port = free_port()
    start_container(stack, port)
    return f"127.0.0.1:{port}"


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
    """Return the settings of a broker in a container whose listener is `port` of the host.

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
